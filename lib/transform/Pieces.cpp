// Activation functions between exact sums and codes, as lines or parabolas over pieces of the number line. A
// code is one of 256 steps; what is far more exact than a step costs more than the multiplications before it
// and is lost.
#include "FunctionGraph.h"
#include "IntegerOperands.h"

#include "planish/ops/Ops.h"
#include "planish/transform/PlaceCodes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace planish::transform {

namespace {

constexpr int64_t kPieces = ops::kPieces;
/// By how much of a code's step pieces may differ from the function.
constexpr double kMostError = 0.25;
/// The steps of numbers that stay real, over the range that was seen: they are too few for codes of them, but
/// those are off by half a step everywhere, pieces by a quarter in few places.
constexpr double kRealSteps = 255;
/// Where the outer lines are taken, and how far a function is looked at.
constexpr double kFar = 1024;
/// Where it is looked at densely, and at how many points.
constexpr double kNear = 32;
constexpr int kNearPoints = 4096, kFarPoints = 256;

/// What becomes of a function's results: the range that is told apart, and in which steps.
struct Steps {
  double least, most, step;

  double error(double a, double b) const {
    return std::abs(std::clamp(a, least, most) - std::clamp(b, least, most)) / step;
  }
  /// The same where the results are multiplied by a factor first.
  Steps before(double factor) const { return {least / factor, most / factor, step / factor}; }
};

struct Pieces {
  ops::PiecewiseAttrs attrs;
  bool isLinear = false; // all squares are 0
  std::array<float, kPieces> square{}, slope{}, offset{};

  double at(double x) const {
    double nearest = std::nearbyint(x * attrs.perUnit) - double(attrs.first);
    auto i = size_t(std::clamp(nearest, 0.0, double(kPieces - 1)));
    return (double(square[i]) * x + double(slope[i])) * x + double(offset[i]);
  }
};

class Fit {
public:
  Fit(const FunctionGraph &function, std::vector<Steps> steps)
      : function(function), steps(std::move(steps)) {}

  std::optional<Pieces> run() {
    if (!look()) return std::nullopt;
    auto [least, most] = curved();
    if (!(least < most)) return std::nullopt;
    Pieces r;
    // The outer pieces reach to half a piece inside.
    r.attrs.perUnit = double(float(double(kPieces - 3) / (most - least)));
    r.attrs.first = int64_t(std::floor(least * r.attrs.perUnit - 0.5));
    for (bool isLinear : {true, false}) {
      r.isLinear = isLinear;
      if (!interpolate(r)) return std::nullopt;
      if (isClose(r)) return r;
    }
    return std::nullopt;
  }

private:
  struct Line {
    double slope, offset;
    double at(double x) const { return slope * x + offset; }
  };

  /// The function at many points, ascending, and the lines on which it ends.
  bool look() {
    for (int i = kFarPoints; i > 0; --i)
      points.push_back(float(-kNear * std::pow(kFar / kNear, double(i) / kFarPoints)));
    for (int i = 0; i <= kNearPoints; ++i) points.push_back(float(kNear * (2.0 * i / kNearPoints - 1)));
    for (int i = 1; i <= kFarPoints; ++i)
      points.push_back(float(kNear * std::pow(kFar / kNear, double(i) / kFarPoints)));
    auto seen = function.at(points);
    if (!seen) return false;
    values = *std::move(seen);
    left = through(0, kFarPoints / 8), right = through(points.size() - 1 - kFarPoints / 8, points.size() - 1);
    return true;
  }
  Line through(size_t i, size_t j) const {
    double slope = (values[j] - values[i]) / (double(points[j]) - double(points[i]));
    return {slope, values[i] - slope * double(points[i])};
  }

  bool differs(const Line &line, size_t i) const {
    return std::ranges::any_of(steps, [&](const Steps &c) {
      return c.error(line.at(double(points[i])), values[i]) > kMostError / 2;
    });
  }
  /// Where the function lies on neither line.
  std::pair<double, double> curved() const {
    size_t i = 0, j = points.size() - 1;
    while (i < j && !differs(left, i)) ++i;
    while (j > i && !differs(right, j)) --j;
    return {double(points[i > 0 ? i - 1 : 0]), double(points[std::min(j + 1, points.size() - 1)])};
  }

