// Random graphs from the operator table: every pass keeps their meaning and leaves them well formed.
#include "support/GraphValues.h"

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <numeric>

namespace planish::transform {
namespace {

using graph::Attrs;
using graph::kAbsent;
using graph::OpDef;
using graph::ValueId;
using Ints = std::vector<int64_t>;

constexpr int kGraphs = 200, kNodes = 14;

/// Writes chosen fields of an operator's attributes; the others keep their defaults.
class FieldSetter : public graph::FieldVisitor {
public:
  std::map<std::string, Ints, std::less<>> values;  // scalars have one entry

  void field(std::string_view name, int64_t &v) override {
    scalar(name, [&](int64_t x) { v = x; });
  }
  void field(std::string_view name, double &v) override {
    scalar(name, [&](int64_t x) { v = double(x); });
  }
  void field(std::string_view name, bool &v) override {
    scalar(name, [&](int64_t x) { v = x != 0; });
  }
  void field(std::string_view, DType &) override {}
  void field(std::string_view name, Ints &v) override {
    list(name, [&](const Ints &x) { v = x; });
  }
  void field(std::string_view name, std::vector<double> &v) override {
    list(name, [&](const Ints &x) { v.assign(x.begin(), x.end()); });
  }
  void field(std::string_view name, Shape &v) override {
    list(name, [&](const Ints &x) { v.assign(x.begin(), x.end()); });
  }

protected:
  void choice(std::string_view, int &, std::span<const std::string_view>) override {}

private:
  template <class F> void scalar(std::string_view name, F set) {
    if (auto found = values.find(name); found != values.end()) set(found->second[0]);
  }
  template <class F> void list(std::string_view name, F set) {
    if (auto found = values.find(name); found != values.end()) set(found->second);
  }
};

class RandomGraph {
public:
  explicit RandomGraph(unsigned seed) : random(seed) {}

  Graph make() {
    pool.push_back(g.addInput(
        {DType::f32, {Dim(1), Dim(pick(1, 4)), Dim(pick(1, 5)), Dim(pick(1, 5))}, {}, {}}, "image"));
    pool.push_back(g.addInput({DType::f32, {Dim(pick(1, 4)), Dim(pick(1, 6))}, {}, {}}, "matrix"));
    while (g.nodes().size() < kNodes) addNode();
    std::vector<ValueId> outputs;
    for (ValueId v : pool)
      if (g[v].def && (pick(0, 4) == 0 || v == pool.back())) outputs.push_back(v);
    g.setOutputs(outputs);
    return g;
  }

private:
  int64_t pick(int64_t least, int64_t most) { return least + int64_t(random() % uint64_t(most - least + 1)); }
  /// Mostly one of the last values, so that chains and diamonds grow.
  ValueId any() {
    int64_t last = int64_t(pool.size()) - 1;
    return pool[size_t(pick(pick(0, 2) ? std::max<int64_t>(last - 2, 0) : 0, last))];
  }
  Ints sizes(ValueId v) { return *constantShape(g.type(v).shape); }

  ValueId constant(Ints shape) {
    std::vector<float> values;
    for (int64_t i = std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>()); i-- > 0;)
      values.push_back(float(pick(-8, 8)) / 4);
    return g.addConstant<float>(DType::f32, shape, values);
  }

  /// Appends where the operator takes the operands; a refusal is no failure.
  void tryAppend(std::string_view name, const std::map<std::string, Ints, std::less<>> &fields,
                 std::vector<ValueId> inputs) {
    const OpDef *op = graph::findOp(ops::allOps(), name);
    ASSERT_TRUE(op) << name;
    append(*op, fields, std::move(inputs));
  }
  void append(const OpDef &op, const std::map<std::string, Ints, std::less<>> &fields,
              std::vector<ValueId> inputs) {
    FieldSetter setter;
    setter.values = fields;
    auto made = g.append(op, op.prototype.visited(setter), std::move(inputs),
                         graph::Loc{{"n" + std::to_string(g.nodes().size())}});
    if (made && made->size() == 1 && g.type((*made)[0]).dtype == DType::f32) pool.push_back((*made)[0]);
  }

