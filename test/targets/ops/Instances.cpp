#include "Instances.h"

#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"
#include "planish/ops/Ops.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <variant>

namespace planish::ops::test {

namespace {

using Ints = std::vector<int64_t>;
using Fields = std::map<std::string_view, std::variant<int64_t, double, DType, Ints, std::vector<double>>>;

struct Operand {
  DType dtype;
  Ints shape;
  Bounds bounds = {};
};
/// What an instance might be, if the operator's inference agrees.
struct Proposal {
  std::vector<Operand> operands;
  Fields fields;
};

/// Fills attributes from named values. Booleans and enumerations nobody named are random.
class Filler : public graph::FieldVisitor {
public:
  Filler(const Fields &given, Random &r) : fields(given), random(r) {}
  void field(std::string_view name, int64_t &value) override { assign(name, value); }
  void field(std::string_view name, double &value) override { assign(name, value); }
  void field(std::string_view, bool &value) override { value = random.chance(50); }
  void field(std::string_view name, DType &value) override { assign(name, value); }
  void field(std::string_view name, Ints &value) override { assign(name, value); }
  void field(std::string_view name, std::vector<double> &value) override { assign(name, value); }
  void field(std::string_view name, Shape &value) override {
    Ints sizes;
    assign(name, sizes);
    value.assign(sizes.begin(), sizes.end());
  }

protected:
  void choice(std::string_view, int &index, std::span<const std::string_view> spellings) override {
    index = int(random.below(int64_t(spellings.size())));
  }

private:
  template <class T> void assign(std::string_view name, T &value) {
    if (auto found = fields.find(name); found != fields.end()) value = std::get<T>(found->second);
  }
  const Fields &fields;
  Random &random;
};

// ---- pieces --------------------------------------------------------------------------------------

int64_t anySize(Random &r) { return r.pick({1, 1, 2, 3, 4, 5, 7}); }
Ints repeated(size_t count, const std::function<int64_t()> &value) {
  Ints v(count);
  std::generate(v.begin(), v.end(), value);
  return v;
}
Ints anyShape(Random &r, int64_t least, int64_t most) {
  return repeated(size_t(least + r.below(most - least + 1)), [&] { return anySize(r); });
}
int64_t anyAxis(Random &r, const Ints &shape) { return r.below(int64_t(shape.size())); }
double anyNumber(Random &r) { return double(r.below(4001) - 2000) / 1000.0; }
DType anyType(Random &r) {
  // Most operators are for floats: those come up more often.
  return DType(r.pick({int64_t(DType::f32), int64_t(DType::f32), int64_t(DType::f32), int64_t(DType::b1),
                       int64_t(DType::u8), int64_t(DType::i8), int64_t(DType::i32), int64_t(DType::i64),
                       int64_t(DType::u16), int64_t(DType::i16), int64_t(DType::u32), int64_t(DType::u64),
                       int64_t(DType::f64)}));
}
DType anyIndexType(Random &r) { return r.chance(50) ? DType::i64 : DType::i32; }
/// A shape that broadcasts to the given one: ones here and there, leading dimensions gone.
Ints broadcastable(Random &r, Ints shape) {
  for (int64_t &d : shape)
    if (r.chance(25)) d = 1;
  if (r.chance(25)) shape.erase(shape.begin(), shape.begin() + r.below(int64_t(shape.size()) + 1));
  return shape;
}
Ints permutation(Random &r, size_t n) {
  Ints p(n);
  std::iota(p.begin(), p.end(), 0);
  for (size_t i = n; i > 1; --i) std::swap(p[i - 1], p[size_t(r.below(int64_t(i)))]);
  return p;
}

// ---- one generator per kind of operator ----------------------------------------------------------

Proposal elementwise(Random &r, const graph::OpDef &op) {
  Ints shape = anyShape(r, 0, 4);
  DType type = anyType(r);
  Proposal p{{}, {{"alpha", anyNumber(r)}, {"beta", anyNumber(r)}, {"to", anyType(r)}}};
  if (op.name == "cast" && r.chance(40)) {
    DType stored = DType(r.pick({int64_t(DType::f16), int64_t(DType::bf16), int64_t(DType::f64)}));
    if (r.chance(50)) type = stored;
    else p.fields["to"] = stored;
  }
  int64_t count = 1 + std::ranges::count(op.operands, ',');
  for (int64_t i = 0; i < count; ++i)
    p.operands.push_back({type, count > 1 ? broadcastable(r, shape) : shape});
  if (count == 3) p.operands[0].dtype = DType::b1; // a condition
  return p;
}

struct Spatial {
  Ints sizes, kernel;
  Fields fields;
};
Spatial spatial(Random &r) {
  size_t rank = size_t(r.pick({1, 2, 2, 2, 3}));
  auto of = [&](std::initializer_list<int64_t> choices) {
    return repeated(rank, [&] { return r.pick(choices); });
  };
  return {of({1, 2, 3, 5, 7, 9}),
          of({1, 2, 3, 3}),
          {{"strides", of({1, 1, 2, 3})},
           {"dilations", of({1, 1, 2})},
           {"pads_begin", of({0, 0, 1, 2})},
           {"pads_end", of({0, 0, 1, 2})},
           {"output_padding", of({0, 0, 1})}}};
}
Ints chained(Ints a, const Ints &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Proposal convolution(Random &r, const graph::OpDef &, bool transposed) {
  Spatial s = spatial(r);
  int64_t group = r.pick({1, 1, 2, 3}), in = r.pick({1, 2, 3, 5}), out = r.pick({1, 2, 3, 7});
  s.fields["group"] = group;
  Ints weights = transposed ? Ints{group * in, out} : Ints{group * out, in};
  DType x = transposed || r.chance(60) ? DType::f32 : r.chance(50) ? DType::u8 : DType::i8;
  DType w = x == DType::f32 ? x : DType::i8, sum = x == DType::f32 ? x : DType::i32;
  Proposal p{{{x, chained({r.pick({1, 2}), group * in}, s.sizes)}, {w, chained(weights, s.kernel)}},
             s.fields};
  if (r.chance(50)) p.operands.push_back({sum, {group * out}});
  return p;
}
Proposal conv(Random &r, const graph::OpDef &op) { return convolution(r, op, false); }
Proposal convTranspose(Random &r, const graph::OpDef &op) { return convolution(r, op, true); }
Proposal pool(Random &r, const graph::OpDef &) {
  Spatial s = spatial(r);
  s.fields["window"] = s.kernel;
  return {{{anyType(r), chained({r.pick({1, 2}), anySize(r)}, s.sizes)}}, s.fields};
}
Proposal matmul(Random &r, const graph::OpDef &) {
  Ints batch = anyShape(r, 0, 2), a = broadcastable(r, batch), b = broadcastable(r, batch);
  int64_t depth = r.pick({1, 2, 5, 17});
  DType type = anyType(r), other = type == DType::u8 ? DType::i8 : type;
  return {{{type, chained(a, {anySize(r), depth})}, {other, chained(b, {depth, r.pick({1, 3, 16, 33})})}},
          {}};
}
Proposal einsum(Random &r, const graph::OpDef &) {
  // Labels with a size each; every operand has some of them, once or twice, the result some of all.
  Ints sizes{anySize(r), anySize(r), anySize(r), anySize(r)}, out;
  Proposal p{{}, {}};
  DType type = anyType(r);
  std::vector<bool> met(sizes.size());
  for (std::string_view name : {"a", "b"}) {
    Ints labels, shape;
    for (int64_t n = r.below(4); n >= 0; --n) {
      labels.push_back(r.below(int64_t(sizes.size())));
      shape.push_back(r.chance(20) ? 1 : sizes[size_t(labels.back())]);
      met[size_t(labels.back())] = true;
    }
    p.fields[name] = labels;
    p.operands.push_back({type, shape});
    if (r.chance(30)) break;
  }
  for (int64_t label : permutation(r, sizes.size()))
    if (met[size_t(label)] && r.chance(50)) out.push_back(label);
  p.fields["out"] = out;
  return p;
}
Proposal reduction(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4), axes;
  for (size_t d = 0; d < shape.size(); ++d)
    if (r.chance(50)) axes.push_back(int64_t(d));
  return {{{anyType(r), shape}}, {{"axes", axes}}};
}
Proposal find(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3), extreme = shape;
  int64_t axis = anyAxis(r, shape);
  extreme[size_t(axis)] = 1;
  DType type = anyType(r);
  return {{{type, shape}, {type, extreme}}, {{"axis", axis}}};
}
Proposal alongAxis(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3);
  return {{{anyType(r), shape}}, {{"axis", anyAxis(r, shape)}}};
}
Proposal reshape(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 4), to;
  for (int64_t d : permutation(r, shape.size())) {
    if (!to.empty() && r.chance(40)) to.back() *= shape[size_t(d)];
    else to.push_back(shape[size_t(d)]);
    if (r.chance(20)) to.push_back(1);
  }
  return {{{anyType(r), shape}}, {{"shape", to}}};
}
Proposal transpose(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 5);
  return {{{anyType(r), shape}}, {{"perm", permutation(r, shape.size())}}};
}
Proposal slice(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4), begin, steps, size;
  for (int64_t d : shape) {
    begin.push_back(r.below(d));
    steps.push_back(r.pick({1, 1, 2, 3, -1, -2}));
    int64_t room = steps.back() > 0 ? d - 1 - begin.back() : begin.back();
    size.push_back(1 + r.below(room / std::abs(steps.back()) + 1));
  }
  return {{{anyType(r), shape}}, {{"begin", begin}, {"steps", steps}, {"size", size}}};
}
Proposal concat(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4);
  size_t axis = size_t(anyAxis(r, shape));
  DType type = anyType(r);
  Proposal p{{}, {{"axis", int64_t(axis)}}};
  for (int64_t n = 1 + r.below(4); n > 0; --n) {
    shape[axis] = anySize(r);
    p.operands.push_back({type, shape});
  }
  return p;
}
Proposal broadcast(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 4);
  return {{{anyType(r), broadcastable(r, shape)}}, {{"shape", shape}}};
}
Proposal tile(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3);
  return {{{anyType(r), shape}}, {{"perm", repeated(shape.size(), [&] { return r.pick({1, 2, 3}); })}}};
}
Proposal gather(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4);
  int64_t axis = anyAxis(r, shape), size = shape[size_t(axis)];
  return {{{anyType(r), shape}, {anyIndexType(r), anyShape(r, 0, 2), {-size, size}}}, {{"axis", axis}}};
}
/// Like `shape` along the axis, not larger elsewhere.
Ints within(Random &r, Ints shape, int64_t axis) {
  for (size_t d = 0; d < shape.size(); ++d)
    shape[d] = int64_t(d) == axis ? anySize(r) : 1 + r.below(shape[d]);
  return shape;
}
Proposal gatherElements(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3);
  int64_t axis = anyAxis(r, shape), size = shape[size_t(axis)];
  return {{{anyType(r), shape}, {anyIndexType(r), within(r, shape, axis), {-size, size}}}, {{"axis", axis}}};
}
Proposal gatherNd(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4);
  int64_t batch = anyAxis(r, shape), depth = 1 + r.below(int64_t(shape.size()) - batch);
  Ints indices(shape.begin(), shape.begin() + batch);
  if (r.chance(70)) indices.push_back(anySize(r));
  indices.push_back(depth);
  return {{{anyType(r), shape}, {anyIndexType(r), indices, {-3, 3}}}, {{"axis", batch}}};
}
Proposal scatter(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3);
  int64_t axis = anyAxis(r, shape), size = shape[size_t(axis)];
  Ints updates = within(r, shape, axis);
  DType type = anyType(r);
  return {{{type, shape}, {anyIndexType(r), updates, {-size, size}}, {type, updates}}, {{"axis", axis}}};
}
Proposal pad(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4);
  auto widths = [&] { return repeated(shape.size(), [&] { return r.pick({0, 0, 1, 2}); }); };
  return {{{anyType(r), shape}}, {{"begin", widths()}, {"end", widths()}, {"value", anyNumber(r)}}};
}
Proposal triangle(Random &r, const graph::OpDef &) {
  return {{{anyType(r), anyShape(r, 2, 4)}}, {{"diagonal", r.below(7) - 3}}};
}
Proposal oneHot(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 3);
  int64_t depth = anySize(r);
  return {{{anyType(r), shape, {-depth, depth}}, {anyType(r), {2}}},
          {{"axis", r.below(int64_t(shape.size()) + 1)}, {"depth", Ints{depth}}}};
}
/// At most two axes change: cubic taps multiply.
Proposal resize(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3), sizes = shape;
  std::vector<double> scales(shape.size(), 1.0), roi;
  for (size_t n = 0; n < std::min<size_t>(2, shape.size()); ++n) {
    size_t d = size_t(anyAxis(r, shape));
    sizes[d] = r.pick({shape[d] * 2, shape[d] * 3, 1, 4, 7});
    scales[d] = r.chance(50) ? 0.0 : double(sizes[d]) / double(shape[d]);
  }
  for (size_t d = 0; d < 2 * shape.size(); ++d) roi.push_back(d < shape.size() ? 0.125 : 0.75);
  return {{{anyType(r), shape}},
          {{"sizes", sizes}, {"scales", scales}, {"roi", roi}, {"extrapolation", anyNumber(r)}}};
}
Proposal shapeOf(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4);
  int64_t begin = anyAxis(r, shape);
  return {{{anyType(r), shape}},
          {{"begin", begin}, {"end", begin + 1 + r.below(int64_t(shape.size()) - begin)}}};
}
Proposal range(Random &r, const graph::OpDef &) {
  return {{},
          {{"start", double(r.below(9) - 4)},
           {"delta", double(r.below(9) - 4)},
           {"count", Ints{anySize(r)}},
           {"dtype", r.chance(50) ? DType::f32 : DType::i64}}};
}

