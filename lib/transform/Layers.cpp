// Which quantized layers a graph has.
#include "planish/transform/Layers.h"

#include "IntegerOperands.h"
#include "LayerParts.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace planish::transform {

using graph::Coding;

namespace {

/// What tools put behind the name of a value to name its codes.
constexpr std::array<std::string_view, 6> kSuffixes{"_QuantizeLinear_Input",
                                                    "_QuantizeLinear_Output",
                                                    "_DequantizeLinear_Output",
                                                    "_quantized",
                                                    "quantized",
                                                    "_q"};

/// Whether the graph made the name itself.
bool isMade(std::string_view name) {
  return name.size() > 1 && name[0] == 'v' &&
         std::ranges::all_of(name.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

bool isByte(DType t) { return t == DType::u8 || t == DType::i8; }

/// How the codes of a quantize node are read.
struct Readers {
  std::vector<NodeId> decodes;
  bool only = true; // nothing else reads them
};

class LayerFinder {
public:
  explicit LayerFinder(const Graph &graph) : g(graph), uses(g.uses()), outputs(g.outputUses()) {}

  std::vector<QuantizedLayer> all() {
    std::vector<QuantizedLayer> r;
    std::map<NodeId, size_t> owners; // of dequantize nodes
    for (uint32_t n = 0; n < g.nodes().size(); ++n) {
      auto layer = layerAt({n});
      if (!layer) continue;
      auto before = pickedFrom(layer->real);
      auto owner = before ? owners.find(*before) : owners.end();
      bool again = owner != owners.end() && r[owner->second].coding == layer->coding &&
                   r[owner->second].decoded == layer->decoded;
      size_t index = again ? owner->second : r.size();
      for (NodeId d : layer->decodes) owners[d] = index;
      if (again) r[index].again.push_back({layer->encode, layer->decodes});
      else r.push_back(std::move(*layer));
    }
    return r;
  }

private:
  /// The dequantize node that all elements of a value come from.
  std::optional<NodeId> pickedFrom(ValueId v) const {
    while (g[v].def) {
      const Node &node = g[*g[v].def];
      if (node.op->coding == Coding::Decodes) return g[v].def;
      auto picked = node.outputs.size() == 1 ? pickedOperands(g, node) : std::nullopt;
      if (!picked || std::ranges::count(*picked, true) != 1) return std::nullopt;
      v = node.inputs[size_t(std::ranges::find(*picked, true) - picked->begin())];
    }
    return std::nullopt;
  }

  std::optional<QuantizedLayer> layerAt(NodeId id) {
    const Node &node = g[id];
    if (node.op->coding != Coding::Encodes || g[node.inputs[0]].isConstant()) return std::nullopt;
    auto p = parametersOf(g, node);
    if (!p) return std::nullopt;
    Readers readers;
    follow(node.outputs[0], readers);
    if (!readers.only) return std::nullopt;
    QuantizedLayer layer{id, node.inputs[0], node.outputs[0], {p->scale, p->zero}, p->scale, readers.decodes};
    for (NodeId d : readers.decodes)
      if (auto q = parametersOf(g, g[d]); q && q->scale != p->scale) layer.decoded = q->scale;
    layer.name = nameOf(layer);
    describe(layer);
    return layer;
  }

  void follow(ValueId codes, Readers &to) const {
    if (outputs[codes.index]) to.only = false;
    for (NodeId id : uses[codes.index]) {
      const Node &user = g[id];
      if (user.op->coding == Coding::Decodes) {
        if (auto p = parametersOf(g, user)) to.decodes.push_back(id);
        else to.only = false;
        continue;
      }
      // Only what moves these codes alone: others would have to share whatever becomes of the scale.
      auto picked = user.outputs.size() == 1 ? pickedOperands(g, user) : std::nullopt;
      bool alone = picked && std::ranges::count(*picked, true) == 1 && user.inputs[0] == codes;
      if (alone && isByte(g.type(user.outputs[0]).dtype)) follow(user.outputs[0], to);
      else to.only = false;
    }
  }

  std::string nameOf(const QuantizedLayer &layer) const {
    const std::string &real = g[layer.real].name, &codes = g[layer.codes].name;
    if (!isMade(real)) return plainName(real);
    return isMade(codes) ? real : plainName(codes);
  }

  /// Everything about what computes the value.
  void describe(QuantizedLayer &layer) const {
    int rank = g.type(layer.real).rank();
    layer.axis = rank > 1 ? 1 : 0;
    NodeId anchor = layer.encode;
    std::set<NodeId> before;
    gather(layer.real, before);
    for (NodeId id : before) {
      const Node &node = g[id];
      if (!node.loc.onnxNodes.empty() &&
          std::ranges::find(layer.nodes, node.loc.onnxNodes[0]) == layer.nodes.end())
        layer.nodes.push_back(node.loc.onnxNodes[0]);
      anchor = id;
    }
    if (layer.nodes.empty()) layer.nodes = g[layer.encode].loc.onnxNodes;
    if (auto path = contractionBehind(g, layer.real)) {
      layer.contraction = path->node;
      if (auto axes = channelAxes(g, g[path->node]);
          axes && g.type(g[path->node].outputs[0]).rank() == rank) {
        layer.axis = axes->result;
        layer.weightsAxis = axes->weights;
      }
    }
    if (anchor != layer.encode) joined(layer, g[anchor]);
  }

  /// The nodes between the codes before and a value.
  void gather(ValueId v, std::set<NodeId> &to) const {
    if (v == kAbsent || !g[v].def || to.size() > 64) return;
    const Node &node = g[*g[v].def];
    if (node.op->coding != Coding::None || !to.insert(*g[v].def).second) return;
    for (ValueId input : node.inputs) gather(input, to);
  }

  /// Several operands one after the other along one dimension of the result.
  void joined(QuantizedLayer &layer, const Node &node) const {
    if (node.op->cls != graph::OpClass::Movement || !node.op->inputView || node.inputs.size() < 2 ||
        node.outputs[0] != layer.real || !constantShape(g.type(layer.real).shape))
      return;
    int rank = g.type(layer.real).rank();
    std::optional<int> along;
    for (ValueId v : node.inputs) {
      if (v == kAbsent || g[v].isConstant() || g.type(v).rank() != rank) return;
      for (int d = 0; d < rank; ++d)
        if (g.type(v).shape[size_t(d)] != g.type(layer.real).shape[size_t(d)]) {
          if (along && *along != d) return;
          along = d;
        }
    }
    if (!along) return;
    layer.axis = *along;
    layer.parts = node.inputs;
  }

  const Graph &g;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputs;
};

} // namespace

std::string plainName(std::string_view name) {
  for (std::string_view suffix : kSuffixes)
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return std::string(name.substr(0, name.size() - suffix.size()));
  return std::string(name);
}

std::optional<PathToContraction> contractionBehind(const Graph &g, ValueId value) {
  PathToContraction path{};
  std::set<NodeId> found, seen;
  std::vector<ValueId> open{value};
  while (!open.empty()) {
    ValueId v = open.back();
    open.pop_back();
    if (v == kAbsent || !g[v].def || !seen.insert(*g[v].def).second) continue;
    const Node &node = g[*g[v].def];
    if (node.op->cls == graph::OpClass::Contraction) {
      found.insert(*g[v].def);
    } else if (node.op->coding == Coding::None &&
               (node.op->cls == graph::OpClass::Elementwise || node.inputs.size() == 1)) {
      if (!limitsOf(g, node)) path.operators.emplace_back(node.op->name);
      std::ranges::copy(node.inputs, std::back_inserter(open));
    }
  }
  if (found.size() != 1) return std::nullopt;
  path.node = *found.begin();
  std::ranges::sort(path.operators);
  return path;
}

std::optional<ChannelAxes> channelAxes(const Graph &g, const Node &contraction) {
  auto meaning = contraction.inputs.size() > 1 ? meaningOf(g, contraction) : std::nullopt;
  if (!meaning) return std::nullopt;
  std::optional<ChannelAxes> r;
  auto look = [&](const loop::Expr &e) {
    auto *access = loop::as<loop::Load>(e);
    if (!access || access->buffer != meaning->view.in[1]) return;
    for (size_t w = 0; w < access->indices.size(); ++w)
      for (size_t d = 0; d < meaning->compute.outIndices.size(); ++d)
        if (loop::equal(loop::affine(access->indices[w]), loop::affine(meaning->compute.outIndices[d])) &&
            !loop::affine(access->indices[w]).isConstant())
          r = ChannelAxes{int(w), int(d)};
  };
  for (const loop::Expr *e : {&meaning->compute.lhs, &meaning->compute.rhs})
    if (*e) loop::walk(*e, look);
  return r;
}

std::vector<QuantizedLayer> layersOf(const Graph &g) { return LayerFinder(g).all(); }

} // namespace planish::transform
