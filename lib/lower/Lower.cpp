#include "planish/lower/Lower.h"

#include "HostReads.h"
#include "Kernels.h"
#include "MemoryPlan.h"
#include "Sharing.h"
#include "Storage.h"

#include "planish/graph/OpDef.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace planish::lower {

using graph::Graph;
using graph::ValueId;
using loop::Buffer;
using loop::Expr;
using loop::Program;
using loop::Region;
using loop::Stmt;

namespace {

/// The launches of a program in the order of the host function, and the memory they touch.
class Launches {
public:
  Launches(const Storage &memory, KernelSet &kernelSet)
      : storage(memory), kernels(kernelSet), lifetimes(memory.roots.size()) {
    for (size_t i = 0; i < lifetimes.size(); ++i)
      if (storage.roots[i].region == Region::Arena) lifetimes[i] = {storage.roots[i].bytes, INT64_MAX, -1};
  }

  Status add(const Body &body) {
    for (const Step &step : body.steps) {
      // What decides is read before the first launch that depends on it.
      if (!step.bodies.empty()) touch(*step.in[0]);
      for (const Body &inner : step.bodies) PLANISH_TRY(add(inner));
      if (!step.bodies.empty()) continue;
      PLANISH_ASSIGN(LoweredStep lowered, kernels.lower(*body.graph, step));
      for (const Argument &a : lowered.arguments)
        if (a.operand) touch(*a.operand);
      steps.push_back(std::move(lowered));
    }
    return {};
  }

  std::vector<LoweredStep> steps;
  std::vector<Lifetime> memoryNeeds() const { return lifetimes; }

private:
  void touch(const Operand &o) {
    if (storage.roots[size_t(o.place.root)].region != Region::Arena) return;
    Lifetime &l = lifetimes[size_t(o.place.root)];
    l.first = std::min(l.first, int64_t(steps.size()));
    l.last = std::max(l.last, int64_t(steps.size()));
  }

  const Storage &storage;
  KernelSet &kernels;
  std::vector<Lifetime> lifetimes;
};

/// When the values of a graph are in memory.
class Writes {
public:
  explicit Writes(const Body &of) : body(of) {
    for (size_t n = 0; n < body.steps.size(); ++n)
      if (!body.graph->nodes().empty()) ofNode[body.steps[n].node] = n + 1;
  }

  /// The number of steps after which a value is complete. A view is so with what it is a view of.
  size_t after(ValueId v) {
    const auto &def = (*body.graph)[v].def;
    if (!def) return 0;
    auto [known, isNew] = complete.try_emplace(v, 0);
    if (!isNew) return known->second;
    auto own = ofNode.find(*def);
    size_t r = own == ofNode.end() ? 0 : own->second;
    const graph::Node &node = (*body.graph)[*def];
    if (node.op->cls == graph::OpClass::Movement)
      for (ValueId in : node.inputs)
        if (in != graph::kAbsent) r = std::max(r, after(in));
    return complete[v] = r;
  }

private:
  const Body &body;
  std::map<graph::NodeId, size_t> ofNode;
  std::map<ValueId, size_t> complete;
};

/// Collects the host function: its parameters and the place of each, then its statements.
class HostBuilder {
public:
  HostBuilder(const Graph &graph, const Storage &storage, const MemoryPlan &memory,
              const std::vector<LoweredStep> &launches, Program &program)
      : g(graph), storage(storage), memory(memory), steps(launches), p(program) {}

  void build() {
    Stmt body = bodyOf(storage.main, storeOutputDims());
    p.host.name = p.name;
    p.host.body = std::move(body);
  }

  /// The parameter that is a whole value in memory.
  int64_t parameterOf(const Operand &o) {
    Buffer b = parameter(Argument{o, -1, {}, nullptr});
    return std::find(p.host.params.begin(), p.host.params.end(), b) - p.host.params.begin();
  }

private:
  const Graph &g;
  const Storage &storage;
  const MemoryPlan &memory;
  const std::vector<LoweredStep> &steps;
  Program &p;
  size_t nextLaunch = 0;
  Buffer failure, inputDims;
  std::set<Var> bound;  // symbols of the graphs around
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
    std::vector<Expr> extents;
    for (const Dim &d : o.type.shape) extents.push_back(loop::extentOf(d));
    Buffer b = add(loop::buffer(o.name, o.type.dtype, extents, o.place.view.strides),
                   {root.region, index, o.place.view.offset});
    operands.push_back({a, b});
    return b;
  }

  Stmt launch(const LoweredStep &s) {
    loop::Launch l{s.kernel, {}, s.scalars, s.tasks};
    for (const Argument &a : s.arguments) l.buffers.push_back(parameter(a));
    return loop::makeStmt(std::move(l));
  }

