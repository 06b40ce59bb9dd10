// Stores of 8-bit codes, four vectors at a time. A code is a sum of 32 bits, clamped, perhaps looked up in
// tables. Alone, a vector of sums would become a quarter of a vector of codes; four together become one by
// instructions that clamp as they narrow, and are looked up at once.
#include "Emitter.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>

namespace planish::codegen {
namespace {

using namespace loop;
using llvm::Value;

constexpr size_t kTogether = 4;

std::optional<int64_t> repeatedConstant(const Expr &e) {
  if (auto *k = as<IntImm>(e)) return k->value;
  auto *x = as<Broadcast>(e);
  return x ? repeatedConstant(x->value) : std::nullopt;
}

/// The operands of `op` where the second is a constant.
std::optional<std::pair<Expr, int64_t>> boundedBy(const Expr &e, BinaryOp op) {
  auto *x = as<Binary>(e);
  auto bound = x && x->op == op ? repeatedConstant(x->b) : std::nullopt;
  return bound ? std::optional(std::pair(x->a, *bound)) : std::nullopt;
}

} // namespace

/// sum, clamped to [least, most], looked up in the tables, the last first.
struct Emitter::Code {
  Expr value, sum;
  int64_t least, most;
  std::vector<const Load *> tables;

  bool alike(const Code &other) const {
    return value->type == other.value->type && least == other.least && most == other.most &&
           std::ranges::equal(tables, other.tables, {}, &Load::buffer, &Load::buffer);
  }
};

std::optional<Emitter::Code> Emitter::codeOf(const Expr &value) {
  Code r{value, {}, 0, 255, {}};
  Expr e = value;
  while (auto *l = as<Load>(e)) {
    Expr codes = l->mask ? Expr() : tableCodes(accessOf(l, l->buffer, l->indices, e->type.lanes), e->type);
    if (!codes) return std::nullopt;
    r.tables.push_back(l);
    e = codes;
  }
  auto *cast = as<Cast>(e);
  if (!cast || e->type.dtype != DType::u8 || cast->value->type.dtype != DType::i32) return std::nullopt;
  auto upper = boundedBy(cast->value, BinaryOp::Min);
  auto lower = upper ? boundedBy(upper->first, BinaryOp::Max) : std::nullopt;
  if (!lower || lower->second < 0 || upper->second > 255 || lower->second > upper->second)
    return std::nullopt;
  r.sum = lower->first, r.least = lower->second, r.most = upper->second;
  return r;
}

/// Codes of the first few expressions that are made in one way; none where they are too few for it to pay.
std::vector<Emitter::Code> Emitter::groupOf(std::span<const Expr> list) {
  std::vector<Code> group;
  for (const Expr &e : list.first(std::min(kTogether, list.size()))) {
    auto code = codeOf(e);
    if (!code || (!group.empty() && !group[0].alike(*code))) break;
    group.push_back(std::move(*code));
  }
  bool pays = !group.empty() && (group.size() == kTogether || (group.size() > 1 && !group[0].tables.empty()));
  if (!pays || !narrowing(group[0].value->type.lanes)) group.clear();
  return group;
}

/// The instructions for vectors of so many sums, if the target has them.
const Emitter::Narrowing *Emitter::narrowing(int lanes) const {
  static constexpr Narrowing rows[] = {
      {16, llvm::Intrinsic::x86_avx512_packssdw_512, llvm::Intrinsic::x86_avx512_packuswb_512},
      {8, llvm::Intrinsic::x86_avx2_packssdw, llvm::Intrinsic::x86_avx2_packuswb},
      {4, llvm::Intrinsic::x86_sse2_packssdw_128, llvm::Intrinsic::x86_sse2_packuswb_128},
  };
  if (!isX86()) return nullptr;
  for (const Narrowing &row : rows)
    if (row.lanes == lanes && 4 * lanes <= target.vectorBytes) return &row;
  return nullptr;
}

/// Emits the stores of codes at the front as one group; returns how many, 0 where there is no such group.
size_t Emitter::storeCodes(std::span<const Stmt> stmts) {
  std::vector<const Store *> stores;
  std::vector<Expr> list;
  for (const Stmt &s : stmts.first(std::min(kTogether, stmts.size()))) {
    const Store *t = as<Store>(s);
    if (!t || t->buffer->dtype != DType::u8 || t->buffer->scope == Scope::Register) break;
    // What a store reads of its own buffer must be what it overwrites: then all may be read first.
    bool apart = true;
    walk(t->value, [&](const Expr &x) {
      auto *l = as<Load>(x);
      if (l && l->buffer == t->buffer)
        apart &= std::ranges::equal(l->indices, t->indices, [](auto &a, auto &b) { return equal(a, b); });
    });
    if (!apart) break;
    stores.push_back(t);
    list.push_back(t->value);
  }
  std::vector<Code> group = groupOf(list);
  if (group.empty()) return 0;
  values.clear();
  storeGroup(std::span(stores).first(group.size()), narrowed(group));
  values.clear();
  return group.size();
}

/// What the sums of a group read of tables, made as groups, too.
void Emitter::prepareInner(const std::vector<Code> &group) {
  std::vector<std::vector<Expr>> inner;  // by code
  for (const Code &c : group) {
    inner.emplace_back();
    walk(c.sum, [&](const Expr &x) {
      if (as<Load>(x) && x->type.dtype == DType::u8 && codeOf(x)) inner.back().push_back(x);
    });
    if (inner.back().size() != inner[0].size()) return;
  }
  for (size_t k = 0; k < inner[0].size(); ++k) {
    std::vector<Expr> list;
    for (const auto &of : inner) list.push_back(of[k]);
    std::vector<Code> codes = groupOf(list);
    if (codes.size() != list.size()) return;
    llvm::Value *all = narrowed(codes);
    for (size_t i = 0; i < list.size(); ++i) values[list[i].get()] = part(all, int(i), list[i]->type.lanes);
  }
}

/// Lanes [at * lanes, (at + count) * lanes) of a vector.
Value *Emitter::part(Value *v, int at, int lanes, int count) {
  std::vector<int> pick;
  for (int l = 0; l < lanes * count; ++l) pick.push_back(at * lanes + l);
  return b.CreateShuffleVector(v, pick);
}

/// The codes of a group, vector after vector.
Value *Emitter::narrowed(const std::vector<Code> &group) {
  int lanes = group[0].value->type.lanes;
  const Narrowing &row = *narrowing(lanes);
  prepareInner(group);
  llvm::Type *sums = type({DType::i32, lanes});
  auto *halves = llvm::FixedVectorType::get(b.getInt16Ty(), unsigned(2 * lanes));
  auto *codes = llvm::FixedVectorType::get(b.getInt8Ty(), unsigned(4 * lanes));
  std::vector<Value *> parts;
  for (const Code &c : group) parts.push_back(fitted(expr(c.sum), lanes));
  parts.resize(kTogether, llvm::Constant::getNullValue(sums));
  auto narrow = [&](unsigned id, Value *x, Value *y) { return b.CreateIntrinsic(id, {}, {x, y}); };
  Value *low = narrow(row.words, parts[0], parts[1]), *high = narrow(row.words, parts[2], parts[3]);
  Value *all = narrow(row.bytes, b.CreateBitCast(low, halves), b.CreateBitCast(high, halves));
  // The instructions work within 16 bytes: four codes of each vector in turn.
  std::vector<int> order;
  for (int l = 0; l < 4 * lanes; ++l) order.push_back(l % lanes / 4 * 16 + l / lanes * 4 + l % 4);
  all = b.CreateShuffleVector(b.CreateBitCast(all, codes), order);
  auto bound = [&](int64_t k) { return llvm::ConstantInt::get(codes, uint64_t(k)); };
  if (group[0].least > 0) all = b.CreateBinaryIntrinsic(llvm::Intrinsic::umax, all, bound(group[0].least));
  if (group[0].most < 255) all = b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, all, bound(group[0].most));
  const std::vector<const Load *> &tables = group[0].tables;
  for (size_t i = tables.size(); i-- > 0;)
    all = lookedUp(accessOf(tables[i], tables[i]->buffer, tables[i]->indices, lanes), all);
  return all;
}

