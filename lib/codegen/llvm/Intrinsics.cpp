// The intrinsics a back end takes, by the instructions of x86 and ARM where they have one for them and by
// exact sequences elsewhere.
#include "Emitter.h"

#include "planish/support/Check.h"

#include <llvm/IR/IntrinsicsAArch64.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>
#include <llvm/TargetParser/Triple.h>

namespace planish::codegen {

using namespace loop;
using llvm::Value;

Value *Emitter::intrinsic(const Call &c, Type t) {
  std::vector<Value *> a;
  for (const Expr &x : c.args) a.push_back(fitted(expr(x), c.fn == Intrinsic::Dot4 ? 1 : t.lanes));
  auto unary = [&](llvm::Intrinsic::ID id) { return b.CreateUnaryIntrinsic(id, a[0]); };
  switch (c.fn) {
  case Intrinsic::Fma: return fma(a[0], a[1], a[2]);
  case Intrinsic::Dot4: return dot4(a[0], a[1], a[2], t.lanes, c.args[0]->type.dtype == DType::i8);
  case Intrinsic::Round: return integral(llvm::Intrinsic::roundeven, a[0]);
  case Intrinsic::Floor: return integral(llvm::Intrinsic::floor, a[0]);
  case Intrinsic::Ceil: return integral(llvm::Intrinsic::ceil, a[0]);
  case Intrinsic::Sqrt: return unary(llvm::Intrinsic::sqrt);
  case Intrinsic::Abs:
    if (isFloat(t.dtype)) return unary(llvm::Intrinsic::fabs);
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a[0], b.getFalse());
  case Intrinsic::Scale2: return scale2(a[0], a[1], t.lanes);
  case Intrinsic::Bits:
  case Intrinsic::FromBits: return b.CreateBitCast(a[0], type(t));
  default: PLANISH_CHECK(false, "intrinsic " + std::string(nameOf(c.fn)) + " needs legalization");
  }
}

/// Integral floats. 32-bit ARM has no instruction: adding 2^23 to a smaller magnitude rounds it to the
/// nearest integer, which is at most one off the wanted one.
Value *Emitter::integral(unsigned rounding, Value *x) {
  if (target.architecture != Architecture::Arm32 || target.triple.empty())
    return b.CreateUnaryIntrinsic(rounding, x);
  auto real = [&](double k) { return llvm::ConstantFP::get(x->getType(), k); };
  Value *size = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x), *least = real(0x1p23);
  Value *r = b.CreateFSub(b.CreateFAdd(size, least), least);
  r = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, r, x);
  if (rounding == llvm::Intrinsic::floor)
    r = b.CreateSelect(b.CreateFCmpOGT(r, x), b.CreateFSub(r, real(1)), r);
  if (rounding == llvm::Intrinsic::ceil)
    r = b.CreateSelect(b.CreateFCmpOLT(r, x),
                       b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, b.CreateFAdd(r, real(1)), x), r);
  return b.CreateSelect(b.CreateFCmpOLT(size, least), r, x);
}

namespace {
bool isRounder(Value *z) {
  auto *k = llvm::dyn_cast<llvm::Constant>(z);
  if (k && z->getType()->isVectorTy()) k = k->getSplatValue();
  auto *number = k ? llvm::dyn_cast<llvm::ConstantFP>(k) : nullptr;
  return number && number->isExactlyValue(kRounder);
}
} // namespace

/// fma(x, y, kRounder): the product is exact in double, where adding 1.5 * 2^52 leaves the nearest
/// integer in the low word; that plus kRounder is exact in float.
Value *Emitter::rounded(Value *x, Value *y) {
  llvm::Type *wide = x->getType()->getWithNewType(b.getDoubleTy()),
             *bits = x->getType()->getWithNewType(b.getInt64Ty()),
             *words = x->getType()->getWithNewType(b.getInt32Ty());
  Value *product = b.CreateFMul(b.CreateFPExt(x, wide), b.CreateFPExt(y, wide));
  Value *sum = b.CreateFAdd(product, llvm::ConstantFP::get(wide, 6755399441055744.0));
  Value *whole = b.CreateTrunc(b.CreateBitCast(sum, bits), words);
  return b.CreateFAdd(b.CreateSIToFP(whole, x->getType()), llvm::ConstantFP::get(x->getType(), kRounder));
}

