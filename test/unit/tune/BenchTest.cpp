// Kernels in this process: memory that is large enough, results that are compared, a database that grows.
#include "Bench.h"
#include "Append.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace planish::tune {
namespace {

using namespace loop;

/// y[i, j] += sum over k of x[i, k] * w[k, j]; rows of y lie backwards and with gaps, its size is a symbol's.
Compute product() {
  Expr m = use(var("m", {}, 1, 13));
  Buffer x = buffer("x", DType::f32, std::vector<Expr>{m, imm(40)});
  Buffer w = buffer("w", DType::f32, std::vector<int64_t>{40, 24}, {}, Scope::Constant);
  Var i = var("i"), j = var("j"), k = var("k");
  Compute c;
  c.name = "product";
  c.space = {{i, m}, {j, imm(24)}};
  c.reduce = {{k, imm(40)}};
  c.lhs = load(x, {use(i), use(k)});
  c.rhs = load(w, {use(k), use(j)});
  c.sum = var("sum", {DType::f32, 1});
  c.out = buffer("y", DType::f32, std::vector<Expr>{m, imm(24)}, std::vector<Expr>{imm(-32), imm(1)});
  c.outIndices = {use(i), use(j)};
  c.value = use(c.sum) + load(c.out, c.outIndices);
  collectParams(c);
  return c;
}

TEST(Bench, ChoicesAgreeAndMistakesShow) {
  auto target = parseTarget("cpu");
  ASSERT_TRUE(target);
  codegen::Jit jit(*target);
  WeightPool pool(1 << 20);
  Bench bench(product(), pool);
  EXPECT_EQ(Bench::operandBytes(product()), 4 * (13 * 40 + 40 * 24 + 12 * 32 + 24));
  std::vector<std::byte> wanted;
  for (int64_t pixels : {1, 2, 3, 7}) {
    auto made = lower::scheduledFunction(product(), *target, {{"pixels", pixels}, {"vectors", 1}});
    auto call = compiled(made, jit);
    ASSERT_TRUE(call) << call.error().text;
    Bench::Code code = bench.ready(made, *call);
    std::vector<std::byte> got = bench.run(code);
    if (wanted.empty()) wanted = got;
    EXPECT_EQ(bench.difference(wanted, got), "");
    double seconds = bench.time(code);
    EXPECT_GT(seconds, 0);
    EXPECT_LT(seconds, 1);
    EXPECT_EQ(bench.run(code), got) << "a result depends on what was timed before";
  }
  auto spoiled = [&](float value) {
    std::vector<std::byte> bad = wanted;
    std::memcpy(bad.data() + 8, &value, 4);
    return bench.difference(wanted, bad);
  };
  EXPECT_THAT(spoiled(1e6f), testing::HasSubstr("element 2 is"));
  EXPECT_THAT(spoiled(std::numeric_limits<float>::quiet_NaN()), testing::HasSubstr("not finite"));
  EXPECT_THAT(spoiled(std::numeric_limits<float>::infinity()), testing::HasSubstr("not finite"));
}

TEST(Bench, WeightsMoveThroughThePool) {
  WeightPool pool(1000);
  std::byte *a = pool.next(300), *b = pool.next(300), *c = pool.next(300);
  EXPECT_EQ(b - a, 320);
  EXPECT_EQ(c - b, 320);
  EXPECT_EQ(pool.next(300), a);
  EXPECT_EQ(pool.next(2000), nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
}

TEST(DatabaseWriter, AppendsWholeLines) {
  std::string path = testing::TempDir() + "/planish-append.jsonl";
  std::filesystem::remove(path);
  schedule::TuningRecord r{"0123456789abcdef", "cpu:some", "t", {{"k", 1}}, 2, 1, 0.4, 0.6, "a", "m", "0"};
  for (int64_t value : {1, 2}) {
    auto writer = DatabaseWriter::open(path);
    ASSERT_TRUE(writer) << writer.error().text;
    r.knobs["k"] = value;
    ASSERT_TRUE(writer->append(r));
    // As if a line had lost its end.
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  }
  auto db = schedule::TuningDatabase::read(path);
  ASSERT_TRUE(db) << db.error().text;
  EXPECT_EQ(db->find(r.key, r.target)->origin, path + ":2");
  EXPECT_EQ(db->find(r.key, r.target)->record, r);
  std::filesystem::remove(path);
  EXPECT_FALSE(DatabaseWriter::open("/no/such/folder/db.jsonl"));
}

} // namespace
} // namespace planish::tune
