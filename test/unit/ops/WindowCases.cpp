#include "Cases.h"

#include "planish/support/Text.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

namespace {

std::string list(const Index &v) {
  return "[" + joined(v, [](int64_t x) { return std::to_string(x); }) + "]";
}

struct Geometry {
  Index kernel, strides, dilations, padsBegin, padsEnd;
  std::string attrs() const {
    return "strides=" + list(strides) + ", dilations=" + list(dilations) + ", pads_begin=" + list(padsBegin) +
           ", pads_end=" + list(padsEnd);
  }
  /// Input index of a tap of an output position, with batch and channel before.
  Index tap(int64_t n, int64_t c, const Index &at, const Index &k) const {
    Index r{n, c};
    for (size_t d = 0; d < kernel.size(); ++d)
      r.push_back(at[d + 2] * strides[d] + k[d] * dilations[d] - padsBegin[d]);
    return r;
  }
};

template <class F> void forTaps(const Index &kernel, F f) {
  for (int64_t i = 0; i < sizeOf(kernel); ++i) f(unravel(i, kernel));
}

Case conv(Geometry g, Index x, Index w, Index out, int64_t group, bool bias) {
  Inputs in{random(x, -1, 1, 1), random(w, -1, 1, 2)};
  if (bias) in.push_back(random({w[0]}, -1, 1, 3));
  return {"conv",
          g.attrs() + ", group=" + std::to_string(group),
          in,
          DType::f32,
          out,
          [=](const Inputs &t, const Index &at) {
            int64_t perGroup = w[1], first = at[1] / (w[0] / group) * perGroup;
            double sum = bias ? t[2].at({at[1]}) : 0;
            for (int64_t c = 0; c < perGroup; ++c)
              forTaps(g.kernel, [&](const Index &k) {
                Index tap{at[1], c};
                tap.insert(tap.end(), k.begin(), k.end());
                sum += t[0].at(g.tap(at[0], first + c, at, k), 0) * t[1].at(tap);
              });
            return sum;
          }};
}

/// Scatters every input element, the other way round than the operator.
Case convTranspose(Geometry g, Index outputPadding, Index x, Index w, Index out, int64_t group) {
  Inputs in{random(x, -1, 1, 1), random(w, -1, 1, 2), random({out[1]}, -1, 1, 3)};
  return {"conv_transpose",
          g.attrs() + ", output_padding=" + list(outputPadding) + ", group=" + std::to_string(group),
          in,
          DType::f32,
          out,
          [=](const Inputs &t, const Index &at) {
            double sum = t[2].at({at[1]});
            int64_t perGroup = w[1], inPerGroup = x[1] / group;
            for (int64_t i = 0; i < sizeOf(x); ++i) {
              Index from = unravel(i, x);
              if (from[0] != at[0] || from[1] / inPerGroup != at[1] / perGroup) continue;
              forTaps(g.kernel, [&](const Index &k) {
                Index tap{from[1], at[1] % perGroup};
                for (size_t d = 0; d < k.size(); ++d) {
                  if (from[d + 2] * g.strides[d] + k[d] * g.dilations[d] - g.padsBegin[d] != at[d + 2])
                    return;
                  tap.push_back(k[d]);
                }
                sum += t[0].at(from) * t[1].at(tap);
              });
            }
            return sum;
          }};
}

Case pool(const std::string &op, Geometry g, Index x, Index out, const std::string &flags = "") {
  bool average = op == "average_pool", padding = flags.find("count_padding") != std::string::npos;
  return {op,
          "window=" + list(g.kernel) + ", " + g.attrs() + flags,
          {random(x, -1, 1, 5)},
          DType::f32,
          out,
          [=](const Inputs &t, const Index &at) {
            double best = -INFINITY, sum = 0, count = 0;
            forTaps(g.kernel, [&](const Index &k) {
              Index from = g.tap(at[0], at[1], at, k);
              bool inside = true, counted = true;
              for (size_t d = 0; d < k.size(); ++d) {
                inside &= from[d + 2] >= 0 && from[d + 2] < x[d + 2];
                counted &= from[d + 2] >= -g.padsBegin[d] && from[d + 2] < x[d + 2] + g.padsEnd[d];
              }
              count += padding ? counted : inside;
              if (!inside) return;
              best = std::max(best, t[0].at(from));
              sum += t[0].at(from);
            });
            return average ? sum / count : best;
          }};
}

Case matmul(Index a, Index b, Index out) {
  return {"matmul",
          "",
          {random(a, -1, 1, 1), random(b, -1, 1, 2)},
          DType::f32,
          out,
          [=](const Inputs &t, const Index &at) {
            double sum = 0;
            for (int64_t k = 0; k < a.back(); ++k) {
              Index left = at, right = at;
              left.back() = k, right[right.size() - 2] = k;
              sum += t[0].at(aligned(t[0], left)) * t[1].at(aligned(t[1], right));
            }
            return sum;
          }};
}

} // namespace

