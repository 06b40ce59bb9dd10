#include "ConstantText.h"
#include "ExprText.h"
#include "Fields.h"
#include "planish/graph/Text.h"
#include "planish/support/Hash.h"

#include <cmath>
#include <set>

namespace planish::graph {

namespace {

std::string dimText(const Dim &d) {
  return d.isConstant() ? std::to_string(d.constant()) : nameText(d.symbol()->name);
}

template <class List> std::string listText(const List &list) {
  return "[" +
         joined(list,
                [](auto v) {
                  if constexpr (std::is_floating_point_v<decltype(v)>) return planish::textOf(v);
                  else return std::to_string(v);
                }) +
         "]";
}

std::string typeText(const TensorType &t) {
  std::string r = std::string(nameOf(t.dtype)) + "[" + joined(t.shape, dimText, ",") + "]";
  if (!t.layout.empty()) r += "@(" + joined(t.layout, [](uint8_t d) { return std::to_string(d); }, ",") + ")";
  if (t.quant)
    r += " quant(" + listText(t.quant->scale) + ", " + listText(t.quant->zeroPoint) + ", " +
         std::to_string(t.quant->axis) + ")";
  return r;
}

std::string fieldText(const Field &f) {
  return std::visit(Overloaded{[](int64_t v) { return std::to_string(v); },
                               [](double v) { return planish::textOf(v); },
                               [](bool v) { return std::string(v ? "true" : "false"); },
                               [](DType v) { return std::string(nameOf(v)); },
                               [](const std::vector<int64_t> &v) { return listText(v); },
                               [](const std::vector<double> &v) { return listText(v); },
                               [](const Shape &v) { return "[" + joined(v, dimText) + "]"; },
                               [](const Choice &v) { return nameText(v.spellings[size_t(v.index)]); }},
                    f.value);
}

/// Only the fields that differ from the operator's defaults.
std::string attrsText(const Node &node) {
  std::vector<Field> fields = fieldsOf(node.attrs), defaults = fieldsOf(node.op->prototype);
  std::string r;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i < defaults.size() && equal(fields[i], defaults[i])) continue;
    r += (r.empty() ? " {" : ", ") + std::string(fields[i].name) + "=" + fieldText(fields[i]);
  }
  return r.empty() ? r : r + "}";
}

class Printer {
public:
  explicit Printer(Blobs *blobs) : blobStore(blobs) {}

  std::string graph(const Graph &g, const std::string &head, const std::string &indent) {
    std::string r =
        head + "(" +
        joined(g.inputs(), [&](ValueId v) { return nameOfValue(g, v) + ": " + typeText(g.type(v)); }) + ")";
    std::vector<Symbol> own;  // those of the graph around a region stand there
    for (const Symbol &s : g.symbols())
      if (known.insert(s.var).second) own.push_back(s);
    if (!own.empty()) r += symbolsText(g, own);
    r += " {\n";
    std::string inner = indent + "  ";
    std::vector<bool> printed(g.values().size(), false);
    auto constants = [&](std::span<const ValueId> used) {
      for (ValueId v : used) {
        if (v == kAbsent || !g[v].isConstant() || printed[v.index]) continue;
        printed[v.index] = true;
        r += inner + nameOfValue(g, v) + " = constant " + typeText(g.type(v)) + " " + constantText(g[v]) +
             "\n";
      }
    };
    for (const Node &n : g.nodes()) {
      constants(n.inputs);
      r += inner + nodeText(g, n, inner) + "\n";
    }
    constants(g.outputs());
    auto name = [&](ValueId v) { return nameOfValue(g, v); };
    return r + inner + "return" + (g.outputs().empty() ? "" : " ") + joined(g.outputs(), name) + "\n" +
           indent + "}";
  }

private:
  static std::string nameOfValue(const Graph &g, ValueId v) {
    return v == kAbsent ? "_" : "%" + nameText(g[v].name);
  }

  static std::string symbolsText(const Graph &g, const std::vector<Symbol> &symbols) {
    return " symbols(" +
           joined(symbols,
                  [&](const Symbol &s) {
                    std::string source =
                        s.definition ? textOf(s.definition)
                        : s.value != kAbsent
                            ? "value " + nameOfValue(g, s.value) + " element " + std::to_string(s.element)
                            : "input " + std::to_string(s.input) + " dim " + std::to_string(s.dim);
                    return nameText(s.var->name) + ": " + std::to_string(s.var->lower) + ".." +
                           std::to_string(s.var->upper) + " = " + source;
                  }) +
           ")";
  }

  std::string nodeText(const Graph &g, const Node &n, const std::string &indent) {
    auto result = [&](ValueId v) { return nameOfValue(g, v) + ": " + typeText(g.type(v)); };
    std::string r = joined(n.outputs, result) + " = " + std::string(n.op->name) + "(" +
                    joined(n.inputs, [&](ValueId v) { return nameOfValue(g, v); }) + ")" + attrsText(n);
    for (const std::string &name : n.loc.onnxNodes) r += " " + quoted(name);
    for (const Graph &region : n.regions) r += graph(region, " region", indent);
    return r;
  }

  std::string constantText(const Value &v) {
    if (isSmall(v)) return elementsText(v);
    std::string hash = hexOf(hash64(*v.data));
    if (blobStore) (*blobStore)[hash] = v.data;
    return "#" + hash;
  }

  Blobs *blobStore;
  std::set<Var> known;
};

} // namespace

std::string print(const Graph &g, Blobs *blobs) { return Printer(blobs).graph(g, "graph @main", "") + "\n"; }

} // namespace planish::graph
