// Loads and stores of scalars and vectors, with any distance between lanes and any mask.
#include "Emitter.h"

#include "planish/support/Check.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <numeric>

namespace planish::codegen {
namespace {

using namespace loop;
using llvm::Value;

/// The common distance of neighbouring lanes, if there is one.
std::optional<int64_t> strideOf(const std::vector<int64_t> &lanes) {
  int64_t stride = lanes.size() > 1 ? lanes[1] : 1;
  for (size_t l = 0; l < lanes.size(); ++l)
    if (lanes[l] != int64_t(l) * stride) return {};
  return stride;
}

/// The number of neighbouring lanes that lie side by side in memory everywhere (a power of two).
int runOf(const std::vector<int64_t> &lanes) {
  size_t run = 1;
  auto holds = [&](size_t n) {
    for (size_t l = 0; l < lanes.size(); ++l)
      if (lanes[l] != lanes[l / n * n] + int64_t(l % n)) return false;
    return true;
  };
  while (lanes.size() % (2 * run) == 0 && holds(2 * run)) run *= 2;
  return int(run);
}

/// Of lanes that take turns among rows of neighbours, how many rows there are; 1 where that is not so.
int rowsOf(const std::vector<int64_t> &lanes) {
  constexpr size_t kMostRows = 4;
  for (size_t rows = 2; rows <= kMostRows && lanes.size() >= 4 * rows; ++rows) {
    bool holds = lanes.size() % rows == 0;
    for (size_t l = 0; holds && l < lanes.size(); ++l)
      holds = lanes[l] == lanes[l % rows] + int64_t(l / rows);
    if (holds) return int(rows);
  }
  return 1;
}

std::vector<int> ascending(int first, int count, int step = 1) {
  std::vector<int> r;
  for (int i = 0; i < count; ++i) r.push_back(first + i * step);
  return r;
}

int lanesOf(llvm::Type *t) {
  auto *v = llvm::dyn_cast<llvm::FixedVectorType>(t);
  return v ? int(v->getNumElements()) : 1;
}

} // namespace

/// The u8 codes by which a vector reads a table of 256 bytes, where that is what the access is.
Expr tableCodes(const Access &a, Type t) {
  if (t.lanes == 1 || byteSize(t.dtype) != 1 || a.irregular.size() != 1 || !a.steps.empty()) return {};
  const BufferNode &table = *a.buffer;
  if (table.shape.size() != 1 || constantOf(table.shape[0]) != 256 || constantOf(table.strides[0]) != 1)
    return {};
  auto *index = as<Cast>(a.irregular[0].first);
  return index && index->value->type.dtype == DType::u8 ? index->value : Expr();
}

Expr tableEntries(const Access &a, Type t) {
  if (t.lanes == 1 || t.dtype != DType::f32 || a.irregular.size() != 1 || !a.steps.empty()) return {};
  const BufferNode &table = *a.buffer;
  if (table.shape.size() != 1 || constantOf(table.shape[0]) != kTableFloats ||
      constantOf(table.strides[0]) != 1)
    return {};
  auto *index = as<Cast>(a.irregular[0].first);
  return index && index->value->type.dtype == DType::i32 ? index->value : Expr();
}

namespace {
struct ByteShuffle {
  int lanes;
  llvm::Intrinsic::ID id;
};
constexpr ByteShuffle kByteShuffles[] = {{64, llvm::Intrinsic::x86_avx512_pshuf_b_512},
                                         {32, llvm::Intrinsic::x86_avx2_pshuf_b},
                                         {16, llvm::Intrinsic::x86_ssse3_pshuf_b_128}};
} // namespace

bool Emitter::isX86() const { return llvm::Triple(entry->getModule()->getTargetTriple()).isX86(); }

/// `p` where the scalar mask holds, else the address of a zero that may always be read.
Value *Emitter::safeAddress(Value *p, Value *mask) {
  llvm::Module *module = entry->getModule();
  auto *zeros = module->getGlobalVariable("planish.zero", true);
  if (!zeros) {
    zeros = new llvm::GlobalVariable(*module, b.getInt64Ty(), true, llvm::GlobalValue::PrivateLinkage,
                                     b.getInt64(0), "planish.zero");
    zeros->setAlignment(llvm::Align(8));
  }
  return b.CreateSelect(mask, p, zeros);
}

/// Bytes of memory for a boolean, the value's own type for everything else.
llvm::Type *Emitter::memoryType(Type t) { return type(t.dtype == DType::b1 ? Type{DType::u8, t.lanes} : t); }

Value *Emitter::load(const Expr &e, const Load &l) {
  Access a = accessOf(&l, l.buffer, l.indices, e->type.lanes);
  Value *mask = l.mask ? fitted(expr(l.mask), e->type.lanes) : nullptr;
  llvm::Type *stored = memoryType(e->type);
  Value *v;
  if (Expr codes = mask ? Expr() : tableCodes(a, e->type))
    return lookedUp(a, fitted(expr(codes), e->type.lanes));
  if (Expr entries = mask ? Expr() : tableEntries(a, e->type); entries && isX86())
    if (Value *found = permutedFloats(a, fitted(expr(entries), e->type.lanes))) return found;
  if (mask && l.buffer->scope == Scope::Register && a.constantLanes() && strideOf(a.lanes) == 1) {
    // All lanes exist, and a masked load would keep the buffer out of registers.
    v = b.CreateSelect(mask, loadLanes(a, stored, nullptr), llvm::Constant::getNullValue(stored));
  } else {
    v = loadLanes(a, stored, mask);
  }
  return e->type.dtype == DType::b1 ? b.CreateICmpNE(v, llvm::Constant::getNullValue(stored)) : v;
}

Value *Emitter::loadLanes(const Access &a, llvm::Type *stored, Value *mask) {
  int lanes = lanesOf(stored);
  llvm::Align align(uint64_t(byteSize(a.buffer->dtype)));
  if (lanes == 1) {
    Value *p = address(a);
    return b.CreateAlignedLoad(stored, mask ? safeAddress(p, mask) : p, align);
  }
  auto stride = a.constantLanes() ? strideOf(a.lanes) : std::nullopt;
  Value *zero = llvm::Constant::getNullValue(stored);
  if (stride == 1) {
    Value *p = address(a);
    return mask ? static_cast<Value *>(b.CreateMaskedLoad(stored, p, align, mask, zero))
                : b.CreateAlignedLoad(stored, p, align);
  }
  if (int rows = a.constantLanes() && stride != 0 ? rowsOf(a.lanes) : 1; rows > 1)
    return loadRows(a, rows, stored, mask);
  if (mask) return b.CreateMaskedGather(stored, laneAddresses(a), align, mask, zero);
  if (stride == 0)
    return b.CreateVectorSplat(unsigned(lanes),
                               b.CreateAlignedLoad(stored->getScalarType(), address(a), align));
  if (stride && std::abs(*stride) <= std::min(4, lanes)) return loadStrided(a, *stride, stored);
  int run = a.constantLanes() ? runOf(a.lanes) : 1;
  if (run > 1) return loadRuns(a, run, stored);
  return loadScattered(a, stored);
}

/// Distances of 2 to 4 (or backwards) are whole loads that together cover exactly the span of the
/// lanes, and a shuffle.
Value *Emitter::loadStrided(const Access &a, int64_t stride, llvm::Type *stored) {
  int lanes = lanesOf(stored), width = int(std::abs(stride));
  int64_t size = byteSize(a.buffer->dtype);
  Value *p = address(a);
  if (stride < 0) p = step(p, b.getInt64(uint64_t(stride * (lanes - 1) * size)));
  // Load k starts at k*lanes, the last one so that it ends with the last lane.
  int span = width * (lanes - 1) + 1;
  Value *r = llvm::PoisonValue::get(stored);
  for (int k = 0; k < width; ++k) {
    int start = k == width - 1 ? span - lanes : k * lanes;
    Value *part =
        b.CreateAlignedLoad(stored, step(p, b.getInt64(uint64_t(start * size))), llvm::Align(uint64_t(size)));
    std::vector<int> pick(size_t(lanes), -1);
    for (int l = 0; l < lanes; ++l) {
      int at = width * (stride < 0 ? lanes - 1 - l : l);
      bool mine = at >= start && at < start + lanes && (k == width - 1 ? at >= k * lanes : true);
      pick[size_t(l)] = mine ? lanes + at - start : l;
    }
    r = b.CreateShuffleVector(r, part, pick);
  }
  return r;
}

/// Runs of neighbouring lanes as one wide element each.
Value *Emitter::loadRuns(const Access &a, int run, llvm::Type *stored) {
  int size = byteSize(a.buffer->dtype), lanes = lanesOf(stored);
  while (run * size > 8) run /= 2;
  auto *wide = b.getIntNTy(unsigned(8 * run * size));
  Value *p = address(a), *r = llvm::PoisonValue::get(llvm::FixedVectorType::get(wide, unsigned(lanes / run)));
  for (int l = 0; l < lanes; l += run) {
    Value *at = step(p, b.getInt64(uint64_t(a.lanes[size_t(l)] * size)));
    r = b.CreateInsertElement(r, b.CreateAlignedLoad(wide, at, llvm::Align(uint64_t(size))),
                              uint64_t(l / run));
  }
  return b.CreateBitCast(r, stored);
}

/// One vector with the lanes of several in turn: a0 b0 c0 a1 b1 c1 ...
Value *Emitter::interleaved(std::vector<Value *> parts) {
  int lanes = lanesOf(parts[0]->getType()), count = int(parts.size());
  auto joined = [&](Value *x, Value *y) {
    int n = lanesOf(x->getType()), all = n + lanesOf(y->getType());
    std::vector<int> pick(size_t(n), -1);
    std::iota(pick.begin(), pick.begin() + lanesOf(y->getType()), 0);
    if (n != lanesOf(y->getType())) y = b.CreateShuffleVector(y, pick);
    return b.CreateShuffleVector(x, y, ascending(0, all));
  };
  Value *all = parts[0];
  if (count == 4) all = joined(joined(parts[0], parts[1]), joined(parts[2], parts[3]));
  else
    for (int k = 1; k < count; ++k) all = joined(all, parts[size_t(k)]);
  std::vector<int> pick;
  for (int l = 0; l < lanes * count; ++l) pick.push_back(l % count * lanes + l / count);
  return b.CreateShuffleVector(all, pick);
}

/// Rows of neighbours are whole loads; a row that the mask leaves out is none.
Value *Emitter::loadRows(const Access &a, int rows, llvm::Type *stored, Value *mask) {
  int lanes = lanesOf(stored) / rows;
  int64_t size = byteSize(a.buffer->dtype);
  llvm::Align align{uint64_t(size)};
  auto *rowType = llvm::FixedVectorType::get(stored->getScalarType(), unsigned(lanes));
  Value *zero = llvm::Constant::getNullValue(rowType), *p = address(a);
  std::vector<Value *> parts;
  for (int k = 0; k < rows; ++k) {
    Value *at = step(p, b.getInt64(uint64_t(a.lanes[size_t(k)] * size)));
    Value *use = mask ? b.CreateShuffleVector(mask, ascending(k, lanes, rows)) : nullptr;
    auto *known = use ? llvm::dyn_cast<llvm::Constant>(use) : nullptr;
    if (known && known->isNullValue()) parts.push_back(zero);
    else if (!use || (known && known->isAllOnesValue()))
      parts.push_back(b.CreateAlignedLoad(rowType, at, align));
    else parts.push_back(b.CreateMaskedLoad(rowType, at, align, use, zero));
  }
  return interleaved(std::move(parts));
}

/// The addresses of all lanes, as a vector of pointers.
Value *Emitter::laneAddresses(const Access &a) {
  unsigned lanes = unsigned(a.lanes.size());
  auto *longs = llvm::FixedVectorType::get(b.getInt64Ty(), lanes);
  auto constants = [&](const std::vector<int64_t> &v) {
    std::vector<llvm::Constant *> r;
    for (int64_t x : v) r.push_back(b.getInt64(uint64_t(x)));
    return llvm::ConstantVector::get(r);
  };
  Value *elements = constants(a.lanes);
  for (const LaneStep &s : a.steps)
    elements =
        b.CreateAdd(elements, b.CreateMul(b.CreateVectorSplat(lanes, expr(s.value)), constants(s.delta)));
  for (auto &[index, stride] : a.irregular) {
    Value *i = fitted(b.CreateSExt(expr(index), longs), int(lanes));
    elements = b.CreateAdd(elements, b.CreateMul(i, b.CreateVectorSplat(lanes, expr(stride))));
  }
  uint64_t size = uint64_t(byteSize(a.buffer->dtype));
  Value *bytes = b.CreateMul(elements, b.CreateVectorSplat(lanes, b.getInt64(size)));
  return b.CreateGEP(b.getInt8Ty(), address(a), bytes);
}

Value *Emitter::loadScattered(const Access &a, llvm::Type *stored) {
  int lanes = lanesOf(stored), size = byteSize(a.buffer->dtype);
  llvm::Align align{uint64_t(size)};
  Value *p = a.constantLanes() ? address(a) : nullptr, *all = p ? nullptr : laneAddresses(a);
  Value *r = llvm::PoisonValue::get(stored);
  for (int l = 0; l < lanes; ++l) {
    Value *at = p ? step(p, b.getInt64(uint64_t(a.lanes[size_t(l)] * size)))
                  : b.CreateExtractElement(all, uint64_t(l));
    r = b.CreateInsertElement(r, b.CreateAlignedLoad(stored->getScalarType(), at, align), uint64_t(l));
  }
  return r;
}

/// table[code] of every lane: permutations of registers that hold the table where the target has them for
/// bytes, shuffles of its parts for whole registers of codes, else one load after the other.
Value *Emitter::lookedUp(const Access &a, Value *codes) {
  Value *table = address(a);
  int count = lanesOf(codes->getType());
  if (target.bytePermute && count <= 64) return permuted(table, codes);
  for (const ByteShuffle &row : kByteShuffles)
    if (row.lanes == count && count <= target.vectorBytes && target.vectorBytes >= 32 && isX86())
      return shuffled(row.id, table, codes);
  Value *r = llvm::PoisonValue::get(codes->getType());
  for (int l = 0; l < count; ++l) {
    Value *code = b.CreateZExt(b.CreateExtractElement(codes, uint64_t(l)), b.getInt64Ty());
    r = b.CreateInsertElement(r, b.CreateAlignedLoad(b.getInt8Ty(), step(table, code), llvm::Align(1)),
                              uint64_t(l));
  }
  return r;
}

/// A table in sixteen parts of sixteen entries: each part's shuffle gives its entries where the upper half of
/// a code is the part's number, and zeros elsewhere, for it takes no index of 128 and above.
Value *Emitter::shuffled(unsigned shuffle, Value *table, Value *codes) {
  constexpr int kPart = 16;
  auto *type = codes->getType();
  int lanes = lanesOf(type);
  auto bytes = [&](int k) { return llvm::ConstantInt::get(type, uint64_t(k)); };
  std::vector<int> repeat;
  for (int l = 0; l < lanes; ++l) repeat.push_back(l % kPart);
  Value *found = llvm::Constant::getNullValue(type);
  for (int k = 0; k < kPart; ++k) {
    Value *part = b.CreateAlignedLoad(llvm::FixedVectorType::get(b.getInt8Ty(), kPart),
                                      step(table, b.getInt64(uint64_t(k * kPart))), llvm::Align(1));
    Value *index = b.CreateXor(codes, bytes(k * kPart)); // below sixteen where the part is the right one
    index = b.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_sat, index, bytes(128 - kPart));
    found = b.CreateOr(found, b.CreateIntrinsic(shuffle, {}, {b.CreateShuffleVector(part, repeat), index}));
  }
  return found;
}

