// Sizes known only at run time.

#include "ExprText.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>

namespace planish::graph {

namespace {

/// What every defined symbol is in terms of the sizes of graph inputs.
loop::Substitution definitionsOf(std::span<const Symbol> symbols) {
  loop::Substitution r;
  for (const Symbol &s : symbols)
    if (s.definition) r[s.var] = loop::substitute(s.definition, r);
  return r;
}

bool readsMemory(const loop::Expr &e) {
  bool r = false;
  loop::walk(e, [&](const loop::Expr &x) { r |= loop::as<loop::Load>(x) != nullptr; });
  return r;
}

} // namespace

Var Graph::addSymbol(Symbol symbol) {
  symbolList.push_back(std::move(symbol));
  return symbolList.back().var;
}

Var Graph::addInputSymbol(std::string name, int64_t lower, int64_t upper, int input, int dim) {
  for (const Symbol &s : symbolList)
    if (s.var->name == name) return s.var;
  return addSymbol({loop::var(std::move(name), Type{DType::i64, 1}, lower, upper), {}, input, dim});
}

Dim Graph::sizeHeldBy(ValueId value, int64_t position, int64_t lower, int64_t upper) {
  if (lower == upper) return Dim(lower);
  for (const Symbol &s : symbolList)
    if (s.value == value && s.element == position) return Dim(s.var);
  Var var = loop::var(unusedSymbolName(), Type{DType::i64, 1}, lower, upper);
  addSymbol({var, {}, -1, -1, kAbsent, position});
  bindSize(var, value);
  return Dim(var);
}

void Graph::bindSize(const Var &symbol, ValueId value) {
  auto s = std::ranges::find(symbolList, symbol, &Symbol::var);
  PLANISH_CHECK(s != symbolList.end(), "a size of another graph");
  s->value = value;
  const TensorType &type = valueList[value.index].type;
  std::vector<loop::Expr> &facts = elementFacts[value.index];
  if (elementCount(type.shape) != 1 || !facts.empty()) return;
  facts = {loop::cast(type.dtype, loop::use(symbol))};
}

std::string Graph::unusedSymbolName() const {
  for (size_t i = symbolList.size();; ++i) {
    std::string name = "s" + std::to_string(i);
    if (!hasSymbolNamed(name)) return name;
  }
}

bool Graph::hasSymbolNamed(const std::string &name) const {
  auto named = [&](const Symbol &s) { return s.var->name == name; };
  return std::ranges::any_of(symbolList, named) || std::ranges::any_of(nodeList, [&](const Node &n) {
           return n.op->control != Control::None && std::ranges::any_of(n.regions, [&](const Graph &region) {
                    return region.hasSymbolNamed(name);
                  });
         });
}

Result<Dim> Graph::derive(const loop::Expr &size) {
  loop::Expr wanted = loop::simplify(loop::cast(DType::i64, size), {});
  auto constantDim = [&](int64_t value) -> Result<Dim> {
    if (value < 0) return badInput("a dimension would be " + std::to_string(value));
    return Dim(value);
  };
  if (auto c = loop::constantOf(wanted)) return constantDim(*c);
  if (auto *v = loop::as<loop::VarRef>(wanted)) {
    for (const Symbol &s : symbolList)
      if (s.var == v->var) return Dim(s.var);
  }
  PLANISH_CHECK(!readsMemory(wanted), "a dimension that is read from memory: " + textOf(wanted));
  for (const Symbol &s : symbolList)  // most are asked for again and again, as passes rebuild the graph
    if (s.definition && loop::equal(s.definition, wanted)) return Dim(s.var);

  loop::Substitution definitions = definitionsOf(symbolList);
  loop::Expr expanded = loop::simplify(loop::substitute(wanted, definitions), {});
  if (auto c = loop::constantOf(expanded)) return constantDim(*c);
  loop::Affine form = loop::affine(expanded);
  for (const Symbol &s : symbolList) {
    loop::Expr known = s.definition ? definitions.at(s.var) : loop::use(s.var);
    if (loop::equal(loop::affine(known), form)) return Dim(s.var);
  }

  // Either form may give the tighter bounds.
  loop::Range direct = loop::rangeOf(wanted), deep = loop::rangeOf(expanded);
  loop::Range range{std::max(direct.lo, deep.lo), std::min(direct.hi, deep.hi)};
  if (range.lo == range.hi) return constantDim(range.lo);
  std::string text = textOf(wanted);
  if (range.hi >= INT32_MAX)
    return badInput("the size " + text + " has no upper bound; give bounds with --max-shape");
  if (range.hi < 0) return badInput("the size " + text + " is negative");
  int64_t lower = std::max<int64_t>(range.lo, 0);
  return Dim(
      addSymbol({loop::var(unusedSymbolName(), Type{DType::i64, 1}, lower, range.hi), wanted, -1, -1}));
}

} // namespace planish::graph