  void addNode() {
    ValueId x = any();
    Ints shape = sizes(x);
    switch (pick(0, 15)) {
    case 0: return convolution(x, shape);
    case 1: return reshape(x, shape);
    case 2: return transpose(x, shape);
    case 3: return slice(x, shape);
    case 4:
      return tryAppend("concat", {{"axis", {pick(0, int64_t(shape.size()) - 1)}}},
                       {x, pick(0, 1) ? x : any()});
    case 5: return matmul(x, shape);
    case 6:
    case 7: return rescale(x, shape);
    case 8:  // a contraction with a scale behind it, as batch normalisation leaves it
      convolution(x, shape);
      return rescale(pool.back(), sizes(pool.back()));
    case 9: return diamond(x);
    case 10: return shuffle(x, shape);
    case 11: return splitAndJoin(x, shape);
    default: return elementwise(x, shape);
    }
  }

  /// Any elementwise row, over values that exist or constants that broadcast.
  void elementwise(ValueId x, const Ints &shape) {
    std::vector<const OpDef *> rows;
    for (const OpDef *op : ops::allOps())
      if (op->cls == graph::OpClass::Elementwise) rows.push_back(op);
    const OpDef &op = *rows[size_t(pick(0, int64_t(rows.size()) - 1))];
    std::vector<ValueId> inputs{x};
    while (!graph::checkOperands(op, inputs) && inputs.size() < 4)
      inputs.push_back(pick(0, 1) ? any() : broadcastable(shape));
    append(op, {}, std::move(inputs));
  }
  ValueId broadcastable(Ints shape) {
    for (int64_t &s : shape)
      if (pick(0, 1)) s = 1;
    return constant(std::move(shape));
  }
  /// What a batch normalisation becomes: constants over one dimension.
  void rescale(ValueId x, const Ints &shape) {
    static constexpr std::string_view kNames[] = {"add", "sub", "mul", "div"};
    Ints c(shape.size(), 1);
    size_t d = size_t(pick(0, int64_t(shape.size()) - 1));
    if (pick(0, 3)) c[d] = shape[d];
    ValueId k = constant(c);
    bool first = pick(0, 3) == 0;
    tryAppend(kNames[pick(0, 3)], {}, first ? std::vector{k, x} : std::vector{x, k});
  }

  /// A value and a function of it meet again, as in x * sigmoid(x).
  void diamond(ValueId x) {
    static constexpr std::string_view kFunctions[] = {"sigmoid", "relu", "tanh", "neg"};
    static constexpr std::string_view kMeetings[] = {"mul", "sub", "add", "max"};
    tryAppend(kFunctions[pick(0, 3)], {}, {x});
    ValueId y = pool.back();
    tryAppend(kMeetings[pick(0, 3)], {}, pick(0, 1) ? std::vector{x, y} : std::vector{y, x});
  }

  /// Channels dealt out to groups, as ShuffleNet does, then perhaps what treats each alike, or all.
  void shuffle(ValueId x, const Ints &shape) {
    if (shape.size() != 4) return;
    if (shape[1] % 2) {
      tryAppend("concat", {{"axis", {1}}}, {x, x});
      return shuffle(pool.back(), sizes(pool.back()));
    }
    int64_t groups = shape[1] % 3 == 0 && pick(0, 1) ? 3 : 2;
    tryAppend("reshape", {{"shape", {shape[0], groups, shape[1] / groups, shape[2], shape[3]}}}, {x});
    tryAppend("transpose", {{"perm", {0, 2, 1, 3, 4}}}, {pool.back()});
    tryAppend("reshape", {{"shape", shape}}, {pool.back()});
    if (pick(0, 1)) splitAndJoin(pool.back(), shape);
    if (pick(0, 1)) elementwise(pool.back(), sizes(pool.back()));
    if (pick(0, 1)) convolution(pool.back(), sizes(pool.back()));
  }
  /// Halves of the channels, one of them changed, together again.
  void splitAndJoin(ValueId x, const Ints &shape) {
    if (shape.size() != 4 || shape[1] < 2) return;
    Ints first = shape, second = shape, ones(4, 1);
    first[1] = pick(1, shape[1] - 1), second[1] -= first[1];
    tryAppend("slice", {{"begin", Ints(4, 0)}, {"steps", ones}, {"size", first}}, {x});
    ValueId a = pool.back();
    tryAppend("slice", {{"begin", {0, first[1], 0, 0}}, {"steps", ones}, {"size", second}}, {x});
    ValueId b = pool.back(), c = b;
    if (pick(0, 1)) tryAppend("relu", {}, {b}), c = pool.back();
    tryAppend("concat", {{"axis", {1}}}, pick(0, 1) ? std::vector{a, b} : std::vector{a, b, c});
  }

