#include "Sharing.h"

#include "planish/loop/Passes.h"

#include <algorithm>
#include <cmath>

namespace planish::lower {

using loop::Expr;
using loop::Range;
using loop::Ranges;
using loop::Stmt;
using Box = CoreParts::Box;

namespace {

/// Between two cores of one socket a round trip took some 300 ns, and what the other wrote came at 4 to 12
/// GB/s.
constexpr double kHandOver = 600;    // nanoseconds: a job there, its end back
constexpr double kTransfer = 0.14;   // nanoseconds a byte
/// Nanoseconds a byte from the own cache: what kernels that compute little take at least.
constexpr double kOwnCache = 0.02;

// ---- what a part touches -------------------------------------------------------------------------

void unite(Box &into, const Box &b) {
  if (into.empty()) into = b;
  else
    for (size_t d = 0; d < b.size(); ++d)
      into[d] = {std::min(into[d].lo, b[d].lo), std::max(into[d].hi, b[d].hi)};
}

/// Walks a kernel as one of two cores runs it.
class PartWalk {
public:
  PartWalk(const loop::Function &f, int64_t all, int64_t part)
      : function(f), tasks(all), core(part), touched(f.params.size()) {
    stmt(f.body, {});
  }
  std::vector<CoreParts::Touched> result() && { return std::move(touched); }

private:
  const loop::Function &function;
  int64_t tasks, core;
  std::vector<CoreParts::Touched> touched;

