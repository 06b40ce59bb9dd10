// Control flow: nodes whose regions the host function runs.
#include "Rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

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
    .operands = "condition and captured...",
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

/// An if over branches whose inputs stand for `captured`: `count` results of the sizes a run gives.
std::vector<ValueId> chosen(Importer &i, ValueId condition, const std::vector<ValueId> &captured,
                            std::vector<graph::Graph> branches, size_t count) {
  std::vector<ValueId> operands{condition};
  operands.insert(operands.end(), captured.begin(), captured.end());
  std::vector<OpenSize> open = unify(i, branches);
  std::vector<ValueId> made = i.appendAll(kIf, {}, operands, count + open.size(), std::move(branches));
  if (i.error()) return std::vector<ValueId>(count, condition);
  for (size_t k = 0; k < open.size(); ++k) {
    const OpenSize &o = open[k];
    Dim size = i.graph().sizeHeldBy(made[count + k], 0, o.lower, o.upper);
    made[o.result] = firstOf(i, made[o.result], int(o.dimension), size);
  }
  made.resize(count);
  return made;
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

  std::vector<ValueId> captured;
  for (graph::OnnxBody *body : bodies)
    for (ValueId v : i.taken(body->captures()))
      if (std::find(captured.begin(), captured.end(), v) == captured.end()) captured.push_back(v);
  std::vector<graph::Graph> branches;
  for (graph::OnnxBody *body : bodies) branches.push_back(i.taken(body->region({}, captured)));
  return i.error() ? nothing : chosen(i, condition, captured, std::move(branches), count);
}

// ---- axes that a run says ------------------------------------------------------------------------

/// More ways to choose axes than this are refused.
constexpr size_t kMaxChoices = 20;

/// The sets of `count` axes of `rank`, each as the sum of 2^axis, of those that `possible` has.
std::vector<int64_t> axisSets(int64_t count, int rank, int64_t possible) {
  std::vector<int64_t> r;
  for (int64_t set = 0; set < int64_t(1) << rank; ++set)
    if (std::popcount(uint64_t(set)) == count && (set & ~possible) == 0) r.push_back(set);
  return r;
}

/// The sum of 2^axis over an operand's axes, negative ones counted from the end; an axis twice or outside
/// gives a number that is no set's.
ValueId axisSum(Importer &i, ValueId axes, int rank) {
  std::vector<double> powers;
  for (int d = 0; d < 2 * rank; ++d) powers.push_back(std::ldexp(1.0, d % rank));
  Ints all{0};
  ValueId place = apply(i, Binary::Add, convertedTo(i, axes, DType::i64), double(rank));
  ValueId bits = i.append(kGather, AxisAttrs{0}, {i.constant(DType::i64, {2 * rank}, powers), place});
  ValueId inside = apply(i, Binary::And, apply(i, Binary::LessOrEqual, i.scalar(DType::i64, 0), place),
                         apply(i, Binary::Less, place, i.scalar(DType::i64, double(2 * rank))));
  ValueId wrong = i.scalar(DType::i64, std::ldexp(1.0, rank));
  bits = i.append(kWhere, {}, {inside, bits, wrong});
  return i.error() || i.type(bits).rank() == 0 ? bits : apply(i, Reduce::Sum, bits, all, false);
}

/// A run fails where `value` is none of the numbers: a size would be -1.
void requireOneOf(Importer &i, ValueId value, const std::vector<int64_t> &numbers) {
  ValueId all = i.constant(DType::i64, {int64_t(numbers.size())}, {numbers.begin(), numbers.end()});
  ValueId hits = convertedTo(i, apply(i, Binary::Equal, value, all), DType::i64);
  ValueId hit = apply(i, Reduce::Max, hits, {0}, false);
  if (!i.error()) i.derive(extentOf(i.graph().sizeHeldBy(hit, 0, 0, 1)) * 2 - 1);
}

/// What each set of axes makes of the node, in an if over them; `sum` says which one it is.
struct AxisChoice {
  const graph::OnnxNode &node;
  int operand;
  ImportRule rule;
  std::vector<int64_t> sets;
  bool isScalar;

  /// The rule over a constant set, in the importer's graph. `inputs` are the node's there.
  std::vector<ValueId> fixed(Importer &i, size_t set, const std::vector<ValueId> &inputs) const {
    std::vector<double> axes;
    for (int d = 0; d < 63; ++d)
      if (sets[set] >> d & 1) axes.push_back(d);
    graph::OnnxNode one = node;
    one.inputs = inputs;
    one.inputs[size_t(operand)] =
        i.constant(DType::i64, isScalar ? Ints{} : Ints{int64_t(axes.size())}, axes);
    Importer inner(i.graph(), one);
    std::vector<ValueId> r = rule(inner);
    if (inner.error()) i.fail(*inner.error());
    return r;
  }

