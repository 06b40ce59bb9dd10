#include "Cases.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

namespace {

using Fold = double (*)(double, double);

/// Folds the elements of `x` whose index agrees with `at` outside the axes.
Case reduce(const std::string &op, const std::string &attrs, Index shape, Index axes, bool keep, double start,
            Fold f) {
  Index out;
  for (size_t d = 0; d < shape.size(); ++d) {
    bool gone = std::find(axes.begin(), axes.end(), int64_t(d)) != axes.end();
    if (!gone) out.push_back(shape[d]);
    else if (keep) out.push_back(1);
  }
  bool mean = op == "reduce_mean";
  return {op, attrs, {random(shape, 0.5, 1.5, 3)}, DType::f32, out, [=](const Inputs &in, const Index &at) {
            double r = start, n = 0;
            for (int64_t i = 0; i < sizeOf(shape); ++i) {
              Index from = unravel(i, shape), kept;
              for (size_t d = 0; d < shape.size(); ++d) {
                bool gone = std::find(axes.begin(), axes.end(), int64_t(d)) != axes.end();
                if (!gone) kept.push_back(from[d]);
                else if (keep) kept.push_back(0);
              }
              if (kept == at) r = f(r, in[0].values[size_t(i)]), ++n;
            }
            return mean ? r / n : r;
          }};
}

double plus(double a, double b) { return a + b; }
double times(double a, double b) { return a * b; }
double smaller(double a, double b) { return std::min(a, b); }
double larger(double a, double b) { return std::max(a, b); }

Case running(const std::string &op, bool exclusive, bool reverse, Fold f, double start) {
  return {op,
          std::string("axis=1, exclusive=") + (exclusive ? "true" : "false") +
              ", reverse=" + (reverse ? "true" : "false"),
          {random({2, 5}, 0.5, 1.5, 9)},
          DType::f32,
          {2, 5},
          [=](const Inputs &in, const Index &at) {
            double r = start;
            for (int64_t k = 0; k < 5; ++k) {
              bool before = reverse ? k > at[1] : k < at[1];
              if (before || (k == at[1] && !exclusive)) r = f(r, in[0].at({at[0], k}));
            }
            return r;
          }};
}

} // namespace

std::vector<Case> reductionCases() {
  std::vector<Case> r{
      reduce("reduce_sum", "axes=[1]", {2, 3, 4}, {1}, true, 0, plus),
      reduce("reduce_sum", "axes=[0, 2], keep_dims=false", {2, 3, 4}, {0, 2}, false, 0, plus),
      reduce("reduce_mean", "axes=[2, 3]", {1, 3, 4, 5}, {2, 3}, true, 0, plus),
      reduce("reduce_max", "axes=[2], keep_dims=false", {2, 3, 4}, {2}, false, -INFINITY, larger),
      reduce("reduce_min", "axes=[0]", {2, 3, 4}, {0}, true, INFINITY, smaller),
      reduce("reduce_prod", "axes=[0, 1, 2], keep_dims=false", {2, 3, 4}, {0, 1, 2}, false, 1, times),
      running("running_sum", false, false, plus, 0),
      running("running_sum", true, true, plus, 0),
      running("running_product", true, false, times, 1),
  };
  Numbers x = numbers(DType::f32, {2, 4}, {1, 3, 3, 0, 5, 2, 5, 5}),
          extreme = numbers(DType::f32, {2, 1}, {3, 5});
  auto find = [](bool last) {
    return [last](const Inputs &in, const Index &at) {
      int64_t found = -1;
      for (int64_t k = 0; k < 4; ++k)
        if (in[0].at({at[0], k}) == in[1].at({at[0], 0}) && (last || found < 0)) found = k;
      return double(found);
    };
  };
  r.push_back({"find", "axis=1", {x, extreme}, DType::i64, {2, 1}, find(false)});
  r.push_back({"find", "axis=1, last=true", {x, extreme}, DType::i64, {2, 1}, find(true)});
  return r;
}

} // namespace planish::ops::test
