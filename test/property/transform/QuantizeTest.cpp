// Random quantized operators: their integer kernels give codes within one step of the same operator on
// real numbers, whatever the scales, zero points, borders and channels.
#include "planish/graph/Evaluate.h"
#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"
#include "planish/support/Text.h"
#include "planish/transform/Passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

namespace planish::transform {
namespace {

using Shape = std::vector<int64_t>;

/// A graph in text, made from random pieces.
class Case {
public:
  explicit Case(unsigned seed) : random(seed) {}

  int64_t below(int64_t n) { return int64_t(random() % uint64_t(n)); }
  int64_t pick(std::initializer_list<int64_t> list) { return *(list.begin() + below(int64_t(list.size()))); }
  double scale(double around) { return float(around * std::exp2(double(below(4000)) / 1000 - 2)); }
  std::string type(const char *dtype, const Shape &shape) { return dtype + list(shape); }
  static std::string list(const Shape &v) {
    return "[" + joined(v, [](int64_t x) { return std::to_string(x); }, ",") + "]";
  }

  /// "%name = constant ..." of random codes.
  void codes(const std::string &name, const char *dtype, const Shape &shape, int64_t low, int64_t high) {
    int64_t count = 1;
    for (int64_t d : shape) count *= d;
    std::vector<std::string> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(std::to_string(low + below(high - low + 1)));
    constant(name, type(dtype, shape), values);
  }
  void scales(const std::string &name, const Shape &shape, double around) {
    int64_t count = 1;
    for (int64_t d : shape) count *= d;
    std::vector<std::string> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(textOf(scale(around)));
    constant(name, type("f32", shape), values);
  }
  void constant(const std::string &name, const std::string &type, const std::vector<std::string> &values) {
    std::string all = joined(values, [](const std::string &s) { return s; });
    body += "%" + name + " = constant " + type + " [" + all + "]\n";
  }
  void node(const std::string &name, const std::string &type, const std::string &call) {
    body += "%" + name + ": " + type + " = " + call + "\n";
  }

