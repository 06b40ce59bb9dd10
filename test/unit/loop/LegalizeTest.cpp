// Worst errors of the expansions against double libm, in units of the last place of the f32 result.
#include "planish/loop/Interpret.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace planish::loop {
namespace {

struct FunctionRow {
  const char *name;
  Intrinsic fn;
  double (*exact)(double);
  float lo, hi;      // where the bound holds
  double maxUlp;
};

double ulpAt(double exact) {
  float magnitude = std::max(std::fabs(float(exact)), 1.17549435e-38f);
  return double(std::nextafterf(magnitude, INFINITY)) - double(magnitude);
}

/// fn of every element of x, expanded as `legal` says.
std::vector<float> evaluate(Intrinsic fn, std::vector<float> x, Legal legal) {
  std::vector<float> y(x.size());
  auto n = int64_t(x.size());
  Buffer in = buffer("x", DType::f32, std::vector<int64_t>{n}),
         out = buffer("y", DType::f32, std::vector<int64_t>{n});
  Var i = var("i", {}, 0, n);
  Stmt body = store(out, {use(i)}, call(fn, {load(in, {use(i)})}));
  Function f{"f", {in, out}, {}, loop::loop(i, imm(0), imm(n), LoopKind::Serial, body)};
  void *memory[] = {x.data(), y.data()};
  Status s = interpret(legalize(f, legal), memory);
  EXPECT_TRUE(s) << s.error().text;
  return y;
}

/// Values of every magnitude in [lo, hi], and the ends.
std::vector<float> samples(float lo, float hi) {
  std::mt19937 rng(7);
  std::vector<float> r{lo, hi, 0.0f, 1.0f, -1.0f, 0.5f, 0.625f, 0.925f, 3.95f};
  std::uniform_real_distribution<float> uniform(lo, hi), exponent(-126, 127);
  for (int i = 0; i < 200000; ++i) {
    r.push_back(uniform(rng));
    float m = std::ldexp(1.0f + float(rng() % (1u << 23)) / float(1 << 23), int(exponent(rng)) % 30);
    r.push_back(rng() % 2 ? m : -m);
  }
  for (float &v : r) v = std::min(std::max(v, lo), hi);
  return r;
}

class Expansion : public testing::TestWithParam<FunctionRow> {};

TEST_P(Expansion, StaysWithinItsBound) {
  const FunctionRow &row = GetParam();
  for (Legal legal : {Legal{true, true}, Legal{false, false}}) {
    auto x = samples(row.lo, row.hi);
    auto y = evaluate(row.fn, x, legal);
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double exact = row.exact(double(x[i]));
      double error = std::fabs(double(y[i]) - exact) / ulpAt(exact);
      if (!(error <= worst)) worst = error, at = x[i];
    }
    RecordProperty(legal.fma ? "worst_ulp_fma" : "worst_ulp", std::to_string(worst));
    EXPECT_LE(worst, row.maxUlp) << row.name << (legal.fma ? " with" : " without") << " fma at " << at
                                 << " (seed 7)";
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, Expansion,
                         testing::Values(FunctionRow{"exp", Intrinsic::Exp, std::exp, -87.3f, 88.72f, 3},
                                         FunctionRow{"log", Intrinsic::Log, std::log, 1e-38f, 3e38f, 2},
                                         FunctionRow{"tanh", Intrinsic::Tanh, std::tanh, -100, 100, 3},
                                         FunctionRow{"erf", Intrinsic::Erf, std::erf, -100, 100, 2},
                                         FunctionRow{"sin", Intrinsic::Sin, std::sin, -50, 50, 2},
                                         FunctionRow{"cos", Intrinsic::Cos, std::cos, -50, 50, 2}),
                         [](const auto &row) { return std::string(row.param.name); });

TEST(Legalize, AnglesUpTo8192KeepAnAbsoluteError) {
  auto x = samples(-8192, 8192);
  auto s = evaluate(Intrinsic::Sin, x, {}), c = evaluate(Intrinsic::Cos, x, {});
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(s[i], std::sin(double(x[i])), 2e-7) << "sin at " << x[i];
    ASSERT_NEAR(c[i], std::cos(double(x[i])), 2e-7) << "cos at " << x[i];
  }
}

TEST(Legalize, SpecialValues) {
  const float inf = INFINITY, huge = 3e38f, tiny = 1e-42f;
  for (Legal legal : {Legal{true, true}, Legal{false, false}}) {
    auto e = evaluate(Intrinsic::Exp, {inf, huge, 89, -inf, -huge, -104, -95, 0, NAN}, legal);
    EXPECT_EQ(e[0], inf);
    EXPECT_EQ(e[1], inf);
    EXPECT_EQ(e[2], inf);
    EXPECT_EQ(e[3], 0);
    EXPECT_EQ(e[4], 0);
    EXPECT_EQ(e[5], 0);
    EXPECT_NEAR(e[6], 0, 1.2e-38);
    EXPECT_EQ(e[7], 1);
    EXPECT_TRUE(std::isnan(e[8]));
    auto l = evaluate(Intrinsic::Log, {0, -0.0f, -1, inf, NAN, 1, tiny}, legal);
    EXPECT_EQ(l[0], -inf);
    EXPECT_EQ(l[1], -inf);
    EXPECT_TRUE(std::isnan(l[2]));
    EXPECT_EQ(l[3], inf);
    EXPECT_TRUE(std::isnan(l[4]));
    EXPECT_EQ(l[5], 0);
    EXPECT_NEAR(l[6], std::log(double(tiny)), 1e-5);
    for (Intrinsic fn : {Intrinsic::Tanh, Intrinsic::Erf}) {
      auto t = evaluate(fn, {inf, -inf, huge, NAN, 0}, legal);
      EXPECT_EQ(t[0], 1);
      EXPECT_EQ(t[1], -1);
      EXPECT_EQ(t[2], 1);
      EXPECT_TRUE(std::isnan(t[3]));
      EXPECT_EQ(t[4], 0);
    }
    for (Intrinsic fn : {Intrinsic::Sin, Intrinsic::Cos}) {
      auto t = evaluate(fn, {inf, NAN, 0}, legal);
      EXPECT_TRUE(std::isnan(t[0]));
      EXPECT_TRUE(std::isnan(t[1]));
      EXPECT_EQ(t[2], fn == Intrinsic::Cos ? 1 : 0);
    }
  }
}

} // namespace
} // namespace planish::loop
