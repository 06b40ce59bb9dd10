// Makes the loops of a kernel, outermost first. At every axis it decides, in this order: which copies
// of the body are needed (tail, partition, peel), which guards become loop bounds, and what the
// variable is in each copy (a constant or a fresh loop variable). A guard that is provable in a copy
// is dropped there; one that is refuted drops the copy; one that is left reaches the body as an `if`.
#include "planish/loop/Passes.h"
#include "planish/schedule/Kernel.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace planish::schedule {

using namespace loop;

struct Nest {
  const Kernel &k;
  using AxisInfo = Kernel::AxisInfo;

  // Outer makes the loops around the tile; the others each make the loops inside it once more, Parts that
  // over the subtotals.
  enum class Phase { Outer, Parts, Init, Reduce, Merge, Finish };

  struct Env {
    Substitution subst;            // axis -> constant or fresh loop variable
    Ranges ranges;                 // of the fresh loop variables
    std::map<Var, Expr> extents;   // axes that are shorter in this copy
    std::vector<Expr> where;       // reduction guards not yet turned into loop bounds
    std::vector<Expr> stores;      // guards of the output domain
    Buffer acc;                    // the tile: one element per space axis (and lane axis) inside it
    Buffer total;                  // the merged sums, where there are lane axes or subtotals
    Expr lhs, rhs;
  };

  /// One copy of the body: iterations [begin, end) of an axis.
  struct Copy {
    Expr begin, end;
    bool tail = false;      // the last, shorter block
    bool oneByOne = false;  // a tail of symbolic size: its elements one at a time
    bool interior = false;  // every guard holds
    std::vector<Expr> proven{};  // guards that hold by the choice of symbolic bounds
    bool single() const {
      auto b = constantOf(begin), e = constantOf(end);
      return b && e && *e - *b == 1;
    }
  };

  Expr extent(const AxisInfo &a, const Env &env) const {
    if (auto it = env.extents.find(a.var); it != env.extents.end()) return it->second;
    return a.splitOf ? ceilDiv(extent(k.info(a.splitOf), env), a.factor) : a.extent;
  }
  int64_t constantExtent(const AxisInfo &a, const Env &env) const {
    auto n = constantOf(extent(a, env));
    PLANISH_CHECK(n, "axis " + a.var->name + " of a register tile has no constant extent");
    return *n;
  }
  Range range(const Expr &guard, const Env &env) const {
    Ranges r = env.ranges;
    for (const AxisInfo &a : k.axes)
      if (!env.subst.contains(a.var)) r[a.var] = {0, std::max<int64_t>(rangeOf(extent(a, env)).hi - 1, 0)};
    return rangeOf(substitute(guard, env.subst), r);
  }
  /// The conjunction of the guards that are not provable here; absent if all are.
  Expr condition(const std::vector<Expr> &guards, const Env &env) const {
    Expr cond;
    for (const Expr &g : guards)
      if (range(g, env).lo < 0) cond = conjunction(cond, lessEqual(imm(0), substitute(g, env.subst)));
    return cond;
  }
  /// Reductions have no loops in the phases around the reduction, except lane axes where they count.
  bool skipped(const AxisInfo &a, Phase phase) const {
    if (a.var == k.tensorAxis) return true;
    if (!a.reduction || phase <= Phase::Parts || phase == Phase::Reduce) return false;
    return !(a.lanes && phase == Phase::Init);
  }

  Stmt build(size_t i, const Env &env, Phase phase) const {
    if (phase == Phase::Reduce)
      for (const Expr &g : env.where)
        if (range(g, env).hi < 0) return block({});
    if (i == k.axes.size()) return phase == Phase::Outer ? tile(i, env) : leaf(env, phase);
    const AxisInfo &a = k.axes[i];
    if (phase == Phase::Outer)
      for (const auto &[access, at] : k.staged)
        if (at == a.var) return stage(access, i, env);
    return axis(i, env, phase);
  }

