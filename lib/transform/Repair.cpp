// Layers quantized anew.
#include "planish/transform/Layers.h"

#include "IntegerOperands.h"
#include "planish/ops/Ops.h"

#include <algorithm>
#include <map>
#include <set>

namespace planish::transform {

using graph::Loc;
using quant::Cure;

namespace {

class Repairer {
public:
  explicit Repairer(const Graph &graph) : g(graph), r(graph), layers(layersOf(graph)) {}

  Status take(const Repair &repair) {
    auto found =
        std::ranges::find(layers, repair.codes, [&](const QuantizedLayer &l) { return g[l.codes].name; });
    if (found == layers.end()) return failed("there is no quantized layer '" + repair.codes + "' to repair");
    const QuantizedLayer &layer = *found;
    switch (repair.cure) {
    case Cure::None: return failed("nothing repairs layer '" + layer.name + "'");
    case Cure::RequantizeWeights:
    case Cure::FloatBias: {
      size_t operand = repair.cure == Cure::FloatBias ? 2 : 1;
      if (!layer.contraction || g[*layer.contraction].inputs.size() <= operand)
        return failed("layer '" + layer.name + "' has no such operand to repair");
      operands[*layer.contraction].push_back(&repair);
      return {};
    }
    case Cure::SplitScale:
      if (layer.parts.size() != repair.parts.size() || !directlyRead(layer))
        return failed("layer '" + layer.name + "' is not joined of parts with scales of their own");
      splits[layer.encode] = {&layer, &repair};
      for (NodeId d : layer.decodes) joins[d] = &layer;
      for (const QuantizedLayer::Again &again : layer.again) {
        passed.insert(again.encode);
        passed.insert(again.decodes.begin(), again.decodes.end());
      }
      return {};
    case Cure::Rescale:
    case Cure::ClipTail:
      parameters[layer.encode] = repair.coding;
      for (NodeId d : layer.decodes) parameters[d] = repair.coding;
      for (const QuantizedLayer::Again &again : layer.again) {
        parameters[again.encode] = repair.coding;
        for (NodeId d : again.decodes) parameters[d] = repair.coding;
      }
      return {};
    }
    return {};
  }

