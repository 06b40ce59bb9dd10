// Structural equality of graphs: values and symbols correspond by position, not by name or address.

#include "Fields.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <map>

namespace planish::graph {

namespace {

using SymbolMap = std::map<Var, Var>;

class Comparison {
public:
  /// Of regions `aroundLeft` and `aroundRight` are the graphs that they are in, whose symbols do not count
  /// again: a region knows those that there were when it was made.
  Comparison(const Graph &left, const Graph &right, SymbolMap &symbolMap, const Graph *aroundLeft = nullptr,
             const Graph *aroundRight = nullptr)
      : a(left), b(right), ownOfA(symbolsOf(left, aroundLeft)), ownOfB(symbolsOf(right, aroundRight)),
        symbols(symbolMap), partner(left.values().size(), kAbsent) {}

  bool sameSymbols() {
    auto same = [&](const Symbol &x, const Symbol &y) {
      if (x.var->name != y.var->name || x.var->lower != y.var->lower || x.var->upper != y.var->upper)
        return false;
      if (x.input != y.input || x.dim != y.dim || bool(x.definition) != bool(y.definition)) return false;
      if ((x.value == kAbsent) != (y.value == kAbsent) || x.element != y.element) return false;
      symbols[x.var] = y.var;
      return !x.definition || loop::equal(mapped(x.definition), y.definition);
    };
    return std::ranges::equal(ownOfA, ownOfB, same);
  }

  bool sameBody() {
    if (a.inputs().size() != b.inputs().size() || a.nodes().size() != b.nodes().size()) return false;
    for (size_t i = 0; i < a.inputs().size(); ++i) {
      if (!same(a.type(a.inputs()[i]), b.type(b.inputs()[i]))) return false;
      partner[a.inputs()[i].index] = b.inputs()[i];
    }
    return std::ranges::equal(a.nodes(), b.nodes(),
                              [&](const Node &x, const Node &y) { return same(x, y); }) &&
           std::ranges::equal(a.outputs(), b.outputs(), [&](ValueId x, ValueId y) { return same(x, y); }) &&
           std::ranges::equal(ownOfA, ownOfB,
                              [&](const Symbol &x, const Symbol &y) { return same(x.value, y.value); });
  }

private:
  static std::vector<Symbol> symbolsOf(const Graph &g, const Graph *around) {
    std::vector<Symbol> r;
    for (const Symbol &s : g.symbols())
      if (!around || std::ranges::find(around->symbols(), s.var, &Symbol::var) == around->symbols().end())
        r.push_back(s);
    return r;
  }
  loop::Expr mapped(const loop::Expr &e) const {
    loop::Substitution map;
    for (auto &[x, y] : symbols) map[x] = loop::use(y);
    return loop::substitute(e, map);
  }
  bool same(const Dim &x, const Dim &y) const {
    if (x.isConstant() || y.isConstant()) return x == y;
    auto found = symbols.find(x.symbol());
    return found != symbols.end() && found->second == y.symbol();
  }
  bool same(const Shape &x, const Shape &y) const {
    return std::ranges::equal(x, y, [&](const Dim &p, const Dim &q) { return same(p, q); });
  }
  bool same(const TensorType &x, const TensorType &y) const {
    return x.dtype == y.dtype && x.layout == y.layout && x.quant == y.quant && same(x.shape, y.shape);
  }
  bool same(const Attrs &x, const Attrs &y) const {
    return std::ranges::equal(fieldsOf(x), fieldsOf(y), [&](const Field &p, const Field &q) {
      auto *left = std::get_if<Shape>(&p.value), *right = std::get_if<Shape>(&q.value);
      return left && right ? p.name == q.name && same(*left, *right) : equal(p, q);
    });
  }
  bool same(ValueId x, ValueId y) {
    if (x == kAbsent || y == kAbsent) return x == y;
    ValueId &known = partner[x.index];
    if (known == kAbsent && a[x].isConstant() && b[y].isConstant() && same(a.type(x), b.type(y)) &&
        *a[x].data == *b[y].data)
      known = y;
    return known == y || (known != kAbsent && a[x].isConstant() && b[y].isConstant() &&
                          *a[x].data == *b[y].data && same(a.type(x), b.type(y)));
  }
  bool same(const Node &x, const Node &y) {
    if (x.op != y.op || x.outputs.size() != y.outputs.size() || !same(x.attrs, y.attrs)) return false;
    if (!std::ranges::equal(x.inputs, y.inputs, [&](ValueId p, ValueId q) { return same(p, q); }))
      return false;
    for (size_t i = 0; i < x.outputs.size(); ++i) {
      if (!same(a.type(x.outputs[i]), b.type(y.outputs[i]))) return false;
      partner[x.outputs[i].index] = y.outputs[i];
    }
    return std::ranges::equal(x.regions, y.regions, [&](const Graph &p, const Graph &q) {
      Comparison inner(p, q, symbols, &a, &b);
      return inner.sameSymbols() && inner.sameBody();
    });
  }

  const Graph &a, &b;
  std::vector<Symbol> ownOfA, ownOfB;
  SymbolMap &symbols;
  std::vector<ValueId> partner;  // in b, by value index of a
};

} // namespace

bool Graph::operator==(const Graph &other) const {
  SymbolMap symbols;
  Comparison comparison(*this, other, symbols);
  return comparison.sameSymbols() && comparison.sameBody();
}

} // namespace planish::graph