Proposal gridSample(Random &r, const graph::OpDef &) {
  int64_t batch = r.pick({1, 2}), spatial = r.pick({1, 2, 2});
  Ints sizes = repeated(size_t(spatial), [&] { return anySize(r); });
  Ints places = repeated(size_t(spatial), [&] { return anySize(r); });
  return {{{DType::f32, chained({batch, r.pick({1, 3})}, sizes)},
           {DType::f32, chained(chained({batch}, places), {spatial})}},
          {}};
}
Proposal reverseSequence(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 2, 4), axes = permutation(r, shape.size());
  int64_t axis = axes[0], batch = axes[1];
  return {{{anyType(r), shape}, {anyIndexType(r), {shape[size_t(batch)]}, {0, shape[size_t(axis)] + 1}}},
          {{"axis", axis}, {"batch", batch}}};
}
Proposal topK(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 3);
  int64_t axis = anyAxis(r, shape), size = shape[size_t(axis)];
  return {{{anyType(r), shape}}, {{"axis", axis}, {"count", Ints{r.below(size + 1)}}}};
}
Proposal scatterNd(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4), indices = anyShape(r, 0, 2);
  int64_t depth = r.below(int64_t(shape.size()) + 1);
  Ints updates = chained(indices, Ints(shape.begin() + depth, shape.end()));
  DType type = anyType(r);
  return {{{type, shape}, {anyIndexType(r), chained(indices, {depth}), {-3, 4}}, {type, updates}}, {}};
}
Proposal fold(Random &r, const graph::OpDef &) {
  size_t spatial = size_t(r.pick({1, 2, 2}));
  auto of = [&](std::initializer_list<int64_t> choices) {
    return repeated(spatial, [&] { return r.pick(choices); });
  };
  Ints image = of({4, 5, 7}), window = of({1, 2, 3}), strides = of({1, 2}), dilations = of({1, 1, 2});
  Ints begin = of({0, 0, 1}), end = of({0, 0, 1});
  int64_t area = 1, count = 1;
  for (size_t d = 0; d < spatial; ++d) {
    area *= window[d];
    count *=
        std::max<int64_t>(0, image[d] + begin[d] + end[d] - dilations[d] * (window[d] - 1) - 1) / strides[d] +
        1;
  }
  return {{{anyType(r), {r.pick({1, 2}), r.pick({1, 3}) * area, count}}},
          {{"image", image},
           {"window", window},
           {"strides", strides},
           {"dilations", dilations},
           {"pads_begin", begin},
           {"pads_end", end}}};
}
Proposal anyValues(Random &r, const graph::OpDef &) { return {{{anyType(r), anyShape(r, 1, 3)}}, {}}; }
Proposal matrix(Random &r, const graph::OpDef &) { return {{{anyType(r), anyShape(r, 2, 2)}}, {}}; }
Proposal squares(Random &r, const graph::OpDef &) {
  int64_t n = anySize(r);
  return {{{DType::f32, chained(anyShape(r, 0, 2), {n, n})}}, {}};
}
Proposal nms(Random &r, const graph::OpDef &) {
  int64_t batch = r.pick({1, 2}), boxes = r.pick({1, 5, 17, 40}), classes = r.pick({1, 3});
  return {{{DType::f32, {batch, boxes, 4}},
           {DType::f32, {batch, classes, boxes}},
           {DType::i64, {1}, {-1, 50}},
           {DType::f32, {1}},
           {DType::f32, {}}},
          {}};
}
Proposal extend(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 1, 4), to = shape;
  for (int64_t &d : to) d += r.pick({0, 0, 1, 5});
  return {{{anyType(r), shape}}, {{"shape", to}}};
}
Proposal roiAlign(Random &r, const graph::OpDef &) {
  int64_t batch = r.pick({1, 2}), n = r.pick({1, 3});
  return {{{DType::f32, {batch, r.pick({1, 5, 16, 19}), anySize(r), anySize(r)}},
           {DType::f32, {n, 4}},
           {anyIndexType(r), {n}, {0, batch}}},
          {{"size", Ints{r.pick({1, 2, 7}), r.pick({1, 2, 3})}},
           {"scale", r.pick({1, 2}) * 0.5},
           {"samples", 1 + r.below(2)}}};
}
Proposal deformSample(Random &r, const graph::OpDef &) {
  int64_t group = r.pick({1, 2}), offsets = r.pick({1, 2}), in = 2 * r.pick({1, 2});
  int64_t kh = r.pick({1, 2}), kw = r.pick({1, 3}), h = kh + r.below(4), w = kw + r.below(4),
          n = r.pick({1, 2});
  int64_t taps = offsets * kh * kw, oh = h - kh + 1, ow = w - kw + 1;
  return {{{DType::f32, {n, in, h, w}}, {DType::f32, {n, 2 * taps, oh, ow}}, {DType::f32, {n, taps, oh, ow}}},
          {{"kernel", Ints{kh, kw}},
           {"strides", Ints{1, 1}},
           {"dilations", Ints{1, 1}},
           {"pads_begin", Ints{0, 0}},
           {"pads_end", Ints{0, 0}},
           {"group", group},
           {"offset_group", offsets}}};
}
Proposal affineGrid(Random &r, const graph::OpDef &) {
  int64_t spatial = r.pick({2, 3});
  return {{{DType::f32, {r.pick({1, 2}), spatial, spatial + 1}}},
          {{"size", repeated(size_t(spatial), [&] { return anySize(r); })}}};
}
Proposal windowFind(Random &r, const graph::OpDef &op) {
  Proposal p = pool(r, op);
  p.operands.push_back(p.operands[0]);  // a window of one element makes the sizes agree
  p.fields["window"] = p.fields["strides"] = p.fields["dilations"] = Ints(p.operands[0].shape.size() - 2, 1);
  p.fields["pads_begin"] = p.fields["pads_end"] = Ints(p.operands[0].shape.size() - 2, 0);
  if (r.chance(70)) {
    for (size_t d = 2; d < p.operands[0].shape.size(); ++d) ++p.operands[0].shape[d];
    p.fields["window"] = Ints(p.operands[0].shape.size() - 2, 2);
  }
  return p;
}
Proposal recurrent(Random &r, int64_t gates, bool isLstm, bool isGru) {
  int64_t directions = r.pick({1, 2}), time = r.pick({1, 2, 5}), batch = r.pick({1, 1, 3}),
          hidden = r.pick({1, 5, 16, 33});
  Ints state{directions, batch, hidden};
  Proposal p{{{DType::f32, {time, batch, directions * gates * hidden}},
              {DType::f32, {directions, hidden, gates * hidden}},
              {DType::f32, state}},
             {{"clip", r.pick({0, 0, 1}) * 0.5},
              {"alpha", std::vector<double>{0.25, 0.5, 1}},
              {"beta", std::vector<double>{0.5, 0.25, 1}}}};
  if (isLstm)
    p.operands.push_back({DType::f32, state}), p.operands.push_back({DType::f32, {directions, 3 * hidden}});
  if (isGru) p.operands.push_back({DType::f32, {directions, hidden}});
  if (r.chance(50)) p.operands.push_back({anyIndexType(r), {batch}, {0, time + 1}});
  return p;
}
Proposal lstm(Random &r, const graph::OpDef &) { return recurrent(r, 4, true, false); }
Proposal gru(Random &r, const graph::OpDef &) { return recurrent(r, 3, false, true); }
Proposal rnn(Random &r, const graph::OpDef &) { return recurrent(r, 1, false, false); }

