#include "planish/lower/Lower.h"

#include "Kernels.h"
#include "MemoryPlan.h"
#include "Storage.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <map>

namespace planish::lower {

using graph::Graph;
using graph::ValueId;
using loop::Buffer;
using loop::Expr;
using loop::Program;
using loop::Region;
using loop::Stmt;

namespace {

/// Collects the host function: its parameters and the place of each, then its statements.
class HostBuilder {
public:
  HostBuilder(const Graph &graph, const Storage &storage, const MemoryPlan &memory, Program &program)
      : g(graph), storage(storage), memory(memory), p(program) {}

  void build(const std::vector<LoweredStep> &steps) {
    for (const LoweredStep &s : steps) {
      loop::Launch launch{s.kernel, {}, {}, s.tasks};
      for (const Argument &a : s.arguments) launch.buffers.push_back(parameter(a));
      for (const Var &v : s.kernel->scalars) launch.scalars.push_back(loop::use(v));
      body.push_back(loop::makeStmt(std::move(launch)));
    }
    storeOutputDims();
    p.host.name = p.name;
    p.host.body = withSymbols(loop::block(std::move(body)));
  }

  /// The parameter that is a whole value in memory.
  int64_t parameterOf(const Operand &o) {
    std::vector<Expr> dims;
    for (const Dim &d : o.type.shape) dims.push_back(loop::extentOf(d));
    Argument a{o, -1, {}, loop::buffer(g[o.value].name, o.type.dtype, dims, o.place.view.strides)};
    Buffer b = parameter(a);
    return std::find(p.host.params.begin(), p.host.params.end(), b) - p.host.params.begin();
  }

private:
  const Graph &g;
  const Storage &storage;
  const MemoryPlan &memory;
  Program &p;
  std::vector<Stmt> body;
  Buffer failure;
  std::vector<std::pair<Argument, Buffer>> operands;
  std::map<std::pair<int64_t, std::string>, Buffer> constants;  // by entry and the shape it is read with

  Buffer add(Buffer b, loop::Slot slot) {
    p.host.params.push_back(b);
    p.slots.push_back(std::move(slot));
    return b;
  }
  Buffer parameter(const Argument &a) {
    if (!a.operand) {
      std::string shape = joined(a.parameter->shape, [](const Expr &e) { return loop::print(e); }) + " at " +
                          loop::print(a.offset);
      auto [it, fresh] = constants.try_emplace({a.constant, shape});
      if (fresh) {
        Buffer like = a.parameter;
        it->second = add(loop::buffer("c" + std::to_string(a.constant), like->dtype, like->shape,
                                      like->strides, loop::Scope::Constant),
                         {Region::Constant, a.constant, a.offset});
      }
      return it->second;
    }
    const Operand &o = *a.operand;
    for (auto &[known, b] : operands)
      if (known.operand->type.dtype == o.type.dtype && known.operand->type.shape == o.type.shape &&
          samePlace(known.operand->place, o.place, o.type.shape))
        return b;
    const Root &root = storage.roots[size_t(o.place.root)];
    int64_t index = root.region == Region::Arena ? memory.offsets[size_t(o.place.root)] : root.index;
    Buffer b = add(loop::buffer(g[o.value].name, o.type.dtype, a.parameter->shape, o.place.view.strides),
                   {root.region, index, o.place.view.offset});
    operands.push_back({a, b});
    return b;
  }