  void note(const loop::Buffer &b, const std::vector<Expr> &indices, const Ranges &env, bool writes) {
    auto at = std::ranges::find(function.params, b);
    if (at == function.params.end()) return;
    Box box;
    for (size_t d = 0; d < indices.size(); ++d) {
      Range r = loop::rangeOf(indices[d], env), all{0, loop::rangeOf(b->shape[d]).hi - 1};
      box.push_back({std::clamp(r.lo, all.lo, all.hi), std::clamp(r.hi, all.lo, all.hi)});
    }
    if (box.empty()) box.push_back({0, 0}); // a scalar
    auto &t = touched[size_t(at - function.params.begin())];
    unite(writes ? t.written : t.read, box);
  }
  void expr(const Expr &e, const Ranges &env) {
    if (!e) return;
    loop::walk(e, [&](const Expr &x) {
      if (const auto *l = loop::as<loop::Load>(x)) note(l->buffer, l->indices, env, false);
    });
  }
  void stmt(const Stmt &s, const Ranges &env) {
    loop::match(
        s, [&](const loop::For &f) { loopOver(f, env); },
        [&](const loop::While &w) { expr(w.cond, env), stmt(w.body, env); },
        [&](const loop::Store &t) {
          note(t.buffer, t.indices, env, true);
          for (const Expr &e : t.indices) expr(e, env);
          expr(t.value, env);
        },
        [&](const loop::Alloc &a) { stmt(a.body, env); },
        [&](const loop::If &i) { expr(i.cond, env), stmt(i.then, env); },
        [&](const loop::Let &l) {
          expr(l.value, env);
          Ranges inner = env;
          if (!isFloat(l.value->type.dtype)) inner[l.var] = loop::rangeOf(l.value, env);
          stmt(l.body, inner);
        },
        [&](const loop::Block &b) {
          for (const Stmt &x : b.stmts) stmt(x, env);
        },
        [&](const loop::Eval &v) { expr(v.call, env); }, [](const loop::Launch &) {});
  }
  void loopOver(const loop::For &f, const Ranges &env) {
    Range r{loop::rangeOf(f.begin, env).lo, loop::rangeOf(f.end, env).hi - 1};
    if (f.kind == loop::LoopKind::Parallel)
      r = {std::max(r.lo, tasks * core / 2), std::min(r.hi, tasks * (core + 1) / 2 - 1)};
    if (r.hi < r.lo) return;
    Ranges inner = env;
    inner[f.var] = r;
    stmt(f.body, inner);
  }
};

} // namespace

CoreParts coreParts(const loop::Function &f) {
  CoreParts r;
  int64_t tasks = std::max<int64_t>(loop::rangeOf(loop::taskCount(f)).hi, 1);
  int64_t half = (tasks + 1) / 2;
  r.longest = double(half) / double(tasks);
  for (int64_t core : {0, 1}) r.cores[size_t(core)] = PartWalk(f, tasks, core).result();
  return r;
}

namespace {

double storesOf(const Stmt &s, const Ranges &env) {
  return loop::match(
      s,
      [&](const loop::For &f) {
        Range r{loop::rangeOf(f.begin, env).lo, loop::rangeOf(f.end, env).hi - 1};
        if (r.hi < r.lo) return 0.0;
        Ranges inner = env;
        inner[f.var] = r;
        return double(r.hi - r.lo + 1) * storesOf(f.body, inner);
      },
      [&](const loop::While &w) { return storesOf(w.body, env); }, [](const loop::Store &) { return 1.0; },
      [&](const loop::Alloc &a) { return storesOf(a.body, env); },
      [&](const loop::If &i) { return storesOf(i.then, env); },
      [&](const loop::Let &l) { return storesOf(l.body, env); },
      [&](const loop::Block &b) {
        double n = 0;
        for (const Stmt &x : b.stmts) n += storesOf(x, env);
        return n;
      },
      [](const loop::Eval &) { return 0.0; }, [](const loop::Launch &) { return 0.0; });
}

} // namespace

double storeNanoseconds(const loop::Function &f) {
  constexpr double kMost = 1e7;  // bounds of nested loops that data end multiply to anything
  return std::min(storesOf(f.body, {}), kMost);
}

// ---- what comes from another core ----------------------------------------------------------------

namespace {

double volume(const Box &b) {
  double n = b.empty() ? 0 : 1;
  for (const Range &r : b) n *= double(r.hi - r.lo + 1);
  return n;
}
double common(const Box &a, const Box &b) {
  if (a.size() != b.size()) return 0;
  double n = a.empty() ? 0 : 1;
  for (size_t d = 0; d < a.size(); ++d)
    n *= double(std::max<int64_t>(std::min(a[d].hi, b[d].hi) - std::max(a[d].lo, b[d].lo) + 1, 0));
  return n;
}

/// The elements of a root between the first and the last of a box, and how many of them are the box's.
struct Span {
  int64_t lo = 0, hi = -1;
  double density = 0;
};
Span spanOf(const Box &box, const Place &place) {
  Span s;
  if (box.empty() || box.size() != place.view.strides.size()) return s;
  Range r = loop::rangeOf(place.view.offset);
  for (size_t d = 0; d < box.size(); ++d) {
    Range stride = loop::rangeOf(place.view.strides[d]);
    r.lo += box[d].lo * (box[d].lo < 0 ? stride.hi : stride.lo);
    r.hi += box[d].hi * stride.hi;
  }
  s.lo = r.lo, s.hi = r.hi;
  s.density = std::min(1.0, volume(box) / double(std::max<int64_t>(s.hi - s.lo + 1, 1)));
  return s;
}
double common(const Span &a, const Span &b) {
  return double(std::max<int64_t>(std::min(a.hi, b.hi) - std::max(a.lo, b.lo) + 1, 0)) *
         std::min(a.density, b.density);
}

/// A value that one launch writes and another reads: the bytes that each core finds with the other, by
/// whether the writer and the reader are shared.
struct Edge {
  size_t writer;
  double bytes[2][2][2];  // [writer shared][reader shared][core]
};

struct Writer {
  size_t step, argument;
};

Box whole(const LoweredStep &s, size_t argument, bool written) {
  Box r;
  for (const auto &core : s.parts.cores) {
    const Box &b = written ? core[argument].written : core[argument].read;
    if (!b.empty()) unite(r, b);
  }
  return r;
}
/// What `core` touches of an argument; unshared, the first core does all.
Box boxOf(const LoweredStep &s, size_t argument, bool written, bool shared, size_t core) {
  if (!shared) return core ? Box{} : whole(s, argument, written);
  const auto &t = s.parts.cores[core][argument];
  return written ? t.written : t.read;
}

Edge edgeOf(const std::vector<LoweredStep> &steps, const Writer &w, size_t reader, size_t argument,
            int64_t cacheBytes) {
  const Operand &from = *steps[w.step].arguments[w.argument].operand;
  const Operand &to = *steps[reader].arguments[argument].operand;
  bool same = from.type.shape == to.type.shape && samePlace(from.place, to.place, to.type.shape);
  Edge e{w.step, {}};
  for (bool writes : {false, true})
    for (bool reads : {false, true})
      for (size_t core : {size_t(0), size_t(1)}) {
        Box theirs = boxOf(steps[w.step], w.argument, true, writes, 1 - core);
        Box mine = boxOf(steps[reader], argument, false, reads, core);
        double n = same ? common(mine, theirs) : common(spanOf(mine, to.place), spanOf(theirs, from.place));
        e.bytes[writes][reads][core] = std::min(n * byteSize(to.type.dtype), double(cacheBytes));
      }
  return e;
}

/// Every launch's sources: who wrote what it reads, last.
std::vector<std::vector<Edge>> edgesOf(const std::vector<LoweredStep> &steps, int64_t cacheBytes) {
  std::vector<std::vector<Edge>> r(steps.size());
  std::map<int, std::vector<Writer>> writers; // by root
  for (size_t i = 0; i < steps.size(); ++i) {
    const LoweredStep &s = steps[i];
    for (size_t k = 0; k < s.arguments.size(); ++k) {
      if (!s.arguments[k].operand || whole(s, k, false).empty()) continue;
      const Operand &o = *s.arguments[k].operand;
      std::vector<Writer> &all = writers[o.place.root];
      auto isIt = [&](const Writer &w) {
        const Operand &x = *steps[w.step].arguments[w.argument].operand;
        return x.type.shape == o.type.shape && samePlace(x.place, o.place, o.type.shape);
      };
      if (auto it = std::ranges::find_if(all, isIt); it != all.end())
        r[i].push_back(edgeOf(steps, *it, i, k, cacheBytes));
      else
        for (const Writer &w : all) r[i].push_back(edgeOf(steps, w, i, k, cacheBytes));
    }
    for (size_t k = 0; k < s.arguments.size(); ++k) {
      if (!s.arguments[k].operand || whole(s, k, true).empty()) continue;
      const Operand &o = *s.arguments[k].operand;
      std::vector<Writer> &all = writers[o.place.root];
      std::erase_if(all, [&](const Writer &w) {
        const Operand &x = *steps[w.step].arguments[w.argument].operand;
        return x.type.shape == o.type.shape && samePlace(x.place, o.place, o.type.shape);
      });
      all.push_back({i, k});
    }
  }
  return r;
}

// ---- the choice ----------------------------------------------------------------------------------

/// The program's time by which kernels are shared.
class Choice {
public:
  Choice(const std::vector<LoweredStep> &launches, const Target &t)
      : steps(launches), cores(t.cores), edges(edgesOf(launches, t.l2Bytes)) {
    std::map<const loop::Function *, size_t> known;
    for (const LoweredStep &s : steps) {
      auto [at, fresh] = known.try_emplace(s.kernel.get(), kernels.size());
      if (fresh) kernels.push_back(s.kernel.get());
      kernelOf.push_back(at->second);
    }
    sharable.assign(kernels.size(), false);
    for (size_t i = 0; i < steps.size(); ++i) sharable[kernelOf[i]] = steps[i].parts.longest < 1;
  }

