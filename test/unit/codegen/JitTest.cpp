#include "Forms.h"
#include "RandomFunctions.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Text.h"

#include <gtest/gtest.h>

namespace planish::codegen::test {
namespace {

using namespace loop;

void checkText(const std::string &text, const std::vector<int64_t> &scalars = {}) {
  auto parsed = parse(text);
  ASSERT_TRUE(parsed) << parsed.error().text;
  Function f = legalize(unroll(vectorize(*parsed->back())));
  auto want = interpreted(f, scalars, 1);
  for (const Target &t : levels())
    EXPECT_EQ(compareMachine(f, scalars, 1, t, want), "") << t.name << "\n" << print(f);
}

TEST(Jit, SumOverARuntimeStride) {
  checkText(R"(
    func @sum(%x: f32[H,W], %y: f32[W]; H: i64 in 1..64, W: i64 in 1..64) {
      for parallel j in 0..W {
        alloc %acc: f32[1] register {
          %acc[0] = 0.0
          for i in 0..H { %acc[0] = %acc[0] + %x[i, j] }
          %y[j] = %acc[0]
        }
      }
    })",
            {5, 7});
}

TEST(Jit, InPlace) {
  checkText(R"(
    func @relu(%x: f32[37]) {
      for i in 0..3, vectorized v in 0..16 { if i*16 + v < 37 { %x[i*16 + v] = max(%x[i*16 + v], 0.0) } }
    })");
}

TEST(Jit, ScratchMemoryOfItsOwnForEveryBuffer) {
  checkText(R"(
    func @blocks(%x: f32[5,70], %y: f32[5,70]) {
      for parallel i in 0..5 {
        alloc %rising: f32[2,35] scratch {
          for k in 0..70 { %rising[k div 35, k mod 35] = %x[i, k] + 1.0 }
          alloc %falling: f32[70] scratch {
            for k in 0..70 { %falling[69 - k] = %x[i, k] }
            for k in 0..70 { %y[i, k] = %rising[k div 35, k mod 35] * %falling[k] }
          }
        }
      }
    })");
}

TEST(Jit, VectorAlongAColumn) {
  checkText(R"(
    func @columns(%x: f32[16,5], %y: f32[5,16]) {
      for parallel i in 0..5, vectorized v in 0..16 { %y[i, v] = %x[v, i] * 2.0 }
    })");
}

TEST(Jit, FewLanesFarApart) {
  checkText(R"(
    func @apart(%x: f32[8,4], %y: f32[8]) {
      for i in 0..4, vectorized v in 0..2 { %y[i*2 + v] = %x[i*2 + v, 0] }
    })");
  checkText(R"(
    func @apart(%x: f32[5], %y: f32[2]) {
      for vectorized v in 0..2 { %y[v] = %x[4 - v*4] }
    })");
}

TEST(Jit, StoresWithGaps) {
  checkText(R"(
    func @gaps(%x: i8[64], %y: i8[200]) {
      for i in 0..2, vectorized v in 0..32 {
        %y[(i*32 + v)*3] = %x[i*32 + v]
        if v < 20 { %y[(i*32 + v)*3 + 1] = %x[63 - i*32 - v] }
      }
    })");
}

TEST(Jit, IndexOfDivisionInsideLoops) {
  checkText(R"(
    func @nearest(%x: f32[4,5,8], %y: f32[8,10,8]) {
      for parallel oh in 0..8, ow in 0..10, vectorized v in 0..8 {
        %y[oh, ow, v] = %x[oh div 2, ow div 2, v]
      }
    })");
}

TEST(Jit, FusedAxis) {
  checkText(R"(
    func @fused(%x: f32[4,6,3], %y: f32[24,3]) {
      for f in 0..24, c in 0..3 { %y[f, c] = %x[f div 6, f mod 6, c] }
    })");
}

const char *const kFusedLanes = R"(
    func @lanes(%x: f32[6,20] strides(1,6), %y: f32[6,20] strides(1,6)) {
      for t in 0..15, vectorized v in 0..8 {
        %y[(t*8 + v) mod 6, (t*8 + v) div 6] = %x[(t*8 + v) mod 6, (t*8 + v) div 6] + 1.0
      }
    })";

TEST(Jit, LanesOfAFusedAxisAreContiguous) {
  checkText(kFusedLanes);
  auto parsed = loop::parse(kFusedLanes);
  auto function = std::make_shared<const loop::Function>(loop::vectorize(*parsed->front()));
  const loop::FunctionRef kernels[] = {function};
  auto text = emitKernels(kernels, *parseTarget("cpu:x86-64-v3"), Form::LlvmText);
  ASSERT_TRUE(text) << text.error().text;
  EXPECT_EQ(text->find("insertelement"), std::string::npos) << *text;
}

TEST(Jit, LetsAndDataDependentAddresses) {
  checkText(R"(
    func @gather(%idx: i64[9], %x: f32[9,4], %y: f32[9,4]) {
      for i in 0..9 {
        let at = min(max(%idx[i], 0), 8)
        for j in 0..4 { if at < 7 { %y[i, j] = %x[at + 1, j] } }
      }
    })");
}

TEST(Jit, TranscendentalsAreTheirPolynomials) {
  checkText(R"(
    func @exp(%x: f32[48], %y: f32[48]) {
      for i in 0..3, vectorized v in 0..16 { %y[i*16 + v] = tanh(%x[i*16 + v]*0.01) + exp(%x[i*16 + v]*0.1) }
    })");
}

TEST(Jit, EqualInputGivesEqualBytes) {
  Case c = randomCase(7);
  Target t = levels().back();
  auto make = [&](Form form) { return *emitKernels(std::vector{c.function}, t, form); };
  EXPECT_EQ(make(Form::Object), make(Form::Object));
  EXPECT_EQ(make(Form::Assembly), make(Form::Assembly));
  EXPECT_NE(make(Form::LlvmText).find("define"), std::string::npos);
}

TEST(Jit, RandomFunctions) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 60);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("PLANISH_SEED=" + std::to_string(seed) + " PLANISH_CASES=1");
    Case c = randomCase(seed);
    auto want = interpreted(*c.function, c.scalars, seed);
    if (HasFailure()) FAIL() << print(*c.function);
    for (const Target &t : levels())
      ASSERT_EQ(compareMachine(*c.function, c.scalars, seed, t, want), "") << t.name << "\n"
                                                                           << print(*c.function);
  }
}

} // namespace
} // namespace planish::codegen::test
