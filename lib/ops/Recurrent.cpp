// Recurrent networks (ONNX LSTM, GRU and RNN): what all time steps share, the product of the input with its
// weights, is one matrix product; the steps themselves are `loops`.
#include "Rows.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace planish::ops {

namespace {

using graph::LoopsView;
using loop::Buffer;
using loop::LoopKind;
using loop::Stmt;

/// Columns of one product that are summed side by side in registers, and elements of one vector.
constexpr int64_t kColumns = 64, kLanes = 16, kUnrolled = 4;

enum class Direction : uint8_t { Forward, Reverse, Bidirectional };
enum class Activation : uint8_t {
  Tanh,
  Sigmoid,
  Relu,
  Affine,
  LeakyRelu,
  ThresholdedRelu,
  ScaledTanh,
  HardSigmoid,
  Elu,
  Softsign,
  Softplus,
  kCount
};
constexpr std::string_view kDirections[] = {"forward", "reverse", "bidirectional"};
constexpr std::string_view kActivations[] = {"tanh",       "sigmoid",          "relu",        "affine",
                                             "leaky_relu", "thresholded_relu", "scaled_tanh", "hard_sigmoid",
                                             "elu",        "softsign",         "softplus"};
std::span<const std::string_view> spellings(Direction) { return kDirections; }
std::span<const std::string_view> spellings(Activation) { return kActivations; }

struct RecurrentAttrs {
  Direction direction = Direction::Forward;
  Activation f = Activation::Sigmoid, g = Activation::Tanh, h = Activation::Tanh;
  std::vector<double> alpha = {0, 0, 0}, beta = {0, 0, 0};  // of f, g and h
  double clip = 0;                                          // of what goes into them; 0: none
  bool coupled = false;                                     // LSTM: the forget gate is 1 - the input gate
  bool linearFirst = false;                                 // GRU: the reset gate scales the product
  bool sameActivations(const RecurrentAttrs &o) const {
    return f == o.f && g == o.g && h == o.h && alpha == o.alpha && beta == o.beta;
  }
  void visit(FieldVisitor &v) {
    v.field("direction", direction), v.field("f", f), v.field("g", g), v.field("h", h);
    v.field("alpha", alpha), v.field("beta", beta), v.field("clip", clip);
    v.field("coupled", coupled), v.field("linear_before_reset", linearFirst);
  }
};

// ---- inference -----------------------------------------------------------------------------------

/// x is [time, batch, directions * gates * hidden], r is [directions, hidden, gates * hidden], states are
/// [directions, batch, hidden]. Results: y [time, directions, batch, hidden], the last states, and the
/// memory for one step's gates.
Types inferRecurrent(InferContext &c, int64_t gates, int states, int lengths) {
  const RecurrentAttrs &a = c.attrs().as<RecurrentAttrs>();
  for (int k = 0; k < c.inputs(); ++k)
    if (c.has(k)) PLANISH_TRY(wantType(c, k, k == lengths ? kIndexes : kFloats));
  PLANISH_TRY(wantRank(c, 0, 3, 3));
  PLANISH_TRY(wantRank(c, 1, 3, 3));
  PLANISH_TRY(wantEntries({int64_t(a.alpha.size()), int64_t(a.beta.size())}, 2, 3, 3, "alpha and beta"));
  const Shape &x = c.in(0).shape;
  PLANISH_ASSIGN(int64_t directions, constantDim(c, 1, 0));
  PLANISH_ASSIGN(int64_t hidden, constantDim(c, 1, 1));
  if (directions != (a.direction == Direction::Bidirectional ? 2 : 1) || hidden < 1 || hidden > kMaxParameter)
    return badInput("operand 1 is " + textOf(c.in(1)) + ", expected one matrix per direction");
  auto want = [&](int k, const Shape &shape) -> Status {
    if (!c.has(k) || c.in(k).shape == shape) return {};
    return badInput("operand " + std::to_string(k) + " is " + textOf(c.in(k)) + ", expected " +
                    textOf(shape));
  };
  Shape state{Dim(directions), x[1], Dim(hidden)};
  PLANISH_TRY(want(0, {x[0], x[1], Dim(directions * gates * hidden)}));
  PLANISH_TRY(want(1, {Dim(directions), Dim(hidden), Dim(gates * hidden)}));
  for (int k = 0; k < states; ++k) PLANISH_TRY(want(2 + k, state));
  PLANISH_TRY(want(lengths, {x[1]}));
  PLANISH_ASSIGN(std::vector<TensorType> r,
                 oneOutput({DType::f32, {x[0], Dim(directions), x[1], Dim(hidden)}, {}, {}}));
  for (int k = 0; k < states; ++k) r.push_back({DType::f32, state, {}, {}});
  r.push_back({DType::f32, {Dim(directions), x[1], Dim(gates * hidden)}, {}, {}});
  return r;
}

// ---- pieces of the loops -------------------------------------------------------------------------

Expr f32(double v) { return loop::fimm(v); }

Expr activated(const RecurrentAttrs &a, int which, Expr x) {
  Activation fn = which == 0 ? a.f : which == 1 ? a.g : a.h;
  double alpha = a.alpha[size_t(which)], beta = a.beta[size_t(which)];
  if (a.clip > 0) x = min(max(x, f32(-a.clip)), f32(a.clip));
  switch (fn) {
  case Activation::Tanh: return valueOf(Unary::Tanh, x);
  case Activation::Sigmoid: return valueOf(Unary::Sigmoid, x);
  case Activation::Relu: return valueOf(Unary::Relu, x);
  case Activation::Affine: return x * f32(alpha) + f32(beta);
  case Activation::LeakyRelu: return valueOf(Unary::LeakyRelu, x, alpha);
  case Activation::ThresholdedRelu: return valueOf(Unary::ThresholdedRelu, x, alpha);
  case Activation::ScaledTanh: return valueOf(Unary::Tanh, x * f32(beta)) * f32(alpha);
  case Activation::HardSigmoid: return valueOf(Unary::HardSigmoid, x, alpha, beta);
  case Activation::Elu: return valueOf(Unary::Elu, x, alpha);
  case Activation::Softsign: return valueOf(Unary::Softsign, x);
  case Activation::Softplus: return valueOf(Unary::Softplus, x);
  case Activation::kCount: break;
  }
  return x;
}

Var counter(const std::string &name, int64_t size) {
  return loop::var(name, {}, 0, std::max<int64_t>(size - 1, 0));
}

/// [0, size) in vectors of `lanes`, the last one shorter.
Stmt inVectors(int64_t size, int64_t lanes, const std::function<Stmt(const Expr &)> &body) {
  std::vector<Stmt> r;
  if (size >= lanes) {
    Var o = counter("o", size / lanes), l = counter("l", lanes);
    Stmt vector = loop::loop(l, imm(0), imm(lanes), LoopKind::Vectorized, body(use(o) * lanes + use(l)));
    r.push_back(loop::loop(o, imm(0), imm(size / lanes), LoopKind::Serial, vector));
  }
  if (int64_t rest = size % lanes) {
    Var l = counter("l", rest);
    r.push_back(loop::loop(l, imm(0), imm(rest), LoopKind::Vectorized, body(use(l) + (size - rest))));
  }
  return loop::block(std::move(r));
}

Buffer operand(const LoopsView &v, int k) { return size_t(k) < v.in.size() ? v.in[size_t(k)] : nullptr; }

/// One direction of one sequence at one time.
struct Cell {
  const LoopsView &v;
  const RecurrentAttrs &a;
  int64_t hidden;
  Expr direction, batch;