  std::set<const loop::Function *> run() {
    std::vector<bool> none(kernels.size(), false), best = descended(none), all = descended(sharable);
    if (time(all) < time(best)) best = all;
    std::set<const loop::Function *> r;
    for (size_t k = 0; k < kernels.size(); ++k)
      if (sharable[k] && !best[k]) r.insert(kernels[k]);
    return r;
  }

private:
  const std::vector<LoweredStep> &steps;
  double cores;
  std::vector<std::vector<Edge>> edges;
  std::vector<const loop::Function *> kernels;
  std::vector<size_t> kernelOf; // by step
  std::vector<bool> sharable;

  double time(const std::vector<bool> &shared) const {
    double r = 0;
    for (size_t i = 0; i < steps.size(); ++i) r += time(shared, i);
    return r;
  }
  double time(const std::vector<bool> &shared, size_t i) const {
    const LoweredStep &s = steps[i];
    bool mine = shared[kernelOf[i]];
    double work = std::max(s.nanoseconds, s.info.bytes * kOwnCache), wait[2] = {0, 0};
    for (const Edge &e : edges[i])
      for (size_t core : {size_t(0), size_t(1)})
        wait[core] += e.bytes[shared[kernelOf[e.writer]]][mine][core] * kTransfer;
    double part = std::max(s.parts.longest, 1 / cores);
    return (mine ? work * part + kHandOver : work) + std::max(wait[0], wait[1]);
  }

  /// Turns kernels over, one or a few neighbours at a time, as long as that saves time.
  std::vector<bool> descended(std::vector<bool> shared) const {
    constexpr int kRounds = 8;
    double now = time(shared);
    for (int round = 0; round < kRounds; ++round) {
      double before = now;
      for (size_t length : {size_t(1), size_t(2), size_t(3), size_t(5), size_t(8)})
        for (size_t first = 0; first + length <= steps.size(); ++first)
          for (bool to : {false, true}) now = turned(shared, first, length, to, now);
      if (now >= before) break;
    }
    return shared;
  }
  double turned(std::vector<bool> &shared, size_t first, size_t length, bool to, double now) const {
    std::vector<size_t> changed;
    for (size_t i = first; i < first + length; ++i) {
      size_t k = kernelOf[i];
      if (shared[k] == to || (to && !sharable[k])) continue;
      shared[k] = to;
      changed.push_back(k);
    }
    if (changed.empty()) return now;
    double then = time(shared);
    if (then < now - 1) return then;
    for (size_t k : changed) shared[k] = !to;
    return now;
  }
};

} // namespace

std::set<const loop::Function *> keptWhole(const std::vector<LoweredStep> &steps, const Target &target) {
  return Choice(steps, target).run();
}

} // namespace planish::lower
