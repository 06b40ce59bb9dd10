// C11 text, compiled by the system's compiler with sanitizers, against the interpreter.
#include "unit/codegen/Forms.h"
#include "unit/codegen/RandomFunctions.h"

#include "planish/codegen/CLike.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace planish::codegen::test {
namespace {

using namespace loop;

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("planish-c-test-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char *name) const { return (path / name).string(); }
  std::filesystem::path path;
};

// Reads per kernel: tasks, scalars, buffers; runs the tasks in two halves; writes the buffers.
constexpr const char *kMain = R"(
#include <stdio.h>
#include <stdlib.h>
static int64_t number(FILE *f) {
  int64_t x;
  if (fread(&x, 8, 1, f) != 1) exit(3);
  return x;
}
int main(int argc, char **argv) {
  if (argc != 3) return 2;
  FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
  for (size_t k = 0; k < sizeof kernels / sizeof *kernels; ++k) {
    int64_t tasks = number(in), n_scalars = number(in), scalars[64];
    for (int64_t i = 0; i < n_scalars; ++i) scalars[i] = number(in);
    int64_t scratch_bytes = number(in);
    void *scratch = scratch_bytes ? aligned_alloc(64, (size_t)scratch_bytes) : 0;
    int64_t n_buffers = number(in), sizes[256];
    void *buffers[256];
    for (int64_t i = 0; i < n_buffers; ++i) {
      sizes[i] = number(in);
      buffers[i] = malloc((size_t)sizes[i]);
      if (fread(buffers[i], 1, (size_t)sizes[i], in) != (size_t)sizes[i]) return 3;
    }
    kernels[k](buffers, scalars, scratch, tasks / 2, tasks);
    kernels[k](buffers, scalars, scratch, 0, tasks / 2);
    for (int64_t i = 0; i < n_buffers; ++i) {
      fwrite(buffers[i], 1, (size_t)sizes[i], out);
      free(buffers[i]);
    }
    free(scratch);
  }
  return fclose(in) | fclose(out);
}
)";

/// Runs a shell command; its output, and whether it succeeded.
std::pair<std::string, bool> shell(const std::string &command) {
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char part[4096];
  while (size_t n = fread(part, 1, sizeof part, pipe)) text.append(part, n);
  return {text, pclose(pipe) == 0};
}

void writeNumber(std::ofstream &f, int64_t x) { f.write(reinterpret_cast<const char *>(&x), 8); }

/// Compares all cases in one compilation.
void compareC(const std::vector<Case> &cases, const std::vector<uint64_t> &seeds) {
  Folder folder;
  std::vector<FunctionRef> named;
  std::string table = "\ntypedef void (*kernel)(void *const *, const int64_t *, void *, int64_t, int64_t);\n"
                      "static const kernel kernels[] = {";
  std::ofstream input(folder.file("in"), std::ios::binary);
  for (size_t i = 0; i < cases.size(); ++i) {
    Function f = *cases[i].function;
    f.name = "k" + std::to_string(seeds[i]);
    table += f.name + ", ";
    Memory m(f, cases[i].scalars, seeds[i]);
    writeNumber(input, tasksOf(f, m.scalars));
    writeNumber(input, int64_t(m.scalars.size()));
    for (int64_t s : m.scalars) writeNumber(input, s);
    writeNumber(input, planScratch(f).bytes);
    writeNumber(input, int64_t(m.pointers.size()));
    for (size_t b = 0; b < m.pointers.size(); ++b) {
      writeNumber(input, int64_t(m.sizes[b]));
      input.write(static_cast<const char *>(m.pointers[b]), int64_t(m.sizes[b]));
    }
    named.push_back(std::make_shared<const Function>(std::move(f)));
  }
  input.close();
  auto text = printKernels(named, kC11);
  ASSERT_TRUE(text) << text.error().text;
  std::ofstream(folder.file("k.c")) << *text << table << "};\n" << kMain;
  auto [messages, compiled] = shell("cc -std=c11 -O1 -g0 -ffp-contract=off -fsanitize=address,undefined "
                                    "-fno-sanitize-recover=all -Wall -Werror -Wno-unused-function -o " +
                                    folder.file("k") + " " + folder.file("k.c") + " -lm");
  ASSERT_TRUE(compiled) << messages.substr(0, 4000) << "\n" << *text;
  auto [report, ran] = shell(folder.file("k") + " " + folder.file("in") + " " + folder.file("out"));
  ASSERT_TRUE(ran) << report << *text;
  std::ifstream output(folder.file("out"), std::ios::binary);
  for (size_t i = 0; i < cases.size(); ++i) {
    auto want = interpreted(*cases[i].function, cases[i].scalars, seeds[i]);
    auto got = want;
    for (auto &b : got) output.read(reinterpret_cast<char *>(b.data()), int64_t(b.size()));
    EXPECT_EQ(difference(*cases[i].function, want, got), "")
        << "PLANISH_SEED=" << seeds[i] << " PLANISH_CASES=1\n"
        << print(*cases[i].function);
  }
}