  Buffer gates() const { return v.out.back(); }
  Buffer y() const { return v.out[0]; }
  Expr state(const Buffer &b, const Expr &j) const { return load(b, {direction, batch, j}); }
  Stmt setState(const Buffer &b, const Expr &j, const Expr &value) const {
    return loop::store(b, {direction, batch, j}, value);
  }
  Expr gate(int64_t which, const Expr &j) const { return state(gates(), j + which * hidden); }
  Expr input(const Expr &time, const Expr &column) const {
    int64_t columns = *constantOf(gates()->shape[2]);
    return load(v.in[0], {time, batch, direction * columns + column});
  }

  /// gates[column] = start(column) + sum over k of factor(k) * r[k, column], for columns [first, last).
  Stmt product(int64_t first, int64_t last, const std::function<Expr(const Expr &)> &start,
               const std::function<Expr(const Expr &)> &factor) const {
    std::vector<Stmt> r;
    int64_t whole = (last - first) / kColumns, rest = (last - first) % kColumns;
    if (whole) {
      Var o = counter("o", whole);
      r.push_back(loop::loop(o, imm(0), imm(whole), LoopKind::Serial,
                             columns(use(o) * kColumns + first, kColumns, start, factor)));
    }
    if (rest) r.push_back(columns(imm(last - rest), rest, start, factor));
    return loop::block(std::move(r));
  }
  Stmt columns(const Expr &first, int64_t count, const std::function<Expr(const Expr &)> &start,
               const std::function<Expr(const Expr &)> &factor) const {
    Buffer sum = loop::buffer("sum", DType::f32, Ints{count}, {}, loop::Scope::Register);
    auto each = [&](const std::function<Stmt(const Expr &)> &body) {
      Var l = counter("l", count);
      return loop::loop(l, imm(0), imm(count), LoopKind::Vectorized, body(use(l)));
    };
    auto term = [&](const Expr &k) {
      return each([&](const Expr &l) {
        Expr weight = load(v.in[1], {direction, k, first + l});
        return loop::store(sum, {l}, loop::call(Intrinsic::Fma, {factor(k), weight, load(sum, {l})}));
      });
    };
    std::vector<Stmt> r{each([&](const Expr &l) { return loop::store(sum, {l}, start(first + l)); })};
    if (int64_t whole = hidden / kUnrolled) {
      Var k = counter("k", whole), u = counter("u", kUnrolled);
      Stmt inner =
          loop::loop(u, imm(0), imm(kUnrolled), LoopKind::Unrolled, term(use(k) * kUnrolled + use(u)));
      r.push_back(loop::loop(k, imm(0), imm(whole), LoopKind::Serial, inner));
    }
    for (int64_t k = hidden - hidden % kUnrolled; k < hidden; ++k) r.push_back(term(imm(k)));
    r.push_back(each([&](const Expr &l) { return setState(gates(), first + l, load(sum, {l})); }));
    return loop::makeStmt(loop::Alloc{sum, loop::block(std::move(r))});
  }

