// Whole graphs from text, compiled to a shared library that is loaded and run: its outputs against
// the reference evaluator's. What a model can meet between import and file is tried here on small
// shapes: views, concatenation in place, residual sums, graph outputs of every kind, symbols.
#include "planish/artifact/Artifact.h"
#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/lower/Lower.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <gtest/gtest.h>
#include <planish/runtime.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

using namespace planish;
using graph::Bytes;
using graph::Graph;
using graph::Tensor;

namespace {

constexpr unsigned kSeed = 11;

Bytes randomFloats(size_t count, std::mt19937 &random) {
  auto bytes = std::make_shared<std::vector<std::byte>>(count * sizeof(float));
  std::vector<float> values(count);
  for (float &v : values) v = float(int(random() % 2001) - 1000) * 1e-3F;
  std::memcpy(bytes->data(), values.data(), bytes->size());
  return bytes;
}

/// A graph with random constants: "#N" (of 16 digits) in the text stands for N random floats.
Graph graphOf(const std::string &text, std::mt19937 &random) {
  graph::Blobs blobs;
  for (size_t at = 0; (at = text.find('#', at)) != std::string::npos; ++at) {
    std::string digits = text.substr(at + 1, text.find_first_not_of("0123456789", at + 1) - at - 1);
    blobs.emplace(digits, randomFloats(std::stoul(digits), random));
  }
  auto g = graph::parse(text, ops::allOps(), blobs);
  if (!g) throw std::runtime_error(g.error().text);
  return *g;
}

class Library {
public:
  Library(const Graph &g, const std::string &targetName) {
    auto target = parseTarget(targetName);
    auto passed = transform::runPasses(g, transform::passes(), {.check = true});
    if (!passed) throw std::runtime_error(passed.error().text);
    auto program = lower::lower(*passed, *target, {"net", lower::Mode::Scheduled});
    if (!program) throw std::runtime_error(program.error().text);
    launches = program->launches.size();
    auto files =
        artifact::build(*program, *target, artifact::LibraryKind::Shared, {{"net.onnx", ""}, {}, {}});
    if (!files) throw std::runtime_error(files.error().text);
    std::string pattern = (std::filesystem::temp_directory_path() / "planish-test.XXXXXX").string();
    folder = mkdtemp(pattern.data());
    if (auto s = artifact::write(*files, folder); !s) throw std::runtime_error(s.error().text);
    if (planish_open((folder + "/libnet.so").c_str(), &model) != PLANISH_OK)
      throw std::runtime_error(planish_error());
  }
  ~Library() {
    planish_close(model);
    std::filesystem::remove_all(folder);
  }
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  /// Runs the model; shapes and floats of all outputs.
  std::vector<std::pair<std::vector<int64_t>, std::vector<float>>> run(const std::vector<Tensor> &inputs,
                                                                       uint32_t threads) {
    planish_options options{};
    options.threads = threads;
    planish_instance *net = nullptr;
    check(planish_create(model, &options, &net));
    for (size_t i = 0; i < inputs.size(); ++i)
      check(planish_set_input(net, uint32_t(i), inputs[i].data->data(), inputs[i].shape.data(),
                              uint32_t(inputs[i].shape.size())));
    check(planish_run(net));
    std::vector<std::pair<std::vector<int64_t>, std::vector<float>>> r;
    for (uint32_t k = 0; k < model->n_outputs; ++k) {
      planish_tensor t;
      check(planish_get_output(net, k, &t));
      size_t count = 1;
      std::vector<int64_t> shape(t.dims, t.dims + t.rank);
      for (int64_t d : shape) count *= size_t(d);
      const auto *data = static_cast<const float *>(t.data);
      r.emplace_back(shape, std::vector<float>(data, data + count));
    }
    planish_destroy(net);
    return r;
  }
  size_t launches = 0;

private:
  static void check(planish_status s) {
    if (s != PLANISH_OK) throw std::runtime_error(planish_error());
  }
  std::string folder;
  const planish_model *model = nullptr;
};

void expectSame(const Graph &g, Library &library, const std::vector<Tensor> &inputs,
                const std::string &what) {
  auto want = graph::evaluate(g, inputs);
  ASSERT_TRUE(want) << want.error().text;
  for (uint32_t threads : {1U, 2U}) {
    auto got = library.run(inputs, threads);
    ASSERT_EQ(got.size(), want->size());
    for (size_t k = 0; k < got.size(); ++k) {
      ASSERT_EQ(got[k].first, (*want)[k].shape) << what;
      const auto *w = reinterpret_cast<const float *>((*want)[k].data->data());
      for (size_t i = 0; i < got[k].second.size(); ++i)
        ASSERT_NEAR(got[k].second[i], w[i], 1e-4)
            << what << " output " << k << " element " << i << " threads " << threads;
    }
  }
}

struct Case {
  const char *name, *text;
  size_t launches;  // most that may be needed
};

const Case kCases[] = {
    {"conv_relu", R"(graph @main(%x: f32[1,5,9,11]) {
  %w = constant f32[19,5,3,3] #0000000000000855
  %b = constant f32[19] #0000000000000019
  %c: f32[1,19,9,11] = conv(%x, %w, %b) {strides=[1,1], dilations=[1,1], pads_begin=[1,1], pads_end=[1,1], group=1} "c"
  %y: f32[1,19,9,11] = relu(%c) "r"
  return %y
})",
     2},
    {"residual_in_place", R"(graph @main(%x: f32[1,16,8,8]) {
  %w = constant f32[16,16,1,1] #0000000000000256
  %b = constant f32[16] #0000000000000016
  %a: f32[1,16,8,8] = conv(%x, %w, %b) {strides=[1,1], dilations=[1,1], pads_begin=[0,0], pads_end=[0,0], group=1} "a"
  %c: f32[1,16,8,8] = conv(%a, %w, %b) {strides=[1,1], dilations=[1,1], pads_begin=[0,0], pads_end=[0,0], group=1} "c"
  %s: f32[1,16,8,8] = add(%c, %a) "s"
  %r: f32[1,16,8,8] = relu(%s) "r"
  %d: f32[1,16,8,8] = conv(%r, %w, %b) {strides=[1,1], dilations=[1,1], pads_begin=[0,0], pads_end=[0,0], group=1} "d"
  return %d
})",
     5},
    {"concat_in_place", R"(graph @main(%x: f32[1,16,8,8]) {
  %w = constant f32[7,16,1,1] #0000000000000112
  %a: f32[1,7,8,8] = conv(%x, %w, _) {strides=[1,1], dilations=[1,1], pads_begin=[0,0], pads_end=[0,0], group=1} "a"
  %p: f32[1,16,8,8] = max_pool(%x) {window=[3,3], strides=[1,1], dilations=[1,1], pads_begin=[1,1], pads_end=[1,1]} "p"
  %c: f32[1,23,8,8] = concat(%a, %p) {axis=1} "c"
  %v = constant f32[5,23,1,1] #0000000000000115
  %y: f32[1,5,8,8] = conv(%c, %v, _) {strides=[1,1], dilations=[1,1], pads_begin=[0,0], pads_end=[0,0], group=1} "y"
  return %y, %a
})",
     6},
    {"product_of_inputs", R"(graph @main(%x: f32[3,7,20], %z: f32[3,18,20]) {
  %t: f32[3,20,18] = transpose(%z) {perm=[0,2,1]} "t"
  %y: f32[3,7,18] = matmul(%x, %t) "m"
  return %y
})",
     2},
    {"input_is_output", R"(graph @main(%x: f32[2,3]) {
  %r: f32[3,2] = transpose(%x) {perm=[1,0]} "t"
  return %x, %r, %r
})",
     3},
};

TEST(Library, EqualsTheReferenceEvaluator) {
  for (const char *target : {"cpu", "cpu:x86-64-v3"})
    for (const Case &c : kCases) {
      std::string what = std::string(c.name) + " on " + target + ", seed " + std::to_string(kSeed);
      SCOPED_TRACE(what);
      std::mt19937 random(kSeed);
      Graph g = graphOf(c.text, random);
      std::vector<Tensor> inputs;
      for (graph::ValueId v : g.inputs()) {
        auto shape = *constantShape(g.type(v).shape);
        size_t count = 1;
        for (int64_t d : shape) count *= size_t(d);
        inputs.push_back({DType::f32, shape, randomFloats(count, random)});
      }
      Library library(g, target);
      EXPECT_LE(library.launches, c.launches);
      expectSame(g, library, inputs, what);
    }
}

} // namespace
