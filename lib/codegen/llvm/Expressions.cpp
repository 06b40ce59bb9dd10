#include "Emitter.h"

#include "planish/support/Check.h"

#include <cmath>

namespace planish::codegen {

using namespace loop;
using llvm::Value;

namespace {

bool isSigned(DType t) { return !isUnsigned(t); }

std::optional<int> log2Of(int64_t k) {
  if (k <= 0 || (k & (k - 1))) return {};
  return __builtin_ctzll(uint64_t(k));
}

/// The immediate, or the immediate that is repeated.
std::optional<int64_t> uniformConstant(const Expr &e) {
  if (auto *k = as<IntImm>(e)) return k->value;
  if (auto *x = as<Broadcast>(e)) return uniformConstant(x->value);
  return {};
}

} // namespace

llvm::Type *Emitter::type(Type t) {
  llvm::Type *scalar = t.dtype == DType::f32   ? b.getFloatTy()
                       : t.dtype == DType::f64 ? b.getDoubleTy()
                       : t.dtype == DType::b1  ? b.getInt1Ty()
                                               : llvm::Type::getIntNTy(ctx, unsigned(8 * byteSize(t.dtype)));
  return t.lanes == 1 ? scalar : llvm::FixedVectorType::get(scalar, unsigned(t.lanes));
}

/// A scalar repeated to `lanes` where a vector is needed.
Value *Emitter::fitted(Value *v, int lanes) {
  return lanes == 1 || v->getType()->isVectorTy() ? v : b.CreateVectorSplat(unsigned(lanes), v);
}

Value *Emitter::expr(const Expr &e) {
  if (auto it = values.find(e.get()); it != values.end()) return it->second;
  Value *v = match(
      e,
      [&](const IntImm &k) -> Value * {
        if (isFloat(e->type.dtype)) return llvm::ConstantFP::get(type(e->type), double(k.value));
        return llvm::ConstantInt::get(type(e->type), uint64_t(k.value), true);
      },
      [&](const FloatImm &k) -> Value * { return llvm::ConstantFP::get(type(e->type), k.value); },
      [&](const VarRef &v) {
        auto it = vars.find(v.var.get());
        PLANISH_CHECK(it != vars.end(), "unbound variable " + v.var->name);
        return it->second;
      },
      [&](const Binary &x) { return binary(x, e->type); },
      [&](const Select &s) {
        return b.CreateSelect(expr(s.cond), fitted(expr(s.a), e->type.lanes),
                              fitted(expr(s.b), e->type.lanes));
      },
      [&](const Cast &c) { return convert(c, e->type); }, [&](const Load &l) { return load(e, l); },
      [&](const Call &c) { return intrinsic(c, e->type); }, [&](const Ramp &r) { return ramp(r, e->type); },
      [&](const Broadcast &x) { return broadcast(x, e->type); });
  return values[e.get()] = v;
}

Value *Emitter::broadcast(const Broadcast &x, Type t) {
  Value *v = expr(x.value);
  int k = x.value->type.lanes, times = t.lanes / k;
  if (k == 1) return times == 1 ? v : b.CreateVectorSplat(unsigned(times), v);
  int bits = k * 8 * byteSize(t.dtype);
  if (bits <= 64 && t.dtype != DType::b1) {  // a small vector is repeated as one integer
    v = b.CreateBitCast(v, b.getIntNTy(unsigned(bits)));
    return b.CreateBitCast(b.CreateVectorSplat(unsigned(times), v), type(t));
  }
  std::vector<int> pick;
  for (int l = 0; l < t.lanes; ++l) pick.push_back(l % k);
  return b.CreateShuffleVector(v, pick);
}

Value *Emitter::ramp(const Ramp &r, Type t) {
  int outer = r.base->type.lanes, inner = t.lanes / outer;
  Value *base = expr(r.base);
  if (outer > 1) {
    std::vector<int> pick;
    for (int l = 0; l < t.lanes; ++l) pick.push_back(l / inner);
    base = b.CreateShuffleVector(base, pick);
  }
  std::vector<llvm::Constant *> steps;
  for (int l = 0; l < t.lanes; ++l) steps.push_back(b.getInt64(uint64_t(l % inner * r.stride)));
  return b.CreateAdd(fitted(base, t.lanes), llvm::ConstantVector::get(steps));
}

Value *Emitter::binary(const Binary &x, Type t) {
  int lanes = std::max({x.a->type.lanes, x.b->type.lanes, t.lanes});
  Value *p = fitted(expr(x.a), lanes), *q = fitted(expr(x.b), lanes);
  if (isFloat(x.a->type.dtype)) return floatBinary(x.op, p, q);
  if (x.op == BinaryOp::FloorDiv || x.op == BinaryOp::FloorMod) return floorDivision(x, p, q);
  return integerBinary(x.op, p, q, isSigned(x.a->type.dtype));
}

Value *Emitter::floatBinary(BinaryOp op, Value *p, Value *q) {
  switch (op) {
  case BinaryOp::Add: return b.CreateFAdd(p, q);
  case BinaryOp::Sub: return b.CreateFSub(p, q);
  case BinaryOp::Mul: return b.CreateFMul(p, q);
  case BinaryOp::Div: return b.CreateFDiv(p, q);
  case BinaryOp::Min: return b.CreateSelect(b.CreateFCmpOLT(p, q), p, q);
  case BinaryOp::Max: return b.CreateSelect(b.CreateFCmpOGT(p, q), p, q);
  case BinaryOp::Lt: return b.CreateFCmpOLT(p, q);
  case BinaryOp::Le: return b.CreateFCmpOLE(p, q);
  case BinaryOp::Eq: return b.CreateFCmpOEQ(p, q);
  default: PLANISH_CHECK(false, "operator " + std::string(nameOf(op)) + " on floats");
  }
}

Value *Emitter::integerBinary(BinaryOp op, Value *p, Value *q, bool isSigned) {
  using llvm::CmpInst;
  auto compare = [&](CmpInst::Predicate s, CmpInst::Predicate u) {
    return b.CreateICmp(isSigned ? s : u, p, q);
  };
  switch (op) {
  case BinaryOp::Add: return b.CreateAdd(p, q);
  case BinaryOp::Sub: return b.CreateSub(p, q);
  case BinaryOp::Mul: return b.CreateMul(p, q);
  case BinaryOp::Min:
    return b.CreateBinaryIntrinsic(isSigned ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, p, q);
  case BinaryOp::Max:
    return b.CreateBinaryIntrinsic(isSigned ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, p, q);
  case BinaryOp::Lt: return compare(CmpInst::ICMP_SLT, CmpInst::ICMP_ULT);
  case BinaryOp::Le: return compare(CmpInst::ICMP_SLE, CmpInst::ICMP_ULE);
  case BinaryOp::Eq: return b.CreateICmpEQ(p, q);
  case BinaryOp::And: return b.CreateAnd(p, q);
  case BinaryOp::Or: return b.CreateOr(p, q);
  case BinaryOp::Xor: return b.CreateXor(p, q);
  case BinaryOp::Shl:
  case BinaryOp::Shr: return shift(op, p, q, isSigned);
  default: PLANISH_CHECK(false, "operator " + std::string(nameOf(op)) + " on integers");
  }
}

/// Machines disagree on what a shift by all bits or more is.
Value *Emitter::shift(BinaryOp op, Value *p, Value *q, bool isSigned) {
  auto *t = p->getType();
  uint64_t bits = t->getScalarSizeInBits();
  auto constant = [&](uint64_t v) { return llvm::ConstantInt::get(t, v); };
  Value *inside = b.CreateICmpULT(q, constant(bits));
  if (op == BinaryOp::Shr && isSigned) return b.CreateAShr(p, b.CreateSelect(inside, q, constant(bits - 1)));
  Value *by = b.CreateSelect(inside, q, constant(0));
  return b.CreateSelect(inside, op == BinaryOp::Shl ? b.CreateShl(p, by) : b.CreateLShr(p, by), constant(0));
}

/// Division that rounds down and its remainder, which has the sign of the divisor.
Value *Emitter::floorDivision(const Binary &x, Value *p, Value *q) {
  bool div = x.op == BinaryOp::FloorDiv;
  auto divisor = uniformConstant(x.b);
  auto *t = p->getType();
  if (auto shift = divisor && isSigned(x.a->type.dtype) ? log2Of(*divisor) : std::nullopt) {
    if (div) return b.CreateAShr(p, llvm::ConstantInt::get(t, uint64_t(*shift)));
    return b.CreateAnd(p, llvm::ConstantInt::get(t, uint64_t(*divisor - 1)));
  }
  bool scalarIndex = x.a->type == Type{};
  if (!isSigned(x.a->type.dtype) || (scalarIndex && divisor.value_or(0) > 0 && rangeOf(x.a, ranges).lo >= 0))
    return div ? b.CreateUDiv(p, q) : b.CreateURem(p, q);
  Value *zero = llvm::Constant::getNullValue(t), *rest = b.CreateSRem(p, q);
  Value *below = b.CreateICmpSLT(rest, zero);
  if (divisor.value_or(0) <= 0) {  // sign of the divisor unknown
    below = b.CreateICmpSLT(b.CreateXor(rest, q), zero);
    below = b.CreateAnd(below, b.CreateICmpNE(rest, zero));
  }
  if (div) return b.CreateAdd(b.CreateSDiv(p, q), b.CreateSExt(below, t));
  return b.CreateSelect(below, b.CreateAdd(rest, q), rest);
}

/// Vectors of f32 as integers of 8 and 16 bits or i32, toward zero and saturated, NaN as 0: LLVM would take
/// the saturating conversion apart lane by lane.
Value *Emitter::saturated(Value *v, Type to) {
  bool narrow = byteSize(to.dtype) < 4;
  double whole = std::ldexp(1.0, 8 * byteSize(to.dtype)); // values of the type
  double least = isSigned(to.dtype) ? -whole / 2 : 0;
  double most = narrow ? least + whole - 1 : 0x1p31 - 128; // the largest float below 2^31
  auto real = [&](double k) { return llvm::ConstantFP::get(v->getType(), k); };
  Value *x = b.CreateSelect(b.CreateFCmpUNO(v, v), real(0), v);
  x = b.CreateSelect(b.CreateFCmpOGT(real(least), x), real(least), x);
  x = b.CreateSelect(b.CreateFCmpOLT(real(most), x), real(most), x);
  llvm::Type *words = type({DType::i32, to.lanes});
  Value *integer = b.CreateFPToSI(x, words);
  if (narrow) return b.CreateTrunc(integer, type(to));
  return b.CreateSelect(b.CreateFCmpOGE(v, real(0x1p31)), llvm::ConstantInt::get(words, INT32_MAX), integer);
}

Value *Emitter::convert(const Cast &c, Type to) {
  Value *v = fitted(expr(c.value), to.lanes);
  DType from = c.value->type.dtype;
  llvm::Type *t = type(to);
  if (from == to.dtype) return v;
  if (to.dtype == DType::b1) {
    Value *zero = llvm::Constant::getNullValue(v->getType());
    return isFloat(from) ? b.CreateFCmpUNE(v, zero) : b.CreateICmpNE(v, zero);
  }
  if (isFloat(from) && isFloat(to.dtype)) return b.CreateFPCast(v, t);
  if (isFloat(to.dtype)) return isSigned(from) ? b.CreateSIToFP(v, t) : b.CreateUIToFP(v, t);
  bool hasLanes = byteSize(to.dtype) < 4 || to.dtype == DType::i32;
  if (from == DType::f32 && to.lanes > 1 && hasLanes) return saturated(v, to);
  if (isFloat(from))
    return b.CreateIntrinsic(isSigned(to.dtype) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat,
                             {t, v->getType()}, {v});
  return isSigned(from) ? b.CreateSExtOrTrunc(v, t) : b.CreateZExtOrTrunc(v, t);
}

} // namespace planish::codegen
