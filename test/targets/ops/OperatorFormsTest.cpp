// Every operator in every form: what the interpreter makes of its definition, C11 of the same loops makes bit
// for bit, and machine code of the scheduled kernel makes up to the order of its sums.
#include "Instances.h"
#include "unit/codegen/Forms.h"

#include "support/Scratch.h"

#include "planish/codegen/CLike.h"
#include "planish/codegen/Llvm.h"
#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/loop/Interpret.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Verify.h"
#include "planish/ops/Ops.h"
#include "planish/schedule/Packing.h"
#include "planish/schedule/Template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace planish::ops::test {
namespace {

using codegen::test::fromEnvironment;
using codegen::test::Memory;
using loop::Buffer;
using loop::Expr;
using loop::Function;
using KernelCode = codegen::Jit::Kernel;
using Contents = std::vector<std::vector<std::byte>>;

/// A buffer whose dimensions lie in a random order, now and then with gaps.
Buffer anyBuffer(const std::string &name, const TensorType &type, Random &r) {
  std::vector<Expr> shape, strides(type.shape.size());
  std::vector<size_t> order;
  for (const Dim &d : type.shape) {
    shape.push_back(loop::extentOf(d));
    order.insert(order.begin() + (r.chance(70) ? long(order.size()) : r.below(long(order.size()) + 1)),
                 order.size());
  }
  Expr stride = loop::imm(1);
  for (size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = stride;
    stride = stride * shape[order[i]] + (r.chance(10) ? r.pick({1, 3, 8}) : 0);
  }
  return loop::buffer(name, type.dtype, shape, strides);
}

/// One instance of one operator, its definition, and values of the definition's scalars.
struct Case {
  uint64_t seed;
  Instance instance;
  loop::Compute compute; // of an operator that is defined index by index
  Function plain; // the definition, math functions as they are
  Function definition; // the definition as code runs it
  std::vector<int64_t> scalars;
  std::vector<Bounds> bounds; // by parameter