DType anyCode(Random &r) { return r.chance(50) ? DType::u8 : DType::i8; }
Proposal quantize(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 4);
  return {{{DType::f32, shape}, {DType::f32, broadcastable(r, shape)}, {anyCode(r), broadcastable(r, shape)}},
          {}};
}
Proposal dequantize(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 4);
  DType type = r.chance(30) ? DType::i32 : anyCode(r);
  Proposal p{{{type, shape}, {DType::f32, broadcastable(r, shape)}}, {}};
  if (r.chance(50)) p.operands.push_back({type, broadcastable(r, shape)});
  return p;
}
Proposal requantize(Random &r, const graph::OpDef &) {
  Ints shape = anyShape(r, 0, 4);
  int64_t least = r.below(100);
  Proposal p{{{r.chance(50) ? DType::i32 : DType::f32, shape}},
             {{"zero", r.below(256)}, {"least", least}, {"most", least + r.below(156)}}};
  if (p.operands[0].dtype == DType::i32 || r.chance(50))
    p.operands.push_back({DType::f32, broadcastable(r, shape)});
  return p;
}
Proposal piecewise(Random &r, const graph::OpDef &) {
  Proposal p{{{DType::f32, anyShape(r, 0, 4)}},
             {{"per_unit", r.pick({1, 2, 5}) * 0.75}, {"first", -r.below(30)}}};
  for (int64_t i = r.below(2); i < 3; ++i) p.operands.push_back({DType::f32, {ops::kPieces}});
  return p;
}
Proposal lookup(Random &r, const graph::OpDef &) {
  return {{{DType::u8, anyShape(r, 0, 4)}, {anyCode(r), {256}}}, {}};
}

