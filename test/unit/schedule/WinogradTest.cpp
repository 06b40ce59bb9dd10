// winograd.cpu: random shapes against the definition, its rounding error, and when it is chosen.
#include "Forms.h"
#include "support/Scratch.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Passes.h"
#include "planish/schedule/Packing.h"

#include <gtest/gtest.h>

#include <cmath>

namespace planish::schedule::test {
namespace {

using namespace loop;

/// A convolution by 3 x 3 taps of step one, channels innermost.
struct Shape {
  int64_t batch = 1, depth = 16, columns = 16, height = 8, width = 8;
  std::array<int64_t, 4> pads{1, 1, 1, 1};  // top, left, bottom, right
  int64_t dilation = 1;
  int64_t gap = 0;                          // elements between the pixels of the image
  bool bias = true, residual = false, relu = true, planes = false;

  int64_t outHeight() const { return height + pads[0] + pads[2] - 2 * dilation; }
  int64_t outWidth() const { return width + pads[1] + pads[3] - 2 * dilation; }
};

Compute convolution(const Shape &s) {
  using Sizes = std::vector<int64_t>;
  Var n = var("n"), o = var("o"), y = var("y"), x = var("x"), ky = var("ky"), kx = var("kx"), k = var("k");
  int64_t oh = s.outHeight(), ow = s.outWidth();
  auto map = [&](const char *name, int64_t channels, int64_t h, int64_t w, int64_t gap) {
    int64_t pixel = channels + gap;
    Sizes strides{h * w * pixel, 1, w * pixel, pixel};
    if (s.planes) strides = {h * w * pixel, h * w, w, 1};
    return buffer(name, DType::f32, Sizes{s.batch, channels, h, w}, strides);
  };
  Buffer in = map("x", s.depth, s.height, s.width, s.gap), out = map("y", s.columns, oh, ow, 0);
  Buffer w = buffer("w", DType::f32, Sizes{s.columns, s.depth, 3, 3}, {}, Scope::Constant);
  Compute c;
  c.name = "conv";
  c.space = {{n, imm(s.batch)}, {o, imm(s.columns)}, {y, imm(oh)}, {x, imm(ow)}};
  c.reduce = {{ky, imm(3)}, {kx, imm(3)}, {k, imm(s.depth)}};
  Expr row = use(y) + use(ky) * s.dilation - s.pads[0], column = use(x) + use(kx) * s.dilation - s.pads[1];
  c.where = {row, imm(s.height - 1) - row, column, imm(s.width - 1) - column};
  c.lhs = load(in, {use(n), use(k), row, column});
  c.rhs = load(w, {use(o), use(k), use(ky), use(kx)});
  if (s.bias) c.init = load(buffer("b", DType::f32, Sizes{s.columns}, {}, Scope::Constant), {use(o)});
  c.sum = var("sum", {DType::f32, 1});
  c.out = out;
  c.outIndices = {use(n), use(o), use(y), use(x)};
  c.value = use(c.sum);
  if (s.residual) c.value = c.value + load(out, c.outIndices);
  if (s.relu) c.value = max(c.value, fimm(0));
  collectParams(c);
  return c;
}

Shape randomShape(Random &r) {
  Shape s;
  s.batch = r.pick({1, 1, 1, 2, 3});
  s.depth = r.pick({2, 3, 8, 16, 17, 24, 33});
  s.columns = r.pick({2, 5, 8, 16, 23, 32, 40, 64});
  s.height = r.pick({2, 3, 4, 5, 7, 8, 9, 13, 16});
  s.width = r.pick({2, 3, 4, 6, 7, 8, 11, 16});
  s.dilation = r.pick({1, 1, 1, 2, 3});
  for (int64_t &p : s.pads) p = r.pick({0, 1, 1, 2}) * s.dilation;
  while (s.outHeight() < 2) ++s.height;
  while (s.outWidth() < 2) ++s.width;
  s.gap = r.pick({0, 0, 3});
  s.bias = r.chance(70), s.residual = r.chance(40), s.relu = r.chance(50);
  return s;
}

Config randomKnobs(const Compute &c, const Target &t, Random &r) {
  int64_t tile = r.pick({2, 4});
  Config config{{std::string(kTileKnob), tile}};
  if (r.chance(50)) config = randomConfig(c, t, r), config[std::string(kTileKnob)] = tile;
  config["tiles"] = r.pick({0, 0, 1, 2, 3, 5, 7, 14});
  config["parts"] = r.pick({0, 1, 2, 4});
  return config;
}

std::string describe(const Shape &s) {
  std::string r;
  for (int64_t v : {s.batch, s.depth, s.columns, s.height, s.width, s.pads[0], s.pads[1], s.pads[2],
                    s.pads[3], s.dilation, s.gap, int64_t(s.residual)})
    r += std::to_string(v) + " ";
  return r;
}

Target level(const char *cpu, int bytes) {
  Target t;
  t.cpu = cpu, t.vectorBytes = bytes, t.registers = bytes == 64 ? 32 : 16;
  t.fma = bytes > 16, t.maskedMemory = bytes == 64, t.cores = 2;
  return t;
}

std::vector<Target> machineLevels() {
  std::vector<Target> r;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl")) r.push_back(level("x86-64-v4", 64));
  if (__builtin_cpu_supports("avx2")) r.push_back(level("x86-64-v3", 32));
  if (__builtin_cpu_supports("sse4.2")) r.push_back(level("x86-64-v2", 16));
#endif
  return r;
}

/// All tasks, the last first, with one scratch memory.
Runner machine(codegen::Jit &jit) {
  return [&jit](const Function &f, const std::vector<void *> &params,
                const std::vector<int64_t> &scalars) -> std::string {
    auto code = jit.compile(f);
    if (!code) return code.error().text;
    planish::test::ScratchMemory scratch(f);
    for (int64_t i = *constantOf(taskCount(f)); i-- > 0;)
      (*code)(params.data(), scalars.data(), scratch.data(), i, i + 1);
    return "";
  };
}

// One case again: PLANISH_SEED=<seed> PLANISH_CASES=1 unit_schedule
// --gtest_filter=Winograd.EqualsTheDefinition
TEST(Winograd, EqualsTheDefinition) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 60);
  std::vector<Target> targets = machineLevels();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    Shape s = randomShape(random);
    Case c{convolution(s), {}, describe(s), false};
    Target t = targets[size_t(random.below(int64_t(targets.size())))];
    Config config = randomKnobs(c.compute, t, random);
    ASSERT_EQ(templateFor(Kernel(c.compute), t, config).name, "winograd.cpu") << c.text;
    codegen::Jit jit(t);
    EXPECT_EQ(compareForms(c, t, config, seed, machine(jit)), "")
        << c.text << "\n  " << t.cpu << " " << textOf(config) << "\n  again: PLANISH_SEED=" << seed
        << " PLANISH_CASES=1 unit_schedule --gtest_filter=Winograd.EqualsTheDefinition";
  }
}

