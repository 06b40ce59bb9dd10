// Values that a compiled network shows while it runs, against the reference evaluator's.
#include "../../support/GraphValues.h"

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/tune/Observe.h"

#include <gtest/gtest.h>

using namespace planish;
using graph::Graph;
using graph::ValueId;

namespace {

Graph parsed(std::string_view text) {
  auto g = graph::parse(text, ops::allOps());
  EXPECT_TRUE(g) << g.error().text;
  return g ? *g : Graph();
}

constexpr std::string_view kNet = R"(
graph @main(%x: f32[1,2,5,7], %k: f32[2,2,3,3]) {
  %c: f32[1,2,5,7] = conv(%x, %k) {strides=[1, 1], dilations=[1, 1], pads_begin=[1, 1], pads_end=[1, 1]} "conv"
  %r: f32[1,2,5,7] = relu(%c) "relu"
  %half = constant f32[] [0.5]
  %h: f32[1,2,5,7] = mul(%r, %half) "half"
  %t: f32[1,5,7,2] = transpose(%h) {perm=[0, 2, 3, 1]} "t"
  return %t, %r
}
)";

std::vector<ValueId> allValues(const Graph &g) {
  std::vector<ValueId> r;
  for (uint32_t v = 0; v < g.values().size(); ++v) r.push_back({v});
  return r;
}

tune::Sample sampleOf(const Graph &g, unsigned seed) {
  tune::Sample r;
  auto tensors = test::randomInputs(g, seed);
  for (size_t i = 0; i < tensors.size(); ++i) r.emplace_back(g[g.inputs()[i]].name, tensors[i]);
  std::ranges::reverse(r);
  return r;
}

TEST(Observe, everyValueOfEverySample) {
  Graph g = parsed(kNet);
  std::vector<ValueId> watched = allValues(g);
  tune::StoredSamples samples({sampleOf(g, 1), sampleOf(g, 2)});
  std::vector<std::vector<graph::Tensor>> wanted;
  for (unsigned seed : {1u, 2u}) {
    auto inputs = test::randomInputs(g, seed);
    auto values = graph::evaluateAll(g, inputs);
    ASSERT_TRUE(values) << values.error().text;
    wanted.push_back(*values);
  }
  size_t seen = 0;
  Status s =
      tune::observe(g, watched, samples, [&](size_t sample, size_t w, const tune::TensorView &got) -> Status {
        EXPECT_EQ(sample, seen / watched.size());
        EXPECT_EQ(w, seen++ % watched.size());
        const graph::Tensor &want = wanted[sample][watched[w].index];
        EXPECT_EQ(got.shape, want.shape);
        std::span<const float> values = got.floats();
        auto *reference = reinterpret_cast<const float *>(want.data->data());
        for (size_t i = 0; i < values.size(); ++i)
          EXPECT_NEAR(values[i], reference[i], 1e-4) << w << " at " << i;
        return {};
      });
  EXPECT_TRUE(s) << s.error().text;
  EXPECT_EQ(seen, 2 * watched.size());
}

TEST(Observe, badSamplesAreNamed) {
  Graph g = parsed(kNet);
  auto complaint = [&](tune::Sample sample) {
    tune::StoredSamples samples({std::move(sample)});
    Status s = tune::observe(g, g.outputs(), samples, [](auto...) { return Status(); });
    EXPECT_FALSE(s);
    return s ? std::string() : s.error().text;
  };
  tune::Sample sample = sampleOf(g, 1);
  sample.pop_back();
  EXPECT_EQ(complaint(sample), "a sample has no array for the input 'x'");
  sample = sampleOf(g, 1);
  sample[0].second.dtype = DType::u8;
  EXPECT_EQ(complaint(sample), "input 'k' is f32, a sample has u8");
  sample = sampleOf(g, 1);
  sample[0].second.shape[0] = 3;
  EXPECT_NE(complaint(sample).find("sample 0: "), std::string::npos);
}

TEST(Observe, theObserverMayEndIt) {
  Graph g = parsed(kNet);
  tune::StoredSamples samples({sampleOf(g, 1)});
  Status s = tune::observe(g, g.outputs(), samples, [](auto...) { return failed("enough"); });
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().text, "enough");
}

} // namespace