  /// An element of a value, read in the host function.
  Expr element(const Body &body, ValueId v, int64_t position) {
    Operand whole{v, (*body.graph)[v].name, body.graph->type(v), *body.places[v.index]};
    const Shape &shape = whole.type.shape;
    const Root &root = storage.roots[size_t(whole.place.root)];
    if (root.constant) return loop::imm(graph::dataOf<int64_t>(*root.constant)[size_t(position)]);
    std::vector<Expr> at(shape.size());
    for (size_t d = shape.size(); d-- > 0; position /= shape[d].constant())
      at[d] = loop::imm(position % shape[d].constant());
    return loop::load(parameter(Argument{whole, -1, {}, nullptr}), std::move(at));
  }

  Stmt control(const Body &body, const Step &step) {
    Expr condition = conditionOf(body, *step.in[0]);
    Var chosen = loop::var("chosen", Type{}, 0, 1);
    std::vector<Stmt> branches;
    for (size_t k = 0; k < step.bodies.size(); ++k)
      branches.push_back(loop::ifThen(loop::binary(loop::BinaryOp::Eq, loop::use(chosen), loop::imm(k == 0)),
                                      bodyOf(step.bodies[k], {})));
    return loop::makeStmt(loop::Let{chosen, condition, loop::block(std::move(branches))});
  }
  Expr conditionOf(const Body &, const Operand &o) {
    const Root &root = storage.roots[size_t(o.place.root)];
    if (root.constant) return loop::imm(graph::dataOf<uint8_t>(*root.constant)[0] != 0);
    std::vector<Expr> at(o.type.shape.size(), loop::imm(0));
    return loop::cast(DType::i64, loop::load(parameter(Argument{o, -1, {}, nullptr}), std::move(at)));
  }

  /// The steps of a graph in order, each size bound as soon as it can be computed, then `end`.
  Stmt bodyOf(const Body &body, std::vector<Stmt> end) {
    std::vector<std::vector<const graph::Symbol *>> before = sizesBefore(body);
    std::vector<Stmt> made;
    for (const Step &s : body.steps)
      made.push_back(s.bodies.empty() ? launch(steps[nextLaunch++]) : control(body, s));
    std::vector<Stmt> later(end.rbegin(), end.rend());  // last one first
    for (size_t n = made.size() + 1; n-- > 0;) {
      if (n < made.size()) later.push_back(made[n]);
      for (size_t k = before[n].size(); k-- > 0;) {
        Stmt rest = loop::block({later.rbegin(), later.rend()});
        later = {bind(body, *before[n][k], std::move(rest))};
      }
    }
    for (auto &list : before)
      for (const graph::Symbol *s : list) bound.erase(s->var);
    return loop::block({later.rbegin(), later.rend()});
  }

  /// The symbols of this graph's own by the step before which they become known, in order.
  std::vector<std::vector<const graph::Symbol *>> sizesBefore(const Body &body) {
    std::map<Var, size_t> known;
    Writes writes(body);
    std::vector<std::vector<const graph::Symbol *>> r(body.steps.size() + 1);
    for (const graph::Symbol &s : body.graph->symbols()) {
      if (!bound.insert(s.var).second) continue;
      size_t first = s.value == graph::kAbsent ? 0 : writes.after(s.value);
      if (s.definition)
        loop::walk(s.definition, [&](const Expr &e) {
          auto *v = loop::as<loop::VarRef>(e);
          if (auto found = v ? known.find(v->var) : known.end(); found != known.end())
            first = std::max(first, found->second);
        });
      known[s.var] = first;
      r[first].push_back(&s);
    }
    return r;
  }
  Stmt bind(const Body &body, const graph::Symbol &symbol, Stmt rest) {
    if (symbol.definition) {
      rest = guarded(symbol, loop::rangeOf(symbol.definition).lo < 0, false, rest);
      return loop::makeStmt(loop::Let{symbol.var, symbol.definition, rest});
    }
    if (symbol.value == graph::kAbsent) {
      if (!inputDims)
        inputDims = dimsTable("input_dims", Region::InputDims, g.inputs().size(), loop::Scope::Constant);
      Expr size = loop::load(inputDims, {loop::imm(symbol.input), loop::imm(symbol.dim)});
      return loop::makeStmt(loop::Let{symbol.var, size, rest});
    }
    rest = guarded(symbol, true, true, rest);
    return loop::makeStmt(loop::Let{symbol.var, element(body, symbol.value, symbol.element), rest});
  }
  /// The rest of the run where a size is one; nothing and a failure where it is negative, or, being data,
  /// larger than what memory was planned for.
  Stmt guarded(const graph::Symbol &symbol, bool least, bool most, Stmt rest) {
    if (!least && !most) return rest;
    if (!failure)
      failure = add(loop::buffer("failure", DType::i32, std::vector<int64_t>{1}),
                    {Region::Failure, 0, loop::imm(0)});
    Expr size = loop::use(symbol.var), lower = loop::imm(most ? symbol.var->lower : 0);
    Expr upper = loop::imm(symbol.var->upper);
    bool isCheck = loop::as<loop::Select>(symbol.definition);
    p.failures.push_back(
        most ? "the size '" + symbol.var->name + "' that the data say is outside " +
                   std::to_string(symbol.var->lower) + ".." + std::to_string(symbol.var->upper)
             : (isCheck ? "sizes that must agree do not: " : "the inputs are too small: the size ") +
                   loop::print(symbol.definition) + " is negative");
    Expr code = loop::imm(int64_t(p.failures.size()), Type{DType::i32, 1});
    Stmt fails = loop::store(failure, {loop::imm(0)}, code);
    std::vector<Stmt> r{loop::ifThen(loop::lessThan(size, lower), fails)};
    if (most) r.push_back(loop::ifThen(loop::lessThan(upper, size), fails));
    Expr holds = loop::lessEqual(lower, size);
    if (most) holds = loop::conjunction(holds, loop::lessEqual(size, upper));
    r.push_back(loop::ifThen(holds, rest));
    return loop::block(std::move(r));
  }