/// Root mean square of the error over that of the result, against sums in double, for inputs and weights
/// of a trained net's size.
double relativeError(const Shape &s, int64_t tile, const Target &t) {
  Compute compute = convolution(s);
  Scheduled made = schedule(compute, t, {{std::string(kTileKnob), tile}});
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(size_t(s.depth * s.height * s.width)), w(size_t(s.columns * s.depth * 9)),
      b(size_t(s.columns)), y(size_t(s.columns * s.outHeight() * s.outWidth()));
  float scale = std::sqrt(2.0f / float(9 * s.depth));
  for (float &v : x) v = std::max(normal(random), 0.0f);
  for (float &v : w) v = normal(random) * scale;
  codegen::Jit jit(t);
  std::vector<void *> params{x.data(), w.data(), b.data(), y.data()};
  std::vector<std::vector<std::byte>> packed;
  for (const Kernel::Packing &p : made.lowered.packings) {
    packed.emplace_back(size_t(packedBytes(p)));
    runPacking(p, params[size_t(p.param)], packed.back().data());
    params[size_t(p.param)] = packed.back().data();
  }
  Function f = legalize(unroll(vectorize(made.lowered.function)), {.fma = t.fma});
  EXPECT_EQ(machine(jit)(f, params, {}), "");
  double error = 0, size = 0;
  for (int64_t i = 0; i < s.outHeight(); ++i)
    for (int64_t j = 0; j < s.outWidth(); ++j)
      for (int64_t o = 0; o < s.columns; ++o) {
        double sum = 0;
        for (int64_t k = 0; k < s.depth; ++k)
          for (int64_t p = 0; p < 9; ++p) {
            int64_t r = i + p / 3 - s.pads[0], q = j + p % 3 - s.pads[1];
            if (r < 0 || q < 0 || r >= s.height || q >= s.width) continue;
            sum += double(x[size_t((r * s.width + q) * s.depth + k)]) *
                   double(w[size_t((o * s.depth + k) * 9 + p)]);
          }
        double got = double(y[size_t((i * s.outWidth() + j) * s.columns + o)]);
        error += (got - sum) * (got - sum);
        size += sum * sum;
      }
  return std::sqrt(error / size);
}