/// One rounding with or without an instruction for it. Without: the product of two floats is exact in
/// double, the sum is rounded to odd there, and rounding that to float is then correct (Boldo,
/// Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
Value *Emitter::fma(Value *x, Value *y, Value *z) {
  if (target.fma) return b.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z});
  if (isRounder(z)) return rounded(x, y);
  llvm::Type *wide = x->getType()->getWithNewType(b.getDoubleTy()),
             *bits = x->getType()->getWithNewType(b.getInt64Ty());
  auto whole = [&](uint64_t k) { return llvm::ConstantInt::get(bits, k); };
  Value *p = b.CreateFMul(b.CreateFPExt(x, wide), b.CreateFPExt(y, wide)), *q = b.CreateFPExt(z, wide);
  Value *sum = b.CreateFAdd(p, q);
  Value *part = b.CreateFSub(sum, p);  // two-sum: the error of `sum` is exact
  Value *error = b.CreateFAdd(b.CreateFSub(p, b.CreateFSub(sum, part)), b.CreateFSub(q, part));
  Value *word = b.CreateBitCast(sum, bits), *errorWord = b.CreateBitCast(error, bits);
  Value *zero = llvm::ConstantFP::get(wide, 0.0);
  Value *inexact = b.CreateFCmpONE(error, zero),
        *even = b.CreateICmpEQ(b.CreateAnd(word, whole(1)), whole(0));
  // Toward the error: away from zero where the signs agree, else toward zero.
  Value *apart = b.CreateICmpSLT(b.CreateXor(word, errorWord), whole(0));
  Value *odd = b.CreateAdd(word, b.CreateSelect(apart, whole(~uint64_t(0)), whole(1)));
  word = b.CreateSelect(b.CreateAnd(inexact, even), odd, word);
  return b.CreateFPTrunc(b.CreateBitCast(word, wide), x->getType());
}

Value *Emitter::scale2(Value *x, Value *n, int lanes) {
  bool avx512 = llvm::Triple(entry->getModule()->getTargetTriple()).isX86() && target.vectorBytes == 64;
  if (avx512 && lanes == 16)
    return b.CreateIntrinsic(
        llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
        {x, n, llvm::Constant::getNullValue(x->getType()), b.getInt16(0xffff), b.getInt32(4)});
  auto *words = x->getType()->getWithNewType(b.getInt32Ty());
  auto whole = [&](int k) { return llvm::ConstantInt::get(words, uint64_t(k)); };
  Value *exponent = b.CreateShl(b.CreateAdd(b.CreateFPToSI(n, words), whole(127)), whole(23));
  return b.CreateFMul(x, b.CreateBitCast(exponent, x->getType()));
}

/// z + sum of four products per lane, in pieces that one instruction takes.
Value *Emitter::dot4(Value *x, Value *y, Value *z, int lanes, bool isSigned) {
  int piece = std::min(lanes, target.vectorBytes / 4);
  while (piece > 1 && lanes % piece) piece /= 2;
  if (piece == lanes) return dot4Of(x, y, z, lanes, isSigned);
  auto slice = [&](Value *v, int first, int count) {
    std::vector<int> pick;
    for (int l = 0; l < count; ++l) pick.push_back(first + l);
    return b.CreateShuffleVector(v, pick);
  };
  Value *r = llvm::PoisonValue::get(z->getType());
  for (int l = 0; l < lanes; l += piece) {
    Value *acc = piece == 1 ? b.CreateExtractElement(z, uint64_t(l)) : slice(z, l, piece);
    Value *part = dot4Of(slice(x, 4 * l, 4 * piece), slice(y, 4 * l, 4 * piece), acc, piece, isSigned);
    for (int k = 0; k < piece; ++k)
      r = b.CreateInsertElement(r, piece == 1 ? part : b.CreateExtractElement(part, uint64_t(k)),
                                uint64_t(l + k));
  }
  return r;
}