  /// An activation of 8 bits as real numbers: an input of codes, decoded.
  void activation(const std::string &name, const Shape &shape, double around) {
    const char *dtype = below(2) ? "u8" : "i8";
    inputs.push_back("%" + name + "_q: " + type(dtype, shape));
    scales(name + "_s", {}, around);
    codes(name + "_z", dtype, {}, dtype[0] == 'u' ? 0 : -128, dtype[0] == 'u' ? 255 : 127);
    node(name, type("f32", shape), "dequantize(%" + name + "_q, %" + name + "_s, %" + name + "_z)");
  }
  /// Codes of a real value: the result.
  void encoded(const std::string &name, const Shape &shape, double around) {
    const char *dtype = below(2) ? "u8" : "i8";
    scales("y_s", {}, around);
    codes("y_z", dtype, {}, dtype[0] == 'u' ? 0 : -128, dtype[0] == 'u' ? 255 : 127);
    node("y", type(dtype, shape), "quantize(%" + name + ", %y_s, %y_z)");
  }
  std::string text() const {
    return "graph @main(" + joined(inputs, [](const std::string &s) { return s; }) + ") {\n" + body +
           "return %y\n}";
  }

private:
  std::mt19937 random;
  std::vector<std::string> inputs;
  std::string body;
};

void convolution(Case &c) {
  int64_t channels = c.pick({1, 2, 3, 4, 5, 8}), group = c.below(4) == 0 ? channels : 1;
  int64_t out = group * c.pick({1, 2, 3, 7}), h = c.pick({1, 2, 3, 5, 9}), w = c.pick({1, 2, 4, 7});
  int64_t kh = c.pick({1, 2, 3}), kw = c.pick({1, 3, 3, 5}), sh = c.pick({1, 1, 2}),
          sw = c.pick({1, 1, 2, 3});
  int64_t dh = c.pick({1, 1, 2}), pt = c.below(3), pb = c.below(3), pl = c.below(3), pr = c.below(4);
  int64_t oh = (h + pt + pb - ((kh - 1) * dh + 1)) / sh + 1, ow = (w + pl + pr - kw) / sw + 1;
  bool fits = h + pt + pb >= (kh - 1) * dh + 1 && w + pl + pr >= kw;
  if (!fits) kh = kw = 1, dh = 1, oh = (h + pt + pb - 1) / sh + 1, ow = (w + pl + pr - 1) / sw + 1;
  c.activation("x", {1, channels, h, w}, 0.05);
  Shape weights{out, channels / group, kh, kw};
  c.codes("w_q", "i8", weights, -127, 127);
  c.scales("w_s", c.below(2) ? Shape{out, 1, 1, 1} : Shape{}, 0.01);
  c.node("w", c.type("f32", weights), "dequantize(%w_q, %w_s)");
  c.codes("b_q", "i32", {out}, -5000, 5000);
  c.scales("b_s", {}, 0.0005);
  c.node("b", c.type("f32", {out}), "dequantize(%b_q, %b_s)");
  Shape result{1, out, oh, ow};
  std::string attrs = "{strides=" + Case::list({sh, sw}) + ", dilations=" + Case::list({dh, 1}) +
                      ", pads_begin=" + Case::list({pt, pl}) + ", pads_end=" + Case::list({pb, pr}) +
                      ", group=" + std::to_string(group) + "}";
  c.node("c", c.type("f32", result), "conv(%x, %w, %b) " + attrs);
  bool limited = c.below(2);
  if (limited) c.node("r", c.type("f32", result), c.below(2) ? "relu(%c)" : "clip(%c) {alpha=0.0, beta=1.5}");
  c.encoded(limited ? "r" : "c", result, 0.05);
}

void product(Case &c) {
  int64_t m = c.pick({1, 3, 4}), k = c.pick({1, 5, 16, 33}), n = c.pick({1, 3, 16});
  bool turned = c.below(2);
  c.activation("x", {m, k}, 0.05);
  c.codes("w_q", "i8", turned ? Shape{n, k} : Shape{k, n}, -127, 127);
  bool perColumn = c.below(2);
  c.scales("w_s", !perColumn ? Shape{} : turned ? Shape{n, 1} : Shape{n}, 0.01);
  c.node("w", c.type("f32", turned ? Shape{n, k} : Shape{k, n}), "dequantize(%w_q, %w_s)");
  if (turned) c.node("wt", c.type("f32", {k, n}), "transpose(%w) {perm=[1, 0]}");
  c.node("p", c.type("f32", {m, n}), std::string("matmul(%x, ") + (turned ? "%wt)" : "%w)"));
  c.scales("b", {n}, 0.3);
  c.node("s", c.type("f32", {m, n}), "add(%p, %b)");
  c.encoded("s", {m, n}, 0.05);
}

void pair(Case &c) {
  Shape shape{1, c.pick({1, 3, 5}), c.pick({1, 4, 7})};
  c.activation("a", shape, 0.05);
  c.activation("b", shape, 0.05);
  const char *ops[] = {"add(%a, %b)", "sub(%a, %b)", "mul(%a, %b)"};
  c.node("s", c.type("f32", shape), ops[c.below(3)]);
  c.encoded("s", shape, 0.08);
}

void concatenation(Case &c) {
  c.activation("a", {1, 3, 4}, 0.05);
  c.activation("b", {1, 5, 4}, 0.05);
  c.node("s", "f32[1,8,4]", "concat(%a, %b) {axis=1}");
  c.encoded("s", {1, 8, 4}, 0.05);
}

void mean(Case &c) {
  int64_t channels = c.pick({1, 3, 8}), h = c.pick({2, 3, 7}), w = c.pick({2, 5});
  c.activation("x", {1, channels, h, w}, 0.05);
  if (c.below(2)) {
    c.node("m", c.type("f32", {1, channels, 1, 1}), "reduce_mean(%x) {axes=[2, 3], keep_dims=true}");
    return c.encoded("m", {1, channels, 1, 1}, 0.05);
  }
  c.node("m", c.type("f32", {1, channels, h - 1, w - 1}),
         "average_pool(%x) {window=[2, 2], strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], "
         "pads_end=[0, 0], ceil_mode=false, count_padding=false}");
  c.encoded("m", {1, channels, h - 1, w - 1}, 0.05);
}

/// Windows that reach over the border, whose elements count or do not.
void windowMean(Case &c) {
  int64_t channels = c.pick({1, 3, 8}), h = c.pick({3, 4, 7}), w = c.pick({3, 5}), stride = c.pick({1, 2, 3});
  bool up = c.below(2), padding = c.below(2);
  c.activation("x", {1, channels, h, w}, 0.05);
  auto positions = [&](int64_t size) {
    int64_t room = size + 2 - 3, n = room / stride + 1;
    return up && room % stride != 0 && n * stride < size + 1 ? n + 1 : n;
  };
  Shape result{1, channels, positions(h), positions(w)};
  c.node("m", c.type("f32", result),
         "average_pool(%x) {window=[3, 3], strides=" + Case::list({stride, stride}) +
             ", dilations=[1, 1], pads_begin=[1, 1], pads_end=[1, 1], ceil_mode=" + (up ? "true" : "false") +
             ", count_padding=" + (padding ? "true" : "false") + "}");
  c.encoded("m", result, 0.05);
}

void transposedConvolution(Case &c) {
  int64_t in = c.pick({1, 3, 4}), out = c.pick({1, 2, 5}), h = c.pick({2, 3, 5}), w = c.pick({2, 4});
  int64_t kernel = c.pick({2, 3}), stride = c.pick({1, 2}), pad = c.below(2);
  c.activation("x", {1, in, h, w}, 0.05);
  c.codes("w_q", "i8", {in, out, kernel, kernel}, -127, 127);
  c.scales("w_s", c.below(2) ? Shape{out, 1, 1} : Shape{}, 0.01);
  c.node("w", c.type("f32", {in, out, kernel, kernel}), "dequantize(%w_q, %w_s)");
  Shape result{1, out, (h - 1) * stride + kernel - 2 * pad, (w - 1) * stride + kernel - 2 * pad};
  c.node("c", c.type("f32", result),
         "conv_transpose(%x, %w) {strides=" + Case::list({stride, stride}) +
             ", dilations=[1, 1], pads_begin=" + Case::list({pad, pad}) +
             ", pads_end=" + Case::list({pad, pad}) + ", output_padding=[0, 0]}");
  c.encoded("c", result, 0.05);
}

/// One axis after the other, as importing a Resize makes them.
void resizing(Case &c) {
  int64_t h = c.pick({1, 3, 5}), w = c.pick({2, 4}), oh = h * c.pick({1, 2, 3}) + c.below(3), ow = 2 * w;
  const char *modes[] = {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"};
  std::string mode = modes[c.below(4)];
  c.activation("x", {1, 3, h, w}, 0.05);
  auto resize = [&](const char *name, const char *of, const Shape &shape, const std::string &scales) {
    c.node(name, c.type("f32", shape),
           std::string("resize(%") + of + ") {sizes=" + Case::list(shape) + ", scales=" + scales +
               ", roi=[], mode=linear, coordinates=" + mode + "}");
  };
  resize("a", "x", {1, 3, h, ow}, "[1.0, 1.0, 1.0, 0.0]");
  resize("b", "a", {1, 3, oh, ow}, "[1.0, 1.0, 0.0, 1.0]");
  c.encoded("b", {1, 3, oh, ow}, 0.05);
}

/// Two activations: attention.
void activationProduct(Case &c) {
  int64_t batch = c.pick({1, 3}), m = c.pick({1, 4}), k = c.pick({1, 7, 16}), n = c.pick({1, 5});
  c.activation("a", {1, batch, m, k}, 0.05);
  c.activation("b", {c.pick({1, 1}), c.below(2) ? batch : 1, k, n}, 0.05);
  c.node("p", c.type("f32", {1, batch, m, n}), "matmul(%a, %b)");
  c.encoded("p", {1, batch, m, n}, 0.3);
}

/// Constants by channel on codes: a slope for negative values after a scale and a shift.
void channelTable(Case &c) {
  int64_t channels = c.pick({1, 3, 5});
  Shape shape{1, channels, 4, 3};
  c.activation("x", shape, 0.05);
  c.scales("k", {channels, 1, 1}, 1);
  c.scales("b", {1, channels, 1, 1}, 0.5);
  c.codes("p_q", "i8", {channels, 1, 1}, -127, 127);
  c.scales("p_s", {}, 0.01);
  c.node("p", c.type("f32", {channels, 1, 1}), "dequantize(%p_q, %p_s)");
  c.node("m", c.type("f32", shape), "mul(%x, %k)");
  c.node("s", c.type("f32", shape), "sub(%m, %b)");
  c.node("r", c.type("f32", shape), "prelu(%s, %p)");
  c.encoded("r", shape, 0.05);
}

/// Zeros around codes, which a convolution reads.
void padding(Case &c) {
  c.activation("x", {1, 2, 4, 5}, 0.05);
  c.node("p", "f32[1,2,7,6]", "pad(%x) {begin=[0, 0, 1, 0], end=[0, 0, 2, 1], mode=constant, value=0.0}");
  c.codes("w_q", "i8", {3, 2, 3, 3}, -127, 127);
  c.scales("w_s", {}, 0.01);
  c.node("w", "f32[3,2,3,3]", "dequantize(%w_q, %w_s)");
  c.node("c", "f32[1,3,5,4]",
         "conv(%p, %w) {strides=[1, 1], dilations=[1, 1], pads_begin=[0, 0], pads_end=[0, 0]}");
  c.encoded("c", {1, 3, 5, 4}, 0.05);
}

/// A SiLU of two nodes with a rounding point between, then a pooling that picks.
void activationTable(Case &c) {
  c.activation("x", {1, 3, 4, 4}, 0.05);
  c.node("g", "f32[1,3,4,4]", "sigmoid(%x)");
  c.constant("g_s", "f32[]", {"0.00390625"});
  c.constant("g_z", "u8[]", {"0"});
  c.node("g_q", "u8[1,3,4,4]", "quantize(%g, %g_s, %g_z)");
  c.node("g_d", "f32[1,3,4,4]", "dequantize(%g_q, %g_s, %g_z)");
  c.node("s", "f32[1,3,4,4]", "mul(%x, %g_d)");
  c.encoded("s", {1, 3, 4, 4}, 0.05);
}

struct Family {
  const char *name;
  void (*make)(Case &);
  const char *form;  // an operator of its integer form
};
constexpr Family kFamilies[] = {{"convolution", convolution, "requantize"},
                                {"product", product, "requantize"},
                                {"pair", pair, "requantize"},
                                {"concatenation", concatenation, "concat"},
                                {"mean", mean, "requantize"},
                                {"windowMean", windowMean, "requantize"},
                                {"transposedConvolution", transposedConvolution, "conv_transpose"},
                                {"resizing", resizing, "requantize"},
                                {"activationProduct", activationProduct, "requantize"},
                                {"channelTable", channelTable, "lookup"},
                                {"padding", padding, "requantize"},
                                {"activationTable", activationTable, "lookup"}};

/// Every input of codes, all codes as likely.
std::vector<graph::Tensor> inputsOf(const Graph &g, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<graph::Tensor> r;
  for (graph::ValueId v : g.inputs()) {
    auto bytes = std::make_shared<std::vector<std::byte>>(size_t(*graph::elementCount(g.type(v).shape)));
    for (std::byte &b : *bytes) b = std::byte(random() & 255);
    r.push_back({g.type(v).dtype, *constantShape(g.type(v).shape), bytes});
  }
  return r;
}

int codeAt(const graph::Tensor &t, size_t i) {
  int byte = int((*t.data)[i]);
  return t.dtype == DType::i8 ? int(int8_t(byte)) : byte;
}

TEST(Quantize, IsWithinAStepOfRealNumbers) {
  const char *fixed = std::getenv("PLANISH_SEED");
  unsigned first = fixed ? unsigned(std::atoi(fixed)) : 1, count = fixed ? 1 : 60;
  for (const Family &family : kFamilies)
    for (unsigned seed = first; seed < first + count; ++seed) {
      SCOPED_TRACE(std::string(family.name) + ": PLANISH_SEED=" + std::to_string(seed));
      Case c(seed);
      family.make(c);
      auto g = graph::parse(c.text(), ops::allOps());
      ASSERT_TRUE(g) << g.error().text << "\n" << c.text();
      auto folded = quantize(*g);
      ASSERT_TRUE(folded) << folded.error().text << "\n" << c.text();
      Status status = checkGraph(*folded);
      ASSERT_TRUE(status) << status.error().text;
      std::string text = graph::print(*folded);
      EXPECT_NE(text.find(family.form), std::string::npos) << text;
      EXPECT_EQ(text.find(" quantize("), std::string::npos) << text;
      EXPECT_EQ(text.find(" dequantize("), std::string::npos) << text;
      std::vector<graph::Tensor> inputs = inputsOf(*g, seed);
      auto want = graph::evaluate(*g, inputs), got = graph::evaluate(*folded, inputs);
      ASSERT_TRUE(want && got);
      size_t far = 0, differ = 0, size = want->front().data->size();
      for (size_t i = 0; i < size; ++i) {
        int distance = std::abs(codeAt(want->front(), i) - codeAt(got->front(), i));
        far += distance > 1, differ += distance > 0;
      }
      EXPECT_EQ(far, 0u) << text;
      EXPECT_LE(differ, 1 + size / 20) << text;
    }
}

} // namespace
} // namespace planish::transform