  Stmt axis(size_t i, Env env, Phase phase) const {
    const AxisInfo &a = k.axes[i];
    if (phase == Phase::Outer && a.var == k.accumulateAt) return tile(i, env);
    if (skipped(a, phase) || env.subst.contains(a.var)) return build(i + 1, env, phase);

    Expr begin, end;
    bool peel = false;
    if ((phase == Phase::Reduce || phase == Phase::Parts) && a.kind == LoopKind::Serial)
      peel = guardsToBounds(i, env, begin, end);
    std::vector<Stmt> stmts;
    for (const Copy &c : copies(a, env, peel)) stmts.push_back(copyOf(i, env, phase, c, begin, end));
    return block(std::move(stmts));
  }

  /// Guards on axis i alone (given the outer ones) become bounds of its loop. True if a guard that
  /// needs an inner axis too asks for peeling.
  bool guardsToBounds(size_t i, Env &env, Expr &begin, Expr &end) const {
    const AxisInfo &a = k.axes[i];
    bool peel = false;
    std::erase_if(env.where, [&](const Expr &g) {
      if (!dependsOn(g, a.var) || range(g, env).lo >= 0) return false;
      for (size_t j = i + 1; j < k.axes.size(); ++j)
        if (dependsOn(g, k.axes[j].var) && !env.subst.contains(k.axes[j].var)) {
          peel |= a.peel;
          return false;
        }
      Affine f = affine(substitute(g, env.subst));
      Affine c = f.coefficientOf(a.var);
      Expr rest = toExpr(f.without(a.var));
      if (!c.isConstant() || c.constant == 0 || dependsOn(rest, a.var)) return false;
      if (c.constant > 0) {
        Expr lo = ceilDiv(imm(0) - rest, c.constant);
        begin = begin ? max(begin, lo) : lo;
      } else {
        Expr hi = floorDiv(rest, imm(-c.constant)) + 1;
        end = end ? min(hi, end) : hi;
      }
      return true;
    });
    return peel && constantOf(extent(a, env));
  }

  Env bind(const AxisInfo &a, const Env &env, const Copy &c, const Expr &value) const {
    Env e = env;
    e.subst[a.var] = value;
    for (auto *guards : {&e.where, &e.stores})
      std::erase_if(*guards, [&](const Expr &g) {
        return std::any_of(c.proven.begin(), c.proven.end(),
                           [&](const Expr &p) { return p.get() == g.get(); });
      });
    if (c.tail) e.extents[a.inner] = imm(*constantOf(extent(k.info(a.splitOf), env)) % a.factor);
    return e;
  }

  /// Cuts [0, count) where guards begin and cease to hold: iterations that may lack some at the low
  /// end, those that lack none, those that may lack some at the high end.
  std::vector<Copy> symbolicPartition(const AxisInfo &a, const Env &env, const Expr &count) const {
    Expr lo, hi;
    std::vector<Expr> rising, falling;
    for (const auto *guards : {&env.where, &env.stores})
      for (const Expr &g : *guards) {
        if (!dependsOn(g, a.var) || range(g, env).lo >= 0) continue;
        Affine f = affine(leastOf(g, a.var, env)), c = f.coefficientOf(a.var);
        Expr rest = toExpr(f.without(a.var));
        if (!c.isConstant() || c.constant == 0 || dependsOn(rest, a.var) || mentionsAxes(rest)) continue;
        if (c.constant > 0) {
          Expr from = ceilDiv(imm(0) - rest, c.constant);
          lo = lo ? max(lo, from) : from;
          rising.push_back(g);
        } else {
          Expr to = floorDiv(rest, imm(-c.constant)) + 1;
          hi = hi ? min(hi, to) : to;
          falling.push_back(g);
        }
      }
    auto within = [&](const Expr &e) { return simplify(min(max(e, imm(0)), count), env.ranges); };
    Expr low = lo ? within(lo) : imm(0), high = hi ? within(hi) : count;
    std::vector<Copy> r;
    if (lo)
      r.push_back({imm(0), hi ? simplify(min(low, high), env.ranges) : low, false, false, false, falling});
    r.push_back({low, high, false, false, true, rising});
    r.back().proven.insert(r.back().proven.end(), falling.begin(), falling.end());
    if (hi) r.push_back({high, count});
    return r;
  }