  /// The new hidden state goes into the output, too.
  Stmt emit(const Expr &time, const Expr &j) const {
    return loop::store(y(), {time, direction, batch, j}, state(v.out[1], j));
  }
};

/// All directions and sequences, each by itself; `step` is one step of a cell at a time.
Stmt overSequences(const LoopsView &v, int states, int lengths,
                   const std::function<Stmt(const Cell &, const Expr &time)> &step) {
  const RecurrentAttrs &a = v.attrs.as<RecurrentAttrs>();
  const Dim &time = v.inTypes[0].shape[0], &batch = v.inTypes[0].shape[1];
  int64_t directions = v.outTypes[1].shape[0].constant(), hidden = v.outTypes[1].shape[2].constant();
  Expr sequences = extentOf(batch) * directions;
  Var n = counter("n", batch.upper() * directions);
  Cell cell{v, a, hidden, floorDiv(use(n), max(extentOf(batch), imm(1))), {}};
  cell.batch = use(n) - cell.direction * extentOf(batch);
  if (constantOf(extentOf(batch)) == 1) cell.direction = use(n), cell.batch = imm(0);
  if (directions == 1) cell.direction = imm(0), cell.batch = use(n);

  std::vector<Stmt> body;
  body.push_back(inVectors(hidden, kLanes, [&](const Expr &j) {
    std::vector<Stmt> r;
    for (int k = 0; k < states; ++k)
      r.push_back(cell.setState(v.out[size_t(1 + k)], j, cell.state(v.in[size_t(2 + k)], j)));
    return loop::block(std::move(r));
  }));
  Expr size = extentOf(time);
  Buffer given = operand(v, lengths);
  bool hasLengths = bool(given);
  Var length = loop::var("length", {}, 0, time.upper());
  Expr end = hasLengths ? use(length) : size;
  Var s = counter("s", time.upper()), t = counter("t", time.upper());
  Expr backwards = end - 1 - use(s);
  Expr when = a.direction == Direction::Forward ? use(s)
              : a.direction == Direction::Reverse
                  ? backwards
                  : select(binary(BinaryOp::Eq, cell.direction, imm(1)), backwards, use(s));
  Stmt stepped = loop::makeStmt(loop::Let{t, when, step(cell, use(t))});
  body.push_back(loop::loop(s, imm(0), end, LoopKind::Serial, stepped));
  if (hasLengths) {  // nothing comes out after the end of a sequence
    Var z = counter("z", time.upper());
    Stmt zeros = inVectors(hidden, kLanes, [&](const Expr &j) {
      return loop::store(cell.y(), {use(z), cell.direction, cell.batch, j}, f32(0));
    });
    body.push_back(loop::loop(z, end, size, LoopKind::Serial, zeros));
  }
  Stmt sequence = loop::block(std::move(body));
  if (hasLengths) {
    Expr said = cast(DType::i64, load(given, {cell.batch}));
    sequence = loop::makeStmt(loop::Let{length, min(max(said, imm(0)), size), sequence});
  }
  return loop::loop(n, imm(0), sequences, LoopKind::Parallel, sequence);
}

// ---- rows ----------------------------------------------------------------------------------------

/// Gates in ONNX's order: input, output, forget, cell.
Stmt loopsLstm(const LoopsView &v) {
  const RecurrentAttrs &a = v.attrs.as<RecurrentAttrs>();
  const Buffer &h = v.out[1], &c = v.out[2], peepholes = operand(v, 4);
  return overSequences(v, 2, 5, [&](const Cell &cell, const Expr &time) {
    int64_t n = cell.hidden;
    auto peeped = [&](int64_t gate, int64_t weights, const Expr &j) {
      Expr x = cell.gate(gate, j);
      return peepholes ? x + load(peepholes, {cell.direction, j + weights * n}) * cell.state(c, j) : x;
    };
    return loop::block(
        {cell.product(
             0, 4 * n, [&](const Expr &j) { return cell.input(time, j); },
             [&](const Expr &k) { return cell.state(h, k); }),
         inVectors(n, kLanes, [&](const Expr &j) {
           Expr input = activated(a, 0, peeped(0, 0, j));
           Expr forget = a.coupled ? f32(1) - input : activated(a, 0, peeped(2, 2, j));
           Expr next = forget * cell.state(c, j) + input * activated(a, 1, cell.gate(3, j));
           RecurrentAttrs unclipped = a;
           unclipped.clip = 0;
           Expr output = activated(a, 0, peeped(1, 1, j)) * activated(unclipped, 2, cell.state(c, j));
           return loop::block({cell.setState(c, j, next), cell.setState(h, j, output), cell.emit(time, j)});
         })});
  });
}
Types inferLstm(InferContext &c) {
  PLANISH_ASSIGN(std::vector<TensorType> r, inferRecurrent(c, 4, 2, 5));
  const Shape &w = c.in(1).shape;
  if (c.has(4) && c.in(4).shape != Shape{w[0], Dim(3 * w[1].constant())})
    return badInput("the peepholes are " + textOf(c.in(4)) + ", expected three vectors per direction");
  return r;
}
const OpDef kLstm = {.name = "lstm",
                     .summary = "long short-term memory over projected input (gates i, o, f, c): y, last "
                                "states; the last result is working memory",
                     .operands = "x, r, h, c, peepholes?, lengths?",
                     .layout = LayoutRule::RowMajor,
                     .prototype = RecurrentAttrs{},
                     .infer = inferLstm,
                     .loops = loopsLstm};

/// Gates in ONNX's order: update, reset, hidden.
Stmt loopsGru(const LoopsView &v) {
  const RecurrentAttrs &a = v.attrs.as<RecurrentAttrs>();
  const Buffer &h = v.out[1], bias = operand(v, 3);
  return overSequences(v, 1, 4, [&](const Cell &cell, const Expr &time) {
    int64_t n = cell.hidden;
    auto input = [&](const Expr &j) { return cell.input(time, j); };
    auto hidden = [&](const Expr &k) { return cell.state(h, k); };
    auto blended = [&](const Expr &j, const Expr &update, const Expr &fresh) {
      return loop::block(
          {cell.setState(h, j, (f32(1) - update) * fresh + update * hidden(j)), cell.emit(time, j)});
    };
    std::vector<Stmt> r{cell.product(0, 2 * n, input, hidden)};
    if (a.linearFirst) {
      r.push_back(cell.product(
          2 * n, 3 * n,
          [&](const Expr &j) { return bias ? load(bias, {cell.direction, j - 2 * n}) : f32(0); }, hidden));
      r.push_back(inVectors(n, kLanes, [&](const Expr &j) {
        Expr fresh = input(j + 2 * n) + activated(a, 0, cell.gate(1, j)) * cell.gate(2, j);
        return blended(j, activated(a, 0, cell.gate(0, j)), activated(a, 1, fresh));
      }));
      return loop::block(std::move(r));
    }
    r.push_back(inVectors(n, kLanes, [&](const Expr &j) {
      return cell.setState(cell.gates(), j + n, activated(a, 0, cell.gate(1, j)) * hidden(j));
    }));
    r.push_back(cell.product(2 * n, 3 * n, input, [&](const Expr &k) { return cell.gate(1, k); }));
    r.push_back(inVectors(n, kLanes, [&](const Expr &j) {
      return blended(j, activated(a, 0, cell.gate(0, j)), activated(a, 1, cell.gate(2, j)));
    }));
    return loop::block(std::move(r));
  });
}
Types inferGru(InferContext &c) {
  PLANISH_ASSIGN(std::vector<TensorType> r, inferRecurrent(c, 3, 1, 4));
  const Shape &w = c.in(1).shape;
  if (c.has(3) && c.in(3).shape != Shape{w[0], w[1]})
    return badInput("the bias is " + textOf(c.in(3)) + ", expected " + textOf(Shape{w[0], w[1]}));
  return r;
}
const OpDef kGru = {.name = "gru",
                    .summary =
                        "gated recurrent unit over projected input (gates z, r, h): y, last state; the "
                        "last result is working memory",
                    .operands = "x, r, h, bias?, lengths?",
                    .layout = LayoutRule::RowMajor,
                    .prototype = RecurrentAttrs{},
                    .infer = inferGru,
                    .loops = loopsGru};

Stmt loopsRnn(const LoopsView &v) {
  const RecurrentAttrs &a = v.attrs.as<RecurrentAttrs>();
  const Buffer &h = v.out[1];
  return overSequences(v, 1, 3, [&](const Cell &cell, const Expr &time) {
    return loop::block({cell.product(
                            0, cell.hidden, [&](const Expr &j) { return cell.input(time, j); },
                            [&](const Expr &k) { return cell.state(h, k); }),
                        inVectors(cell.hidden, kLanes, [&](const Expr &j) {
                          return loop::block(
                              {cell.setState(h, j, activated(a, 0, cell.gate(0, j))), cell.emit(time, j)});
                        })});
  });
}
Types inferRnn(InferContext &c) { return inferRecurrent(c, 1, 1, 3); }
const OpDef kRnn = {.name = "rnn",
                    .summary =
                        "f(x + h r) over projected input: y, last state; the last result is working memory",
                    .operands = "x, r, h, lengths?",
                    .layout = LayoutRule::RowMajor,
                    .prototype = RecurrentAttrs{},
                    .infer = inferRnn,
                    .loops = loopsRnn};

// ---- import --------------------------------------------------------------------------------------

enum class Network : uint8_t { Rnn, Gru, Lstm };

/// Default alpha and beta of the activations, and which of the two they read from the node's lists.
struct ActivationRow {
  std::string_view name;
  double alpha = 0, beta = 0;
  bool hasAlpha = false, hasBeta = false;
};
constexpr std::array<ActivationRow, size_t(Activation::kCount)> kOnnxActivations{{
    {"tanh"},
    {"sigmoid"},
    {"relu"},
    {"affine", 1, 0, true, true},
    {"leakyrelu", 0.01, 0, true},
    {"thresholdedrelu", 1, 0, true},
    {"scaledtanh", 1, 1, true, true},
    {"hardsigmoid", 0.2, 0.5, true, true},
    {"elu", 1, 0, true},
    {"softsign"},
    {"softplus"},
}};

class RecurrentImport {
public:
  RecurrentImport(Importer &importer, Network network)
      : i(importer), net(network), gates(net == Network::Lstm  ? 4
                                         : net == Network::Gru ? 3
                                                               : 1) {}