  /// Sets from `first` on. `inputs` has the sum in the place of the axes.
  std::vector<ValueId> from(Importer &i, size_t first, const std::vector<ValueId> &inputs) const {
    if (first + 1 == sets.size() || i.error()) return fixed(i, first, inputs);
    ValueId condition = apply(i, Binary::Equal, inputs[size_t(operand)], double(sets[first]));
    std::vector<ValueId> captured;
    for (ValueId v : inputs)
      if (v != kAbsent && !i.graph()[v].isConstant()) captured.push_back(v);
    std::vector<graph::Graph> branches;
    for (bool otherwise : {false, true}) {
      graph::Graph region = graph::Graph::regionOf(i.graph());
      std::map<ValueId, ValueId> inside;
      for (ValueId v : captured) inside.try_emplace(v, region.addCapture(i.graph(), v));
      std::vector<ValueId> given;
      for (ValueId v : inputs) {
        const bool constant = v != kAbsent && i.graph()[v].isConstant();
        if (constant) inside.try_emplace(v, region.addConstant(i.graph()[v].type, i.graph()[v].data));
        given.push_back(v == kAbsent ? kAbsent : inside.at(v));
      }
      Importer inner(region, node);
      std::vector<ValueId> results = otherwise ? from(inner, first + 1, given) : fixed(inner, first, given);
      if (inner.error()) {
        i.fail(*inner.error());
        return results;
      }
      region.setOutputs(results);
      branches.push_back(std::move(region));
    }
    const size_t count = branches[0].outputs().size();
    return chosen(i, condition, captured, std::move(branches), count);
  }
};

// ---- loops ---------------------------------------------------------------------------------------

/// Iterations that are written out one after the other; more are refused.
constexpr int64_t kMaxIterations = 256;

/// Results of all iterations beside each other along a new axis.
ValueId stacked(Importer &i, const std::vector<ValueId> &parts, int64_t axis, bool backwards) {
  std::vector<ValueId> slices;
  for (ValueId part : parts) {
    Shape shape = i.type(part).shape;
    int at = i.axis(axis, int(shape.size()) + 1, "scan axis");
    if (i.error()) return part;
    axis = at;
    shape.insert(shape.begin() + at, Dim(1));
    slices.push_back(reshaped(i, part, shape));
  }
  if (backwards) std::reverse(slices.begin(), slices.end());
  return i.append(kConcat, AxisAttrs{axis}, slices);
}

/// How often a loop runs; nothing, and an error, where only a run can tell.
std::optional<int64_t> iterations(Importer &i, std::optional<double> count) {
  if (i.error()) return std::nullopt;
  if (count && *count >= 1 && *count <= double(kMaxIterations)) return int64_t(*count);
  i.notSupported("it must run a number of times that constants and shapes say, from 1 to " +
                 std::to_string(kMaxIterations));
  return std::nullopt;
}

/// The iterations one after the other. The condition must stay true: the number of iterations decides.
std::vector<ValueId> importLoop(Importer &i) {
  graph::OnnxBody *body = i.body("body");
  size_t states = std::max<size_t>(i.node().inputs.size(), 2) - 2;
  std::vector<ValueId> nothing(size_t(i.node().outputs), kAbsent);
  if (!body || body->outputs() < int(states) + 1) i.fail("its body gives too few results");
  auto count = iterations(i, i.has(0) ? constantScalar(i, i.in(0)) : std::nullopt);
  if (!count) return nothing;
  ValueId condition = i.has(1) ? i.in(1) : i.scalar(DType::b1, 1);
  std::vector<ValueId> state(i.node().inputs.begin() + long(std::min<size_t>(2, i.node().inputs.size())),
                             i.node().inputs.end());
  std::vector<std::vector<ValueId>> scans(size_t(body->outputs()) - 1 - states);
  for (int64_t k = 0; k < *count && !i.error(); ++k) {
    if (constantScalar(i, condition).value_or(0) == 0)
      i.notSupported("its condition must be true in every iteration, whatever the data");
    std::vector<ValueId> inputs{i.scalar(DType::i64, double(k)), condition};
    inputs.insert(inputs.end(), state.begin(), state.end());
    if (i.error()) return nothing;
    std::vector<ValueId> results = i.taken(body->inlined(inputs));
    if (i.error()) return nothing;
    condition = results[0];
    std::copy_n(results.begin() + 1, states, state.begin());
    for (size_t s = 0; s < scans.size(); ++s) scans[s].push_back(results[1 + states + s]);
  }
  std::vector<ValueId> r = state;
  for (const auto &parts : scans) r.push_back(stacked(i, parts, 0, false));
  return r;
}