  /// Sizes come in through one table and leave through another: i64[ports, kMaxRank].
  Buffer dimsTable(const char *name, Region region, size_t ports, loop::Scope scope) {
    return add(
        loop::buffer(name, DType::i64, std::vector<int64_t>{int64_t(ports), loop::kMaxRank}, {}, scope),
        {region, 0, loop::imm(0)});
  }
  std::vector<Stmt> storeOutputDims() {
    Buffer table;
    std::vector<Stmt> r;
    for (size_t k = 0; k < g.outputs().size(); ++k) {
      const Shape &shape = g.type(g.outputs()[k]).shape;
      for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d].isConstant()) continue;
        if (!table)
          table = dimsTable("output_dims", Region::OutputDims, g.outputs().size(), loop::Scope::Global);
        r.push_back(
            loop::store(table, {loop::imm(int64_t(k)), loop::imm(int64_t(d))}, loop::use(shape[d].symbol())));
      }
    }
    return r;
  }
};

int64_t launchesOf(const Step &step) {
  if (step.bodies.empty()) return 1;
  int64_t r = 0;
  for (const Body &body : step.bodies)
    for (const Step &s : body.steps) r += launchesOf(s);
  return r;
}

} // namespace

Result<Program> lower(const Graph &g, const Target &target, const LowerOptions &options) {
  Program p;
  p.name = options.name;
  for (ValueId v : g.inputs()) p.inputs.push_back({g[v].name, g.type(v)});
  for (ValueId v : g.outputs()) p.outputs.push_back({g[v].name, g.type(v)});

  PLANISH_ASSIGN(Storage storage, planStorage(g));
  KernelSet kernels(target, options, storage);
  Launches launches(storage, kernels);
  PLANISH_TRY(launches.add(storage.main));
  if (target.groupItems == 1) kernels.keepWhole(keptWhole(launches.steps, target), launches.steps);
  for (const LoweredStep &s : launches.steps) p.launches.push_back(infoOf(s));
  MemoryPlan memory = planMemory(launches.memoryNeeds());
  p.arenaBytes = memory.bytes;
  p.kernels = kernels.kernels();
  if (target.device == DeviceKind::Cpu)
    for (const loop::FunctionRef &k : p.kernels)
      p.scratchBytes = std::max(p.scratchBytes, loop::planScratch(*k).bytes);
  p.constants = std::move(kernels.constants);
  p.transformed = kernels.transformed;

  HostBuilder host(g, storage, memory, launches.steps, p);
  host.build();
  int64_t launch = 0;
  for (const Step &s : storage.main.steps) {
    if (!s.copy && s.bodies.empty())
      for (const Operand &out : s.out)
        if (constantShape(out.type.shape))
          p.values.push_back({out.name, out.type, host.parameterOf(out), launch});
    launch += launchesOf(s);
  }
  if (target.device != DeviceKind::Cpu) insertHostReads(p);
  return p;
}

Result<std::vector<Computation>> computationsOf(const Graph &g) {
  PLANISH_ASSIGN(Storage storage, planStorage(g));
  std::vector<Computation> r;
  std::map<std::string, size_t> known;
  std::function<void(const Body &)> add = [&](const Body &body) {
    for (const Step &step : body.steps) {
      for (const Body &inner : step.bodies) add(inner);
      if (!step.bodies.empty()) continue;
      loop::Compute compute = computeOf(step, *body.graph, storage).compute;
      if (!compute.out) continue;  // nothing to choose
      auto [it, fresh] = known.try_emplace(schedule::keyOf(compute), r.size());
      if (fresh) r.push_back({std::move(compute), 0, (*body.graph)[step.node].loc.onnxNodes});
      ++r[it->second].launches;
    }
  };
  add(storage.main);
  return r;
}

} // namespace planish::lower