using Generator = Proposal (*)(Random &, const graph::OpDef &);
const std::map<std::string_view, Generator> kGenerators{
    {"conv", conv},
    {"conv_transpose", convTranspose},
    {"max_pool", pool},
    {"average_pool", pool},
    {"matmul", matmul},
    {"einsum", einsum},
    {"reduce_sum", reduction},
    {"reduce_mean", reduction},
    {"reduce_max", reduction},
    {"reduce_min", reduction},
    {"reduce_prod", reduction},
    {"find", find},
    {"running_sum", alongAxis},
    {"running_product", alongAxis},
    {"copy", elementwise},
    {"reshape", reshape},
    {"transpose", transpose},
    {"slice", slice},
    {"concat", concat},
    {"broadcast", broadcast},
    {"tile", tile},
    {"gather", gather},
    {"gather_elements", gatherElements},
    {"gather_nd", gatherNd},
    {"scatter_elements", scatter},
    {"pad", pad},
    {"triangle", triangle},
    {"one_hot", oneHot},
    {"resize", resize},
    {"grid_sample", gridSample},
    {"reverse_sequence", reverseSequence},
    {"top_k", topK},
    {"nonzero", anyValues},
    {"unique", matrix},
    {"non_max_suppression", nms},
    {"scatter_nd", scatterNd},
    {"fold", fold},
    {"extend", extend},
    {"roi_align", roiAlign},
    {"affine_grid", affineGrid},
    {"deform_sample", deformSample},
    {"window_find", windowFind},
    {"det", squares},
    {"lstm", lstm},
    {"gru", gru},
    {"rnn", rnn},
    {"shape", shapeOf},
    {"range", range},
    {"quantize", quantize},
    {"dequantize", dequantize},
    {"requantize", requantize},
    {"lookup", lookup},
    {"piecewise", piecewise},
};

