#include "Sharing.h"

#include "planish/loop/IR.h"

#include <gtest/gtest.h>

using namespace planish;
using namespace planish::lower;
using loop::Expr;
using loop::imm;

namespace {

constexpr int64_t kRows = 64;

/// y[row, column] = x[row, column] by rows, or by columns, in parallel.
loop::FunctionRef copyFunction(int64_t columns, bool byRows) {
  loop::Buffer x = loop::buffer("x", DType::f32, std::vector<int64_t>{kRows, columns});
  loop::Buffer y = loop::buffer("y", DType::f32, std::vector<int64_t>{kRows, columns});
  Var row = loop::var("row", {}, 0, kRows - 1), column = loop::var("column", {}, 0, columns - 1);
  loop::Stmt copy =
      loop::store(y, {loop::use(row), loop::use(column)}, loop::load(x, {loop::use(row), loop::use(column)}));
  using enum loop::LoopKind;
  loop::Stmt body = byRows ? loop::loop(row, imm(0), imm(kRows), Parallel,
                                        loop::loop(column, imm(0), imm(columns), Serial, copy))
                           : loop::loop(column, imm(0), imm(columns), Parallel,
                                        loop::loop(row, imm(0), imm(kRows), Serial, copy));
  return std::make_shared<const loop::Function>(loop::Function{"copy", {x, y}, {}, body});
}

/// One launch of a chain: reads root n, writes root n + 1.
LoweredStep step(int n, int64_t columns, bool byRows, double nanoseconds) {
  LoweredStep s;
  s.kernel = copyFunction(columns, byRows);
  s.parts = coreParts(*s.kernel);
  s.nanoseconds = nanoseconds;
  for (int k : {0, 1}) {
    Operand o;
    o.type = {DType::f32, {Dim(kRows), Dim(columns)}, {}, {}};
    o.place.root = n + k;
    o.place.view.offset = imm(0);
    o.place.view.strides = {imm(columns), imm(1)};
    s.arguments.push_back({o, -1, imm(0), s.kernel->params[size_t(k)]});
  }
  return s;
}

std::vector<bool> shared(const std::vector<LoweredStep> &steps) {
  Target t;
  t.cores = 2;
  auto alone = keptWhole(steps, t);
  std::vector<bool> r;
  for (const LoweredStep &s : steps) r.push_back(!alone.contains(s.kernel.get()));
  return r;
}

TEST(Sharing, PartsAreWhatTheHalvesOfTheTasksTouch) {
  CoreParts parts = coreParts(*copyFunction(10, true));
  for (int64_t core : {0, 1}) {
    const auto &y = parts.cores[size_t(core)][1];
    EXPECT_TRUE(y.read.empty());
    ASSERT_EQ(y.written.size(), 2U);
    EXPECT_EQ(y.written[0].lo, core * 32);
    EXPECT_EQ(y.written[0].hi, core * 32 + 31);
    EXPECT_EQ(y.written[1].lo, 0);
    EXPECT_EQ(y.written[1].hi, 9);
  }
  EXPECT_EQ(parts.longest, 0.5);
}

TEST(Sharing, TasksAreCountedOverAllParallelLoops) {
  loop::Buffer y = loop::buffer("y", DType::f32, std::vector<int64_t>{kRows});
  auto fill = [&](int64_t begin, int64_t end) {
    Var row = loop::var("row", {}, begin, end - 1);
    return loop::loop(row, imm(begin), imm(end), loop::LoopKind::Parallel,
                      loop::store(y, {loop::use(row)}, loop::fimm(0)));
  };
  CoreParts parts = coreParts({"fill", {y}, {}, loop::block({fill(0, 1), fill(1, 63), fill(63, 64)})});
  EXPECT_EQ(parts.cores[0][0].written[0].hi, 31);
  EXPECT_EQ(parts.cores[1][0].written[0].lo, 32);
}

TEST(Sharing, LoopsTakeTheirTimeByTheElementsTheyStore) {
  EXPECT_EQ(storeNanoseconds(*copyFunction(10, true)), double(kRows * 10));
}

TEST(Sharing, LongWorkIsSharedAndShortWorkIsNot) {
  EXPECT_EQ(shared({step(0, 16, true, 1e5), step(1, 16, true, 1e5)}), (std::vector{true, true}));
  EXPECT_EQ(shared({step(0, 16, true, 300), step(1, 16, true, 300)}), (std::vector{false, false}));
}

TEST(Sharing, WhatComesFromTheOtherCoreCounts) {
  // 64 KB lie half with the other core: by rows nobody waits, across them each waits for a quarter.
  constexpr int64_t kColumns = 256;
  EXPECT_EQ(
      shared({step(0, kColumns, true, 1e5), step(1, kColumns, true, 6000), step(2, kColumns, true, 1e5)}),
      (std::vector{true, true, true}));
  // Shared along its neighbours' axis it would save half; alone it and the next would wait for halves.
  EXPECT_EQ(shared({step(0, kColumns, true, 1e5), step(1, kColumns, false, 300)}), (std::vector{true, true}));
  // Nothing is saved where everything is small.
  EXPECT_EQ(shared({step(0, kColumns, true, 2000), step(1, kColumns, false, 2000)}),
            (std::vector{false, false}));
}

} // namespace
