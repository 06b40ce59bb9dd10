// Control flow: nodes whose regions the host function runs.
#include "Rows.h"

#include <algorithm>

namespace planish::ops {

namespace {

// ---- room for what a branch gives ----------------------------------------------------------------

Types inferExtend(InferContext &c) {
  const Shape &to = c.attrs().as<ShapeAttrs>().shape, &from = c.in(0).shape;
  bool fits = to.size() == from.size();
  for (size_t d = 0; fits && d < to.size(); ++d) fits = from[d] == to[d] || from[d].upper() <= to[d].lower();
  if (!fits) return badInput("cannot extend " + textOf(c.in(0)) + " to " + textOf(to));
  return oneOutput({c.in(0).dtype, to, {}, {}});
}
Compute computeExtend(const OpView &v) {
  const Shape &from = v.inTypes[0].shape;
  return mapped(v, "extend", [&](const Exprs &at) {
    Expr inside;
    for (size_t d = 0; d < from.size(); ++d)
      if (from[d] != v.outType.shape[d]) inside = conjunction(inside, lessThan(at[d], extentOf(from[d])));
    return load(v.in[0], at, inside);
  });
}
const OpDef kExtend = {.name = "extend",
                       .summary = "x at the start of a larger tensor of zeros",
                       .operands = "x",
                       .cls = OpClass::Injective,
                       .layout = LayoutRule::RowMajor,
                       .prototype = ShapeAttrs{},
                       .infer = inferExtend,
                       .compute = computeExtend};

// ---- if ------------------------------------------------------------------------------------------

Status wantRegions(const InferContext &c, size_t regions, int own) {
  if (c.regions().size() != regions) return badInput("needs " + std::to_string(regions) + " regions");
  for (const graph::Graph &region : c.regions()) {
    size_t given = size_t(c.inputs() - own);
    if (region.inputs().size() != given)
      return badInput("has a region of " + std::to_string(region.inputs().size()) + " inputs, expected " +
                      std::to_string(given));
    for (size_t k = 0; k < given; ++k) {
      TensorType in = c.in(own + int(k)), wanted = region.type(region.inputs()[k]);
      in.layout.clear(), wanted.layout.clear();
      if (!(in == wanted))
        return badInput("operand " + std::to_string(own + int(k)) + " is " + textOf(in) +
                        ", its region wants " + textOf(wanted));
    }
  }
  return {};
}

Types inferIf(InferContext &c) {
  if (c.inputs() < 1 || !c.has(0)) return badInput("misses its condition");
  PLANISH_TRY(wantType(c, 0, kBools));
  if (graph::elementCount(c.in(0).shape) != 1)
    return badInput("the condition is " + textOf(c.in(0)) + ", expected one boolean");
  PLANISH_TRY(wantRegions(c, 2, 1));
  const graph::Graph &then = c.regions()[0], &otherwise = c.regions()[1];
  if (then.outputs().size() != otherwise.outputs().size() || then.outputs().empty())
    return badInput("has branches of " + std::to_string(then.outputs().size()) + " and " +
                    std::to_string(otherwise.outputs().size()) + " results");
  std::vector<TensorType> r;
  for (size_t k = 0; k < then.outputs().size(); ++k) {
    TensorType a = then.type(then.outputs()[k]), b = otherwise.type(otherwise.outputs()[k]);
    a.layout.clear(), b.layout.clear();
    if (!(a == b)) return badInput("has branches that give " + textOf(a) + " and " + textOf(b));
    r.push_back(std::move(a));
  }
  return r;
}
const OpDef kIf = {
    .name = "if",
    .summary = "the results of the first region where the condition is true, else those of the second",
    .operands = "condition, captured...",
    .layout = LayoutRule::RowMajor,
    .control = graph::Control::If,
    .infer = inferIf};

/// One size of a result that the branches do not share: a symbol, once the node is there.
struct OpenSize {
  size_t result, dimension;
  int64_t lower, upper;
};

/// Appends to a region; an error is the importer's.
ValueId appended(Importer &i, graph::Graph &region, const OpDef &op, Attrs attrs, ValueId operand) {
  if (i.error()) return operand;
  auto made = i.taken(region.append(op, std::move(attrs), {operand}, graph::Loc{{i.node().name}}));
  return made.empty() ? operand : made[0];
}

/// Gives both branches results of the same types: of the largest sizes, and the sizes as further results.
std::vector<OpenSize> unify(Importer &i, std::vector<graph::Graph> &branches) {
  std::vector<OpenSize> open;
  std::vector<std::vector<ValueId>> results, sizes(2);
  for (const graph::Graph &b : branches) results.emplace_back(b.outputs().begin(), b.outputs().end());
  for (size_t k = 0; k < results[0].size(); ++k) {
    const TensorType a = branches[0].type(results[0][k]), b = branches[1].type(results[1][k]);
    if (a.dtype != b.dtype || a.rank() != b.rank()) {
      i.notSupported("its branches give " + textOf(a) + " and " + textOf(b) +
                     ", and its condition cannot be decided from the shapes of the inputs");
      return {};
    }
    Shape most = a.shape;
    std::vector<size_t> differ;
    for (size_t d = 0; d < most.size(); ++d) {
      const Dim &x = a.shape[d], &y = b.shape[d];
      if (x == y) continue;
      most[d] = Dim(std::max(x.upper(), y.upper()));
      open.push_back({k, d, std::min(x.lower(), y.lower()), most[d].upper()});
      differ.push_back(d);
    }
    for (size_t n = 0; n < 2; ++n) {
      ValueId given = results[n][k];
      for (size_t d : differ)
        sizes[n].push_back(appended(i, branches[n], kShape, SizesAttrs{int64_t(d), int64_t(d) + 1}, given));
      if (branches[n].type(given).shape != most)
        results[n][k] = appended(i, branches[n], kExtend, ShapeAttrs{most}, given);
    }
  }
  for (size_t n = 0; n < 2; ++n) {
    results[n].insert(results[n].end(), sizes[n].begin(), sizes[n].end());
    branches[n].setOutputs(results[n]);
  }
  return open;
}

/// The results of the branch that a constant condition, or what is known of shapes, chooses; else a node.
std::vector<ValueId> importIf(Importer &i) {
  ValueId condition = i.in(0);
  std::vector<graph::OnnxBody *> bodies{i.body("then_branch"), i.body("else_branch")};
  size_t count = bodies[0] ? size_t(bodies[0]->outputs()) : 1;
  std::vector<ValueId> nothing(count, condition);
  if (i.error()) return nothing;
  if (bodies[0]->outputs() != bodies[1]->outputs() || count == 0)
    i.fail("its branches differ in their results");
  if (i.type(condition).dtype != DType::b1) i.fail("the condition is " + textOf(i.type(condition)));
  if (i.error()) return nothing;
  if (auto known = constantScalar(i, condition)) return i.taken(bodies[*known == 0]->inlined({}));

  std::vector<ValueId> operands{condition};
  for (graph::OnnxBody *body : bodies)
    for (ValueId v : i.taken(body->captures()))
      if (std::find(operands.begin() + 1, operands.end(), v) == operands.end()) operands.push_back(v);
  std::vector<ValueId> captured(operands.begin() + 1, operands.end());
  std::vector<graph::Graph> branches;
  for (graph::OnnxBody *body : bodies) branches.push_back(i.taken(body->region({}, captured)));
  if (i.error()) return nothing;
  std::vector<OpenSize> open = unify(i, branches);
  std::vector<ValueId> made = i.appendAll(kIf, {}, operands, count + open.size(), std::move(branches));
  if (i.error()) return nothing;
  for (size_t k = 0; k < open.size(); ++k) {
    const OpenSize &o = open[k];
    Dim size = i.graph().sizeHeldBy(made[count + k], 0, o.lower, o.upper);
    made[o.result] = firstOf(i, made[o.result], int(o.dimension), size);
  }
  made.resize(count);
  return made;
}

} // namespace

Family controlFamily() { return {{&kExtend, &kIf}, {{"If", 1, importIf}}}; }

} // namespace planish::ops
