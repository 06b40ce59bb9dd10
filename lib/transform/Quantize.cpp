// Folds quantize and dequantize around operators into integer kernels. One walk in order: a value that
// stands for codes, or for an exact 32-bit sum, is remembered as such, and also made as real numbers for
// whoever needs those (dead code otherwise). At every quantize node the pass looks back: does the operator
// before it have an integer form?
#include "IntegerOperands.h"
#include "planish/graph/Evaluate.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"
#include "planish/transform/QuantizeSigned.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace planish::transform {

namespace {

using graph::Codes;
using graph::Coding;
using graph::IntegerContext;
using graph::IntegerValue;
using graph::Loc;
using ops::Arithmetic;

/// Steps of the coarser operand of a sum of codes are 2^22 units: 255 of those of both fit 32 bits, and the
/// multiplier of the other operand is off by half a unit at most, all 255 steps by 2^-15 of a step.
constexpr int kUnitBits = 22;
/// Where an operand's scale is so many times the result's, that adds up to more than a hundredth of a step.
constexpr double kMostRatio = 256;
/// |sum * scale| of a requantization stays below this (kRounder leaves 22 bits).
constexpr double kMostRequantized = 4194304.0 - 1;
/// Nodes from a code to the function of it that a table holds: far above any activation.
constexpr size_t kMaxFunction = 64;
/// Tables of one function whose constants differ by channel.
constexpr int64_t kMostTables = 4096;

class Quantizer {
public:
  Quantizer(const Graph &g, bool signedProducts) : signedProducts(signedProducts), old(g), r(g) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n) PLANISH_TRY(visit(old[NodeId{n}], {n}));
    return r.finish();
  }

