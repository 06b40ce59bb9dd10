#include "Internal.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace planish::schedule {

using namespace loop;

std::optional<int64_t> strideOf(const BufferNode &b, const std::vector<Expr> &indices, const Axis &axis) {
  Affine a = elementOffset(b, indices);
  Affine c = a.coefficientOf(axis);
  if (!c.isConstant() || dependsOn(toExpr(a.without(axis)), axis)) return {};
  return c.constant;
}
std::optional<int64_t> strideOf(const Expr &load, const Axis &axis) {
  const Load &l = *as<Load>(load);
  return strideOf(*l.buffer, l.indices, axis);
}

int64_t outStride(const Kernel &k, const Axis &axis) {
  Affine c = elementOffset(*k.compute().out, k.outIndices()).coefficientOf(axis);
  return std::max(std::abs(rangeOf(toExpr(c)).hi), std::abs(rangeOf(toExpr(c)).lo));
}

void sortByOutput(const Kernel &k, std::vector<Axis> &axes) {
  std::stable_sort(axes.begin(), axes.end(),
                   [&](const Axis &a, const Axis &b) { return outStride(k, a) > outStride(k, b); });
}

void fuseCollapsing(Kernel &k, std::vector<Axis> &axes) {
  for (size_t i = axes.size(); i-- > 1;)
    if (k.collapses(axes[i - 1], axes[i])) {
      axes[i - 1] = k.fuse(axes[i - 1], axes[i]);
      axes.erase(axes.begin() + long(i));
    }
}

std::vector<Expr> loadsIn(const Expr &e) {
  std::vector<Expr> r;
  if (e)
    walk(e, [&](const Expr &x) {
      if (as<Load>(x)) r.push_back(x);
    });
  return r;
}

Expr withoutCast(const Expr &e) {
  const Cast *c = as<Cast>(e);
  return c ? c->value : e;
}

bool multipliesCodes(const Kernel &k, const Expr &left, const Expr &right) {
  Expr a = withoutCast(left), b = withoutCast(right);
  return k.compute().accumulator == DType::i32 && k.compute().combine == Combine::Sum && as<Load>(a) &&
         (a->type.dtype == DType::u8 || a->type.dtype == DType::i8) && as<Load>(b) &&
         b->type.dtype == DType::i8 && k.canPack(b);
}

int64_t lanesFor(const Kernel &k, const Axis &axis, const Target &t, DType type) {
  int64_t all = std::max(t.lanes(type), 1);
  return std::min<int64_t>(all, int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(k.upperExtent(axis), 1)))));
}

double iterations(const Kernel &k) {
  double n = 1;
  for (const auto &list : {k.spaceAxes(), k.reduceAxes()})
    for (const Axis &a : list) n *= double(k.upperExtent(a));
  return n;
}

double operandBytes(const Expr &e) {
  std::vector<Expr> l = loadsIn(e);
  if (l.empty()) return 0;
  const BufferNode &b = *as<Load>(l[0])->buffer;
  double n = byteSize(b.dtype);
  for (const Expr &d : b.shape) n *= double(std::max<int64_t>(rangeOf(d).hi, 1));
  return n;
}

double outputBytes(const Kernel &k) {
  double n = byteSize(k.compute().out->dtype);
  for (const Axis &a : k.spaceAxes()) n *= double(k.upperExtent(a));
  return n;
}

int64_t balancedAxis(const Kernel &k, const std::vector<Axis> &outer, double nanoseconds, const Target &t,
                     const std::function<double(const Axis &)> &traffic) {
  constexpr double kGain = 0.95; // of a later axis, below which it is preferred
  if (t.cores < 2) return 0;
  int64_t best = 0;
  double bestTime = INFINITY;
  for (size_t i = 0; i < outer.size(); ++i) {
    int64_t n = k.upperExtent(outer[i]), rounds = (n + t.cores - 1) / t.cores;
    if (n < 2) continue;
    double time = nanoseconds * double(rounds) / double(n) + (traffic ? traffic(outer[i]) : 0);
    if (time < bestTime * kGain) {
      bestTime = time;
      best = int64_t(i) + 1;
    }
  }
  return best;
}

void markParallel(Kernel &k, const std::vector<Axis> &outer, int64_t choice) {
  if (choice >= 1 && choice <= int64_t(outer.size())) k.mark(outer[size_t(choice - 1)], LoopKind::Parallel);
}

int64_t knob(const Config &c, std::string_view name) {
  auto it = c.find(name);
  PLANISH_CHECK(it != c.end(), "no knob " + std::string(name));
  return it->second;
}

} // namespace planish::schedule
