// The verbs: edits of the axis list and of the expressions over it.
#include "planish/schedule/Kernel.h"

#include "planish/support/Check.h"

#include <algorithm>

namespace planish::schedule {

using namespace loop;

Kernel::Kernel(Compute c) : def(std::move(c)) {
  if (def.reduce.empty()) {
    def.lhs = def.rhs = def.init = {};
    def.where.clear();
  } else if (!def.init) {
    def.init = neutral(def.combine, def.accumulator);
  }
  for (const Iter &i : def.space) axes.push_back({i.var, i.extent});
  for (const Iter &i : def.reduce) axes.push_back({i.var, i.extent, true});
  for (const AxisInfo &a : axes) bounds.push_back({use(a.var), a.extent});
  for (const AxisInfo &a : std::vector<AxisInfo>(axes))
    if (constantOf(a.extent) == 1) {
      std::erase_if(axes, [&](const AxisInfo &x) { return x.var == a.var; });
      replace(a.var, imm(0));
    }
  for (const AxisInfo &a : axes)
    if (a.reduction && !accumulateAt) accumulateAt = a.var;
  if (reduces() && !accumulateAt) foldSingleTerm();
}

/// With all reduction axes of extent one, the sum is one term (or none, where a guard fails), and the
/// kernel is pointwise.
void Kernel::foldSingleTerm() {
  Expr cond;
  Ranges ranges;
  for (const AxisInfo &a : axes) ranges[a.var] = {0, std::max<int64_t>(upperExtent(a.var) - 1, 0)};
  for (const Expr &g : def.where)
    if (rangeOf(g, ranges).lo < 0) cond = conjunction(cond, lessEqual(imm(0), g));
  auto masked = [&](const Expr &e) {
    if (!e || !cond) return e;
    return rewrite(e, [&](const Expr &x) {
      const Load *l = as<Load>(x);
      return l ? load(l->buffer, l->indices, conjunction(l->mask, cond)) : x;
    });
  };
  Expr term = combined(def, def.init, masked(def.lhs), masked(def.rhs));
  def.value = substitute(def.value, {{def.sum, cond ? select(cond, term, def.init) : term}});
  def.lhs = def.rhs = def.init = {};
  def.where.clear();
}

Kernel::AxisInfo &Kernel::info(const Axis &v) {
  for (auto *list : {&axes, &retired})
    for (AxisInfo &a : *list)
      if (a.var == v) return a;
  internalError(__FILE_NAME__, __LINE__, "no axis " + (v ? v->name : std::string("(none)")));
}
const Kernel::AxisInfo &Kernel::info(const Axis &v) const { return const_cast<Kernel *>(this)->info(v); }

std::vector<Axis> Kernel::spaceAxes() const {
  std::vector<Axis> r;
  for (const AxisInfo &a : axes)
    if (!a.reduction) r.push_back(a.var);
  return r;
}
std::vector<Axis> Kernel::reduceAxes() const {
  std::vector<Axis> r;
  for (const AxisInfo &a : axes)
    if (a.reduction) r.push_back(a.var);
  return r;
}

Expr Kernel::extent(Axis a) const { return info(a).extent; }
std::optional<int64_t> Kernel::constantExtent(Axis a) const { return constantOf(info(a).extent); }
int64_t Kernel::upperExtent(Axis a) const { return rangeOf(info(a).extent).hi; }
bool Kernel::guarded(Axis a) const {
  return std::any_of(def.where.begin(), def.where.end(), [&](const Expr &g) { return dependsOn(g, a); });
}

void Kernel::eachExpr(const std::function<void(Expr &)> &fn) {
  for (Expr *e : {&def.init, &def.lhs, &def.rhs, &def.value, &prefetched})
    if (*e) fn(*e);
  for (auto *list : {&def.where, &def.outIndices, &storeGuards, &packed})
    for (Expr &e : *list) fn(e);
  for (auto &b : bounds) fn(b.first);
  for (auto &s : staged) fn(s.first);
}

void Kernel::replace(const Axis &axis, const Expr &value) {
  Substitution map{{axis, value}};
  eachExpr([&](Expr &e) { e = substitute(e, map); });
}

std::pair<Axis, Axis> Kernel::split(Axis axis, int64_t factor, std::string outerName, std::string innerName,
                                    Tail tail) {
  AxisInfo old = info(axis);
  AxisInfo outer{var(std::move(outerName)), ceilDiv(old.extent, factor), old.reduction};
  AxisInfo inner{var(std::move(innerName)), imm(factor), old.reduction};
  outer.splitOf = axis;
  outer.inner = inner.var;
  outer.factor = factor;
  outer.segment = tail == Tail::Segment;
  auto n = constantOf(old.extent);
  bool rest = !n || *n % factor;
  PLANISH_CHECK(!old.segment || !rest || !constantOf(extent(old.splitOf)) ||
                    *constantOf(extent(old.splitOf)) % old.factor == 0,
                "split " + axis->name + ": split its inner axis instead");
  Expr value = use(outer.var) * factor + use(inner.var);
  if (rest && tail == Tail::Guard)
    (old.reduction ? def.where : storeGuards).push_back(old.extent - 1 - value);
  retired.push_back(old);
  replace(axis, value);
  auto at = std::find_if(axes.begin(), axes.end(), [&](const AxisInfo &a) { return a.var == axis; });
  PLANISH_CHECK(at != axes.end(), "split: not an axis of today: " + axis->name);
  *at = outer;
  axes.insert(at + 1, inner);
  if (accumulateAt == axis) accumulateAt = outer.var;
  return {outer.var, inner.var};
}

Axis Kernel::fuse(Axis outer, Axis inner) {
  Expr n = extent(inner);
  PLANISH_CHECK(info(outer).reduction == info(inner).reduction, "fuse: axes of two kinds");
  AxisInfo both{var(outer->name + inner->name), extent(outer) * n, info(outer).reduction};
  replace(outer, floorDiv(use(both.var), n));
  replace(inner, floorMod(use(both.var), n));
  if (accumulateAt == outer || accumulateAt == inner) accumulateAt = both.var;
  std::erase_if(axes, [&](const AxisInfo &a) { return a.var == inner; });
  info(outer) = both;
  return both.var;
}

std::vector<Expr> Kernel::loads() const {
  std::vector<Expr> r;
  for (const Expr &e : {def.lhs, def.rhs, def.init, def.value})
    if (e)
      walk(e, [&](const Expr &x) {
        if (as<Load>(x)) r.push_back(x);
      });
  return r;
}

bool Kernel::collapses(Axis outer, Axis inner) const {
  auto mentioned = [&](const Expr &e) { return e && (dependsOn(e, outer) || dependsOn(e, inner)); };
  for (const auto *list : {&def.where, &storeGuards})
    if (std::any_of(list->begin(), list->end(), mentioned)) return false;
  // Outside of load indices the axes must not occur: they would need a division there.
  for (const Expr &e : {def.lhs, def.rhs, def.init, def.value}) {
    if (!mentioned(e)) continue;
    Expr rest = rewrite(e, [](const Expr &x) { return as<Load>(x) ? constant(1, x->type) : x; });
    if (mentioned(rest)) return false;
  }
  Var both = var("both");
  Expr n = extent(inner);
  Substitution map{{outer, floorDiv(use(both), n)}, {inner, floorMod(use(both), n)}};
  auto linear = [&](const BufferNode &b, std::vector<Expr> indices) {
    for (Expr &i : indices) i = substitute(i, map);
    for (const Affine::Term &t : elementOffset(b, indices).terms)
      for (const Expr &f : t.factors)
        if (!as<VarRef>(f) && dependsOn(f, both)) return false;
    return true;
  };
  if (!linear(*def.out, def.outIndices)) return false;
  for (const Expr &l : loads())
    if (mentioned(l) && !linear(*as<Load>(l)->buffer, as<Load>(l)->indices)) return false;
  return true;
}

void Kernel::reorder(const std::vector<Axis> &order) {
  std::vector<AxisInfo> r;
  for (const Axis &v : order) r.push_back(info(v));
  PLANISH_CHECK(r.size() == axes.size(), "reorder: name every axis once");
  axes = std::move(r);
}
void Kernel::mark(Axis a, LoopKind k) { info(a).kind = k; }
void Kernel::partition(Axis a) { info(a).partition = true; }
void Kernel::peel(Axis a) { info(a).peel = true; }
void Kernel::accumulate(Axis at) { accumulateAt = at; }
void Kernel::subtotal(Axis a) { subtotalAt = a; }
void Kernel::lanes(Axis a) { info(a).lanes = true; }
void Kernel::pack(const Expr &access) { packed.push_back(access); }
void Kernel::stage(const Expr &access, Axis at) { staged.push_back({access, at}); }
void Kernel::prefetch(const Expr &access, Axis at) {
  prefetched = access;
  prefetchAt = at;
}
size_t Kernel::prefetchBlock() const {
  size_t r = 0;
  for (size_t i = 0; i < axes.size() && axes[i].var != accumulateAt; ++i)
    if (dependsOn(prefetched, axes[i].var)) r = i;
  return r;
}
void Kernel::tensorize(Axis a) { tensorAxis = a; }

bool Kernel::canPack(const Expr &access) const {
  const Load *l = as<Load>(access);
  if (!l || l->mask || l->buffer->scope != Scope::Constant || !hasConstantShape(*l->buffer)) return false;
  for (const AxisInfo &a : axes)
    if (dependsOn(access, a.var) && !constantOf(a.extent)) return false;
  for (const Var &s : def.scalars)
    if (dependsOn(access, s)) return false;
  // Packing writes out every index that the axes give: no data among them, and none twice.
  bool irregular = false;
  for (const Expr &i : l->indices)
    walk(i, [&](const Expr &x) {
      auto *b = as<Binary>(x);
      irregular |= as<Load>(x) || (b && (b->op == BinaryOp::Min || b->op == BinaryOp::Max));
    });
  if (irregular) return false;
  for (const Expr &x : loads())
    if (as<Load>(x)->buffer == l->buffer && !equal(x, access)) return false;
  return true;
}

/// The packed layout is the loop nest itself: one dimension per axis the operand depends on, in loop
/// order, so the kernel reads it front to back. A tensorized axis shares the last dimension. Blocks
/// that reach beyond an extent are padded with zeros.
Kernel::Packing Kernel::makePacking(const Expr &access, Expr &packedLoad) const {
  const Load &l = *as<Load>(access);
  std::vector<int64_t> shape;
  std::vector<Expr> index;
  std::vector<const AxisInfo *> used;
  Ranges full;
  for (const AxisInfo &a : axes) {
    if (!dependsOn(access, a.var)) continue;
    int64_t n = *constantOf(a.extent);
    used.push_back(&a);
    full[a.var] = {0, n - 1};
    if (a.var == tensorAxis && !shape.empty()) {
      shape.back() *= n;
      index.back() = index.back() * n + use(a.var);
    } else {
      shape.push_back(n);
      index.push_back(use(a.var));
    }
  }
  if (shape.empty()) {
    shape.push_back(1);
    index.push_back(imm(0));
  }
  Buffer to = buffer(l.buffer->name + "p", l.buffer->dtype, shape, {}, Scope::Packed);
  Stmt copy = store(to, index, access);
  auto guard = [&](const Expr &g) {
    if (rangeOf(g, full).lo < 0) copy = ifThen(lessEqual(imm(0), g), copy);
  };
  for (const auto &[e, n] : bounds) {
    bool touches = false, covered = true;
    for (const AxisInfo &a : axes)
      if (dependsOn(e, a.var)) {
        bool reads = dependsOn(access, a.var);
        touches |= reads;
        covered &= reads;
      }
    if (touches && covered) guard(n - 1 - e);
  }
  std::vector<int64_t> sizes = constantsOf(l.buffer->shape);
  for (size_t d = 0; d < sizes.size(); ++d) {
    guard(imm(sizes[d] - 1) - l.indices[d]);
    guard(l.indices[d]);
  }
  for (size_t i = used.size(); i-- > 0;)
    copy = loop::loop(used[i]->var, imm(0), used[i]->extent, LoopKind::Serial, copy);
  packedLoad = load(to, index);
  auto at = std::find(def.params.begin(), def.params.end(), l.buffer);
  PLANISH_CHECK(at != def.params.end(), "pack: not a parameter: " + l.buffer->name);
  return {int(at - def.params.begin()), {def.name + "_pack_" + l.buffer->name, {l.buffer, to}, {}, copy}};
}

} // namespace planish::schedule