  std::vector<ValueId> run() {
    x = i.in(0), w = i.in(1), r = i.in(2);
    if (i.type(x).rank() != 3 || i.type(w).rank() != 3 || i.type(r).rank() != 3)
      i.fail("operands 0 to 2 are " + textOf(i.type(x)) + ", " + textOf(i.type(w)) + ", " +
             textOf(i.type(r)) + ", expected rank 3");
    bool batchFirst = i.intAttr("layout", 0) != 0;
    if (i.error()) return nothing();
    if (batchFirst) x = transposed(i, x, {1, 0, 2});
    readSizes();
    readAttributes();
    if (i.error()) return nothing();
    project();
    ValueId h = state(5, batchFirst), c = net == Network::Lstm ? state(6, batchFirst) : kAbsent;
    r = transposed(i, r, {0, 2, 1});
    std::vector<ValueId> results = cells(h, c);
    if (!batchFirst || i.error()) return results;
    results[0] = transposed(i, results[0], {2, 0, 1, 3});
    for (size_t k = 1; k < results.size(); ++k) results[k] = transposed(i, results[k], {1, 0, 2});
    return results;
  }

private:
  std::vector<ValueId> nothing() { return std::vector<ValueId>(net == Network::Lstm ? 3 : 2, x); }

  void readSizes() {
    const Shape &shape = i.type(r).shape;
    directions = shape[0].isConstant() ? shape[0].constant() : 0;
    hidden = shape[2].isConstant() ? shape[2].constant() : 0;
    if (directions < 1 || directions > 2 || hidden < 1 || i.intAttr("hidden_size", hidden) != hidden ||
        shape[1] != Dim(gates * hidden) || i.type(w).shape[1] != shape[1] || i.type(w).shape[0] != shape[0])
      i.fail("the weights are " + textOf(i.type(w)) + " and " + textOf(i.type(r)) + ", which do not fit " +
             std::to_string(gates) + " gates");
  }

