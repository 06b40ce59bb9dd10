#include "Access.h"
#include "../Operands.h"

#include <algorithm>
#include <optional>

namespace planish::codegen {
namespace {

using namespace loop;

/// A vector index as a scalar for lane 0 and constant distances; nothing if it has no such form.
struct LaneForm {
  Expr base;
  std::vector<int64_t> delta;
};

std::optional<LaneForm> laneForm(const Expr &e);

std::optional<LaneForm> combinedForm(BinaryOp op, const Expr &x, const Expr &y) {
  if (op != BinaryOp::Add && op != BinaryOp::Sub && op != BinaryOp::Mul) return {};
  auto a = laneForm(x), b = laneForm(y);
  if (!a || !b || a->delta.size() != b->delta.size()) return {};
  size_t n = a->delta.size();
  if (op != BinaryOp::Mul) {
    int64_t sign = op == BinaryOp::Add ? 1 : -1;
    for (size_t l = 0; l < n; ++l) a->delta[l] += sign * b->delta[l];
    a->base = binary(op, a->base, b->base);
    return a;
  }
  auto uniform = [](const LaneForm &f) {
    return std::ranges::all_of(f.delta, [](int64_t d) { return d == 0; });
  };
  if (!uniform(*b)) std::swap(a, b);
  auto factor = constantOf(b->base);
  if (!uniform(*b) || !factor) return {};
  for (int64_t &d : a->delta) d *= *factor;
  a->base = a->base * *factor;
  return a;
}

std::optional<LaneForm> laneForm(const Expr &e) {
  if (e->type.dtype != DType::i64) return {};
  size_t lanes = size_t(e->type.lanes);
  if (lanes == 1) return LaneForm{e, {0}};
  if (auto *k = as<IntImm>(e)) return LaneForm{imm(k->value), std::vector<int64_t>(lanes, 0)};
  if (auto *r = as<Ramp>(e)) {
    auto base = laneForm(r->base);
    if (!base) return {};
    size_t inner = lanes / base->delta.size();
    LaneForm f{base->base, {}};
    for (size_t l = 0; l < lanes; ++l)
      f.delta.push_back(base->delta[l / inner] + int64_t(l % inner) * r->stride);
    return f;
  }
  if (auto *b = as<Broadcast>(e)) {
    auto value = laneForm(b->value);
    if (!value) return {};
    LaneForm f{value->base, {}};
    for (size_t l = 0; l < lanes; ++l) f.delta.push_back(value->delta[l % value->delta.size()]);
    return f;
  }
  if (auto *b = as<Binary>(e)) return combinedForm(b->op, b->a, b->b);
  return {};
}

/// A vector index as one scalar expression of the lane's number; null where it has no such form.
Expr ofLane(const Expr &e, const Var &lane, int lanes) {
  if (e->type.dtype != DType::i64) return {};
  if (e->type.lanes == 1) return e;
  if (e->type.lanes != lanes) return {};
  if (auto *k = as<IntImm>(e)) return imm(k->value);
  if (auto *r = as<Ramp>(e)) return r->base->type.lanes == 1 ? r->base + use(lane) * r->stride : Expr();
  if (auto *b = as<Broadcast>(e)) return b->value->type.lanes == 1 ? b->value : Expr();
  if (auto *b = as<Binary>(e)) {
    Expr x = ofLane(b->a, lane, lanes), y = ofLane(b->b, lane, lanes);
    return x && y ? binary(b->op, x, y) : Expr();
  }
  return {};
}

/// The distance of neighbouring lanes where the parts of several dimensions make it constant, as the
/// quotient and the rest of a fused axis do; then `offset` becomes that of lane 0.
std::optional<int64_t> commonStep(const BufferNode &buffer, const std::vector<Expr> &indices, int lanes,
                                  Affine &offset) {
  Var lane = loop::var("lane", {}, 0, lanes - 1);
  std::vector<Expr> scalars;
  for (const Expr &i : indices) {
    scalars.push_back(ofLane(i, lane, lanes));
    if (!scalars.back()) return {};
  }
  Affine whole = elementOffset(buffer, scalars), step = whole.coefficientOf(lane), rest = whole.without(lane);
  Affine other = whole;  // what depends on the lane in another way
  other.add(rest, -1);
  other.add(affine(use(lane)), -step.constant);
  if (!step.isConstant() || !other.isConstant() || dependsOn(toExpr(rest), lane)) return {};
  offset = rest;
  return step.constant;
}

/// Nothing below reads memory or may trap, so evaluating it when its guard is false is harmless.
bool mayRunEarly(const Expr &e) {
  bool early = true;
  eachNode(e, [&](const Expr &x) {
    if (as<Load>(x)) early = false;
    auto *b = as<Binary>(x);
    if (!b || (b->op != BinaryOp::FloorDiv && b->op != BinaryOp::FloorMod)) return;
    auto divisor = constantOf(b->b);
    if (!divisor || *divisor <= 0) early = false;
  });
  return early;
}

} // namespace

void Offset::add(int term, int64_t coefficient) {
  auto at = std::ranges::lower_bound(terms, term, {}, &std::pair<int, int64_t>::first);
  if (at == terms.end() || at->first != term) terms.insert(at, {term, coefficient});
  else if ((at->second += coefficient) == 0) terms.erase(at);
}

int TermTable::factorOf(const Expr &e) {
  int fresh = int(factors.size());
  if (auto *v = as<VarRef>(e)) {
    auto [it, isNew] = variables.try_emplace(v->var.get(), fresh);
    if (isNew) factors.push_back({e, v->var.get(), {v->var.get()}, true});
    return it->second;
  }
  auto [it, isNew] = atoms.try_emplace(e.get(), fresh);
  if (!isNew) return it->second;
  kept.push_back(e);
  for (size_t i = 0; i < factors.size(); ++i)
    if (!factors[i].var && equal(factors[i].expr, e)) return it->second = int(i);
  Factor f{e, nullptr, {}, mayRunEarly(e)};
  eachNode(e, [&](const Expr &x) {
    if (auto *v = as<VarRef>(x); v && std::ranges::find(f.mentions, v->var.get()) == f.mentions.end())
      f.mentions.push_back(v->var.get());
  });
  factors.push_back(std::move(f));
  return fresh;
}

Offset TermTable::intern(const Affine &a) {
  Offset r;
  r.constant = a.constant;
  for (const Affine::Term &t : a.terms) {
    std::vector<int> product;
    for (const Expr &f : t.factors) product.push_back(factorOf(f));
    std::ranges::sort(product);
    auto [it, isNew] = products.try_emplace(product, int(terms.size()));
    if (isNew) {
      bool early = std::ranges::all_of(product, [&](int f) { return factors[size_t(f)].early; });
      terms.push_back({std::move(product), early});
    }
    r.add(it->second, t.coefficient);
  }
  return r;
}

Access analyse(TermTable &table, const BufferNode &buffer, const std::vector<Expr> &indices, int lanes,
               const Expr &extra) {
  Access r;
  r.buffer = &buffer;
  r.lanes.assign(size_t(lanes), 0);
  std::vector<Expr> first;  // per dimension, of lane 0
  for (size_t d = 0; d < indices.size(); ++d) {
    const Expr &index = indices[d], &stride = buffer.strides[d];
    first.push_back(index);
    if (index->type.lanes == 1) continue;
    auto form = laneForm(index);
    first.back() = form ? form->base : imm(0);
    if (!form) r.irregular.push_back({index, stride});
    else if (auto k = constantOf(stride))
      for (size_t l = 0; l < r.lanes.size(); ++l) r.lanes[l] += form->delta[l] * *k;
    else r.steps.push_back({stride, form->delta});
  }
  Affine offset;
  if (r.irregular.empty()) {
    offset = elementOffset(buffer, first);
  } else if (auto step = commonStep(buffer, indices, lanes, offset)) {
    r.irregular.clear();
    r.steps.clear();
    for (size_t l = 0; l < r.lanes.size(); ++l) r.lanes[l] = int64_t(l) * *step;
  } else {
    offset = elementOffset(buffer, first);
  }
  if (extra) offset.add(affine(extra));
  r.offset = table.intern(offset);
  return r;
}

} // namespace planish::codegen
