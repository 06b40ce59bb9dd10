// Every template keeps the meaning: random shapes, random targets, random knobs.
#include "Forms.h"

#include "support/Scratch.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Passes.h"

#include <gtest/gtest.h>

#include <map>

namespace planish::schedule::test {
namespace {

// One case again: PLANISH_SEED=<seed> PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.AgreeOnRandomCases
TEST(Forms, AgreeOnRandomCases) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 400);
  std::map<std::string, int> taken;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    Case c = randomCase(random);
    Target t = randomTarget(random);
    Config config = random.chance(30) ? Config{} : randomConfig(c.compute, t, random);
    ++taken[std::string(templateFor(Kernel(c.compute), t, config).name)];
    std::string wrong = compareForms(c, t, config, seed);
    EXPECT_EQ(wrong, "") << c.text << "\n  vectorBytes=" << t.vectorBytes << " dot4=" << t.dot4
                         << " cores=" << t.cores << " " << textOf(config)
                         << "\n  again: PLANISH_SEED=" << seed
                         << " PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.AgreeOnRandomCases";
  }
  for (const auto &[name, n] : taken) RecordProperty(name, n);
  if (count < 100) return;
  // Convolutions that Winograd's transform takes are rare here; WinogradTest has its own.
  for (const Template &row : templates()) {
    if (row.name == "winograd.cpu") continue;
    EXPECT_GT(taken[std::string(row.name)], 0) << row.name << " took no case";
  }
}

/// What this machine runs, widest first.
std::vector<Target> machineTargets() {
  auto level = [](const char *cpu, int bytes, bool dot4) {
    Target t;
    t.cpu = cpu;
    t.vectorBytes = bytes;
    t.registers = bytes == 64 ? 32 : 16;
    t.fma = bytes > 16;
    t.dot4 = dot4;
    t.maskedMemory = bytes == 64;
    t.cores = 2;
    if (dot4) t.features = {"+avx512vnni"};
    return t;
  };
  std::vector<Target> r;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni")) r.push_back(level("x86-64-v4", 64, true));
  if (__builtin_cpu_supports("avx512vl")) r.push_back(level("x86-64-v4", 64, false));
  if (__builtin_cpu_supports("avx2")) r.push_back(level("x86-64-v3", 32, false));
  if (__builtin_cpu_supports("sse4.2")) r.push_back(level("x86-64-v2", 16, false));
#endif
  return r;
}

/// The number of tasks for these values of the scalars.
int64_t tasksOf(const loop::Function &f, const std::vector<int64_t> &scalars) {
  loop::Substitution map;
  for (size_t i = 0; i < scalars.size(); ++i) map[f.scalars[i]] = loop::imm(scalars[i]);
  return loop::constantOf(loop::substitute(loop::taskCount(f), map)).value();
}

/// Compiles and runs the tasks in several ranges of random sizes, the last ones first: every iteration
/// must run exactly once however the range is cut (kernels in place notice the others).
Runner inRanges(codegen::Jit &jit, uint64_t seed) {
  return [&jit, seed](const loop::Function &f, const std::vector<void *> &params,
                      const std::vector<int64_t> &scalars) -> std::string {
    auto code = jit.compile(f);
    if (!code) return code.error().text;
    Random random(seed);
    planish::test::ScratchMemory scratch(f);
    for (int64_t end = tasksOf(f, scalars); end > 0;) {
      int64_t begin = random.chance(20) ? 0 : random.below(end);
      (*code)(params.data(), scalars.data(), scratch.data(), begin, end);
      end = begin;
    }
    return "";
  };
}

// One case again: PLANISH_SEED=<seed> PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.MachineCode*
TEST(Forms, MachineCodeAgreesInAnyTaskRanges) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 200);
  std::vector<Target> targets = machineTargets();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    Case c = randomCase(random);
    Target t = targets[size_t(random.below(int64_t(targets.size())))];
    Config config = random.chance(30) ? Config{} : randomConfig(c.compute, t, random);
    codegen::Jit jit(t);
    std::string wrong = compareForms(c, t, config, seed, inRanges(jit, seed));
    EXPECT_EQ(wrong, "") << c.text << "\n  " << t.cpu << " dot4=" << t.dot4 << " " << textOf(config)
                         << "\n  again: PLANISH_SEED=" << seed
                         << " PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.MachineCode*";
  }
}

// One case again: PLANISH_SEED=<seed> PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.EveryTask*
TEST(Forms, EveryTaskRunsOnce) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 150);
  std::vector<Target> targets = machineTargets();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  codegen::Jit jit(targets[0]);
  Runner oneByOne = [&](const loop::Function &f, const std::vector<void *> &params,
                        const std::vector<int64_t> &scalars) -> std::string {
    auto code = jit.compile(f);
    if (!code) return code.error().text;
    planish::test::ScratchMemory scratch(f);
    for (int64_t i = tasksOf(f, scalars); i-- > 0;)
      (*code)(params.data(), scalars.data(), scratch.data(), i, i + 1);
    return "";
  };
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    Case c = randomCase(random, true);
    Config config = randomConfig(c.compute, targets[0], random);
    if (auto it = config.find("parallel"); it != config.end()) it->second = 1 + random.below(3);
    std::string wrong = compareForms(c, targets[0], config, seed, oneByOne);
    EXPECT_EQ(wrong, "") << c.text << "\n  " << textOf(config) << "\n  again: PLANISH_SEED=" << seed
                         << " PLANISH_CASES=1 unit_schedule --gtest_filter=Forms.EveryTask*";
  }
}

} // namespace
} // namespace planish::schedule::test
