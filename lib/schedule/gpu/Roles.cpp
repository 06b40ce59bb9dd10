#include "Roles.h"

#include <algorithm>

namespace planish::schedule {

using namespace loop;

namespace {

constexpr int64_t kLeast = 8; // rows and columns below which a block would be mostly empty

} // namespace

double elementsOf(const Kernel &k, const std::vector<Axis> &axes) {
  double n = 1;
  for (const Axis &a : axes) n *= double(k.upperExtent(a));
  return n;
}

std::optional<Roles> rolesOf(const Kernel &k) {
  const Compute &c = k.compute();
  if (!k.reduces() || !c.rhs || c.combine != Combine::Sum) return {};
  Roles r;
  for (const Axis &a : k.spaceAxes()) {
    bool left = dependsOn(c.lhs, a), right = dependsOn(c.rhs, a);
    (left == right ? r.shared : left ? r.rows : r.columns).push_back(a);
    r.swapped |= left && !right && outStride(k, a) == 1;
  }
  if (r.swapped) std::swap(r.rows, r.columns);
  if (elementsOf(k, r.rows) < kLeast || elementsOf(k, r.columns) < kLeast) return {};
  for (std::vector<Axis> *axes : {&r.rows, &r.columns}) sortByOutput(k, *axes);
  r.depth = k.reduceAxes();
  std::vector<Expr> loads = loadsIn(r.swapped ? c.rhs : c.lhs);
  auto adjacent = [&](const Axis &a) { return !loads.empty() && strideOf(loads[0], a) == 1; };
  std::ranges::stable_partition(r.depth, [&](const Axis &a) { return !adjacent(a); });
  if (r.depth.empty()) return {};
  return r;
}

Digits::Digits(const Kernel &k, std::vector<Axis> list, int64_t u)
    : count(imm(1)), axes(std::move(list)), unit(u) {
  for (const Axis &a : axes) extents.push_back(k.extent(a));
  if (unit > 1) extents.back() = imm(*constantOf(extents.back()) / unit);
  for (const Expr &e : extents) count = count * e;
}

void Digits::add(const Expr &number, Substitution &to, const Expr &within) const {
  Expr rest = number;
  for (size_t i = axes.size(); i-- > 0;) {
    Expr digit = i == 0 ? rest : floorMod(rest, extents[i]);
    bool units = unit > 1 && i + 1 == axes.size();
    to[axes[i]] = units ? digit * unit + within : digit;
    rest = floorDiv(rest, extents[i]);
  }
}

Side::Side(const Kernel &kernel, const Roles &roles, bool left)
    : k(kernel), r(roles), isLeft(left),
      from(*loadOf(isLeft != r.swapped ? k.compute().lhs : k.compute().rhs)) {}

const Load *Side::loadOf(const Expr &operand) {
  auto *l = operand ? as<Load>(withoutCast(operand)) : nullptr;
  return l && !l->mask ? l : nullptr;
}

bool Side::guards(const Expr &guard) const {
  return std::ranges::none_of(isLeft ? r.columns : r.rows,
                              [&](const Axis &x) { return dependsOn(guard, x); });
}

int64_t Side::unitOf(const Axis &axis, std::initializer_list<int64_t> units) const {
  auto n = k.constantExtent(axis);
  if (!n || strideOf(*from.buffer, from.indices, axis) != 1) return 1;
  for (const Expr &guard : k.compute().where)
    if (guards(guard) && dependsOn(guard, axis)) return 1;
  for (int64_t unit : units)
    if (*n % unit == 0) return unit;
  return 1;
}
int64_t Side::unitOfDepth(std::initializer_list<int64_t> units) const {
  return unitOf(r.depth.back(), units);
}
int64_t Side::unitOfLines(std::initializer_list<int64_t> units) const {
  return unitOf(lines().back(), units);
}

bool Side::packs() const {
  const Expr access = withoutCast(isLeft != r.swapped ? k.compute().lhs : k.compute().rhs);
  return k.canPack(access) &&
         std::ranges::none_of(r.shared, [&](const Axis &s) { return dependsOn(access, s); });
}

Kernel::Packing Side::packing(const Buffer &to, bool termsFirst, const std::string &name) const {
  const Digits own(k, lines()), depth(k, r.depth);
  Var line = counterTo("i", own.count), term = counterTo("j", depth.count);
  Substitution at;
  own.add(use(line), at), depth.add(use(term), at);
  std::vector<Expr> indices;
  for (const Expr &i : from.indices) indices.push_back(substitute(i, at));
  const Var &outer = termsFirst ? term : line, &inner = termsFirst ? line : term;
  Stmt copy = store(to, {use(outer), use(inner)}, load(from.buffer, indices));
  copy = loop::loop(inner, imm(0), termsFirst ? own.count : depth.count, LoopKind::Serial, copy);
  copy = loop::loop(outer, imm(0), termsFirst ? depth.count : own.count, LoopKind::Serial, copy);
  const std::vector<Buffer> &params = k.compute().params;
  size_t param = size_t(std::ranges::find(params, from.buffer) - params.begin());
  return {int(param), {name + "_pack_" + from.buffer->name, {from.buffer, to}, {}, copy}};
}

Expr Side::value(Substitution at, const Digits &own, const Expr &line, const Expr &lineWithin,
                 const Digits &depth, const Expr &term, const Expr &termWithin, int64_t termsOfStep) const {
  own.add(line, at, lineWithin), depth.add(term, at, termWithin);
  Expr there = lessThan(line, own.count);
  auto terms = constantOf(depth.count);
  if (!terms || *terms % termsOfStep != 0) there = conjunction(there, lessThan(term, depth.count));
  for (const Expr &guard : k.compute().where)
    if (guards(guard)) there = conjunction(there, lessEqual(imm(0), substitute(guard, at)));
  std::vector<Expr> indices;
  for (const Expr &i : from.indices) indices.push_back(substitute(i, at));
  return load(from.buffer, indices, there);
}

Stmt eachItem(int64_t items, const std::function<Stmt(const Expr &item)> &body) {
  Var item = var("item", {}, 0, items - 1);
  return loop::loop(item, imm(0), imm(items), LoopKind::Parallel, body(use(item)));
}

Stmt loopTo(const char *name, int64_t n, LoopKind kind, const std::function<Stmt(const Expr &)> &body) {
  Var v = var(name, {}, 0, n - 1);
  return loop::loop(v, imm(0), imm(n), kind, body(use(v)));
}

Var counterTo(const char *name, const Expr &n) {
  return var(name, {}, 0, std::max<int64_t>(rangeOf(n).hi - 1, 0));
}

} // namespace planish::schedule
