#include "planish/transform/PlaceCodes.h"

#include "CodePlan.h"
#include "FunctionGraph.h"
#include "WeightCodes.h"

#include "planish/ops/Ops.h"
#include "planish/support/Check.h"
#include "planish/transform/Equalize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace planish::transform {

using quant::Calibrator;
using quant::Coding;
using quant::Range;

namespace {
/// A part of a concatenation that others read too keeps its own scale where that of the whole is so much
/// coarser.
constexpr double kMostSharing = 2;
/// Points at which an activation function is known, and how far beyond what was seen.
constexpr int64_t kResponsePoints = 4096;

// ---- activation functions ------------------------------------------------------------------------

/// Linear between the points.
quant::Response interpolated(double least, double most, std::vector<double> values) {
  return [=, values = std::move(values)](double x) {
    double at = std::clamp((x - least) / (most - least), 0.0, 1.0) * double(values.size() - 1);
    size_t i = std::min(size_t(at), values.size() - 2);
    return values[i] + (values[i + 1] - values[i]) * (at - double(i));
  };
}

// ---- parameters ----------------------------------------------------------------------------------

/// Scale and zero point of every value that becomes codes.
class CodingChooser {
public:
  CodingChooser(const Graph &g, const CodePlan &plan, const quant::Profile &profile, Calibrator calibrator)
      : g(g), plan(plan), profile(profile), calibrator(calibrator), uses(g.uses()),
        outputUses(g.outputUses()), groups(g.values().size()) {}

  Result<std::map<ValueId, Coding>> run() {
    for (uint32_t v = 0; v < g.values().size(); ++v) {
      groups[v] = {v};
      if (!plan.coded[v]) continue;
      PLANISH_ASSIGN(ranges[{v}], rangeOf({v}));
    }
    for (uint32_t n = 0; n < g.nodes().size(); ++n)
      if (plan.role[n] == Role::Picks && plan.coded[g[NodeId{n}].outputs[0].index]) share(g[NodeId{n}]);
    std::map<ValueId, Range> shared;
    for (auto &[v, range] : ranges) {
      if (follows(v)) continue;
      auto [found, isNew] = shared.try_emplace(groupOf(v), range);
      if (!isNew)
        found->second = {std::min(found->second.least, range.least),
                         std::max(found->second.most, range.most)};
    }
    std::map<ValueId, Coding> r;
    for (auto &[v, range] : ranges) r[v] = quant::codingOf(shared.at(groupOf(v)));
    return r;
  }

private:
  Result<Range> rangeOf(ValueId v) const {
    auto found = profile.values.find(g[v].name);
    if (found == profile.values.end())
      return badInput("the profile does not know value '" + g[v].name + "'; calibrate the model again");
    const quant::Histogram &h = found->second.histogram;
    if (h.empty()) return Range{0, 0};
    return quant::calibrated(h, calibrator, responseOf(v, h));
  }

  /// What becomes of a value that only one function reads.
  quant::Response responseOf(ValueId v, const quant::Histogram &h) const {
    if (calibrator != Calibrator::Mse || outputUses[v.index] || !(h.most() > h.least())) return {};
    ValueId end = kAbsent;
    for (uint32_t y = 0; y < g.values().size(); ++y) {
      if (!plan.isFunctionOf({y}, v) || !plan.coded[y]) continue;
      if (end != kAbsent) return {};
      end = {y};
    }
    if (end == kAbsent || !isReadOnlyBy(v, v)) return {};
    for (uint32_t y = 0; y < g.values().size(); ++y)
      if (plan.isFunctionOf({y}, v) && ValueId{y} != end && !isReadOnlyBy({y}, v)) return {};
    double least = std::min(h.least(), 0.0), most = std::max(h.most(), 0.0);
    std::vector<float> points;
    for (int64_t i = 0; i < kResponsePoints; ++i)
      points.push_back(float(least + (most - least) * double(i) / double(kResponsePoints - 1)));
    auto values = FunctionGraph(g, v, end).at(points);
    return values ? interpolated(least, most, *std::move(values)) : quant::Response();
  }
  bool isReadOnlyBy(ValueId v, ValueId origin) const {
    return outputUses[v.index] == 0 && std::ranges::all_of(uses[v.index], [&](NodeId n) {
             return plan.role[n.index] == Role::Function && plan.isFunctionOf(g[n].outputs[0], origin);
           });
  }

  /// Its numbers are among those of its group's other values.
  bool follows(ValueId v) {
    if (!g[v].def || plan.role[g[v].def->index] != Role::Picks) return false;
    const Node &node = g[*g[v].def];
    return std::ranges::all_of(node.inputs, [&](ValueId in) {
      return in == kAbsent || !plan.coded[in.index] || groupOf(in) == groupOf(v);
    });
  }

