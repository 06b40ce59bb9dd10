#include "planish/graph/Evaluate.h"

#include "Immediate.h"
#include "planish/loop/Interpret.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/FloatMode.h"
#include "planish/support/Text.h"

#include <algorithm>

namespace planish::graph {

namespace {

class Evaluation {
public:
  /// A region is given the sizes of the graph around it.
  Evaluation(const Graph &graph, bool keepEverything, bool strictForm = false,
             std::map<Var, int64_t> given = {})
      : g(graph), keepAll(keepEverything), strict(strictForm), values(graph.values().size()),
        sizes(std::move(given)) {}

  Status run(std::span<const Tensor> inputs) {
    if (inputs.size() != g.inputs().size())
      return usage(std::to_string(inputs.size()) + " inputs given, the graph has " +
                   std::to_string(g.inputs().size()));
    for (size_t i = 0; i < inputs.size(); ++i) PLANISH_TRY(bindInput(g.inputs()[i], inputs[i]));
    for (size_t i = 0; i < values.size(); ++i)
      if (g.values()[i].isConstant())
        values[i] = {g.values()[i].type.dtype, *constantShape(g.values()[i].type.shape), g.values()[i].data};
    PLANISH_TRY(bindSymbols());
    countReads();
    for (const Node &node : g.nodes()) PLANISH_TRY(evaluateNode(node));
    return {};
  }

  std::vector<Tensor> outputs() const {
    std::vector<Tensor> r;
    for (ValueId v : g.outputs()) r.push_back(values[v.index]);
    return r;
  }
  std::vector<Tensor> all() { return std::move(values); }

private:
  Status bindInput(ValueId v, const Tensor &given) {
    const TensorType &type = g.type(v);
    auto fail = [&](const std::string &text) {
      return usage("input '" + g[v].name + "' of type " + textOf(type) + ": " + text);
    };
    if (given.dtype != type.dtype) return fail("given elements of " + std::string(nameOf(given.dtype)));
    if (given.shape.size() != type.shape.size())
      return fail("given rank " + std::to_string(given.shape.size()));
    int64_t count = 1;
    for (size_t d = 0; d < given.shape.size(); ++d) {
      const Dim &dim = type.shape[d];
      int64_t size = given.shape[d];
      count *= size;
      if (size < dim.lower() || size > dim.upper())
        return fail("given size " + std::to_string(size) + " in dimension " + std::to_string(d));
      if (dim.isConstant()) continue;
      if (auto [at, isNew] = sizes.emplace(dim.symbol(), size); !isNew && at->second != size)
        return fail("given two sizes for '" + dim.symbol()->name + "'");
    }
    if (size_t(count) * size_t(byteSize(type.dtype)) != given.data->size())
      return fail("given " + std::to_string(given.data->size()) + " bytes");
    values[v.index] = given;
    return {};
  }

  Result<int64_t> sizeOf(const loop::Expr &e) const {
    loop::Substitution map;
    for (auto &[symbol, size] : sizes) map[symbol] = loop::imm(size);
    auto value = loop::constantOf(folded(loop::substitute(e, map)));
    if (!value) return failed("a size depends on what no input says");
    return *value;
  }

  /// True where everything that the size is computed from is known by now.
  bool isComputable(const Symbol &s) const {
    if (s.value != kAbsent) return bool(values[s.value.index].data);
    bool known = bool(s.definition);
    if (known)
      loop::walk(s.definition, [&](const loop::Expr &e) {
        if (auto *v = loop::as<loop::VarRef>(e)) known &= sizes.contains(v->var);
      });
    return known;
  }
  Result<int64_t> sizeOf(const Symbol &s) const {
    if (s.value == kAbsent) return sizeOf(s.definition);
    return dataOf<int64_t>(Value{g.type(s.value), {}, {}, values[s.value.index].data})[size_t(s.element)];
  }

  Status bindSymbols() {
    for (const Symbol &s : g.symbols()) {
      if (sizes.contains(s.var) || !isComputable(s)) continue;
      PLANISH_ASSIGN(int64_t size, sizeOf(s));
      if (size < s.var->lower || size > s.var->upper)
        return failed("the size " + s.var->name + " = " + std::to_string(size) + " is outside " +
                      std::to_string(s.var->lower) + ".." + std::to_string(s.var->upper));
      sizes[s.var] = size;
    }
    return {};
  }

  void countReads() {
    reads.assign(values.size(), 0);
    for (const Node &n : g.nodes())
      for (ValueId v : n.inputs)
        if (v != kAbsent) ++reads[v.index];
    for (ValueId v : g.outputs()) ++reads[v.index];
  }