  void convolution(ValueId x, const Ints &shape) {
    if (shape.size() != 4) return;
    int64_t group = pick(0, 1) ? 1 : shape[1], perGroup = shape[1] / group, out = group * pick(1, 2);
    int64_t kh = pick(1, 3), kw = pick(1, 3);
    std::vector<ValueId> inputs{x, constant({out, perGroup, kh, kw})};
    if (pick(0, 1)) inputs.push_back(constant({out}));
    tryAppend("conv",
              {{"strides", {pick(1, 2), pick(1, 2)}},
               {"dilations", {1, 1}},
               {"pads_begin", {kh / 2, kw / 2}},
               {"pads_end", {kh / 2, kw / 2}},
               {"group", {group}}},
              std::move(inputs));
  }
  void matmul(ValueId x, const Ints &shape) {
    tryAppend("matmul", {}, {x, constant({shape.back(), pick(1, 4)})});
  }

  void reshape(ValueId x, Ints shape) {
    if (shape.size() < 5 && pick(0, 1)) {
      size_t d = size_t(pick(0, int64_t(shape.size()) - 1));
      for (int64_t f : {4, 3, 2})
        if (shape[d] % f == 0) {
          shape[d] /= f;
          shape.insert(shape.begin() + long(d), f);
          break;
        }
    } else if (shape.size() > 1) {
      size_t d = size_t(pick(1, int64_t(shape.size()) - 1));
      shape[d - 1] *= shape[d];
      shape.erase(shape.begin() + long(d));
    }
    tryAppend("reshape", {{"shape", shape}}, {x});
  }
  void transpose(ValueId x, const Ints &shape) {
    Ints perm(shape.size());
    std::iota(perm.begin(), perm.end(), 0);
    std::shuffle(perm.begin(), perm.end(), random);
    tryAppend("transpose", {{"perm", perm}}, {x});
  }
  void slice(ValueId x, const Ints &shape) {
    Ints begin, steps, size;
    for (int64_t s : shape) {
      int64_t step = pick(1, 2), first = pick(0, s - 1);
      begin.push_back(first), steps.push_back(step), size.push_back((s - first + step - 1) / step);
    }
    tryAppend("slice", {{"begin", begin}, {"steps", steps}, {"size", size}}, {x});
  }

  std::mt19937 random;
  Graph g;
  std::vector<ValueId> pool;
};

TEST(RandomGraphs, PassesKeepTheirMeaning) {
  const char *only = std::getenv("PLANISH_SEED");
  unsigned first = only ? unsigned(std::atoi(only)) : 1, last = only ? first : kGraphs;
  for (unsigned seed = first; seed <= last; ++seed) {
    Graph g = RandomGraph(seed).make();
    std::string reproduce = "again with PLANISH_SEED=" + std::to_string(seed);
    Status status = checkGraph(g);
    ASSERT_TRUE(status) << status.error().text << "\n" << reproduce << "\n" << graph::print(g);
    Graph before = g;
    for (const PassRow &pass : passes()) {
      auto alone = pass.run(before);
      ASSERT_TRUE(alone) << pass.name << ": " << alone.error().text << "\n" << reproduce;
      auto result = pass.run(g);
      ASSERT_TRUE(result) << pass.name << ": " << result.error().text << "\n" << reproduce;
      for (const Graph &after : {*alone, *result}) {
        status = checkGraph(after);
        ASSERT_TRUE(status) << pass.name << ": " << status.error().text << "\n"
                            << reproduce << "\n"
                            << graph::print(after);
        ASSERT_EQ(test::differenceOf(before, after, seed, 1e-4), "")
            << pass.name << ", " << reproduce << "\n"
            << graph::print(before) << graph::print(after);
      }
      g = *std::move(result);
    }
  }
}

} // namespace
} // namespace planish::transform