std::vector<Case> windowCases() {
  Geometry same3{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, strided{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
  return {
      conv(same3, {1, 3, 5, 6}, {4, 3, 3, 3}, {1, 4, 5, 6}, 1, true),
      conv(strided, {2, 4, 7, 8}, {6, 2, 3, 3}, {2, 6, 4, 4}, 2, true),
      conv(same3, {1, 5, 4, 4}, {5, 1, 3, 3}, {1, 5, 4, 4}, 5, false),
      conv({{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}}, {1, 7, 3, 3}, {2, 7, 1, 1}, {1, 2, 3, 3}, 1, true),
      conv({{2, 3}, {2, 1}, {2, 2}, {3, 0}, {0, 4}}, {1, 2, 6, 7}, {3, 2, 2, 3}, {1, 3, 4, 7}, 1, false),
      conv({{3}, {2}, {1}, {0}, {1}}, {1, 2, 9}, {3, 2, 3}, {1, 3, 4}, 1, true),
      conv({{2, 2, 2}, {1, 1, 1}, {1, 1, 1}, {1, 0, 1}, {0, 1, 0}}, {1, 2, 3, 3, 3}, {2, 2, 2, 2, 2},
           {1, 2, 3, 3, 3}, 1, true),
      conv({{5, 5}, {1, 1}, {1, 1}, {4, 4}, {4, 4}}, {1, 1, 2, 2}, {1, 1, 5, 5}, {1, 1, 6, 6}, 1, false),
      convTranspose({{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}, {1, 1}, {1, 3, 3, 4}, {3, 2, 3, 3},
                    {1, 2, 6, 8}, 1),
      convTranspose({{2, 3}, {1, 3}, {2, 1}, {0, 0}, {1, 0}}, {0, 0}, {1, 4, 3, 3}, {4, 1, 2, 3},
                    {1, 2, 4, 9}, 2),
      convTranspose({{4, 4}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}, {0, 0}, {1, 2, 3, 4}, {2, 3, 4, 4},
                    {1, 3, 6, 8}, 1),
      convTranspose({{3, 3}, {3, 2}, {1, 1}, {1, 2}, {1, 2}}, {0, 0}, {1, 1, 3, 3}, {1, 2, 3, 3},
                    {1, 2, 7, 3}, 1),
      convTranspose({{2}, {3}, {1}, {0}, {0}}, {1}, {1, 2, 3}, {2, 2, 2}, {1, 2, 9}, 1),
      convTranspose({{3}, {2}, {2}, {1}, {0}}, {0}, {1, 2, 3}, {2, 2, 3}, {1, 2, 8}, 1),
      pool("max_pool", strided, {1, 2, 6, 7}, {1, 2, 3, 4}),
      pool("max_pool", {{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}}, {1, 2, 5, 5}, {1, 2, 3, 3},
           ", ceil_mode=true"),
      pool("max_pool", {{3}, {1}, {2}, {2}, {2}}, {1, 2, 7}, {1, 2, 7}),
      pool("average_pool", same3, {1, 2, 4, 5}, {1, 2, 4, 5}),
      pool("average_pool", same3, {1, 2, 4, 5}, {1, 2, 4, 5}, ", count_padding=true"),
      pool("average_pool", {{3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}}, {1, 1, 6, 6}, {1, 1, 3, 3},
           ", ceil_mode=true"),
      pool("average_pool", {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}}, {1, 1, 6, 6}, {1, 1, 3, 3},
           ", ceil_mode=true, count_padding=true"),
      pool("average_pool", {{2, 2}, {1, 1}, {2, 2}, {1, 1}, {1, 1}}, {1, 1, 5, 5}, {1, 1, 5, 5}),
      pool("average_pool", {{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}}, {1, 1, 4, 4}, {1, 1, 2, 2}),
      matmul({3, 4}, {4, 5}, {3, 5}),
      matmul({2, 1, 3, 4}, {6, 4, 2}, {2, 6, 3, 2}),
      matmul({2, 3, 4}, {4, 5}, {2, 3, 5}),
      {"einsum",  // bij,bkj->bki with one b on the right
       "a=[0, 1, 2], b=[0, 3, 2], out=[0, 3, 1]",
       {random({2, 3, 4}, -1, 1, 1), random({1, 5, 4}, -1, 1, 2)},
       DType::f32,
       {2, 5, 3},
       [](const Inputs &t, const Index &at) {
         double sum = 0;
         for (int64_t j = 0; j < 4; ++j) sum += t[0].at({at[0], at[2], j}) * t[1].at({0, at[1], j});
         return sum;
       }},
      {"einsum",  // the diagonal
       "a=[7, 7], out=[7]",
       {random({3, 3}, -1, 1, 1)},
       DType::f32,
       {3},
       [](const Inputs &t, const Index &at) { return t[0].at({at[0], at[0]}); }},
  };
}

} // namespace planish::ops::test
