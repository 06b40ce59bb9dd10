#include "planish/loop/Interpret.h"

#include "planish/loop/Text.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

namespace planish::loop {
namespace {

std::vector<FunctionRef> parsed(std::string_view text) {
  auto r = parse(text);
  EXPECT_TRUE(r) << r.error().text;
  return r ? *r : std::vector<FunctionRef>{};
}

std::string errorOf(std::string_view text, std::vector<void *> memory, std::vector<int64_t> scalars = {}) {
  Status s = interpret(*parsed(text).back(), memory, scalars);
  return s ? "no error" : s.error().text;
}

TEST(Interpret, ChecksEveryAccess) {
  float x[4] = {1, 2, 3, 4};
  EXPECT_NE(errorOf("func @f(%x: f32[4]) { for i in 0..5 { %x[i] = 1.0 } }", {x})
                .find("%x[i]: index 0 is 4, the size is 4"),
            std::string::npos);
  EXPECT_NE(
      errorOf("func @f(%x: f32[n]; n: i64) { %x[0] = %x[n - 6] }", {x}, {4}).find("is -2, the size is 4"),
      std::string::npos);
  EXPECT_EQ(errorOf("func @f(%x: f32[n]; n: i64) { %x[0] = %x[n - 6 where 6 <= n] }", {x}, {4}), "no error");
  EXPECT_EQ(x[0], 0);
  EXPECT_NE(errorOf("func @f(%x: f32[n]; n: i64 in 1..3) { }", {x}, {4}).find("declared bounds 1..3"),
            std::string::npos);
  EXPECT_NE(errorOf("func @f(%x: i64[1]) { %x[0] = 1 div %x[0] }", {std::vector<int64_t>(1).data()})
                .find("division by zero"),
            std::string::npos);
  EXPECT_NE(errorOf("func @f(%x: f32[4] constant) { %x[0] = 1.0 }", {x}).find("constant '%x' is written"),
            std::string::npos);
  EXPECT_NE(errorOf("func @f(%x: f32[4]) { }", {}).find("1 buffers"), std::string::npos);
}

TEST(Interpret, FreshAllocationsHoldPoison) {
  float x[1] = {1};
  EXPECT_EQ(errorOf("func @f(%x: f32[1]) { alloc %r: f32[1] register { %x[0] = %r[0] } }", {x}), "no error");
  EXPECT_TRUE(std::isnan(x[0]));
}

TEST(Interpret, DoublesKeepTheirDigits) {
  double x[6] = {0.1, 0.2, 3, 1e300};
  EXPECT_EQ(errorOf(R"(func @f(%x: f64[6]) {
  %x[5] = %x[3]*2.0f64
  %x[4] = %x[0] + %x[1]
  %x[3] = f64(f32(%x[0]))
  %x[2] = sqrt(%x[2]) + 0.1f64
  %x[1] = f64(i64(1.0e15f64) + 1)
  %x[0] = f64(f32(1.0e300f64))
})",
                    {x}),
            "no error");
  EXPECT_EQ(x[5], 2e300);
  EXPECT_EQ(x[4], 0.1 + 0.2);
  EXPECT_EQ(x[3], double(0.1f));
  EXPECT_EQ(x[2], std::sqrt(3.0) + 0.1);
  EXPECT_EQ(x[1], 1e15 + 1);
  EXPECT_TRUE(std::isinf(x[0]));
}

TEST(Interpret, IntegersWrapAndCastsSaturate) {
  int32_t i[6] = {};
  EXPECT_EQ(errorOf(R"(func @f(%i: i32[6]) {
  %i[0] = 2147483647i32 + 1i32
  %i[1] = i32(200u8 + 100u8)
  %i[2] = i32(i8(i32(200i32)))
  %i[3] = i32(-3.0e9)
  %i[4] = i32(nan)
  %i[5] = -7i32 div 2i32
})",
                    {i}),
            "no error");
  EXPECT_EQ(i[0], INT32_MIN);
  EXPECT_EQ(i[1], 44);
  EXPECT_EQ(i[2], -56);
  EXPECT_EQ(i[3], INT32_MIN);
  EXPECT_EQ(i[4], 0);
  EXPECT_EQ(i[5], -4);
}