private:
  bool signedProducts;
  std::map<uint32_t, ValueId> lowered; // codes less 128, by codes
  Status visit(const Node &node, NodeId id) {
    if (node.outputs.size() != 1 || !node.regions.empty()) return r.copy(id);
    noteOrigin(node);
    if (node.op->coding == Coding::Decodes && decode(node)) return {};
    if (node.op->coding == Coding::Encodes && encode(node)) return {};
    if (node.op->coding == Coding::None && (pick(node) || integerForm(node) || addConstant(node))) return {};
    return r.copy(id);
  }

  // ---- making nodes ------------------------------------------------------------------------------

  ValueId made(const graph::OpDef &op, graph::Attrs attrs, std::vector<ValueId> operands, const Loc &loc) {
    auto result = r.graph().append(op, std::move(attrs), std::move(operands), loc);
    PLANISH_CHECK(result && result->size() == 1,
                  std::string(op.name) + " over integers: " + (result ? "" : result.error().text));
    return result->front();
  }
  ValueId made(Arithmetic fn, ValueId a, ValueId b, const Loc &loc) {
    return made(ops::row(fn), {}, {a, b}, loc);
  }
  ValueId converted(DType to, ValueId v, const Loc &loc) {
    return r.graph().type(v).dtype == to ? v : made(ops::kCast, ops::CastAttrs{to}, {v}, loc);
  }
  template <class T> ValueId scalar(DType dtype, T value) {
    return r.graph().addConstant(dtype, {}, std::vector<T>{value});
  }
  /// One number, or one per index along `axis` of a value of that rank.
  template <class T> ValueId perChannel(DType dtype, const std::vector<T> &values, int axis, int rank) {
    if (values.size() == 1) return scalar(dtype, values[0]);
    std::vector<int64_t> shape(size_t(rank - axis), 1);
    shape[0] = int64_t(values.size());
    return r.graph().addConstant(dtype, shape, values);
  }
  ValueId plus(ValueId v, const std::vector<int64_t> &addend, int axis, const Loc &loc) {
    if (std::ranges::all_of(addend, [](int64_t a) { return a == 0; })) return v;
    std::vector<int32_t> words;
    for (int64_t a : addend) words.push_back(graph::wrapped32(a));
    return made(Arithmetic::Add, v, perChannel(DType::i32, words, axis, r.graph().type(v).rank()), loc);
  }
  ValueId realOf(const Codes &c, const Loc &loc) {
    return made(ops::kDequantize, {},
                {c.value, scalar(DType::f32, float(c.scale)), scalar(DType::u8, uint8_t(c.zero))}, loc);
  }
  ValueId realOf(const IntegerValue &v, const Loc &loc) {
    ValueId whole = plus(v.value, v.addend, v.axis, loc);
    std::vector<float> scale(v.scale.begin(), v.scale.end());
    return made(ops::kDequantize, {},
                {whole, perChannel(DType::f32, scale, v.axis, r.graph().type(whole).rank())}, loc);
  }
  /// Codes as the old graph's type.
  ValueId typed(ValueId u8, DType type, const Loc &loc) {
    if (type == DType::u8) return u8;
    return converted(DType::i8, made(Arithmetic::Add, u8, scalar(DType::u8, uint8_t(128)), loc), loc);
  }

  // ---- what old values are -----------------------------------------------------------------------

  /// An old value of 8 bits, as u8.
  ValueId bytesOf(ValueId v) {
    if (auto found = bytes.find(v); found != bytes.end()) return found->second;
    ValueId u8 = r(v);
    if (old.type(v).dtype == DType::i8)
      u8 = converted(DType::u8, made(Arithmetic::Add, u8, scalar(DType::i8, int8_t(-128)), {}), {});
    return bytes[v] = u8;
  }
  std::optional<Codes> codesOf(ValueId v) const {
    auto found = codes.find(v);
    return found == codes.end() ? std::nullopt : std::optional(found->second);
  }
  /// Whether an old code, or real value that stands for codes, is this u8 value.
  bool isCodeItself(ValueId v, ValueId u8) {
    return (codes.contains(v) ? codes.at(v).value : bytesOf(v)) == u8;
  }
  const Node *definition(ValueId v) const { return old[v].def ? &old[*old[v].def] : nullptr; }

  /// What a value is a function of: one code and, where `axis` is not negative, its place along that axis.
  struct Origin {
    ValueId code;
    int axis = -1;
  };
  /// The axis of `shape` along which a constant that broadcasts to it varies: -1 for none, nothing where
  /// there are several.
  static std::optional<int> varyingAxis(const Shape &constant, const Shape &shape) {
    std::optional<int> r = -1;
    for (size_t d = 0; d < constant.size(); ++d) {
      if (constant[d] == Dim(1)) continue;
      if (r != -1) return std::nullopt;
      r = int(shape.size() - constant.size() + d);
    }
    return r;
  }
  /// Notes which code each value is a function of, if of one.
  void noteOrigin(const Node &node) {
    ValueId result = node.outputs[0];
    if (node.op->cls != graph::OpClass::Elementwise || !node.op->compute) return;
    const Shape &shape = old.type(result).shape;
    std::optional<Origin> origin;
    int axis = -1;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      if (v == kAbsent) continue;
      auto varies = std::optional(-1);
      if (constantValue(old, v)) {
        varies =
            old.type(v).rank() > int(shape.size()) ? std::nullopt : varyingAxis(old.type(v).shape, shape);
      } else {
        auto found = origins.find(v);
        DType type = old.type(v).dtype;
        bool isByte = type == DType::u8 || type == DType::i8;
        bool isCode = codes.contains(v) || (node.op->coding == Coding::Decodes && i == 0 && isByte);
        if (found == origins.end() && !isCode) return;
        Origin from = found == origins.end() ? Origin{v} : found->second;
        if ((origin && origin->code != from.code) || old.type(v).shape != shape) return;
        origin = from;
        varies = from.axis;
      }
      if (!varies || (*varies >= 0 && axis >= 0 && *varies != axis)) return;
      axis = std::max(axis, *varies);
    }
    if (!origin || (axis >= 0 && !fewTables(shape[size_t(axis)]))) return;
    origins[result] = {origin->code, axis};
  }
  static bool fewTables(const Dim &count) { return count.isConstant() && count.constant() <= kMostTables; }

  // ---- visiting ----------------------------------------------------------------------------------

  bool decode(const Node &node) {
    ValueId x = node.inputs[0], y = node.outputs[0];
    auto p = parametersOf(old, node);
    if (!p || old[x].isConstant()) return false;
    codes[y] = {bytesOf(x), p->scale, p->zero};
    r.replace(y, realOf(codes[y], node.loc));
    return true;
  }

  bool encode(const Node &node) {
    auto p = parametersOf(old, node);
    if (!p || old[node.inputs[0]].isConstant()) return false;
    ValueId x = node.inputs[0], y = node.outputs[0];
    auto u8 = encoded(x, *p, node.loc);
    if (!u8)
      u8 = made(*node.op, {},
                {r(x), scalar(DType::f32, float(p->scale)), scalar(DType::u8, uint8_t(p->zero))}, node.loc);
    bytes[y] = *u8;
    ValueId code = typed(*u8, old.type(y).dtype, node.loc);
    if (!r.mayReplace(y, code)) code = made(ops::kCopy, {}, {code}, node.loc);
    r.replace(y, code);
    return true;
  }

  /// An operator that only picks elements does so with codes.
  bool pick(const Node &node) {
    ValueId y = node.outputs[0];
    DType type = old.type(y).dtype;
    if (type != DType::f32 && type != DType::u8 && type != DType::i8) return false;
    auto from = pickedOperands(old, node);
    if (!from) return false;
    std::optional<Codes> shared;
    std::vector<ValueId> operands;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      if (!(*from)[i]) {
        operands.push_back(r(v));
        continue;
      }
      if (old[v].isConstant()) return false;
      if (type == DType::f32) {
        auto c = codesOf(v);
        if (!c || (shared && (c->scale != shared->scale || c->zero != shared->zero))) return false;
        shared = c;
      } else if (!bytes.contains(v)) {
        return false;
      }
      operands.push_back(type == DType::f32 ? shared->value : bytes.at(v));
    }
    ValueId u8 = made(*node.op, node.attrs, operands, node.loc);
    if (type != DType::f32) {
      bytes[y] = u8;
      r.replace(y, typed(u8, type, node.loc));
      return true;
    }
    codes[y] = {u8, shared->scale, shared->zero};
    r.replace(y, realOf(codes[y], node.loc));
    return true;
  }

  /// What the operator's row makes of codes, whatever reads its result: an exact sum, or codes.
  bool integerForm(const Node &node) {
    auto v = integer(node);
    if (!v) return false;
    ValueId y = node.outputs[0];
    if (r.graph().type(v->value).dtype == DType::u8) {
      codes[y] = {v->value, v->scale[0], int32_t(-v->addend[0])};
      r.replace(y, realOf(codes[y], node.loc));
      return true;
    }
    sums[y] = *v;
    r.replace(y, realOf(*v, node.loc));
    return true;
  }

  std::optional<IntegerValue> integer(const Node &node) {
    if (!node.op->integer || node.inputs.empty()) return std::nullopt;
    IntegerContext c{r.graph(), node.attrs, node.loc, {}, old.type(node.outputs[0]), {}, {}, {}, {}};
    if (signedProducts) c.lowered = &lowered;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      c.types.push_back(v == kAbsent ? TensorType{} : old.type(v));
      c.codes.push_back(v == kAbsent ? std::nullopt : codesOf(v));
      auto found = sums.find(v);
      c.sums.push_back(found == sums.end() ? std::nullopt : std::optional(found->second));
      if (i == 0 && !c.codes[0] && !c.sums[0]) return std::nullopt;
      c.weights.push_back(i == 1 ? weightsOf(old, v) : std::nullopt);
      auto reals = i == 2 ? realsOf(old, v) : std::nullopt;
      c.reals.push_back(reals ? std::optional(std::move(reals->values)) : std::nullopt);
    }
    return node.op->integer(c);
  }

  /// sum + constant, one number per channel: a bias.
  bool addConstant(const Node &node) {
    auto pair = pairOf(old, node);
    if (!pair || pair->op != loop::BinaryOp::Add) return false;
    ValueId a = node.inputs[pair->a], b = node.inputs[pair->b];
    if (!sums.contains(a)) std::swap(a, b);
    auto found = sums.find(a);
    if (found == sums.end() || old.type(node.outputs[0]).shape != old.type(a).shape) return false;
    auto reals = realsOf(old, b);
    IntegerValue v = found->second;
    int rank = old.type(a).rank();
    if (!reals) return false;
    for (size_t d = 0; d < reals->shape.size(); ++d)
      if (reals->shape[d] != 1 && rank - int(reals->shape.size()) + int(d) != v.axis) return false;
    size_t n = std::max({reals->values.size(), v.scale.size(), v.addend.size(), v.bound.size()});
    auto at = []<class T>(const std::vector<T> &values, size_t i) {
      return values[values.size() == 1 ? 0 : i];
    };
    std::vector<int64_t> addend, bound;
    for (size_t i = 0; i < n; ++i) {
      double steps = at(reals->values, i) / at(v.scale, i);
      if (!(std::abs(steps) < double(1 << 30))) return false;
      int64_t whole = std::llrint(steps);
      addend.push_back(at(v.addend, i) + whole);
      bound.push_back(at(v.bound, i) + std::abs(whole));
      if (bound.back() > graph::kMaxAccumulator) return false;
    }
    v.addend = addend, v.bound = bound;
    sums[node.outputs[0]] = v;
    r.replace(node.outputs[0], realOf(v, node.loc));
    return true;
  }

  // ---- integer forms -----------------------------------------------------------------------------

  /// Codes of the least and the most, as far as bounds on real numbers allow.
  struct Range {
    int32_t least = 0, most = 255;
  };
  static int32_t codeOf(double real, const Parameters &p) {
    return int32_t(std::clamp(std::nearbyint(real / p.scale) + p.zero, 0.0, 255.0));
  }

  /// The u8 codes of an old real value; nothing where it has no integer form.
  std::optional<ValueId> encoded(ValueId x, const Parameters &p, const Loc &loc) {
    Range range;
    const Node *node = definition(x);
    for (; node && node->inputs.size() == 1; node = definition(x)) {
      auto limits = limitsOf(old, *node);
      if (!limits) break;
      int32_t least = codeOf(limits->least, p), most = codeOf(limits->most, p);
      range = {std::clamp(least, range.least, range.most), std::clamp(most, range.least, range.most)};
      x = node->inputs[0];
    }
    bool limited = range.least > 0 || range.most < 255;
    if (auto found = sums.find(x); found != sums.end()) return requantized(found->second, p, range, loc);
    auto c = codesOf(x);
    if (c && c->scale == p.scale && c->zero == p.zero && !limited) return c->value;
    // Codes that are themselves a table's, and what is no code yet: one table from where the chain begins.
    auto origin = origins.find(x);
    if (origin != origins.end() && !(c && isCodeItself(origin->second.code, c->value)))
      if (auto made = table(x, origin->second, p, range, loc)) return made;
    if (c) return requantized(integerOf(*c, loc), p, range, loc);
    if (!node) return std::nullopt;
    if (auto v = combination(*node, p)) return requantized(*v, p, range, loc);
    if (!limited) return pickedFrom(*node, p, loc);
    return std::nullopt;
  }

  /// An operator that picks from operands with other parameters: those are made alike first.
  std::optional<ValueId> pickedFrom(const Node &node, const Parameters &p, const Loc &loc) {
    auto from = pickedOperands(old, node);
    if (!from) return std::nullopt;
    std::vector<ValueId> operands;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      auto u8 = (*from)[i] ? (old[v].isConstant() ? std::nullopt : encoded(v, p, loc)) : std::optional(r(v));
      if (!u8) return std::nullopt;
      operands.push_back(*u8);
    }
    return made(*node.op, node.attrs, operands, node.loc);
  }

  IntegerValue integerOf(const Codes &c, const Loc &loc) {
    int64_t bound = std::max(c.zero, 255 - c.zero);
    return {converted(DType::i32, c.value, loc), 0, {c.scale}, {-c.zero}, {bound}};
  }

  /// a + b and a - b in units of the coarser operand's scale, a * b as it is.
  std::optional<IntegerValue> combination(const Node &node, const Parameters &p) {
    auto pair = pairOf(old, node);
    if (!pair) return std::nullopt;
    auto a = codesOf(node.inputs[pair->a]), b = codesOf(node.inputs[pair->b]);
    if (!a || !b) return std::nullopt;
    IntegerValue x = integerOf(*a, node.loc), y = integerOf(*b, node.loc);
    if (pair->op == loop::BinaryOp::Mul) {
      ValueId u = plus(x.value, x.addend, 0, node.loc), v = plus(y.value, y.addend, 0, node.loc);
      return IntegerValue{
          made(Arithmetic::Mul, u, v, node.loc), 0, {a->scale * b->scale}, {0}, {x.bound[0] * y.bound[0]}};
    }
    if (pair->op != loop::BinaryOp::Add && pair->op != loop::BinaryOp::Sub) return std::nullopt;
    double coarse = std::max(a->scale, b->scale);
    if (coarse / p.scale > kMostRatio) return std::nullopt;
    auto multiplier = [&](double scale) { return std::llrint(std::ldexp(scale / coarse, kUnitBits)); };
    int64_t ma = multiplier(a->scale), mb = multiplier(b->scale);
    if (pair->op == loop::BinaryOp::Sub) mb = -mb;
    auto scaled = [&](const IntegerValue &v, int64_t m) {
      return made(Arithmetic::Mul, v.value, scalar(DType::i32, int32_t(m)), node.loc);
    };
    return IntegerValue{made(Arithmetic::Add, scaled(x, ma), scaled(y, mb), node.loc),
                        0,
                        {std::ldexp(coarse, -kUnitBits)},
                        {x.addend[0] * ma + y.addend[0] * mb},
                        {x.bound[0] * ma + y.bound[0] * std::abs(mb)}};
  }

  /// The rule of every sum. Where the product could leave the range in which it is exact, the sum is
  /// clamped first, far outside of what 8 bits hold.
  std::optional<ValueId> requantized(const IntegerValue &v, const Parameters &p, const Range &range,
                                     const Loc &loc) {
    std::vector<float> scale;
    for (double s : v.scale) scale.push_back(float(s / p.scale));
    size_t n = std::max(v.bound.size(), scale.size());
    std::vector<int32_t> limit;
    bool limited = false;
    for (size_t i = 0; i < n; ++i) {
      double s = double(scale[scale.size() == 1 ? 0 : i]);
      if (!(s >= 0x1p-100 && s <= 0x1p20)) return std::nullopt; // a channel of nothing has a scale near 0
      int64_t bound = v.bound[v.bound.size() == 1 ? 0 : i];
      limited |= double(bound) * s > kMostRequantized;
      limit.push_back(int32_t(std::min(std::floor(kMostRequantized / s), double(graph::kMaxAccumulator))));
    }
    ValueId sum = plus(v.value, v.addend, v.axis, loc);
    int rank = r.graph().type(sum).rank();
    if (limited) {
      std::vector<int32_t> negative;
      for (int32_t l : limit) negative.push_back(-l);
      sum = made(Arithmetic::Min, sum, perChannel(DType::i32, limit, v.axis, rank), loc);
      sum = made(Arithmetic::Max, sum, perChannel(DType::i32, negative, v.axis, rank), loc);
    }
    return made(ops::kRequantize, ops::RequantizeAttrs{p.zero, range.least, range.most},
                {sum, perChannel(DType::f32, scale, v.axis, rank)}, loc);
  }

  // ---- tables ------------------------------------------------------------------------------------

  /// What an old value is for each of its u8 codes.
  ValueId allCodes(Graph &g, ValueId v) {
    std::vector<uint8_t> bytes(256);
    std::vector<float> reals(256);
    for (int32_t i = 0; i < 256; ++i) {
      bytes[size_t(i)] = uint8_t(i - shiftOf(old.type(v).dtype));
      if (auto c = codesOf(v)) reals[size_t(i)] = float(i - c->zero) * float(c->scale);
    }
    if (codesOf(v)) return g.addConstant(DType::f32, {256}, reals);
    return g.addConstant(old.type(v).dtype, {256}, bytes);
  }

  /// The codes of `x`, a function of the code `from`, for every value of that: [256], or as many for each
  /// index along the origin's axis.
  std::optional<ValueId> table(ValueId x, const Origin &from, const Parameters &p, const Range &range,
                               const Loc &loc) {
    Graph g;
    std::map<ValueId, ValueId> copies{{from.code, allCodes(g, from.code)}};
    auto value = copied(g, x, copies);
    if (!value) return std::nullopt;
    ValueId scale = g.addConstant(DType::f32, {}, std::vector<float>{float(p.scale)});
    ValueId zero = g.addConstant(DType::u8, {}, std::vector<uint8_t>{uint8_t(p.zero)});
    auto encoder = g.append(ops::kQuantize, {}, {*value, scale, zero}, {});
    if (!encoder) return std::nullopt;
    g.setOutputs(*encoder);
    auto result = graph::evaluate(g, {});
    if (!result) return std::nullopt;
    const graph::Tensor &every = result->front();
    std::vector<uint8_t> entries(every.data->size());
    std::memcpy(entries.data(), every.data->data(), entries.size());
    for (uint8_t &e : entries) e = uint8_t(std::clamp<int32_t>(e, range.least, range.most));
    ValueId u8 = codes.contains(from.code) ? codes.at(from.code).value : bytesOf(from.code);
    ValueId entriesOf = r.graph().addConstant(DType::u8, every.shape, entries);
    return made(ops::kLookup, ops::AxisAttrs{std::max(from.axis, 0)}, {u8, entriesOf}, loc);
  }

  /// The nodes from what is copied already up to a value, over 256 elements in a row; constants that vary
  /// stand in a column.
  std::optional<ValueId> copied(Graph &g, ValueId v, std::map<ValueId, ValueId> &copies) {
    if (auto found = copies.find(v); found != copies.end()) return found->second;
    if (auto constant = constantValue(old, v)) {
      int64_t count = 1;
      for (int64_t d : constant->shape) count *= d;
      Shape shape = count == 1 ? Shape{} : Shape{Dim(count), Dim(1)};
      return copies[v] = g.addConstant({constant->dtype, shape, {}, {}}, constant->data);
    }
    const Node *node = definition(v);
    if (!node || copies.size() > kMaxFunction) return std::nullopt;
    std::vector<ValueId> operands;
    for (ValueId input : node->inputs) {
      auto operand = input == kAbsent ? std::optional(kAbsent) : copied(g, input, copies);
      if (!operand) return std::nullopt;
      operands.push_back(*operand);
    }
    auto result = g.append(*node->op, node->attrs, operands, {});
    if (!result) return std::nullopt;
    return copies[v] = result->front();
  }

  const Graph &old;
  graph::Rebuilder r;
  std::map<ValueId, ValueId> bytes; // old values of 8 bits, as u8 of the new graph
  std::map<ValueId, Codes> codes; // old real values that are codes
  std::map<ValueId, IntegerValue> sums; // old real values that are exact sums
  std::map<ValueId, Origin> origins; // old values that are functions of one old code
};

