#include "Cases.h"

namespace planish::ops::test {

namespace {

Case moved(std::string op, std::string attrs, Index in, Index out, std::function<Index(const Index &)> from) {
  return {std::move(op),          std::move(attrs),
          {random(in, -1, 1, 4)}, DType::f32,
          std::move(out),         [from](const Inputs &t, const Index &at) { return t[0].at(from(at)); }};
}
Case reshape(std::string attrs, Index in, Index out) {
  return moved("reshape", std::move(attrs), in, out, [in, out](const Index &at) {
    int64_t linear = 0;
    for (size_t d = 0; d < out.size(); ++d) linear = linear * out[d] + at[d];
    return unravel(linear, in);
  });
}

} // namespace

std::vector<Case> movementCases() {
  std::vector<Case> r{
      reshape("shape=[6, 20]", {2, 3, 4, 5}, {6, 20}),
      reshape("shape=[2, 3, 2, 10]", {2, 3, 4, 5}, {2, 3, 2, 10}),
      reshape("shape=[1, 2, 1, 3, 5, 4, 1]", {2, 3, 4, 5}, {1, 2, 1, 3, 5, 4, 1}),
      reshape("shape=[3, 2]", {6}, {3, 2}),
      reshape("shape=[3, 4]", {4, 3}, {3, 4}),
      reshape("shape=[]", {1, 1}, {}),
      reshape("shape=[1, 1]", {}, {1, 1}),
      moved("transpose", "perm=[0, 2, 3, 1]", {2, 3, 4, 5}, {2, 4, 5, 3},
            [](const Index &at) { return Index{at[0], at[3], at[1], at[2]}; }),
      moved("transpose", "perm=[1, 0]", {3, 4}, {4, 3}, [](const Index &at) { return Index{at[1], at[0]}; }),
      moved("slice", "begin=[0, 1], steps=[1, 2], size=[3, 2]", {3, 5}, {3, 2},
            [](const Index &at) { return Index{at[0], 1 + 2 * at[1]}; }),
      moved("slice", "begin=[2, 4], steps=[-1, -3], size=[3, 2]", {3, 5}, {3, 2},
            [](const Index &at) { return Index{2 - at[0], 4 - 3 * at[1]}; }),
      moved("broadcast", "shape=[2, 3, 4]", {3, 1}, {2, 3, 4},
            [](const Index &at) { return Index{at[1], 0}; }),
      moved("tile", "perm=[2, 1, 3]", {2, 3, 2}, {4, 3, 6},
            [](const Index &at) { return Index{at[0] % 2, at[1], at[2] % 2}; }),
  };
  r.push_back(
      {"concat",
       "axis=1",
       {random({2, 3}, 0, 1, 1), random({2, 1}, 1, 2, 2), random({2, 4}, 2, 3, 3)},
       DType::f32,
       {2, 8},
       [](const Inputs &t, const Index &at) {
         return at[1] < 3 ? t[0].at(at) : at[1] < 4 ? t[1].at({at[0], 0}) : t[2].at({at[0], at[1] - 4});
       }});
  r.push_back({"concat",
               "axis=0",
               {random({1, 3}, 0, 1, 1)},
               DType::f32,
               {1, 3},
               [](const Inputs &t, const Index &at) { return t[0].at(at); }});
  r.push_back({"shape",
               "begin=1, end=3",
               {random({2, 3, 4}, 0, 1, 1)},
               DType::i64,
               {2},
               [](const Inputs &t, const Index &at) { return double(t[0].shape[size_t(at[0]) + 1]); }});
  r.push_back({"range",
               "start=3.0, delta=-2.0, count=[4], dtype=i32",
               {},
               DType::i32,
               {4},
               [](const Inputs &, const Index &at) { return 3.0 - 2.0 * double(at[0]); }});
  r.push_back({"range",
               "start=0.5, delta=0.25, count=[5], dtype=f32",
               {},
               DType::f32,
               {5},
               [](const Inputs &, const Index &at) { return 0.5 + 0.25 * double(at[0]); }});
  return r;
}

} // namespace planish::ops::test