  loop::Buffer bufferOf(ValueId v) const {
    if (v == kAbsent) return nullptr;
    const TensorType &type = g.type(v);
    std::vector<loop::Expr> extents;
    for (const Dim &d : type.shape) extents.push_back(loop::extentOf(d));
    return loop::buffer("v" + std::to_string(v.index), type.dtype, std::move(extents), {},
                        g[v].isConstant() ? loop::Scope::Constant : loop::Scope::Global);
  }

  Status evaluateNode(const Node &node) {
    auto fail = [&](const Diagnostic &d) {
      return d.in(joined(node.loc.onnxNodes, [](auto &s) { return s; }) + " (" + std::string(node.op->name) +
                  ")");
    };
    if (node.op->control != Control::None) {
      if (Status s = control(node); !s) return fail(s.error());
      PLANISH_TRY(bindSymbols());
      release(node);
      return {};
    }
    std::vector<loop::Buffer> in, out;
    for (ValueId v : node.inputs) in.push_back(bufferOf(v));
    std::map<loop::Buffer, void *> memory;
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i]) // the interpreter never writes to what a computation only reads
        memory[in[i]] = const_cast<std::byte *>(values[node.inputs[i].index].data->data());
    for (ValueId v : node.outputs) {
      out.push_back(bufferOf(v));
      memory[out.back()] = allocate(v);
    }
    loop::Function f =
        node.op->loops ? loopsOf(node, g, in, out) : loop::definition(computeOf(node, g, in, out[0]));
    if (strict) f = loop::legalize(f, {.fma = false, .scale2 = false});
    std::vector<void *> params;
    for (const loop::Buffer &b : f.params) params.push_back(memory.at(b));
    std::vector<int64_t> scalars;
    for (const Var &v : f.scalars) {
      auto found = sizes.find(v);
      PLANISH_CHECK(found != sizes.end(), "a computation reads the unknown size '" + v->name + "'");
      scalars.push_back(found->second);
    }
    if (Status s = loop::interpret(f, params, scalars); !s) return fail(s.error());
    PLANISH_TRY(bindSymbols());
    release(node);
    return {};
  }

  /// The results of the region that the condition chooses.
  Status control(const Node &node) {
    bool chosen = values[node.inputs[0].index].data->front() != std::byte{0};
    Evaluation region(node.regions[chosen ? 0 : 1], false, strict, sizes);
    std::vector<Tensor> inputs;
    for (ValueId v : std::span(node.inputs).subspan(1)) inputs.push_back(values[v.index]);
    PLANISH_TRY(region.run(inputs));
    std::vector<Tensor> results = region.outputs();
    for (size_t k = 0; k < results.size(); ++k) values[node.outputs[k].index] = std::move(results[k]);
    return {};
  }

  /// Makes the value's tensor and gives its memory.
  std::byte *allocate(ValueId v) {
    Tensor &tensor = values[v.index] = {g.type(v).dtype, {}, nullptr};
    int64_t count = 1;
    for (const Dim &d : g.type(v).shape) {
      tensor.shape.push_back(d.isConstant() ? d.constant() : sizes.at(d.symbol()));
      count *= tensor.shape.back();
    }
    auto bytes = std::make_shared<std::vector<std::byte>>(size_t(count) * size_t(byteSize(tensor.dtype)));
    tensor.data = bytes;
    return bytes->data();
  }

  void release(const Node &node) {
    if (keepAll) return;
    for (ValueId v : node.inputs)
      if (v != kAbsent && --reads[v.index] == 0) values[v.index].data = nullptr;
  }

  const Graph &g;
  bool keepAll, strict;
  std::vector<Tensor> values;
  std::vector<int> reads;
  std::map<Var, int64_t> sizes;
};

} // namespace

Result<std::vector<Tensor>> evaluate(const Graph &g, std::span<const Tensor> inputs) {
  const FlushedSubnormals mode;
  Evaluation e(g, false);
  PLANISH_TRY(e.run(inputs));
  return e.outputs();
}

Result<std::vector<Tensor>> evaluateStrict(const Graph &g, std::span<const Tensor> inputs) {
  const FlushedSubnormals mode;
  Evaluation e(g, false, true);
  PLANISH_TRY(e.run(inputs));
  return e.outputs();
}

Result<std::vector<Tensor>> evaluateAll(const Graph &g, std::span<const Tensor> inputs) {
  const FlushedSubnormals mode;
  Evaluation e(g, true);
  PLANISH_TRY(e.run(inputs));
  return e.all();
}

} // namespace planish::graph