  void readAttributes() {
    std::string direction = i.stringAttr("direction", "forward");
    auto found = std::find(std::begin(kDirections), std::end(kDirections), direction);
    if (found == std::end(kDirections)) {
      i.fail("attribute 'direction' is '" + direction + "', expected forward, reverse or bidirectional");
      return;
    }
    way = Direction(found - std::begin(kDirections));
    if ((way == Direction::Bidirectional ? 2 : 1) != directions)
      i.fail("the weights are for " + std::to_string(directions) + " directions, the direction is " +
             direction);
    common.clip = i.floatAttr("clip", 0);
    common.coupled = i.intAttr("input_forget", 0) != 0;
    common.linearFirst = i.intAttr("linear_before_reset", 0) != 0;
    readActivations();
  }

  void readActivations() {
    size_t each = net == Network::Lstm ? 3 : net == Network::Gru ? 2 : 1;
    std::vector<std::string> names = i.stringsAttr("activations", {});
    std::vector<double> alphas = i.floatsAttr("activation_alpha", {}),
                        betas = i.floatsAttr("activation_beta", {});
    if (names.empty())
      for (int64_t d = 0; d < directions; ++d)
        for (size_t k = 0; k < each; ++k) names.push_back(k == 0 && net != Network::Rnn ? "sigmoid" : "tanh");
    if (names.size() != each * size_t(directions)) {
      i.fail("attribute 'activations' has " + std::to_string(names.size()) + " entries, expected " +
             std::to_string(each * size_t(directions)));
      return;
    }
    size_t nextAlpha = 0, nextBeta = 0;
    for (int64_t d = 0; d < directions; ++d) {
      RecurrentAttrs a = common;
      for (size_t k = 0; k < each; ++k) {
        std::string name = names[size_t(d) * each + k];
        for (char &letter : name) letter = char(std::tolower(static_cast<unsigned char>(letter)));
        auto row = std::ranges::find(kOnnxActivations, name, &ActivationRow::name);
        if (row == kOnnxActivations.end()) {
          i.fail("attribute 'activations' names '" + name + "'");
          return;
        }
        (k == 0 ? a.f : k == 1 ? a.g : a.h) = Activation(row - kOnnxActivations.begin());
        a.alpha[k] = row->hasAlpha && nextAlpha < alphas.size() ? alphas[nextAlpha++] : row->alpha;
        a.beta[k] = row->hasBeta && nextBeta < betas.size() ? betas[nextBeta++] : row->beta;
      }
      perDirection.push_back(a);
    }
  }