  /// A guard with every axis inside `v` at the end that makes it least.
  Expr leastOf(const Expr &guard, const Axis &v, const Env &env) const {
    Expr e = substitute(guard, env.subst);
    for (const AxisInfo &b : k.axes) {
      if (b.var == v || env.subst.contains(b.var) || !dependsOn(e, b.var)) continue;
      Affine f = affine(e), c = f.coefficientOf(b.var);
      bool linear = c.isConstant() && !dependsOn(toExpr(f.without(b.var)), b.var);
      if (linear) e = substitute(e, {{b.var, c.constant > 0 ? imm(0) : extent(b, env) - 1}});
    }
    return e;
  }
  bool mentionsAxes(const Expr &e) const {
    return std::any_of(k.axes.begin(), k.axes.end(), [&](const AxisInfo &b) { return dependsOn(e, b.var); });
  }

  std::vector<Copy> copies(const AxisInfo &a, const Env &env, bool peel) const {
    Expr n = extent(a, env), whole = a.segment ? extent(k.info(a.splitOf), env) : imm(0);
    auto count = constantOf(n), size = constantOf(whole);
    if (!size || !count) {
      Expr full = size ? n : floorDiv(whole, imm(a.factor));
      std::vector<Copy> r = a.partition ? symbolicPartition(a, env, full) : std::vector<Copy>{{imm(0), full}};
      if (!size) r.push_back({full, n, false, true});
      return r;
    }
    bool rest = *size % a.factor;
    int64_t full = *count - int64_t(rest);
    std::optional<std::pair<int64_t, int64_t>> inside;
    if (peel && *count <= kMostCopies) inside = {full, full};
    else if (a.partition) inside = interior(a, env, full);
    std::vector<Copy> r;
    if (!inside || *count - (inside->second - inside->first) > kMostCopies) {
      if (full > 0) r.push_back({imm(0), imm(full)});
      if (rest) r.push_back({imm(full), imm(*count), true});
      return r;
    }
    auto [first, last] = *inside;
    auto each = [&](int64_t from, int64_t to) {
      for (int64_t t = from; t < to; ++t) r.push_back({imm(t), imm(t + 1), t == full});
    };
    each(0, first);
    if (first < last) r.push_back({imm(first), imm(last), false, false, true});
    each(last, *count);
    return r;
  }

  /// More iterations than this without all guards stay one loop, with the guards inside.
  static constexpr int64_t kMostCopies = 64;

  /// The iterations [first, last) of [0, count) in which every guard holds, whatever the inner axes are;
  /// empty if there are none. A guard that is affine in the axis holds from some iteration on, or up to
  /// one, which bisection finds; with another kind of guard there is no answer.
  std::optional<std::pair<int64_t, int64_t>> interior(const AxisInfo &a, const Env &env,
                                                      int64_t count) const {
    int64_t first = 0, last = count;
    for (const auto *guards : {&env.where, &env.stores})
      for (const Expr &g : *guards) {
        if (!dependsOn(g, a.var)) continue;
        Affine f = affine(substitute(g, env.subst)), c = f.coefficientOf(a.var);
        if (!c.isConstant() || dependsOn(toExpr(f.without(a.var)), a.var)) return {};
        auto holds = [&](int64_t t) {
          Env e = env;
          e.subst[a.var] = imm(t);
          return range(g, e).lo >= 0;
        };
        bool rising = c.constant > 0;
        int64_t low = 0, high = count;
        while (low < high) {
          int64_t middle = low + (high - low) / 2;
          if (holds(middle) == rising) high = middle;
          else low = middle + 1;
        }
        if (rising) first = std::max(first, low);
        else last = std::min(last, low);
      }
    return first < last ? std::pair(first, last) : std::pair(count, count);
  }