  std::string text() const {
    std::string s = graph::print(instance.graph);
    for (auto &[symbol, size] : instance.sizes) s += symbol->name + " = " + std::to_string(size) + "\n";
    return s + "again: PLANISH_SEED=" + std::to_string(seed) + " PLANISH_CASES=1 targets_ops";
  }
};

std::optional<Case> caseOf(const graph::OpDef &op, uint64_t seed) {
  Random r(seed);
  auto made = randomInstance(op, r);
  if (!made) return std::nullopt;
  Case c{seed, std::move(*made), {}, {}, {}, {}, {}};
  const graph::Graph &g = c.instance.graph;
  const graph::Node &node = g.nodes()[0];
  std::vector<Buffer> in;
  for (graph::ValueId v : node.inputs) in.push_back(anyBuffer(g[v].name, g.type(v), r));
  // Weights are constants as often as not: kernels then read them packed.
  if (op.cls == graph::OpClass::Contraction && r.chance(50))
    in[1] = loop::buffer(in[1]->name, in[1]->dtype, in[1]->shape, {}, loop::Scope::Constant);
  std::vector<Buffer> out;
  for (graph::ValueId v : node.outputs)
    out.push_back(anyBuffer("out" + std::to_string(out.size()), g.type(v), r));
  if (op.compute) c.compute = graph::computeOf(node, g, in, out[0]);
  c.plain = op.compute ? loop::definition(c.compute) : graph::loopsOf(node, g, in, out);
  c.definition = loop::legalize(c.plain);
  c.definition.name = std::string(op.name) + "_" + std::to_string(seed);
  for (const Var &v : c.definition.scalars) c.scalars.push_back(c.instance.sizes.at(v));
  for (const Buffer &b : c.definition.params) {
    auto operand = std::ranges::find(in, b);
    c.bounds.push_back(operand == in.end() ? Bounds{} : c.instance.bounds[size_t(operand - in.begin())]);
  }
  return c;
}

/// `PLANISH_CASES` instances of every row, from `PLANISH_SEED` on.
std::vector<Case> allCases() {
  uint64_t first = fromEnvironment("PLANISH_SEED", 1), count = fromEnvironment("PLANISH_CASES", 4);
  std::vector<Case> r;
  for (const graph::OpDef *op : allOps()) {
    if (op->control != graph::Control::None) continue; // no kernel
    for (uint64_t seed = first; seed < first + count; ++seed) {
      auto c = caseOf(*op, seed);
      EXPECT_TRUE(c) << "operator '" << op->name << "' has no random instance: give it a generator in "
                     << "test/targets/ops/Instances.cpp (seed " << seed << ")";
      if (c) r.push_back(std::move(*c));
    }
  }
  return r;
}

enum class Data { Wild, Tame }; // infinite products, halves, negative indices; or within the bounds

/// The parameters of a case, filled.
std::unique_ptr<Memory> memoryOf(const Case &c, Data data) {
  auto m = std::make_unique<Memory>(c.definition, c.scalars, c.seed);
  if (data == Data::Wild) return m;
  Random r(c.seed);
  for (size_t p = 0; p < m->pointers.size(); ++p) {
    DType type = c.definition.params[p]->dtype;
    for (size_t i = 0; i < m->sizes[p]; i += size_t(byteSize(type))) {
      auto put = [&]<class T>(T value) {
        std::memcpy(static_cast<char *>(m->pointers[p]) + i, &value, sizeof value);
      };
      int64_t whole = c.bounds[p].low + r.below(c.bounds[p].high - c.bounds[p].low);
      switch (type) {
      case DType::f32: put(float(r.below(4001) - 2000) / 1000.0f); break;
      case DType::i64: put(whole); break;
      case DType::i32: put(int32_t(whole)); break;
      case DType::b1: put(uint8_t(whole & 1)); break;
      case DType::u16:
      case DType::i16: put(int16_t(whole)); break;
      case DType::u32: put(int32_t(whole)); break;
      case DType::u64: put(whole); break;
      case DType::f64: put(double(r.below(4001) - 2000) / 1000.0); break;
      case DType::f16:
      case DType::bf16: put(uint16_t(r.below(0x4000) | (r.below(2) << 15))); break;
      default: put(uint8_t(whole)); break;
      }
    }
  }
  return m;
}

/// What the interpreter leaves in the parameters.
Contents interpreted(const Case &c, Data data) {
  auto m = memoryOf(c, data);
  Status ran = loop::interpret(c.definition, m->pointers, c.scalars);
  EXPECT_TRUE(ran) << (ran ? "" : ran.error().text) << "\n" << c.text();
  return m->contents();
}

/// A shared library of all definitions, by the system's C compiler.
class CLibrary {
public:
  explicit CLibrary(const std::vector<Case> &cases) {
    auto folder = std::filesystem::temp_directory_path() / ("planish-ops-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    std::vector<loop::FunctionRef> functions;
    for (const Case &c : cases) functions.push_back(std::make_shared<const Function>(c.definition));
    auto text = codegen::printKernels(functions, codegen::kC11);
    if (text) {
      std::string source = (folder / "ops.c").string(), library = (folder / "ops.so").string();
      std::ofstream(source) << *text;
      std::string command =
          "cc -std=c11 -O1 -ffp-contract=off -Wall -Wno-unused-function -Werror -shared -fPIC -o " + library +
          " " + source + " -lm";
      if (std::system(command.c_str()) == 0) handle = dlopen(library.c_str(), RTLD_NOW);
    } else ADD_FAILURE() << text.error().text;
    std::filesystem::remove_all(folder);
  }
  ~CLibrary() {
    if (handle) dlclose(handle);
  }
  CLibrary(const CLibrary &) = delete;
  KernelCode find(const std::string &name) const {
    return handle ? reinterpret_cast<KernelCode>(dlsym(handle, name.c_str())) : nullptr;
  }

private:
  void *handle = nullptr;
};

TEST(OperatorForms, CEqualsTheInterpreterBitForBit) {
  std::vector<Case> cases = allCases();
  CLibrary library(cases);
  for (const Case &c : cases) {
    KernelCode code = library.find(c.definition.name);
    ASSERT_TRUE(code) << c.definition.name;
    for (Data data : {Data::Tame, Data::Wild}) {
      auto m = memoryOf(c, data);
      planish::test::ScratchMemory scratch(c.definition);
      code(m->pointers.data(), c.scalars.data(), scratch.data(), 0,
           codegen::test::tasksOf(c.definition, c.scalars));
      EXPECT_EQ(codegen::test::difference(c.definition, interpreted(c, data), m->contents()), "")
          << (data == Data::Wild ? "wild " : "tame ") << "data\n"
          << c.text();
    }
  }
}

/// Where two outputs differ: integers at all, floats by more than reordered sums of small numbers do.
std::string difference(const std::vector<std::byte> &want, const std::vector<std::byte> &got, DType type) {
  size_t size = size_t(byteSize(type));
  for (size_t i = 0; i + size <= want.size(); i += size) {
    if (std::memcmp(&want[i], &got[i], size) == 0) continue;
    std::string at = "element " + std::to_string(i / size);
    if (type != DType::f32) return at + " differs";
    float a, b;
    std::memcpy(&a, &want[i], 4), std::memcpy(&b, &got[i], 4);
    if (std::isnan(a) && std::isnan(b)) continue;
    if (!(std::abs(double(a) - double(b)) <= 1e-5 * (1 + std::abs(double(a)))))
      return at + " is " + std::to_string(b) + ", not " + std::to_string(a);
  }
  return "";
}

/// Runs a scheduled function by the interpreter, which names an access outside a buffer, then as machine
/// code; what differs from the definition.
std::string compareScheduled(const Case &c, const Target &target) {
  schedule::Scheduled made;
  if (c.compute.out) made = schedule::schedule(c.compute, target);
  else made.lowered.function = c.plain, made.templateName = "loops";
  Function f = loop::legalize(loop::unroll(loop::vectorize(made.lowered.function)), {.fma = target.fma});
  std::string where = std::string(made.templateName) + " for " + target.name + ": ";
  if (Status s = loop::verify(f); !s) return where + s.error().text;
  codegen::Jit jit(target);
  auto code = jit.compile(f);
  if (!code) return where + code.error().text;

  auto original = memoryOf(c, Data::Tame);
  std::vector<std::pair<int, std::vector<std::byte>>> packed;
  for (const schedule::Kernel::Packing &p : made.lowered.packings) {
    packed.emplace_back(p.param, size_t(schedule::packedBytes(p)));
    schedule::runPacking(p, original->pointers[size_t(p.param)], packed.back().second.data());
  }
  Contents want = interpreted(c, Data::Tame);
  for (bool machine : {false, true}) {
    auto m = memoryOf(c, Data::Tame);
    std::vector<void *> params = m->pointers;
    for (auto &[param, bytes] : packed) params[size_t(param)] = bytes.data();
    if (machine) {
      planish::test::ScratchMemory scratch(f);
      (*code)(params.data(), c.scalars.data(), scratch.data(), 0, codegen::test::tasksOf(f, c.scalars));
    } else if (Status s = loop::interpret(f, params, c.scalars); !s) {
      return where + s.error().text;
    }
    Contents got = m->contents();
    size_t results = c.instance.graph.nodes()[0].outputs.size();
    for (size_t p = want.size() - results; p < want.size(); ++p)
      if (std::string wrong = difference(want[p], got[p], c.definition.params[p]->dtype); !wrong.empty())
        return where + (machine ? "machine code: " : "loops: ") + wrong;
  }
  return "";
}

TEST(OperatorForms, ScheduledMachineCodeAgreesWithTheDefinition) {
  std::vector<Target> targets = codegen::test::levels();
  if (targets.empty()) GTEST_SKIP() << "no code for this machine";
  for (const Case &c : allCases()) {
    const Target &target = targets[size_t(c.seed) % targets.size()];
    EXPECT_EQ(compareScheduled(c, target), "") << c.text();
  }
}

} // namespace
} // namespace planish::ops::test