  /// Through two or three points of each piece, those that keep the error between them least (Chebyshev's);
  /// the outer two pieces are the lines.
  bool interpolate(Pieces &r) const {
    const double reach = r.isLinear ? std::numbers::sqrt2 / 2 : std::numbers::sqrt3 / 2;
    std::vector<float> at;
    for (int64_t i = 0; i < kPieces; ++i)
      for (double t : {-reach, 0.0, reach})
        at.push_back(float((double(r.attrs.first + i) + t / 2) / r.attrs.perUnit));
    auto y = function.at(at);
    if (!y) return false;
    for (size_t i = 0; i < size_t(kPieces); ++i) {
      double a = double(at[3 * i]), b = double(at[3 * i + 1]), c = double(at[3 * i + 2]);
      double fa = (*y)[3 * i], fb = (*y)[3 * i + 1], fc = (*y)[3 * i + 2];
      double ac = (fc - fa) / (c - a), ab = (fb - fa) / (b - a);
      double square = r.isLinear ? 0 : ((fc - fb) / (c - b) - ab) / (c - a);
      // Newton's form, through a and c.
      r.square[i] = float(square);
      r.slope[i] = float(ac - square * (a + c));
      r.offset[i] = float(fa - a * (ac - square * c));
    }
    auto ends = [&](size_t i, const Line &line) {
      r.square[i] = 0, r.slope[i] = float(line.slope), r.offset[i] = float(line.offset);
    };
    ends(0, left), ends(size_t(kPieces - 1), right);
    return true;
  }

  bool isClose(const Pieces &r) const {
    for (size_t i = 0; i < points.size(); ++i)
      for (const Steps &c : steps)
        if (!(c.error(r.at(double(points[i])), values[i]) <= kMostError)) return false;
    return true;
  }

  const FunctionGraph &function;
  std::vector<Steps> steps; // of all channels
  std::vector<float> points;
  std::vector<double> values;
  Line left{}, right{};
};

class Approximator {
public:
  Approximator(const Graph &g, const quant::Profile &profile)
      : old(g), r(g), uses(g.uses()), outputUses(g.outputUses()), origins(g.values().size(), kAbsent),
        profile(profile) {}

  Result<Graph> run() {
    for (const Node &node : old.nodes())
      if (node.outputs.size() == 1) origins[node.outputs[0].index] = originOf(node);
    for (const Node &node : old.nodes())
      if (node.op->coding == graph::Coding::Encodes) findEncoded(node);
    for (uint32_t v = 0; v < old.values().size(); ++v) findReal({v});
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit(NodeId{n}));
    return r.finish();
  }

private:
  bool isSum(ValueId v) const {
    const Node *node = old[v].def ? &old[*old[v].def] : nullptr;
    return node && (isExact(*node) || node->op->cls == graph::OpClass::Contraction);
  }
  bool isExact(const Node &node) const {
    return node.op->coding == graph::Coding::Decodes && old.type(node.inputs[0]).dtype == DType::i32;
  }

  /// The sum that an elementwise node is a function of, through other such nodes.
  ValueId originOf(const Node &node) const {
    ValueId y = node.outputs[0], origin = kAbsent;
    bool computes = node.op->cls == graph::OpClass::Elementwise && node.op->compute &&
                    node.op->coding == graph::Coding::None && old.type(y).dtype == DType::f32;
    if (!computes) return kAbsent;
    for (ValueId v : node.inputs) {
      if (v == kAbsent) continue;
      const TensorType &type = old.type(v);
      if (type.dtype != DType::f32) return kAbsent;
      if (old[v].isConstant()) {
        if (graph::elementCount(type.shape) != 1) return kAbsent;
        continue;
      }
      ValueId from = origins[v.index] != kAbsent ? origins[v.index] : isSum(v) ? v : kAbsent;
      if (from == kAbsent || (origin != kAbsent && origin != from) || type.shape != old.type(y).shape)
        return kAbsent;
      origin = from;
    }
    return origin;
  }

  /// Whether what makes the value takes longer than pieces do.
  bool isCostly(ValueId v) const {
    if (origins[v.index] == kAbsent) return false;
    const Node &node = old[*old[v].def];
    if (std::ranges::any_of(node.inputs, [&](ValueId in) { return in != kAbsent && isCostly(in); }))
      return true;
    auto meaning = meaningOf(old, node);
    bool costly = false;
    if (meaning)
      loop::walk(meaning->compute.value, [&](const loop::Expr &e) {
        auto *call = loop::as<loop::Call>(e);
        auto *binary = loop::as<loop::Binary>(e);
        costly |= call && call->fn >= loop::Intrinsic::Exp;
        costly |= binary && binary->op == loop::BinaryOp::Div;
      });
    return costly;
  }

  bool isReadOnce(ValueId v) const { return uses[v.index].size() == 1 && outputUses[v.index] == 0; }

  void findEncoded(const Node &encoder) {
    auto p = parametersOf(old, encoder);
    if (p && isReadOnce(encoder.inputs[0]))
      find(encoder.inputs[0], {-p->zero * p->scale, (255 - p->zero) * p->scale, p->scale}, p->scale);
  }