  /// An operator that picks has the codes of what it picks from, so those are alike: then it moves bytes.
  void share(const Node &node) {
    ValueId y = node.outputs[0];
    std::vector<ValueId> parts;
    for (ValueId v : node.inputs)
      if (v != kAbsent && plan.coded[v.index]) parts.push_back(v);
    double whole = ranges.at(y).most - ranges.at(y).least;
    for (ValueId v : parts) {
      bool alone = parts.size() == 1 || uses[v.index].size() == 1;
      Range range = ranges.at(v);
      if (alone || whole <= kMostSharing * (range.most - range.least)) groups[groupOf(v).index] = groupOf(y);
    }
  }
  ValueId groupOf(ValueId v) {
    while (groups[v.index] != v) v = groups[v.index] = groups[groups[v.index].index];
    return v;
  }

  const Graph &g;
  const CodePlan &plan;
  const quant::Profile &profile;
  Calibrator calibrator;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  std::vector<ValueId> groups; // by value: another one of its group, or itself
  std::map<ValueId, Range> ranges;
};

// ---- the new graph -------------------------------------------------------------------------------

class Placer {
public:
  Placer(const Graph &g, const CodePlan &plan, const quant::Profile &profile,
         std::map<ValueId, Coding> codings)
      : old(g), plan(plan), profile(profile), codings(std::move(codings)), r(g) {}

  Result<Graph> run() {
    for (ValueId v : old.inputs())
      if (plan.coded[v.index]) PLANISH_TRY(encode(v, r(v), {}));
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit({n}));
    return r.finish();
  }

private:
  Status visit(NodeId id) {
    const Node &node = old[id];
    bool coded = std::ranges::any_of(node.outputs, [&](ValueId v) { return plan.coded[v.index]; });
    bool functions = plan.role[id.index] == Role::Function;
    if (!coded && !functions && plan.role[id.index] != Role::Sum) return r.copy(id);
    PLANISH_ASSIGN(std::vector<ValueId> operands, operandsOf(node, id));
    std::vector<std::string> names;
    for (ValueId v : node.outputs) names.push_back(plan.coded[v.index] ? "" : old[v].name);
    Graph &g = r.graph();
    PLANISH_ASSIGN(std::vector<ValueId> made, g.append(*node.op, node.attrs, std::move(operands), node.loc,
                                                       std::move(names), node.regions));
    if (plan.role[id.index] == Role::Sum) PLANISH_TRY(correct(node, made[0]));
    for (size_t i = 0; i < made.size(); ++i) {
      ValueId v = node.outputs[i];
      if (functions) exact[v] = made[i];
      if (plan.coded[v.index]) {
        PLANISH_TRY(encode(v, made[i], node.loc));
      } else {
        r.replace(v, made[i]);
      }
    }
    return {};
  }

  /// From here on the old value is what its codes stand for.
  Status encode(ValueId v, ValueId made, const graph::Loc &loc) {
    const Coding &c = codings.at(v);
    Graph &g = r.graph();
    ValueId scale = g.addConstant(DType::f32, {}, std::vector<float>{float(c.scale)});
    ValueId zero = g.addConstant(DType::u8, {}, std::vector<uint8_t>{uint8_t(c.zero)});
    PLANISH_ASSIGN(std::vector<ValueId> codes, g.append(ops::kQuantize, {}, {made, scale, zero}, loc));
    PLANISH_ASSIGN(std::vector<ValueId> reals, g.append(ops::kDequantize, {}, {codes[0], scale, zero}, loc));
    r.replace(v, reals[0]);
    return {};
  }

  Result<std::vector<ValueId>> operandsOf(const Node &node, NodeId id) {
    std::vector<ValueId> operands;
    for (ValueId v : node.inputs) {
      // Within a function numbers stay as they are: one table holds all of it.
      bool inside = v != kAbsent && plan.role[id.index] == Role::Function &&
                    plan.isFunctionOf(v, plan.origin[node.outputs[0].index]);
      operands.push_back(v == kAbsent ? v : inside ? exact.at(v) : r(v));
    }
    if (plan.role[id.index] != Role::Sum) return operands;

    auto channels = channelsOf(old, node, *meaningOf(old, node));
    WeightCodes codes = weightCodes(old, node, *channels, codings.at(node.inputs[0]).scale);
    Graph &g = r.graph();
    std::vector<int64_t> scaleShape(codes.shape.size(), 1);
    scaleShape[codes.dim] = int64_t(codes.scale.size());
    ValueId weights = g.addConstant(DType::i8, codes.shape, codes.codes);
    PLANISH_ASSIGN(std::vector<ValueId> made,
                   g.append(ops::kDequantize, {},
                            {weights, g.addConstant(DType::f32, scaleShape, codes.scale)}, node.loc));
    operands[channels->weight] = made[0];
    error = errorOf(node, *channels, codes);
    if (error && channels->bias >= 0) {
      std::span<const float> bias = graph::dataOf<float>(old[node.inputs[size_t(channels->bias)]]);
      std::vector<float> corrected;
      for (size_t i = 0; i < bias.size(); ++i) corrected.push_back(float(double(bias[i]) - (*error)[i]));
      operands[size_t(channels->bias)] = g.addConstant(DType::f32, {int64_t(bias.size())}, corrected);
      error.reset();
    }
    return operands;
  }