  /// x becomes [time, batch, directions * gates * hidden], with all biases that do not wait for the state.
  void project() {
    Shape shape = i.type(x).shape;
    Dim depth = i.type(w).shape[2], columns(directions * gates * hidden);
    if (shape[2] != depth)
      i.fail("the input is " + textOf(i.type(x)) + ", the weights are " + textOf(i.type(w)));
    if (i.error()) return;
    ValueId weights = reshaped(i, transposed(i, w, {2, 0, 1}), {depth, columns});
    ValueId rows = reshaped(i, x, {dimOf(i, extentOf(shape[0]) * extentOf(shape[1])), depth});
    ValueId projected = i.append(kMatmul, {}, {rows, weights});
    if (i.has(3)) projected = apply(i, Binary::Add, projected, reshaped(i, biases(i.in(3)), {columns}));
    x = reshaped(i, projected, {shape[0], shape[1], columns});
  }
  /// Input and state bias in one; the hidden gate's of a GRU whose reset gate scales the product stays apart.
  ValueId biases(ValueId b) {
    int64_t width = gates * hidden;
    if (i.type(b).shape != Shape{Dim(directions), Dim(2 * width)}) {
      i.fail("operand 3 is " + textOf(i.type(b)) + ", expected " +
             textOf(Shape{Dim(directions), Dim(2 * width)}));
      return b;
    }
    ValueId input = sliced(i, b, 1, imm(0), imm(width)), state = sliced(i, b, 1, imm(width), imm(width));
    if (net == Network::Gru && common.linearFirst) {
      stateBias = sliced(i, state, 1, imm(2 * hidden), imm(hidden));
      ValueId zeros = broadcastTo(i, i.scalar(DType::f32, 0), {Dim(directions), Dim(hidden)});
      state = i.append(kConcat, AxisAttrs{1}, {sliced(i, state, 1, imm(0), imm(2 * hidden)), zeros});
    }
    return apply(i, Binary::Add, input, state);
  }