  /// A function of a sum of codes that contractions read as real numbers.
  void findReal(ValueId y) {
    auto seen = profile.values.find(old[y].name);
    bool known = seen != profile.values.end() && !seen->second.histogram.empty();
    if (!known || uses[y.index].empty() || outputUses[y.index]) return;
    bool contracts = std::ranges::all_of(uses[y.index], [&](NodeId n) {
      const Node &reader = old[n];
      return reader.op->cls == graph::OpClass::Contraction && reader.inputs[0] == y &&
             std::ranges::count(reader.inputs, y) == 1;
    });
    const quant::Histogram &h = seen->second.histogram;
    double least = std::min(h.least(), 0.0), most = std::max(h.most(), 0.0);
    if (contracts && least < most) find(y, {2 * least, 2 * most, (most - least) / kRealSteps}, 1, true);
  }

  /// The function that ends in a value of which such steps are told apart; perhaps its channels get factors
  /// first.
  void find(ValueId y, const Steps &steps, double unit, bool exactAlone = false) {
    std::vector<double> factors{1};
    if (origins[y.index] == kAbsent && old[y].def) {
      const Node &node = old[*old[y].def];
      auto pair = pairOf(old, node);
      if (!pair || pair->op != loop::BinaryOp::Mul) return;
      ValueId function = node.inputs[pair->a], constant = node.inputs[pair->b];
      if (old[function].isConstant()) std::swap(function, constant);
      auto reals = realsOf(old, constant);
      if (!reals || old[function].isConstant() || !isReadOnce(function)) return;
      factors = reals->values, y = function, unit = 1;
    }
    std::ranges::sort(factors);
    factors.erase(std::ranges::unique(factors).begin(), factors.end());
    if (origins[y.index] == kAbsent || !(factors.front() > 0) || !isCostly(y)) return;
    if (exactAlone && !isExact(old[*old[origins[y.index]].def])) return;
    std::vector<Steps> all;
    for (double factor : factors) all.push_back(steps.before(factor));
    FunctionGraph function(old, origins[y.index], y);
    if (auto pieces = Fit(function, std::move(all)).run()) {
      for (auto *coefficients : {&pieces->square, &pieces->slope, &pieces->offset})
        for (float &c : *coefficients) c = float(double(c) / unit);
      made.emplace(y, Made{*pieces, unit});
    }
  }

  Status visit(NodeId n) {
    const Node &node = old[n];
    if (node.op->coding == graph::Coding::Encodes)
      if (auto found = made.find(node.inputs[0]); found != made.end() && found->second.unit != 1)
        return encode(node);
    auto found = node.outputs.size() == 1 ? made.find(node.outputs[0]) : made.end();
    return found == made.end() ? r.copy(n) : replace(node.outputs[0], found->second.pieces);
  }

  /// Codes of what is in steps already.
  Status encode(const Node &node) {
    ValueId one = r.graph().addConstant(DType::f32, {}, std::vector<float>{1});
    PLANISH_ASSIGN(
        std::vector<ValueId> codes,
        r.graph().append(*node.op, node.attrs, {r(node.inputs[0]), one, r(node.inputs[2])}, node.loc));
    r.replace(node.outputs[0], codes[0]);
    return {};
  }

  Status replace(ValueId y, const Pieces &pieces) {
    auto constant = [&](const std::array<float, kPieces> &values) {
      return r.graph().addConstant(DType::f32, {kPieces}, std::vector<float>(values.begin(), values.end()));
    };
    std::vector<ValueId> operands{r(origins[y.index]), constant(pieces.offset), constant(pieces.slope)};
    if (!pieces.isLinear) operands.push_back(constant(pieces.square));
    PLANISH_ASSIGN(std::vector<ValueId> result,
                   r.graph().append(ops::kPiecewise, pieces.attrs, std::move(operands), locOf(y)));
    r.replace(y, result[0]);
    return {};
  }
  graph::Loc locOf(ValueId v) const {
    if (origins[v.index] == kAbsent) return {};
    const Node &node = old[*old[v].def];
    graph::Loc loc;
    for (ValueId in : node.inputs)
      if (in != kAbsent) loc = merged(loc, locOf(in));
    return merged(loc, node.loc);
  }

  const Graph &old;
  graph::Rebuilder r;
  std::vector<std::vector<NodeId>> uses;
  std::vector<int> outputUses;
  std::vector<ValueId> origins; // by value: the sum that it is a function of; kAbsent otherwise
  const quant::Profile &profile;
  struct Made {
    Pieces pieces;
    double unit; // by which the results are divided
  };
  std::map<ValueId, Made> made;
};

} // namespace

Result<Graph> byPieces(const Graph &g, const quant::Profile &profile) {
  return Approximator(g, profile).run();
}

} // namespace planish::transform