/// Neighbours in memory are stored together.
void Emitter::storeGroup(std::span<const Store *const> group, Value *codes) {
  int lanes = group[0]->value->type.lanes;
  auto place = [&](const Store *s) { return accessOf(s, s->buffer, s->indices, lanes); };
  auto contiguous = [&](const Access &a) {
    for (int l = 0; l < lanes; ++l)
      if (a.lanes[size_t(l)] != l) return false;
    return a.constantLanes();
  };
  for (size_t i = 0; i < group.size();) {
    Access first = place(group[i]);
    size_t count = 1;
    auto follows = [&](const Store *s, size_t k) {
      Access a = place(s);
      return !s->mask && s->buffer == group[i]->buffer && contiguous(a) &&
             a.offset.terms == first.offset.terms &&
             a.offset.constant == first.offset.constant + int64_t(k) * lanes;
    };
    if (!group[i]->mask && contiguous(first))
      while (i + count < group.size() && follows(group[i + count], count)) ++count;
    if (count == 3) count = 2;
    Value *piece = part(codes, int(i), lanes, int(count));
    if (count > 1) {
      b.CreateAlignedStore(piece, address(first), llvm::Align(1));
    } else {
      const Expr &mask = group[i]->mask;
      storeLanes(first, piece, mask ? fitted(expr(mask), lanes) : nullptr);
    }
    i += count;
  }
}

} // namespace planish::codegen