/// Four products per lane on 64-bit ARM, for vectors of sixteen codes; null where it has no short form.
Value *Emitter::armDot4(Value *x, Value *y, Value *z, bool isSigned) {
  llvm::Type *codes = x->getType(), *sums = z->getType();
  auto dot = [&](unsigned id, Value *sum, Value *left) {
    return b.CreateIntrinsic(id, {sums, codes}, {sum, left, y});
  };
  // Of the last operand the instruction takes a lane for all: x is what a tile broadcasts.
  if (isSigned && target.signedDot4)
    return b.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_sdot, {sums, codes}, {z, y, x});
  if (!isSigned && target.dot4) return dot(llvm::Intrinsic::aarch64_neon_usdot, z, x);
  if (!isSigned && target.signedDot4) {
    // x y = (x - 128) y + 128 y; the second sum is the same for all that multiply by y.
    Value *minus128 = llvm::ConstantInt::get(codes, 128), *zero = llvm::Constant::getNullValue(sums);
    Value *offset = dot(llvm::Intrinsic::aarch64_neon_sdot, zero, minus128);
    return b.CreateSub(dot(llvm::Intrinsic::aarch64_neon_sdot, z, b.CreateXor(x, minus128)), offset);
  }
  if (!isSigned) return nullptr;
  // Products of 16 bits, where a pair of them fits; pairs of pairs add up in 32.
  auto *halves = llvm::FixedVectorType::get(b.getInt16Ty(), 8);
  auto products = [&](int first) {
    return b.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_smull, {halves},
                             {part(x, first, 8), part(y, first, 8)});
  };
  Value *pairs = b.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_addp, {halves}, {products(0), products(1)});
  return b.CreateAdd(z, b.CreateIntrinsic(llvm::Intrinsic::aarch64_neon_saddlp, {sums, halves}, {pairs}));
}

Value *Emitter::dot4Of(Value *x, Value *y, Value *z, int lanes, bool isSigned) {
  struct Row {
    int lanes;
    llvm::Intrinsic::ID dot, pairs;
  };
  static constexpr Row rows[] = {
      {16, llvm::Intrinsic::x86_avx512_vpdpbusd_512, llvm::Intrinsic::x86_avx512_pmaddw_d_512},
      {8, llvm::Intrinsic::x86_avx512_vpdpbusd_256, llvm::Intrinsic::x86_avx2_pmadd_wd},
      {4, llvm::Intrinsic::x86_avx512_vpdpbusd_128, llvm::Intrinsic::x86_sse2_pmadd_wd},
  };
  auto *words = type({DType::i32, lanes});
  auto *halves = llvm::FixedVectorType::get(b.getInt16Ty(), unsigned(2 * lanes));
  bool x86 = llvm::Triple(entry->getModule()->getTargetTriple()).isX86();
  bool arm = llvm::Triple(entry->getModule()->getTargetTriple()).isAArch64();
  if (Value *sum = arm && lanes == 4 ? armDot4(x, y, z, isSigned) : nullptr) return sum;
  for (const Row &row : rows) {
    if (!x86 || isSigned || row.lanes != lanes) continue;
    if (target.dot4)
      return b.CreateIntrinsic(row.dot, {}, {z, b.CreateBitCast(x, words), b.CreateBitCast(y, words)});
    // Even and odd bytes as 16 bit numbers; a pair of their products fits 32 bits, so nothing saturates.
    auto *eight = llvm::ConstantInt::get(halves, 8), *low = llvm::ConstantInt::get(halves, 255);
    Value *u = b.CreateBitCast(x, halves), *s = b.CreateBitCast(y, halves);
    Value *even =
        b.CreateIntrinsic(row.pairs, {}, {b.CreateAnd(u, low), b.CreateAShr(b.CreateShl(s, eight), eight)});
    Value *odd = b.CreateIntrinsic(row.pairs, {}, {b.CreateLShr(u, eight), b.CreateAShr(s, eight)});
    return b.CreateAdd(z, b.CreateAdd(even, odd));
  }
  auto *wide = type({DType::i32, 4 * lanes});
  Value *products =
      b.CreateMul(isSigned ? b.CreateSExt(x, wide) : b.CreateZExt(x, wide), b.CreateSExt(y, wide));
  for (int k = 0; k < 4; ++k) {
    std::vector<int> pick;
    for (int l = 0; l < lanes; ++l) pick.push_back(4 * l + k);
    Value *quarter =
        lanes == 1 ? b.CreateExtractElement(products, uint64_t(k)) : b.CreateShuffleVector(products, pick);
    z = b.CreateAdd(z, quarter);
  }
  return z;
}

} // namespace planish::codegen