  Stmt copyOf(size_t i, const Env &env, Phase phase, const Copy &c, const Expr &begin,
              const Expr &end) const {
    const AxisInfo &a = k.axes[i];
    auto body = [&](const Env &e) {
      Stmt s = phase == Phase::Parts ? part(i + 1, e) : build(i + 1, e, phase);
      return (phase <= Phase::Parts || phase == Phase::Reduce) && a.var == k.prefetchAt
                 ? block(
                       {s, prefetch(i, e)}) // after it: in front, LLVM 19 hoists the body's loads and spills
                 : s;
    };
    Var v = var(a.var->name);
    // A parallel axis stays a loop even for one iteration: the task range selects its iterations.
    if (c.single() && !begin && !end && !c.oneByOne) {
      Stmt s = body(bind(a, env, c, c.begin));
      return a.kind == LoopKind::Parallel ? loop::loop(v, c.begin, c.end, a.kind, s) : s;
    }
    // At most one iteration: its number is known even if it may not happen.
    bool known = !begin && !end && !c.oneByOne && constantOf(c.begin) &&
                 rangeOf(c.end, env.ranges).hi - *constantOf(c.begin) == 1;
    Env e = bind(a, env, c, known ? c.begin : use(v));
    e.ranges[v] = {rangeOf(c.begin, env.ranges).lo, std::max<int64_t>(rangeOf(c.end, env.ranges).hi - 1, 0)};
    Expr lo = begin ? max(begin, c.begin) : c.begin, hi = end ? min(end, c.end) : c.end;
    lo = simplify(lo, env.ranges);
    hi = simplify(hi, env.ranges);
    return loop::loop(v, lo, hi, a.kind, c.oneByOne ? oneByOne(a, env, e, body) : body(e));
  }

  /// The rest of a symbolic extent: a loop over single elements, around everything inside.
  Stmt oneByOne(const AxisInfo &a, const Env &env, Env e,
                const std::function<Stmt(const Env &)> &body) const {
    Axis inner = a.inner;
    auto outerHalf = [&](const Axis &x) {
      return std::find_if(k.axes.begin(), k.axes.end(), [&](const AxisInfo &b) { return b.splitOf == x; });
    };
    for (auto half = outerHalf(inner); half != k.axes.end(); half = outerHalf(inner)) {
      e.subst[half->var] = imm(0);
      e.extents[half->var] = imm(1);
      inner = half->inner;
    }
    Var one = var(inner->name);
    e.subst[inner] = use(one);
    e.extents[inner] = imm(1);
    e.ranges[one] = {0, a.factor - 1};
    return loop::loop(one, imm(0), floorMod(extent(k.info(a.splitOf), env), imm(a.factor)), LoopKind::Serial,
                      body(e));
  }

  /// Iteration number * lines * 64 bytes into the operand's next block: affine in the loop variables, so it
  /// is one more stream to the code generator.
  Stmt prefetch(size_t i, const Env &env) const {
    const Load &l = *as<Load>(k.prefetched);
    size_t outer = k.prefetchBlock();
    Expr number = imm(0);
    for (size_t j = outer + 1; j <= i; ++j)
      number = number * k.axes[j].extent + substitute(use(k.axes[j].var), env.subst);
    int64_t perLine = 64 / byteSize(l.buffer->dtype);
    std::vector<Expr> next(l.indices.size(), imm(0));
    for (size_t d = 0; d < next.size(); ++d) {
      next[d] = substitute(l.indices[d], env.subst);
      if (!dependsOn(l.indices[d], k.axes[outer].var)) continue;
      next[d] = next[d] + 1;
      std::fill(next.begin() + long(d) + 1, next.end(), imm(0));
      break;
    }
    std::vector<Stmt> r;
    for (int64_t n = 0; n < k.prefetchLines; ++n) {
      std::vector<Expr> at = next;
      at.back() = (number * k.prefetchLines + n) * perLine;
      r.push_back(makeStmt(Eval{call(Intrinsic::Prefetch, {load(l.buffer, at)})}));
    }
    return block(std::move(r));
  }