// ---- from a proposal to a graph ------------------------------------------------------------------

/// The values of all symbols from those of the inputs; false where one leaves its bounds.
bool completeSizes(Instance &made) {
  for (const graph::Symbol &s : made.graph.symbols()) {
    if (!s.definition) continue;
    loop::Substitution known;
    for (auto &[symbol, size] : made.sizes) known[symbol] = loop::imm(size);
    auto value = loop::constantOf(loop::simplify(loop::substitute(s.definition, known), {}));
    if (!value || *value < s.var->lower || *value > s.var->upper) return false;
    made.sizes[s.var] = *value;
  }
  return true;
}

/// The graph of one node; all dimensions of size `free` (0: none) are one symbol.
std::optional<Instance> built(const graph::OpDef &op, const Proposal &p, const graph::Attrs &attrs,
                              int64_t free) {
  Instance made;
  std::vector<graph::ValueId> inputs;
  for (size_t i = 0; i < p.operands.size(); ++i) {
    const Operand &o = p.operands[i];
    TensorType type{o.dtype, Shape(o.shape.begin(), o.shape.end()), {}, {}};
    for (size_t d = 0; d < type.shape.size() && free; ++d) {
      if (o.shape[d] != free) continue;
      Var symbol = made.graph.addInputSymbol("S", std::max<int64_t>(1, free - 1), free + 3, int(i), int(d));
      made.sizes[symbol] = free;
      type.shape[d] = Dim(symbol);
    }
    inputs.push_back(made.graph.addInput(type, "x" + std::to_string(i)));
    made.bounds.push_back(o.bounds);
  }
  auto outputs = made.graph.append(op, attrs, inputs, {});
  if (!outputs) return std::nullopt;
  made.graph.setOutputs(*outputs);
  return completeSizes(made) ? std::optional(std::move(made)) : std::nullopt;
}

} // namespace

std::optional<Instance> randomInstance(const graph::OpDef &op, Random &r) {
  auto found = kGenerators.find(op.name);
  bool byClass = found == kGenerators.end() && op.cls == graph::OpClass::Elementwise;
  if (found == kGenerators.end() && !byClass) return std::nullopt;
  for (int tries = 0; tries < 500; ++tries) {
    Proposal p = byClass ? elementwise(r, op) : found->second(r, op);
    Filler filler(p.fields, r);
    graph::Attrs attrs = op.prototype.visited(filler);
    if (!p.operands.empty() && !p.operands[0].shape.empty() && r.chance(30)) {
      const Ints &shape = p.operands[0].shape;
      if (auto made = built(op, p, attrs, shape[size_t(anyAxis(r, shape))])) return made;
    }
    if (auto made = built(op, p, attrs, 0)) return made;
  }
  return std::nullopt;
}

} // namespace planish::ops::test