/// Seven bits of a code choose from two registers, the eighth between two such choices.
Value *Emitter::permuted(Value *table, Value *codes) {
  constexpr int kBytes = 64;
  int lanes = lanesOf(codes->getType());
  auto *whole = llvm::FixedVectorType::get(b.getInt8Ty(), kBytes);
  Value *parts[4];
  for (int k = 0; k < 4; ++k)
    parts[k] = b.CreateAlignedLoad(whole, step(table, b.getInt64(uint64_t(k * kBytes))), llvm::Align(1));
  std::vector<int> pick = ascending(0, lanes);
  pick.resize(kBytes, 0);
  Value *index = b.CreateShuffleVector(codes, pick);
  auto half = [&](Value *low, Value *high) {
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpermi2var_qi_512, {}, {low, index, high});
  };
  Value *upper = b.CreateICmpSLT(index, llvm::Constant::getNullValue(whole));
  Value *found = b.CreateSelect(upper, half(parts[2], parts[3]), half(parts[0], parts[1]));
  return b.CreateShuffleVector(found, ascending(0, lanes));
}

/// 32 floats by number: one choice from two registers that hold them, or four choices of eight, of which two
/// bits choose one. Nothing where the target has no such instruction.
Value *Emitter::permutedFloats(const Access &a, Value *entries) {
  int lanes = lanesOf(entries->getType());
  Value *table = address(a);
  auto part = [&](int k) {
    auto *type = llvm::FixedVectorType::get(b.getFloatTy(), unsigned(lanes));
    return b.CreateAlignedLoad(type, step(table, b.getInt64(uint64_t(k * lanes) * sizeof(float))),
                               llvm::Align(4));
  };
  if (lanes == 16 && target.vectorBytes >= 64)
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpermi2var_ps_512, {}, {part(0), entries, part(1)});
  if (lanes != 8 || target.vectorBytes < 32) return nullptr;
  auto has = [&](int bit) {
    Value *set = b.CreateAnd(entries, llvm::ConstantInt::get(entries->getType(), uint64_t(bit)));
    return b.CreateICmpNE(set, llvm::Constant::getNullValue(entries->getType()));
  };
  auto choice = [&](int k) {
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx2_permps, {}, {part(k), entries});
  };
  Value *upper = has(8);
  return b.CreateSelect(has(16), b.CreateSelect(upper, choice(3), choice(2)),
                        b.CreateSelect(upper, choice(1), choice(0)));
}