  /// The register tile: one element per space axis inside it, and per lane axis.
  Stmt tile(size_t i, Env env) const {
    if (!k.reduces()) return leafStore(env, {});
    std::vector<int64_t> shape, merged;
    for (size_t j = i; j < k.axes.size(); ++j) {
      const AxisInfo &a = k.axes[j];
      if (a.reduction && !a.lanes) continue;
      shape.push_back(constantExtent(a, env));
      if (!a.reduction) merged.push_back(shape.back());
    }
    bool lanes = shape.size() != merged.size();
    if (shape.empty()) shape.push_back(1);
    if (merged.empty()) merged.push_back(1);
    env.acc = buffer("acc", k.def.accumulator, shape, {}, Scope::Register);
    if (k.subtotalAt) {
      PLANISH_CHECK(!lanes && i < k.axes.size() && k.axes[i].var == k.subtotalAt, "subtotals inside a tile");
      env.total = buffer("total", k.def.accumulator, merged, {}, Scope::Register);
      return makeStmt(Alloc{
          env.total, block({mergeStart(i, env), axis(i, env, Phase::Parts), build(i, env, Phase::Finish)})});
    }
    if (!lanes)
      return makeStmt(Alloc{env.acc, block({build(i, env, Phase::Init), build(i, env, Phase::Reduce),
                                            build(i, env, Phase::Finish)})});
    env.total = buffer("total", k.def.accumulator, merged, {}, Scope::Register);
    Stmt all = block({build(i, env, Phase::Init), build(i, env, Phase::Reduce), collapse(i, env),
                      mergeStart(i, env), build(i, env, Phase::Merge), build(i, env, Phase::Finish)});
    return makeStmt(Alloc{env.acc, makeStmt(Alloc{env.total, all})});
  }

  /// The sum of one iteration of the axis before `i`, then onto the total.
  Stmt part(size_t i, const Env &env) const {
    return makeStmt(Alloc{env.acc, block({build(i, env, Phase::Init), build(i, env, Phase::Reduce),
                                          build(i, env, Phase::Merge)})});
  }

  /// Brings the partial sums of every lane axis together in its element 0: first those of several vectors,
  /// vector by vector, then the lanes of one vector by halves.
  Stmt collapse(size_t i, const Env &env) const {
    std::vector<const AxisInfo *> axes;
    for (size_t j = i; j < k.axes.size(); ++j)
      if (!k.axes[j].reduction || k.axes[j].lanes) axes.push_back(&k.axes[j]);
    std::vector<Stmt> steps;
    std::map<Var, int64_t> extents; // of what is left
    for (const AxisInfo *a : axes) extents[a->var] = constantExtent(*a, env);
    for (bool vectors : {false, true})
      for (const AxisInfo *a : axes) {
        if (!a->lanes || (a->kind == LoopKind::Vectorized) != vectors) continue;
        for (int64_t &n = extents[a->var]; n > 1;) {
          int64_t kept = vectors ? (n + 1) / 2 : n - 1, count = n - kept;
          n = count;
          steps.push_back(foldLanes(env, axes, extents, a->var, kept));
          n = kept;
        }
      }
    return block(std::move(steps));
  }

  /// The elements of the tile within `extents` take in those `distance` behind them along an axis.
  Stmt foldLanes(const Env &env, const std::vector<const AxisInfo *> &axes,
                 const std::map<Var, int64_t> &extents, const Var &axis, int64_t distance) const {
    std::vector<Expr> to, from;
    std::vector<std::pair<const AxisInfo *, Var>> loops;
    for (const AxisInfo *b : axes) {
      to.push_back(imm(0));
      if (extents.at(b->var) > 1) {
        loops.push_back({b, var(b->var->name)});
        to.back() = use(loops.back().second);
      }
      from.push_back(b->var == axis ? to.back() + distance : to.back());
    }
    Compute merge = k.def;
    merge.rhs = {};
    Stmt s = store(env.acc, to, combined(merge, load(env.acc, to), load(env.acc, from), {}));
    for (size_t j = loops.size(); j-- > 0;) {
      auto [b, v] = loops[j];
      LoopKind kind = b->kind == LoopKind::Vectorized ? b->kind : LoopKind::Unrolled;
      s = loop::loop(v, imm(0), imm(extents.at(b->var)), kind, s);
    }
    return s;
  }

  /// total = init, for every space axis of the tile.
  Stmt mergeStart(size_t i, Env env) const {
    env.acc = {};
    return build(i, env, Phase::Finish);
  }

  /// Where in the tile the current element lies.
  std::vector<Expr> place(const Env &env, bool withLanes) const {
    std::vector<Expr> at;
    bool inside = false;
    for (const AxisInfo &a : k.axes) {
      inside |= a.var == k.accumulateAt;
      if (!inside || (a.reduction && !(a.lanes && withLanes))) continue;
      bool first = constantOf(extent(a, env)) == 1 || (a.lanes && !env.subst.contains(a.var));
      at.push_back(first ? imm(0) : substitute(use(a.var), env.subst));
    }
    if (at.empty()) at.push_back(imm(0));
    return at;
  }

