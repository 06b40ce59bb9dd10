// Known elements of small values: constants, shapes, and whatever is computed from those. No operator
// is named: a node's `compute` is evaluated with its operands' elements in place of their loads.

#include "Immediate.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <algorithm>

namespace planish::graph {

namespace {

using loop::Expr;

constexpr int64_t kMaxElements = 64, kMaxTerms = 4096;

/// 0, 1, ... in every dimension, last one fastest, as immediates; fn returns false to stop.
template <class F> bool forEachPoint(const std::vector<int64_t> &extents, F fn) {
  std::vector<int64_t> at(extents.size(), 0);
  for (int64_t e : extents)
    if (e == 0) return true;
  for (;;) {
    if (!fn(at)) return false;
    size_t d = extents.size();
    while (d > 0 && ++at[d - 1] == extents[d - 1]) at[--d] = 0;
    if (d == 0) return true;
  }
}

std::optional<std::vector<int64_t>> extentsOf(const std::vector<loop::Iter> &axes, int64_t limit) {
  std::vector<int64_t> r;
  int64_t points = 1;
  for (const loop::Iter &axis : axes) {
    auto extent = loop::constantOf(loop::simplify(axis.extent, {}));
    if (!extent || *extent < 0) return std::nullopt;
    r.push_back(*extent);
    points *= *extent;
    if (points > limit) return std::nullopt;
  }
  return r;
}

/// Evaluates one computation, element by element.
class ElementEvaluator {
public:
  using ElementFn = std::function<std::optional<Expr>(size_t input, int64_t position)>;
  ElementEvaluator(loop::Compute compute, std::vector<loop::Buffer> buffers, ElementFn elementFn)
      : c(std::move(compute)), in(std::move(buffers)), element(std::move(elementFn)) {}

  /// All elements in order, or none.
  std::vector<Expr> run(const std::vector<int64_t> &shape, int64_t count) {
    auto space = extentsOf(c.space, kMaxElements);
    auto reduce = extentsOf(c.reduce, kMaxTerms);
    if (!space || !reduce) return {};
    std::vector<Expr> result(static_cast<size_t>(count));
    bool known = forEachPoint(*space, [&](const std::vector<int64_t> &at) {
      loop::Substitution point;
      for (size_t i = 0; i < at.size(); ++i) point[c.space[i].var] = loop::imm(at[i]);
      auto position = positionOf(c.outIndices, shape, point);
      std::optional<Expr> value = position ? valueAt(point, *reduce) : std::nullopt;
      if (value) result[size_t(*position)] = *value;
      return value.has_value();
    });
    for (const Expr &e : result) known &= bool(e);
    return known ? result : std::vector<Expr>{};
  }

private:
  std::optional<Expr> valueAt(loop::Substitution point, const std::vector<int64_t> &reduce) {
    if (c.lhs) {
      std::optional<Expr> sum = c.init ? at(c.init, point) : loop::neutral(c.combine, c.accumulator);
      forEachPoint(reduce, [&](const std::vector<int64_t> &term) {
        for (size_t i = 0; i < term.size(); ++i) point[c.reduce[i].var] = loop::imm(term[i]);
        auto inside = insideDomain(point);
        if (!inside) sum = std::nullopt;
        if (!sum || !*inside) return sum.has_value();
        auto lhs = at(c.lhs, point), rhs = c.rhs ? at(c.rhs, point) : Expr();
        sum = lhs && rhs ? std::optional(folded(loop::combined(c, *sum, *lhs, *rhs))) : std::nullopt;
        return sum.has_value();
      });
      if (!sum) return std::nullopt;
      point[c.sum] = *sum;
    }
    return at(c.value, point);
  }

  /// Whether all guards hold; nothing where that depends on a symbol.
  std::optional<bool> insideDomain(const loop::Substitution &point) {
    for (const Expr &guard : c.where) {
      auto value = at(guard, point);
      if (!value) return std::nullopt;
      loop::Range range = loop::rangeOf(*value);
      if (range.hi < 0) return false;
      if (range.lo < 0) return std::nullopt;
    }
    return true;
  }

