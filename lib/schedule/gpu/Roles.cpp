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