  /// Copies what the loops inside axis i read through `access` into registers, then goes on.
  Stmt stage(const Expr &access, size_t i, Env env) const {
    std::vector<int64_t> shape;
    std::vector<const AxisInfo *> inner;
    for (size_t j = i; j < k.axes.size(); ++j)
      if (dependsOn(access, k.axes[j].var)) {
        shape.push_back(*constantOf(k.axes[j].extent));
        inner.push_back(&k.axes[j]);
      }
    if (shape.empty()) return axis(i, env, Phase::Outer);
    const Buffer &from = as<Load>(access)->buffer;
    Buffer reg = buffer(from->name + "r", from->dtype, shape, {}, Scope::Register);
    Substitution s = env.subst;
    std::vector<Var> fresh;
    std::vector<Expr> to, at;
    for (const AxisInfo *a : inner) {
      fresh.push_back(var(a->var->name));
      s[a->var] = use(fresh.back());
      to.push_back(use(fresh.back()));
      at.push_back(use(a->var));
    }
    Stmt copy = store(reg, to, substitute(access, s));
    for (size_t d = inner.size(); d-- > 0;)
      copy = loop::loop(fresh[d], imm(0), imm(shape[d]), inner[d]->kind, copy);
    auto swap = [&](const Expr &e) {
      return !e ? e : rewrite(e, [&](const Expr &x) {
        const Load *l = as<Load>(x);
        return l && l->buffer == from ? load(reg, at) : x;
      });
    };
    env.lhs = swap(env.lhs);
    env.rhs = swap(env.rhs);
    return makeStmt(Alloc{reg, block({copy, axis(i, env, Phase::Outer)})});
  }

  /// A lane beyond the tail of an output axis, or of a lane axis, must not read memory; packed
  /// operands are padded, and a table has an entry for every byte.
  Expr masked(const Expr &e, const Env &env, bool reducing) const {
    std::vector<Expr> guards = env.stores;
    if (reducing)
      for (const Expr &g : env.where)
        if (onLanes(g)) guards.push_back(g);
    if (guards.empty() || !e) return e;
    return rewrite(e, [&](const Expr &x) {
      const Load *l = as<Load>(x);
      if (!l || l->buffer->scope == Scope::Register || l->buffer->scope == Scope::Packed || isTableRead(*l))
        return x;
      Expr mask = l->mask;
      for (const Expr &g : guards) {
        if (range(g, env).lo >= 0) continue;
        bool shares = std::any_of(k.axes.begin(), k.axes.end(), [&](const AxisInfo &a) {
          return dependsOn(g, a.var) && dependsOn(x, a.var);
        });
        if (shares) mask = conjunction(mask, lessEqual(imm(0), g));
      }
      return load(l->buffer, l->indices, mask);
    });
  }
  bool onLanes(const Expr &guard) const {
    return std::any_of(k.axes.begin(), k.axes.end(),
                       [&](const AxisInfo &a) { return a.lanes && dependsOn(guard, a.var); });
  }

  Stmt guarded(const Expr &cond, const Stmt &s) const { return cond ? ifThen(cond, s) : s; }

  /// Stores `value` with the finished sum (absent in a kernel that does not reduce).
  Stmt leafStore(const Env &env, const Expr &sum) const {
    Substitution all = env.subst;
    if (sum) all[k.def.sum] = sum;
    std::vector<Expr> to;
    for (const Expr &i : k.def.outIndices) to.push_back(substitute(i, env.subst));
    return guarded(condition(env.stores, env), store(k.def.out, to, substitute(k.def.value, all)));
  }