void Emitter::store(const Store &s) {
  int lanes = s.value->type.lanes;
  Access a = accessOf(&s, s.buffer, s.indices, lanes);
  Value *value = expr(s.value);
  Value *mask = s.mask ? fitted(expr(s.mask), lanes) : nullptr;
  if (s.buffer->dtype == DType::b1) value = b.CreateZExt(value, memoryType({DType::b1, lanes}));
  if (mask && s.buffer->scope == Scope::Register && a.constantLanes() && strideOf(a.lanes) == 1) {
    value = b.CreateSelect(mask, value, loadLanes(a, value->getType(), nullptr));
    mask = nullptr;
  }
  storeLanes(a, value, mask);
}

/// Stores that together fill a run of memory, the lanes of one between those of the next, are one store.
/// The number of statements that were emitted so; 0 if the first begins no such group.
size_t Emitter::storeTogether(std::span<const Stmt> stmts) {
  auto plain = [](const Stmt &s) {
    const Store *t = as<Store>(s);
    return t && !t->mask && t->value->type.lanes > 1 && t->buffer->dtype != DType::b1 ? t : nullptr;
  };
  const Store *first = stmts.empty() ? nullptr : plain(stmts[0]);
  if (!first) return 0;
  Access a = accessOf(first, first->buffer, first->indices, first->value->type.lanes);
  auto stride = a.constantLanes() ? strideOf(a.lanes) : std::nullopt;
  if (!stride || *stride < 2 || *stride > 4 || stmts.size() < size_t(*stride)) return 0;
  size_t count = size_t(*stride);
  for (size_t k = 0; k < count; ++k) {
    const Store *t = plain(stmts[k]);
    if (!t || t->buffer != first->buffer || t->value->type.lanes != first->value->type.lanes) return 0;
    Access other = accessOf(t, t->buffer, t->indices, t->value->type.lanes);
    if (other.offset.terms != a.offset.terms || other.offset.constant != a.offset.constant + int64_t(k) ||
        !other.constantLanes() || other.lanes != a.lanes)
      return 0;
    bool reads = false;
    walk(t->value, [&](const Expr &e) {
      const Load *l = as<Load>(e);
      reads |= l && l->buffer == t->buffer;
    });
    if (reads) return 0;
  }
  std::vector<Value *> parts;
  values.clear();
  for (size_t k = 0; k < count; ++k)
    parts.push_back(fitted(expr(as<Store>(stmts[k])->value), first->value->type.lanes));
  values.clear();
  b.CreateAlignedStore(interleaved(std::move(parts)), address(a),
                       llvm::Align(uint64_t(byteSize(a.buffer->dtype))));
  return count;
}