TEST(Interpret, MinAndMaxTakeTheSecondOnNan) {
  float x[4] = {};
  EXPECT_EQ(errorOf(R"(func @f(%x: f32[4]) {
  let n = %x[0] / %x[0]
  %x[0] = max(n, 1.0)
  %x[1] = max(1.0, n)
  %x[2] = min(n, 1.0)
  %x[3] = fma(16777217.0, 1.0, 1.0)
})",
                    {x}),
            "no error");
  EXPECT_EQ(x[0], 1);
  EXPECT_TRUE(std::isnan(x[1]));
  EXPECT_EQ(x[2], 1);
  EXPECT_EQ(x[3], 16777216.0f);
}

TEST(Interpret, HostFunctionsLoopAndLaunch) {
  auto functions = parsed(R"(func @double(%x: f32[n]; n: i64 in 1..8) {
  for parallel i in 0..n {
    %x[i] = %x[i]*2.0
  }
}
func @host(%x: f32[8], %d: i64[1]) {
  while 0 < %d[0] {
    launch @double(%x; 8 - %d[0]) tasks 8 - %d[0]
    %d[0] = %d[0] - 1
  }
})");
  std::vector<float> x(8, 1);
  int64_t d[1] = {3};
  void *memory[] = {x.data(), d};
  Status s = interpret(*functions.back(), memory);
  ASSERT_TRUE(s) << s.error().text;
  EXPECT_EQ(x, (std::vector<float>{8, 8, 8, 8, 8, 4, 2, 1}));
}

TEST(Interpret, LaunchesSeeOnlyWhatTheirArgumentsHold) {
  float x[8] = {};
  std::string e = errorOf(R"(func @fill(%x: f32[n]; n: i64 in 1..8) {
  for i in 0..n {
    %x[i] = 2.0
  }
}
func @host(%x: f32[4]) {
  launch @fill(%x; 5) tasks 1
})",
                          {x});
  EXPECT_NE(e.find("'%x' of @fill is larger than its argument"), std::string::npos) << e;
}

TEST(Interpret, LanesAreReadBeforeOneIsWritten) {
  int32_t i[4] = {1, 2, 3, 4};
  EXPECT_EQ(errorOf("func @f(%i: i32[4]) { %i[0:4] = %i[3:4:-1] }", {i}), "no error");
  EXPECT_EQ(i[0], 4);
  EXPECT_EQ(i[3], 1);
}

TEST(Interpret, TakesLessThanAMicrosecondPerMultiplication) {
  auto f = parsed(R"(func @conv(%x: f32[34,34,8], %w: f32[8,3,3,8], %y: f32[32,32,8]) {
  for h in 0..32, q in 0..32, o in 0..8 {
    alloc %acc: f32[1] register {
      %acc[0] = 0.0
      for i in 0..3, j in 0..3, c in 0..8 {
        %acc[0] = fma(%x[h + i, q + j, c], %w[o, i, j, c], %acc[0])
      }
      %y[h, q, o] = %acc[0]
    }
  }
})");
  std::vector<float> x(34 * 34 * 8, 1), w(8 * 72, 1), y(32 * 32 * 8);
  void *memory[] = {x.data(), w.data(), y.data()};
  auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(interpret(*f.back(), memory));
  std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
  double perStep = time.count() / (32 * 32 * 8 * 72);
  RecordProperty("ns_per_fma", std::to_string(perStep));
  EXPECT_LT(perStep, 1000) << "it should be below 100; ten times more means that something is wrong";
  EXPECT_EQ(y[5], 72);
}

} // namespace
} // namespace planish::loop