  /// Sizes come in through one table and leave through another: i64[ports, kMaxRank].
  Buffer dimsTable(const char *name, Region region, size_t ports, loop::Scope scope) {
    return add(
        loop::buffer(name, DType::i64, std::vector<int64_t>{int64_t(ports), loop::kMaxRank}, {}, scope),
        {region, 0, loop::imm(0)});
  }
  void storeOutputDims() {
    Buffer table;
    for (size_t k = 0; k < g.outputs().size(); ++k) {
      const Shape &shape = g.type(g.outputs()[k]).shape;
      for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d].isConstant()) continue;
        if (!table)
          table = dimsTable("output_dims", Region::OutputDims, g.outputs().size(), loop::Scope::Global);
        body.push_back(
            loop::store(table, {loop::imm(int64_t(k)), loop::imm(int64_t(d))}, loop::use(shape[d].symbol())));
      }
    }
  }
  /// The rest of the run where a computed size is one; nothing and a failure where it is negative, which its
  /// bounds, being those of inputs that are large enough, do not say.
  Stmt guarded(const graph::Symbol &symbol, Stmt rest) {
    if (loop::rangeOf(symbol.definition).lo >= 0) return rest;
    if (!failure)
      failure = add(loop::buffer("failure", DType::i32, std::vector<int64_t>{1}),
                    {Region::Failure, 0, loop::imm(0)});
    bool isCheck = loop::as<loop::Select>(symbol.definition);
    p.failures.push_back(
        (isCheck ? "sizes that must agree do not: " : "the inputs are too small: the size ") +
        loop::print(symbol.definition) + " is negative");
    Expr size = loop::use(symbol.var), zero = loop::imm(0);
    Expr code = loop::imm(int64_t(p.failures.size()), Type{DType::i32, 1});
    return loop::block({loop::ifThen(loop::lessThan(size, zero), loop::store(failure, {zero}, code)),
                        loop::ifThen(loop::lessEqual(zero, size), rest)});
  }
  Stmt withSymbols(Stmt s) {
    if (g.symbols().empty()) return s;
    Buffer table = dimsTable("input_dims", Region::InputDims, g.inputs().size(), loop::Scope::Constant);
    for (size_t i = g.symbols().size(); i-- > 0;) {
      const graph::Symbol &symbol = g.symbols()[i];
      Expr value = symbol.definition ? symbol.definition
                                     : loop::load(table, {loop::imm(symbol.input), loop::imm(symbol.dim)});
      if (symbol.definition) s = guarded(symbol, s);
      s = loop::makeStmt(loop::Let{symbol.var, value, s});
    }
    return s;
  }
};

std::vector<Lifetime> lifetimesOf(const Storage &storage, const std::vector<LoweredStep> &steps) {
  std::vector<Lifetime> r(storage.roots.size());
  for (size_t i = 0; i < r.size(); ++i)
    if (storage.roots[i].region == Region::Arena) r[i] = {storage.roots[i].bytes, INT64_MAX, -1};
  for (size_t n = 0; n < steps.size(); ++n)
    for (const Argument &a : steps[n].arguments) {
      if (!a.operand) continue;
      Lifetime &l = r[size_t(a.operand->place.root)];
      l.first = std::min(l.first, int64_t(n));
      l.last = int64_t(n);
    }
  for (size_t i = 0; i < r.size(); ++i)
    if (storage.roots[i].region != Region::Arena) r[i].last = -1;
  return r;
}

} // namespace

Result<Program> lower(const Graph &g, const Target &target, const LowerOptions &options) {
  Program p;
  p.name = options.name;
  for (ValueId v : g.inputs()) p.inputs.push_back({g[v].name, g.type(v)});
  for (ValueId v : g.outputs()) p.outputs.push_back({g[v].name, g.type(v)});

  PLANISH_ASSIGN(Storage storage, planStorage(g));
  KernelSet kernels(g, target, options, storage);
  std::vector<LoweredStep> steps;
  for (const Step &step : storage.steps) {
    PLANISH_ASSIGN(LoweredStep lowered, kernels.lower(step));
    steps.push_back(std::move(lowered));
    p.launches.push_back(steps.back().info);
  }
  MemoryPlan memory = planMemory(lifetimesOf(storage, steps));
  p.arenaBytes = memory.bytes;
  p.kernels = kernels.kernels();
  for (const loop::FunctionRef &k : p.kernels)
    p.scratchBytes = std::max(p.scratchBytes, loop::planScratch(*k).bytes);
  p.constants = std::move(kernels.constants);

  HostBuilder host(g, storage, memory, p);
  host.build(steps);
  for (size_t n = 0; n < storage.steps.size(); ++n) {
    const Step &s = storage.steps[n];
    if (!s.copy && constantShape(s.out.type.shape))
      p.values.push_back({g[s.out.value].name, s.out.type, host.parameterOf(s.out), int64_t(n)});
  }
  return p;
}

Result<std::vector<Computation>> computationsOf(const Graph &g) {
  PLANISH_ASSIGN(Storage storage, planStorage(g));
  std::vector<Computation> r;
  std::map<std::string, size_t> known;
  for (const Step &step : storage.steps) {
    loop::Compute compute = computeOf(step, g, storage).compute;
    auto [it, fresh] = known.try_emplace(schedule::keyOf(compute), r.size());
    if (fresh) r.push_back({std::move(compute), 0, g[step.node].loc.onnxNodes});
    ++r[it->second].launches;
  }
  return r;
}

} // namespace planish::lower