  std::optional<Expr> at(const Expr &e, const loop::Substitution &point) {
    unknowns.clear();
    Expr r = loop::rewrite(loop::substitute(e, point), [&](const Expr &x) {
      auto *access = loop::as<loop::Load>(x);
      return access ? loaded(*access, x->type) : x;
    });
    if (std::ranges::any_of(unknowns, [&](const Var &v) { return loop::dependsOn(r, v); }))
      return std::nullopt;
    return folded(isFloat(r->type.dtype) ? r : loop::simplify(r, {}));
  }

  /// What a load reads; what is unknown may still vanish in a select. Each unknown is one of its own: two of
  /// them need not be equal.
  Expr loaded(const loop::Load &access, Type type) {
    Expr poison = loop::cast(type.dtype, loop::use(unknowns.emplace_back(loop::var("unknown"))));
    if (access.mask) {
      auto mask = loop::constantOf(loop::simplify(access.mask, {}));
      if (!mask) return poison;
      if (*mask == 0) return loop::constant(0, type);
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i] != access.buffer) continue;
      if (!loop::hasConstantShape(*in[i])) return poison;
      auto position = positionOf(access.indices, loop::constantsOf(in[i]->shape), {});
      std::optional<Expr> value = position ? element(i, *position) : std::nullopt;
      return value ? *value : poison;
    }
    return poison;
  }

  static std::optional<int64_t> positionOf(const std::vector<Expr> &indices,
                                           const std::vector<int64_t> &shape,
                                           const loop::Substitution &point) {
    int64_t position = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      auto index = loop::constantOf(loop::simplify(loop::substitute(indices[d], point), {}));
      if (!index || *index < 0 || *index >= shape[d]) return std::nullopt;
      position = position * shape[d] + *index;
    }
    return position;
  }

  loop::Compute c;
  std::vector<loop::Buffer> in;
  ElementFn element;
  std::vector<Var> unknowns; // of the expression at hand
};

} // namespace

std::optional<Expr> Graph::element(ValueId value, int64_t position) const {
  const Value &v = valueList[value.index];
  if (v.isConstant()) return immediateOf(v, position);
  const std::vector<Expr> &facts = elementFacts[value.index];
  if (size_t(position) < facts.size()) return facts[size_t(position)];
  return std::nullopt;
}

std::optional<std::vector<Expr>> Graph::elements(ValueId value) const {
  const Value &v = valueList[value.index];
  auto count = elementCount(v.type.shape);
  if (!count || *count > kMaxElements) return std::nullopt;
  std::vector<Expr> r;
  for (int64_t i = 0; i < *count; ++i) {
    auto e = element(value, i);
    if (!e) return std::nullopt;
    r.push_back(*e);
  }
  return r;
}

std::vector<Expr> Graph::knownResults(const OpDef &op, const Attrs &attrs, std::span<const ValueId> inputs,
                                      const TensorType &type) const {
  auto count = elementCount(type.shape);
  if (!op.compute || !count || *count == 0 || *count > kMaxElements) return {};
  OpView view{attrs, {}, type, {}, {}};
  auto bufferOf = [](const TensorType &t, const char *name) {
    std::vector<Expr> extents;
    for (const Dim &d : t.shape) extents.push_back(loop::extentOf(d));
    return loop::buffer(name, t.dtype, std::move(extents));
  };
  for (ValueId v : inputs) {
    view.inTypes.push_back(v == kAbsent ? TensorType{} : valueList[v.index].type);
    view.in.push_back(v == kAbsent ? nullptr : bufferOf(view.inTypes.back(), "x"));
    // Sizes are integers; floats are worth following only on their way from and to sizes.
    if (isFloat(type.dtype) && v != kAbsent && !valueList[v.index].isConstant() &&
        elementFacts[v.index].empty())
      return {};
  }
  view.out = bufferOf(type, "y");
  ElementEvaluator evaluator(op.compute(view), view.in,
                             [&](size_t i, int64_t position) { return element(inputs[i], position); });
  return evaluator.run(*constantShape(type.shape), *count);
}

} // namespace planish::graph