void Emitter::storeLanes(const Access &a, Value *value, Value *mask) {
  int lanes = lanesOf(value->getType()), size = byteSize(a.buffer->dtype);
  llvm::Align align{uint64_t(size)};
  if (lanes == 1 && mask) {
    Value *p = address(a);
    auto *then = block("store"), *done = block("stored");
    b.CreateCondBr(mask, then, done);
    b.SetInsertPoint(then);
    b.CreateAlignedStore(value, p, align);
    b.CreateBr(done);
    b.SetInsertPoint(done);
    return;
  }
  if (lanes == 1 || (a.constantLanes() && strideOf(a.lanes) == 1)) {
    Value *p = address(a);
    if (mask) b.CreateMaskedStore(value, p, align, mask);
    else b.CreateAlignedStore(value, p, align);
    return;
  }
  if (mask) {
    b.CreateMaskedScatter(value, laneAddresses(a), align, mask);
    return;
  }
  Value *p = a.constantLanes() ? address(a) : nullptr, *all = p ? nullptr : laneAddresses(a);
  int run = p ? runOf(a.lanes) : 1;
  for (int l = 0; l < lanes; l += run) {
    Value *at = p ? step(p, b.getInt64(uint64_t(a.lanes[size_t(l)] * size)))
                  : b.CreateExtractElement(all, uint64_t(l));
    Value *part = run == 1 ? b.CreateExtractElement(value, uint64_t(l))
                           : b.CreateShuffleVector(value, ascending(l, run));
    b.CreateAlignedStore(part, at, align);
  }
}

} // namespace planish::codegen