TEST(CDialect, RandomFunctions) {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 60);
  std::vector<Case> cases;
  std::vector<uint64_t> seeds;
  for (uint64_t seed = first; seed < first + count; ++seed)
    cases.push_back(randomCase(seed)), seeds.push_back(seed);
  compareC(cases, seeds);
}

TEST(CDialect, NamesThatMeanSomethingElse) {
  auto parsed = parse(R"(
    func @names(%float: f32[4], %fma: f32[4,4], %int: f32[4], %scratch: f32[4]) {
      for i in 0..4 { %scratch[i] = 1.0 }
      for parallel for_ in 0..4 {
        alloc %begin: f32[1] scratch {
          %begin[0] = 0.0
          for k in 0..4 { %begin[0] = fma(%float[k], %fma[for_, k], %begin[0]) }
          %int[for_] = %begin[0]
        }
      }
    })");
  ASSERT_TRUE(parsed) << parsed.error().text;
  compareC({{parsed->back(), {}}}, {1});
}

TEST(CDialect, WhatIsNotLegalizedIsAnError) {
  auto parsed = parse("func @f(%x: f32[4]) { for i in 0..4 { %x[i] = exp(%x[i]) } }");
  ASSERT_TRUE(parsed) << parsed.error().text;
  auto text = printKernels(*parsed, kC11);
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().text.find("exp"), std::string::npos);
}

TEST(CDialect, AProgramIsOneFile) {
  auto parsed = parse(R"(
    func @scale(%x: f32[N], %w: f32[4] constant, %y: f32[N]; N: i64 in 1..100) {
      for parallel i in 0..N { %y[i] = %x[i] * %w[1] + %w[3] }
    }
    func @host(%dims: i64[1,8], %sizes: i64[1,8], %x: f32[100], %w: f32[4] constant, %t: f32[100], %y: f32[100]) {
      let n = %dims[0, 0] within 1..100
      launch @scale(%x, %w, %t; n) tasks n
      launch @scale(%t, %w, %y; n) tasks n
      %sizes[0, 0] = n
    })");
  ASSERT_TRUE(parsed) << parsed.error().text;
  Program p;
  p.name = "tiny";
  p.kernels = {(*parsed)[0]};
  p.host = *(*parsed)[1];
  p.slots = {{Region::InputDims, 0, {}},
             {Region::OutputDims, 0, {}},
             {Region::Input, 0, {}},
             {Region::Constant, 0, {}},
             {Region::Arena, 64, use(as<Let>(p.host.body)->var)},
             {Region::Output, 0, {}}};
  std::vector<float> w{0, 2, 0, 4};
  auto raw = std::as_bytes(std::span(w));
  p.constants = {{"w", std::make_shared<const std::vector<std::byte>>(raw.begin(), raw.end())}};
  p.arenaBytes = 1024;
  auto text = printProgram(p);
  ASSERT_TRUE(text) << text.error().text;
  Folder folder;
  std::ofstream(folder.file("p.c")) << *text << R"(
#include <stdio.h>
int main(void) {
  float x[5] = {1, 2, 3, 4, 5}, y[5];
  void *inputs[] = {x}, *outputs[] = {y};
  int64_t dims[8] = {5}, sizes[8] = {0};
  int r = tiny_run(inputs, outputs, dims, sizes);
  for (int i = 0; i < 5; ++i) printf("%g ", y[i]);
  printf("%d %d\n", (int)sizes[0], r);
  return 0;
}
)";
  auto [messages, compiled] =
      shell("cc -std=c11 -pedantic -O1 -ffp-contract=off -fsanitize=address,undefined -Wall "
            "-Wextra -Wno-overlength-strings -Wno-unused-function -Werror -o " +
            folder.file("p") + " " + folder.file("p.c") + " -lm");
  ASSERT_TRUE(compiled) << messages << *text;
  EXPECT_EQ(shell(folder.file("p")).first, "16 20 24 28 32 5 0\n");
}

} // namespace
} // namespace planish::codegen::test