  std::optional<std::vector<double>> errorOf(const Node &node, const Channels &channels,
                                             const WeightCodes &codes) const {
    auto input = profile.values.find(old[node.inputs[0]].name);
    if (input == profile.values.end()) return std::nullopt;
    std::vector<double> means;
    for (const quant::Channel &c : input->second.channels) means.push_back(c.mean);
    if (means.empty()) return std::nullopt;
    return meanError(old, node, channels, codes, means);
  }

  /// Takes the mean error off a sum that has no bias of its own.
  Status correct(const Node &node, ValueId &sum) {
    if (!error) return {};
    auto channels = channelsOf(old, node, *meaningOf(old, node));
    PLANISH_CHECK(channels.has_value(), "a sum has channels");
    std::vector<float> shift;
    for (double e : *error) shift.push_back(float(-e));
    error.reset();
    std::vector<int64_t> shape(size_t(old.type(node.outputs[0]).rank()) - channels->dim, 1);
    shape[0] = int64_t(shift.size());
    Graph &g = r.graph();
    PLANISH_ASSIGN(std::vector<ValueId> made,
                   g.append(ops::row(ops::Arithmetic::Add), {},
                            {sum, g.addConstant(DType::f32, shape, shift)}, node.loc));
    sum = made[0];
    return {};
  }

  const Graph &old;
  const CodePlan &plan;
  const quant::Profile &profile;
  std::map<ValueId, Coding> codings;
  graph::Rebuilder r;
  std::map<ValueId, ValueId> exact; // results of functions before they become codes
  std::optional<std::vector<double>> error; // of the sum that is being made, where its bias does not hold it
};

const PassRow &passNamed(std::string_view name) {
  const PassRow *row = findPass(name);
  PLANISH_CHECK(row, "a pass of the table");
  return *row;
}

bool isNamed(const Node &node, const std::set<std::string> &names) {
  return std::ranges::any_of(node.loc.onnxNodes, [&](const std::string &n) { return names.contains(n); });
}

/// Whether every name is that of a node.
Status checkNames(const Graph &g, const std::set<std::string> &names) {
  std::set<std::string> unknown = names;
  for (const Node &node : g.nodes())
    for (const std::string &n : node.loc.onnxNodes) unknown.erase(n);
  if (unknown.empty()) return {};
  return usage("--keep-float '" + *unknown.begin() +
               "': the model has no such node; report.json names the nodes of every kernel");
}

} // namespace

std::span<const PassRow> passesBeforeCodes() {
  static const std::array<PassRow, 3> rows{passNamed("fold-constants"), passNamed("canonicalize"),
                                           passNamed("fold-scales")};
  return rows;
}

std::vector<ValueId> valuesToProfile(const Graph &g, bool tables) {
  CodePlan plan = planCodes(g, [](const Node &) { return false; }, tables);
  std::vector<ValueId> r;
  for (uint32_t v = 0; v < g.values().size(); ++v)
    if (plan.coded[v]) r.push_back({v});
  return r;
}

Result<Graph> placeCodes(const Graph &given, const quant::Profile &profile, const CodeOptions &options) {
  PLANISH_TRY(checkNames(given, options.keepFloat));
  PLANISH_ASSIGN(Graph g, equalized(given, profile.equalization));
  std::set<std::string> real = options.keepFloat;
  real.insert(profile.real.begin(), profile.real.end());
  CodePlan plan = planCodes(g, [&](const Node &n) { return isNamed(n, real); }, profile.tables);
  Calibrator calibrator = options.calibrator.value_or(profile.calibrator);
  PLANISH_ASSIGN(auto codings, CodingChooser(g, plan, profile, calibrator).run());
  return Placer(g, plan, profile, std::move(codings)).run();
}

std::vector<PassRow> passesForOwnCodes(quant::Profile profile) {
  return {{"pieces", "turns costly functions of exact sums into parabolas over pieces",
           [profile = std::move(profile)](const Graph &g) { return byPieces(g, profile); }},
          {"code-factors", "multiplies by inverse scales to make codes of real numbers", codesByFactors}};
}

PassRow placeCodesRow(quant::Profile profile, CodeOptions options) {
  return {"place-codes", "places quantize and dequantize around what a profile knows the numbers of",
          [profile = std::move(profile), options = std::move(options)](const Graph &g) {
            return placeCodes(g, profile, options);
          },
          false};
}

} // namespace planish::transform