  Stmt leaf(const Env &env, Phase phase) const {
    auto sub = [&](const Expr &e) { return e ? substitute(e, env.subst) : e; };
    std::vector<Expr> at = place(env, true), sums = place(env, false);
    auto start = [&] { return simplify(sub(masked(k.def.init, env, false)), env.ranges); };
    auto part = [&] { return load(env.acc, at); };
    switch (phase) {
    case Phase::Outer:
    case Phase::Parts: break;
    case Phase::Init:
      return store(env.acc, at, env.total ? neutral(k.def.combine, k.def.accumulator) : start());
    case Phase::Merge: {
      Compute merge = k.def;
      merge.rhs = {};
      return store(env.total, sums, combined(merge, load(env.total, sums), part(), {}));
    }
    case Phase::Finish:
      if (!env.acc) return store(env.total, sums, start());
      return leafStore(env, load(env.total ? env.total : env.acc, env.total ? sums : at));
    case Phase::Reduce: return reduceLeaf(env, at);
    }
    internalError(__FILE_NAME__, __LINE__, "no such phase");
  }

  /// One term onto the tile. A guard on lanes selects, so that the tile is always written whole.
  Stmt reduceLeaf(const Env &env, const std::vector<Expr> &at) const {
    auto sub = [&](const Expr &e) { return e ? substitute(e, env.subst) : e; };
    Expr acc = load(env.acc, at);
    if (k.tensorAxis) return dotLeaf(env, at, acc);
    std::vector<Expr> scalar, lanes;
    for (const Expr &g : env.where) (onLanes(g) ? lanes : scalar).push_back(g);
    Expr value = combined(k.def, acc, sub(masked(env.lhs, env, true)), sub(masked(env.rhs, env, true)));
    if (Expr cond = condition(lanes, env)) value = select(cond, value, acc);
    return guarded(condition(scalar, env), store(env.acc, at, value));
  }

  /// i32 += i32(u8) * i32(s8), four at a time; terms beyond the depth are masked to zero on the left
  /// and zeros of the packed operand on the right.
  Stmt dotLeaf(const Env &env, const std::vector<Expr> &at, const Expr &acc) const {
    std::vector<Expr> scalar, depth;
    for (const Expr &g : env.where) (dependsOn(g, k.tensorAxis) ? depth : scalar).push_back(g);
    auto four = [&](const Expr &e) {
      const Cast *c = as<Cast>(e);
      return substitute(widen(c ? c->value : e, k.tensorAxis, 4, {}), env.subst);
    };
    Expr a = four(masked(env.lhs, env, false)), b = four(masked(env.rhs, env, false)), mask;
    for (const Expr &g : depth)
      if (range(g, env).lo < 0)
        mask = conjunction(mask, substitute(widen(lessEqual(imm(0), g), k.tensorAxis, 4, {}), env.subst));
    if (const Load *l = as<Load>(a); mask && l) a = load(l->buffer, l->indices, conjunction(l->mask, mask));
    return guarded(condition(scalar, env), store(env.acc, at, call(Intrinsic::Dot4, {a, b, acc})));
  }
};

Kernel::Lowered Kernel::materialize() const {
  Kernel k = *this;
  Lowered out;
  std::vector<Buffer> params = def.params;
  for (const Expr &access : packed) {
    Expr to;
    Packing p = makePacking(access, to);
    params[size_t(p.param)] = as<Load>(to)->buffer;
    out.packings.push_back(std::move(p));
    k.eachExpr([&](Expr &e) {
      e = rewrite(e, [&](const Expr &x) { return as<Load>(x) && equal(x, access) ? to : x; });
    });
  }
  if (k.prefetchAt) {
    int64_t iterations = 1, size = byteSize(as<Load>(k.prefetched)->buffer->dtype);
    size_t outer = k.prefetchBlock(), j = outer;
    do iterations *= *constantOf(k.axes[++j].extent);
    while (k.axes[j].var != k.prefetchAt);
    for (j = outer + 1; j < k.axes.size(); ++j)
      if (dependsOn(k.prefetched, k.axes[j].var)) size *= *constantOf(k.axes[j].extent);
    int64_t lines = size / 64;
    k.prefetchLines = (lines + iterations - 1) / iterations;
  }
  Nest nest{k};
  Nest::Env env;
  env.where = k.def.where;
  env.stores = k.storeGuards;
  env.lhs = k.def.lhs;
  env.rhs = k.def.rhs;
  out.function = {def.name, params, def.scalars, nest.build(0, env, Nest::Phase::Outer)};
  return out;
}

} // namespace planish::schedule