std::vector<ValueId> importScan(Importer &i) {
  graph::OnnxBody *body = i.body("body");
  int64_t inputs = i.intAttr("num_scan_inputs", 0), given = int64_t(i.node().inputs.size());
  std::vector<ValueId> nothing(size_t(i.node().outputs), kAbsent);
  if (inputs < 1 || inputs > given) i.fail("attribute 'num_scan_inputs' is " + std::to_string(inputs));
  size_t states = size_t(std::max<int64_t>(given - inputs, 0));
  if (!body || body->outputs() < int(states)) i.fail("its body gives too few results");
  if (i.error()) return nothing;
  size_t outputs = size_t(body->outputs()) - states;
  auto list = [&](std::string_view name, size_t count) {
    Ints r = i.intsAttr(name, Ints(count, 0));
    if (r.size() != count)
      i.fail("attribute '" + std::string(name) + "' has " + std::to_string(r.size()) + " entries, expected " +
             std::to_string(count));
    return r;
  };
  Ints axes = list("scan_input_axes", size_t(inputs)), from = list("scan_input_directions", size_t(inputs));
  Ints into = list("scan_output_axes", outputs), order = list("scan_output_directions", outputs);
  std::optional<double> size;
  for (size_t k = 0; k < size_t(inputs) && !i.error(); ++k) {
    const Shape &shape = i.type(i.in(int(states + k))).shape;
    axes[k] = i.axis(axes[k], int(shape.size()), "scan_input_axes");
    if (!i.error() && shape[size_t(axes[k])].isConstant()) size = double(shape[size_t(axes[k])].constant());
  }
  auto count = iterations(i, size);
  if (!count) return nothing;
  std::vector<ValueId> state(i.node().inputs.begin(), i.node().inputs.begin() + long(states));
  std::vector<std::vector<ValueId>> scans(outputs);
  for (int64_t t = 0; t < *count && !i.error(); ++t) {
    std::vector<ValueId> values = state;
    for (size_t k = 0; k < size_t(inputs); ++k) {
      ValueId x = i.in(int(states + k));
      Shape shape = i.type(x).shape;
      shape.erase(shape.begin() + axes[k]);
      ValueId slice = sliced(i, x, int(axes[k]), imm(from[k] ? *count - 1 - t : t), imm(1));
      if (i.error()) return nothing;
      values.push_back(reshaped(i, slice, shape));
    }
    std::vector<ValueId> results = i.taken(body->inlined(values));
    if (i.error()) return nothing;
    std::copy_n(results.begin(), states, state.begin());
    for (size_t s = 0; s < outputs; ++s) scans[s].push_back(results[states + s]);
  }
  std::vector<ValueId> r = state;
  for (size_t s = 0; s < outputs; ++s) r.push_back(stacked(i, scans[s], into[s], order[s] != 0));
  return r;
}
/// Sequences had lengths and a batch of their own.
std::vector<ValueId> importScan8(Importer &i) {
  i.notSupported("Scan of opset 8");
  return std::vector<ValueId>(size_t(i.node().outputs), kAbsent);
}

} // namespace

std::vector<ValueId> overAxes(Importer &i, int operand, int rank, ImportRule rule, int64_t possible) {
  ValueId axes = i.in(operand);
  if (i.error()) return one(axes);
  if (i.graph().elements(axes)) return rule(i);
  const TensorType &type = i.type(axes);
  auto count = graph::elementCount(type.shape);
  if (type.rank() > 1 || !(bit(type.dtype) & kIndexes)) i.fail("the axes are " + textOf(type));
  if (!count || rank > kMaxRank || axisSets(*count, rank, possible).size() > kMaxChoices)
    i.notSupported("operand " + std::to_string(operand) + " ('" + i.graph()[axes].name +
                   "') must be constant: there are more than " + std::to_string(kMaxChoices) +
                   " ways to choose such axes");
  if (i.error()) return one(axes);
  AxisChoice choice{i.node(), operand, rule, axisSets(*count, rank, possible), type.rank() == 0};
  if (choice.sets.empty()) i.fail("no dimensions can be these " + std::to_string(*count) + " axes");
  if (i.error()) return one(axes);
  std::vector<ValueId> inputs = i.node().inputs;
  const ValueId sum = inputs[size_t(operand)] = axisSum(i, axes, rank);
  requireOneOf(i, sum, choice.sets);
  return choice.from(i, 0, inputs);
}

Family controlFamily() {
  return {{&kExtend, &kIf},
          {{"If", 1, importIf}, {"Loop", 1, importLoop}, {"Scan", 8, importScan8}, {"Scan", 9, importScan}}};
}

} // namespace planish::ops