/// Whether a node, or one in its regions, makes or reads codes; `real` gathers who computes otherwise.
bool findReal(const Graph &g, std::vector<std::string> &real) {
  bool coded = false;
  for (const Node &n : g.nodes()) {
    for (const Graph &region : n.regions) coded |= findReal(region, real);
    coded |= n.op->coding != Coding::None;
    if (n.op->coding != Coding::None || !n.op->compute || n.op->cls == graph::OpClass::Movement) continue;
    bool computes = std::ranges::any_of(n.outputs, [&](ValueId v) { return isFloat(g.type(v).dtype); });
    if (computes) std::ranges::copy(n.loc.onnxNodes, std::back_inserter(real));
  }
  return coded;
}

} // namespace

std::vector<std::string> realNodes(const Graph &g) {
  std::vector<std::string> real;
  if (!findReal(g, real)) real.clear();
  std::set<std::string> seen;
  std::erase_if(real, [&](const std::string &name) { return !seen.insert(name).second; });
  return real;
}

bool isQuantized(const Graph &g) {
  return std::ranges::any_of(g.nodes(), [](const Node &n) { return n.op->coding != Coding::None; });
}

Result<Graph> quantize(const Graph &g) {
  if (!isQuantized(g)) return g;
  return Quantizer(g, /*signedProducts=*/false).run();
}

Result<Graph> quantizeSigned(const Graph &g) {
  if (!isQuantized(g)) return g;
  return Quantizer(g, /*signedProducts=*/true).run();
}

} // namespace planish::transform