  ValueId state(int input, bool batchFirst) {
    if (!i.has(input))
      return broadcastTo(i, i.scalar(DType::f32, 0), {Dim(directions), i.type(x).shape[1], Dim(hidden)});
    return batchFirst ? transposed(i, i.in(input), {1, 0, 2}) : i.in(input);
  }

  /// Both directions in one node where they have the same activations.
  std::vector<ValueId> cells(ValueId h, ValueId c) {
    if (directions == 1 || perDirection[0].sameActivations(perDirection[1])) {
      perDirection[0].direction = way;
      return cell(perDirection[0], x, r, h, c, stateBias, i.has(7) ? i.in(7) : kAbsent);
    }
    std::vector<std::vector<ValueId>> parts;
    for (int64_t d = 0; d < 2; ++d) {
      RecurrentAttrs a = perDirection[size_t(d)];
      a.direction = Direction(d);
      auto mine = [&](ValueId v) { return v == kAbsent ? v : sliced(i, v, 0, imm(d), imm(1)); };
      ValueId input = sliced(i, x, 2, imm(d * gates * hidden), imm(gates * hidden));
      parts.push_back(
          cell(a, input, mine(r), mine(h), mine(c), mine(stateBias), mine(i.has(7) ? i.in(7) : kAbsent)));
    }
    std::vector<ValueId> results;
    for (size_t k = 0; k < parts[0].size(); ++k)
      results.push_back(i.append(kConcat, AxisAttrs{k == 0}, {parts[0][k], parts[1][k]}));
    return results;
  }
  std::vector<ValueId> cell(const RecurrentAttrs &a, ValueId input, ValueId weights, ValueId h, ValueId c,
                            ValueId bias, ValueId peepholes) {
    ValueId lengths = i.has(4) ? i.in(4) : kAbsent;
    const OpDef &op = net == Network::Lstm ? kLstm : net == Network::Gru ? kGru : kRnn;
    std::vector<ValueId> operands{input, weights, h};
    if (net == Network::Lstm) operands.insert(operands.end(), {c, peepholes});
    if (net == Network::Gru) operands.push_back(bias);
    operands.push_back(lengths);
    while (operands.back() == kAbsent) operands.pop_back();
    std::vector<ValueId> made = i.appendAll(op, a, operands, net == Network::Lstm ? 4 : 3);
    made.pop_back();
    return made;
  }

  Importer &i;
  Network net;
  int64_t gates, directions = 1, hidden = 0;
  Direction way = Direction::Forward;
  RecurrentAttrs common;
  std::vector<RecurrentAttrs> perDirection;
  ValueId x = kAbsent, w = kAbsent, r = kAbsent, stateBias = kAbsent;
};

template <Network N> std::vector<ValueId> importRecurrent(Importer &i) { return RecurrentImport(i, N).run(); }

} // namespace

Family recurrentFamily() {
  return {{&kLstm, &kGru, &kRnn},
          {{"LSTM", 7, importRecurrent<Network::Lstm>},
           {"GRU", 7, importRecurrent<Network::Gru>},
           {"RNN", 7, importRecurrent<Network::Rnn>}}};
}

} // namespace planish::ops