  Result<Graph> run() {
    for (uint32_t n = 0; n < g.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    return r.finish();
  }

private:
  bool directlyRead(const QuantizedLayer &layer) const {
    auto direct = [&](NodeId encode, const std::vector<NodeId> &decodes) {
      return std::ranges::all_of(decodes, [&](NodeId d) { return g[d].inputs[0] == g[encode].outputs[0]; });
    };
    return direct(layer.encode, layer.decodes) &&
           std::ranges::all_of(layer.again, [&](const auto &a) { return direct(a.encode, a.decodes); });
  }

  Status visit(NodeId id) {
    const Node &node = g[id];
    if (auto at = operands.find(id); at != operands.end()) return contraction(node, at->second);
    if (passed.contains(id)) return pass(node);
    if (auto at = splits.find(id); at != splits.end()) return split(node, at->second);
    if (auto at = joins.find(id); at != joins.end()) return read(node, *at->second);
    auto at = parameters.find(id);
    if (at == parameters.end()) return r.copy(id);
    PLANISH_ASSIGN(ValueId made, coded(*node.op, r(node.inputs[0]), codeType(node), at->second, node.loc));
    r.replace(node.outputs[0], made);
    return {};
  }

  DType codeType(const Node &node) const {
    return g.type(node.op->coding == graph::Coding::Encodes ? node.outputs[0] : node.inputs[0]).dtype;
  }

  /// A quantize or dequantize node.
  Result<ValueId> coded(const graph::OpDef &op, ValueId x, DType type, const quant::Coding &c,
                        const Loc &loc) {
    Graph &to = r.graph();
    ValueId scale = to.addConstant(DType::f32, {}, std::vector<float>{float(c.scale)});
    ValueId zero = type == DType::u8 ? to.addConstant(type, {}, std::vector<uint8_t>{uint8_t(c.zero)})
                                     : to.addConstant(type, {}, std::vector<int8_t>{int8_t(c.zero - 128)});
    PLANISH_ASSIGN(std::vector<ValueId> made, to.append(op, {}, {x, scale, zero}, loc));
    return made[0];
  }

  Status contraction(const Node &node, const std::vector<const Repair *> &repairs) {
    std::vector<ValueId> inputs = r(node.inputs);
    Graph &to = r.graph();
    for (const Repair *repair : repairs) {
      if (repair->cure == Cure::FloatBias) {
        auto shape = constantShape(g.type(node.inputs[2]).shape);
        if (!shape || graph::elementCount(g.type(node.inputs[2]).shape) != int64_t(repair->bias.size()))
          return failed("the repair of layer '" + repair->codes + "' has a bias of another size");
        inputs[2] = to.addConstant(DType::f32, *shape, repair->bias);
        continue;
      }
      if (constantShape(g.type(node.inputs[1]).shape) != repair->shape)
        return failed("the repair of layer '" + repair->codes + "' has weights of another shape");
      std::vector<int64_t> along(repair->shape.size() - size_t(repair->axis), 1);
      along[0] = int64_t(repair->scales.size());
      PLANISH_ASSIGN(std::vector<ValueId> weights,
                     to.append(ops::kDequantize, {},
                               {to.addConstant(DType::i8, repair->shape, repair->weights),
                                to.addConstant(DType::f32, along, repair->scales)},
                               node.loc));
      inputs[1] = weights[0];
    }
    PLANISH_ASSIGN(std::vector<ValueId> made, to.append(*node.op, node.attrs, inputs, node.loc));
    r.replace(node.outputs[0], made[0]);
    return {};
  }

  /// The parts through codes of their own, joined as real numbers.
  Status split(const Node &encode, const std::pair<const QuantizedLayer *, const Repair *> &at) {
    const QuantizedLayer &layer = *at.first;
    const Node &join = g[*g[layer.real].def];
    std::vector<ValueId> parts;
    for (size_t i = 0; i < layer.parts.size(); ++i) {
      ValueId part = layer.parts[i], real = r(part);
      bool coded = g[part].def && g[*g[part].def].op->coding == graph::Coding::Decodes;
      if (!coded) {
        PLANISH_ASSIGN(ValueId codes,
                       this->coded(*encode.op, real, codeType(encode), at.second->parts[i], encode.loc));
        PLANISH_ASSIGN(
            real, this->coded(ops::kDequantize, codes, codeType(encode), at.second->parts[i], encode.loc));
      }
      parts.push_back(real);
    }
    PLANISH_ASSIGN(std::vector<ValueId> made, r.graph().append(*join.op, join.attrs, parts, join.loc));
    joined[layer.codes] = made[0];
    return {};
  }
  Status read(const Node &decode, const QuantizedLayer &layer) {
    return become(decode, joined.at(layer.codes));
  }
  /// A node whose operand takes its result's place. Codes that are real numbers now are read by `pass` alone.
  Status pass(const Node &node) {
    if (node.op->coding == graph::Coding::Decodes) return become(node, r(node.inputs[0]));
    r.replace(node.outputs[0], r(node.inputs[0]));
    return {};
  }
  Status become(const Node &node, ValueId real) {
    if (!r.mayReplace(node.outputs[0], real)) {
      PLANISH_ASSIGN(std::vector<ValueId> copy, r.graph().append(ops::kCopy, {}, {real}, node.loc));
      real = copy[0];
    }
    r.replace(node.outputs[0], real);
    return {};
  }

  const Graph &g;
  graph::Rebuilder r;
  std::vector<QuantizedLayer> layers;
  std::map<NodeId, quant::Coding> parameters; // of quantize and dequantize nodes
  std::map<NodeId, std::vector<const Repair *>> operands; // of contractions
  std::map<NodeId, std::pair<const QuantizedLayer *, const Repair *>> splits;
  std::map<NodeId, const QuantizedLayer *> joins; // who reads what was split
  std::map<ValueId, ValueId> joined;
  std::set<NodeId> passed; // nodes that vanish
};

} // namespace

Result<Graph> repaired(const Graph &g, std::span<const Repair> repairs) {
  Repairer repairer(g);
  for (const Repair &repair : repairs) PLANISH_TRY(repairer.take(repair));
  return repairer.run();
}

Result<Graph> repaired(Graph g, const Repairs &rounds) {
  for (const std::vector<Repair> &round : rounds) { PLANISH_ASSIGN(g, repaired(g, std::span(round))); }
  return g;
}

} // namespace planish::transform