// The bounds of docs/architecture.md.
TEST(Winograd, RoundingErrorIsAsStated) {
  std::vector<Target> targets = machineLevels();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  for (const Target &t : targets)
    for (int64_t depth : {32, 256}) {
      Shape s{.depth = depth, .columns = 32, .height = 17, .width = 20, .relu = false};
      EXPECT_LT(relativeError(s, 2, t), 1e-6) << depth << " " << t.cpu;
      double four = relativeError(s, 4, t);
      EXPECT_LT(four, 4e-6) << depth << " " << t.cpu;
      EXPECT_GT(four, 1e-8) << depth << " " << t.cpu;
    }
}

// Direct sums of 2304 products: in parts their error grows with the square root of a part's length, not of
// all; strict sums are formed term by term.
TEST(Contraction, LongSumsAreFormedInParts) {
  std::vector<Target> targets = machineLevels();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  for (Target t : targets) {
    Shape s{.depth = 256, .columns = 32, .height = 9, .width = 10, .relu = false};
    double inParts = relativeError(s, 0, t);
    t.strict = true;
    EXPECT_LT(inParts, 0.6 * relativeError(s, 0, t)) << t.cpu;
  }
}

TEST(Winograd, IsChosenWhereItPays) {
  Target t = level("x86-64-v4", 64);
  t.l2Bytes = 2 << 20;
  auto chosen = [&](const Shape &s, const Config &c = {}, bool strict = false) {
    Scheduled made = schedule(convolution(s), t, c, strict);
    auto tile = made.config.find(kTileKnob);
    return std::string(made.templateName) +
           (tile == made.config.end() ? "" : " " + std::to_string(tile->second));
  };
  Shape large{.depth = 64, .columns = 64, .height = 56, .width = 56}, few = large, small = large,
                                                                      planes = large;
  few.depth = 3;
  small.height = small.width = 2;
  planes.planes = true;
  EXPECT_EQ(chosen(large), "winograd.cpu 4");
  EXPECT_EQ(chosen(large, {{"tile", 0}}), "contraction.cpu 0");
  EXPECT_EQ(chosen(large, {{"tile", 2}}), "winograd.cpu 2");
  EXPECT_EQ(chosen(large, {}, true), "contraction.cpu 0");
  EXPECT_EQ(chosen(few), "contraction.cpu 0");
  EXPECT_EQ(chosen(few, {{"tile", 4}}), "winograd.cpu 4");
  EXPECT_EQ(chosen(small), "contraction.cpu 0");
  EXPECT_EQ(chosen(planes), "contraction.cpu");
  std::vector<WeightTrade> trades = weightTrades(Kernel(convolution(large)), t);
  ASSERT_EQ(trades.size(), 2u);
  EXPECT_EQ(trades[0].tile, 4);
  EXPECT_EQ(trades[0].bytes, 64 * 64 * 36 * 4);
  EXPECT_EQ(trades[0].extraBytes, 64 * 64 * 27 * 4);
  EXPECT_GT(trades[0].savedNs, trades[1].savedNs);
  EXPECT_TRUE(weightTrades(Kernel(convolution(few)), t).empty());
}

} // namespace
} // namespace planish::schedule::test
