// Kernels through schedule() and machine code: those of a published table, and the layers of known networks
// (net/...). In microseconds and in percent of the multiply-add (or u8 x s8 dot product) peak measured in
// turns with the kernel, the lanes of the last, partly filled vector counted. Padded taps count as work: over
// 100 % means that taps were skipped, or multiplications saved. `bound` is the same against what bounds it:
// the peak, or for depthwise convolutions the time of a triad over as many bytes.
//
//   bench-kernels [part of a name]         the table, with the template and knobs that were chosen
//   bench-kernels --show NAME              the scheduled loops of one kernel
//   bench-kernels --sweep NAME             every tile of one kernel
#include "yardstick.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/schedule/Packing.h"
#include "planish/schedule/Template.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>

using namespace planish;
using bench::now;
using namespace planish::loop;

namespace {

enum class Activation : uint8_t { None, Relu, Silu };

struct Shape {
  int64_t ic, oc, h, w, kernel, stride, pad;
  bool depthwise = false;
  int64_t oh() const { return (h + 2 * pad - kernel) / stride + 1; }
  int64_t ow() const { return (w + 2 * pad - kernel) / stride + 1; }
  double flops() const { return 2.0 * double(oh() * ow() * oc * kernel * kernel * (depthwise ? 1 : ic)); }
  int64_t bytes() const { return 4 * (h * w * ic + oh() * ow() * oc); } // of f32 input and output
};

struct Options {
  bool int8 = false, residual = false, planarInput = false;
  Activation act = Activation::None;
  int64_t outStride = 0; // pixel stride of the output view; 0: dense
  int64_t zeroPoint = 0; // of x, int8 only: a border table of biases
  bool symbolic = false; // height and width are known at run time only
};

Expr activated(Activation act, const Expr &v) {
  if (act == Activation::Relu) return max(v, fimm(0));
  if (act == Activation::Silu) return binary(BinaryOp::Div, v, call(Intrinsic::Exp, {fimm(0) - v}) + fimm(1));
  return v;
}

/// x[h, w, ic], w[oc, kh, kw, ic], bias[oc], (scale[oc]), (residual) -> y[oh, ow, oc].
Compute convolution(const Shape &s, const Options &o) {
  DType in = o.int8 ? DType::u8 : DType::f32, weight = o.int8 ? DType::i8 : DType::f32;
  using Sizes = std::vector<int64_t>;
  Sizes view;
  if (o.outStride) view = {s.ow() * o.outStride, o.outStride, 1};
  Buffer x = buffer("x", in, Sizes{s.h, s.w, s.ic}, o.planarInput ? Sizes{s.w, 1, s.h * s.w} : Sizes{});
  Expr h = imm(s.h), width = imm(s.w), outH = imm(s.oh()), outW = imm(s.ow());
  if (o.symbolic) {
    h = use(var("h", {}, 1, 2 * s.h)), width = use(var("w", {}, 1, 2 * s.w));
    auto out = [&](const Expr &n) { return floorDiv(n + (2 * s.pad - s.kernel), imm(s.stride)) + 1; };
    outH = out(h), outW = out(width);
    x = buffer("x", in, std::vector<Expr>{h, width, imm(s.ic)});
  }
  Buffer w = buffer("w", weight,
                    s.depthwise ? Sizes{s.kernel, s.kernel, s.oc} : Sizes{s.oc, s.kernel, s.kernel, s.ic},
                    Sizes{}, Scope::Constant);
  bool table = o.zeroPoint && s.pad;
  int64_t skips = s.pad + 1;
  Sizes biasShape = table ? Sizes{skips, skips, skips, skips, s.oc} : Sizes{s.oc};
  Buffer bias = buffer("bias", o.int8 ? DType::i32 : DType::f32, biasShape, Sizes{}, Scope::Constant);
  Buffer scale = buffer("scale", DType::f32, Sizes{s.oc}, Sizes{}, Scope::Constant);
  Buffer res = buffer("res", DType::f32, Sizes{s.oh(), s.ow(), s.oc}, view);

  Compute c;
  c.name = "conv";
  Var oh = var("oh"), ow = var("ow"), oc = var("oc"), kh = var("kh"), kw = var("kw"), ic = var("ic");
  c.space = {{oh, outH}, {ow, outW}, {oc, imm(s.oc)}};
  c.reduce = {{kh, imm(s.kernel)}, {kw, imm(s.kernel)}};
  if (!s.depthwise) c.reduce.push_back({ic, imm(s.ic)});
  Expr ih = use(oh) * s.stride + use(kh) - s.pad, iw = use(ow) * s.stride + use(kw) - s.pad;
  if (s.pad) c.where = {ih, h - 1 - ih, iw, width - 1 - iw};
  c.lhs = load(x, {ih, iw, s.depthwise ? use(oc) : use(ic)});
  c.rhs = s.depthwise ? load(w, {use(kh), use(kw), use(oc)}) : load(w, {use(oc), use(kh), use(kw), use(ic)});
  auto skipped = [&](const Var &v, int64_t n, bool after) {
    return max(after ? use(v) * s.stride + (s.kernel - s.pad - n) : imm(s.pad) - use(v) * s.stride, imm(0));
  };
  c.init = !table ? load(bias, {use(oc)})
                  : load(bias, {skipped(oh, s.h, false), skipped(oh, s.h, true), skipped(ow, s.w, false),
                                skipped(ow, s.w, true), use(oc)});
  c.accumulator = o.int8 ? DType::i32 : DType::f32;
  c.sum = var("sum", {c.accumulator, 1});
  c.out = o.symbolic ? buffer("y", in, std::vector<Expr>{outH, outW, imm(s.oc)})
                     : buffer("y", in, Sizes{s.oh(), s.ow(), s.oc}, view);
  c.outIndices = {use(oh), use(ow), use(oc)};
  if (o.int8) {
    c.lhs = cast(DType::i32, c.lhs);
    c.rhs = cast(DType::i32, c.rhs);
    Expr f = call(Intrinsic::Fma, {cast(DType::f32, use(c.sum)), load(scale, {use(oc)}), fimm(12582912.0)});
    Expr q = call(Intrinsic::Bits, {f}) - imm(0x4B400000, {DType::i32, 1});
    c.value = cast(DType::u8, min(max(q, imm(0, {DType::i32, 1})), imm(255, {DType::i32, 1})));
  } else {
    Expr v = o.residual ? use(c.sum) + load(res, c.outIndices) : use(c.sum);
    c.value = activated(o.act, v);
  }
  collectParams(c);
  return c;
}

struct Case {
  std::string name;
  Shape shape;
  Options options;
  double published = 0; // percent of peak of the prototype on the machine it was written on; 0: not measured
  bool avx2 = false, cold = false; // cold: weights come from beyond the L2 cache, as in a network
  schedule::Config config = {};
};

const schedule::Config kDirect{{"tile", 0}};

const std::vector<Case> kPublished = {
    {"3x3_64x56", {64, 64, 56, 56, 3, 1, 1}, {}, 101.6, false, false, kDirect},
    {"3x3_64x56_relu", {64, 64, 56, 56, 3, 1, 1}, {.act = Activation::Relu}, 101.5, false, false, kDirect},
    {"3x3_64x56_res_relu",
     {64, 64, 56, 56, 3, 1, 1},
     {.residual = true, .act = Activation::Relu},
     100.8,
     false,
     false,
     kDirect},
    {"3x3_64x56_silu", {64, 64, 56, 56, 3, 1, 1}, {.act = Activation::Silu}, 99.7, false, false, kDirect},
    {"3x3_64x56_view128",
     {64, 64, 56, 56, 3, 1, 1},
     {.act = Activation::Relu, .outStride = 128},
     101.2,
     false,
     false,
     kDirect},
    {"3x3_256x14", {256, 256, 14, 14, 3, 1, 1}, {.act = Activation::Relu}, 109, false, false, kDirect},
    {"3x3_512x7", {512, 512, 7, 7, 3, 1, 1}, {.act = Activation::Relu}, 118, false, false, kDirect},
    {"3x3s2_128x56", {128, 128, 56, 56, 3, 2, 1}, {.act = Activation::Relu}, 99.8},
    {"1x1_256x56_64", {256, 64, 56, 56, 1, 1, 0}, {.act = Activation::Relu}, 99.2},
    {"1x1_64x56_256_res", {64, 256, 56, 56, 1, 1, 0}, {.residual = true, .act = Activation::Relu}, 95.6},
    {"1x1_96x56_24", {96, 24, 56, 56, 1, 1, 0}, {.act = Activation::Relu}, 73.4},
    {"stem_3x3s2_3x640_32", {3, 32, 640, 640, 3, 2, 1}, {.act = Activation::Relu}, 96.3},
    {"stem_planar", {3, 32, 640, 640, 3, 2, 1}, {.planarInput = true, .act = Activation::Relu}, 95.1},
    {"stem_7x7s2_3x224_64",
     {3, 64, 224, 224, 7, 2, 3},
     {.planarInput = true, .act = Activation::Relu},
     100.6},
    {"i8_3x3_64x56", {64, 64, 56, 56, 3, 1, 1}, {.int8 = true}, 100.1},
    {"i8_3x3_64x56_zp", {64, 64, 56, 56, 3, 1, 1}, {.int8 = true, .zeroPoint = 3}, 100.4},
    {"i8_1x1_256x56_64", {256, 64, 56, 56, 1, 1, 0}, {.int8 = true}, 95.0},
    {"i8_1x1_64x56_256", {64, 256, 56, 56, 1, 1, 0}, {.int8 = true}, 83.7},
    {"dw_3x3_96x56", {96, 96, 56, 56, 3, 1, 1, true}, {.act = Activation::Relu}, 71},
    {"dw_3x3_384x14", {384, 384, 14, 14, 3, 1, 1, true}, {.act = Activation::Relu}, 95.5},
    {"3x3_512x7_cold",
     {512, 512, 7, 7, 3, 1, 1},
     {.act = Activation::Relu},
     66,
     false,
     true,
     {{"prefetch", 0}, {"tile", 0}}},
    {"3x3_512x7_cold_prefetch",
     {512, 512, 7, 7, 3, 1, 1},
     {.act = Activation::Relu},
     105,
     false,
     true,
     kDirect},
    {"1x1_2048x7_512_cold",
     {2048, 512, 7, 7, 1, 1, 0},
     {.act = Activation::Relu},
     81,
     false,
     true,
     {{"prefetch", 0}}},
    {"1x1_2048x7_512_cold_pf", {2048, 512, 7, 7, 1, 1, 0}, {.act = Activation::Relu}, 94, false, true},
    {"symbolic_3x3_64x56", {64, 64, 56, 56, 3, 1, 1}, {.act = Activation::Relu, .symbolic = true}},
    {"symbolic_1x1_256x56_64", {256, 64, 56, 56, 1, 1, 0}, {.act = Activation::Relu, .symbolic = true}},
    {"symbolic_dw_3x3_96x56", {96, 96, 56, 56, 3, 1, 1, true}, {.act = Activation::Relu, .symbolic = true}},
    {"avx2_3x3_64x56", {64, 64, 56, 56, 3, 1, 1}, {.act = Activation::Relu}, 98, true, false, kDirect},
    {"avx2_1x1_256x56_64", {256, 64, 56, 56, 1, 1, 0}, {.act = Activation::Relu}, 95, true},
};

/// The distinct convolutions of known networks, with the epilogue they have there.
struct Layer {
  const char *net;
  Shape shape;
  Activation act = Activation::Relu;
  bool residual = false;
};
constexpr auto kSilu = Activation::Silu;
constexpr auto kNone = Activation::None;
const std::vector<Layer> kLayers = {
    {"resnet", {3, 64, 224, 224, 7, 2, 3}},
    {"resnet", {64, 64, 56, 56, 1, 1, 0}},
    {"resnet", {64, 64, 56, 56, 3, 1, 1}},
    {"resnet", {64, 256, 56, 56, 1, 1, 0}, Activation::Relu, true},
    {"resnet", {256, 64, 56, 56, 1, 1, 0}},
    {"resnet", {64, 128, 56, 56, 3, 2, 1}},
    {"resnet", {64, 128, 56, 56, 1, 2, 0}, kNone},
    {"resnet", {256, 128, 56, 56, 1, 1, 0}},
    {"resnet", {256, 512, 56, 56, 1, 2, 0}, kNone},
    {"resnet", {128, 128, 56, 56, 3, 2, 1}},
    {"resnet", {128, 128, 28, 28, 3, 1, 1}},
    {"resnet", {128, 512, 28, 28, 1, 1, 0}, Activation::Relu, true},
    {"resnet", {512, 128, 28, 28, 1, 1, 0}},
    {"resnet", {512, 256, 28, 28, 1, 1, 0}},
    {"resnet", {512, 1024, 28, 28, 1, 2, 0}, kNone},
    {"resnet", {128, 256, 28, 28, 3, 2, 1}},
    {"resnet", {256, 256, 28, 28, 3, 2, 1}},
    {"resnet", {256, 256, 14, 14, 3, 1, 1}},
    {"resnet", {256, 1024, 14, 14, 1, 1, 0}, Activation::Relu, true},
    {"resnet", {1024, 256, 14, 14, 1, 1, 0}},
    {"resnet", {1024, 512, 14, 14, 1, 1, 0}},
    {"resnet", {1024, 2048, 14, 14, 1, 2, 0}, kNone},
    {"resnet", {256, 512, 14, 14, 3, 2, 1}},
    {"resnet", {512, 512, 14, 14, 3, 2, 1}},
    {"resnet", {512, 512, 7, 7, 3, 1, 1}},
    {"resnet", {512, 2048, 7, 7, 1, 1, 0}, Activation::Relu, true},
    {"resnet", {2048, 512, 7, 7, 1, 1, 0}},
    {"yolov5s", {3, 32, 640, 640, 6, 2, 2}, kSilu},
    {"yolov5s", {32, 64, 320, 320, 3, 2, 1}, kSilu},
    {"yolov5s", {64, 32, 160, 160, 1, 1, 0}, kSilu},
    {"yolov5s", {32, 32, 160, 160, 1, 1, 0}, kSilu},
    {"yolov5s", {32, 32, 160, 160, 3, 1, 1}, kSilu, true},
    {"yolov5s", {64, 64, 160, 160, 1, 1, 0}, kSilu},
    {"yolov5s", {64, 128, 160, 160, 3, 2, 1}, kSilu},
    {"yolov5s", {128, 64, 80, 80, 1, 1, 0}, kSilu},
    {"yolov5s", {64, 64, 80, 80, 3, 1, 1}, kSilu, true},
    {"yolov5s", {128, 128, 80, 80, 1, 1, 0}, kSilu},
    {"yolov5s", {128, 256, 80, 80, 3, 2, 1}, kSilu},
    {"yolov5s", {256, 128, 40, 40, 1, 1, 0}, kSilu},
    {"yolov5s", {256, 256, 40, 40, 1, 1, 0}, kSilu},
    {"yolov5s", {256, 512, 40, 40, 3, 2, 1}, kSilu},
    {"yolov5s", {512, 256, 20, 20, 1, 1, 0}, kSilu},
    {"yolov5s", {256, 256, 20, 20, 3, 1, 1}, kSilu, true},
    {"yolov5s", {1024, 512, 20, 20, 1, 1, 0}, kSilu},
    {"yolov8n", {3, 16, 640, 640, 3, 2, 1}, kSilu},
    {"yolov8n", {16, 32, 320, 320, 3, 2, 1}, kSilu},
    {"yolov8n", {48, 32, 160, 160, 1, 1, 0}, kSilu},
    {"yolov8n", {16, 16, 160, 160, 3, 1, 1}, kSilu},
    {"yolov8n", {32, 64, 160, 160, 3, 2, 1}, kSilu},
    {"mobilenet", {3, 32, 224, 224, 3, 2, 1}},
    {"mobilenet", {32, 64, 112, 112, 1, 1, 0}},
    {"mobilenet", {64, 128, 56, 56, 1, 1, 0}},
    {"mobilenet", {128, 128, 56, 56, 1, 1, 0}},
    {"mobilenet", {128, 256, 28, 28, 1, 1, 0}},
    {"mobilenet", {256, 256, 28, 28, 1, 1, 0}},
    {"mobilenet", {256, 512, 14, 14, 1, 1, 0}},
    {"mobilenet", {512, 512, 14, 14, 1, 1, 0}},
    {"mobilenet", {512, 1024, 7, 7, 1, 1, 0}},
    {"mobilenet", {1024, 1024, 7, 7, 1, 1, 0}},
    {"mobilenet", {32, 16, 112, 112, 1, 1, 0}, kNone},
    {"mobilenet", {16, 96, 112, 112, 1, 1, 0}},
    {"mobilenet", {96, 24, 56, 56, 1, 1, 0}, kNone},
    {"mobilenet", {24, 144, 56, 56, 1, 1, 0}},
    {"mobilenet", {192, 32, 28, 28, 1, 1, 0}, kNone, true},
    {"mobilenet", {32, 192, 28, 28, 1, 1, 0}},
    {"mobilenet", {96, 576, 14, 14, 1, 1, 0}},
    {"mobilenet", {576, 96, 14, 14, 1, 1, 0}, kNone, true},
    {"mobilenet", {160, 960, 7, 7, 1, 1, 0}},
    {"mobilenet", {960, 320, 7, 7, 1, 1, 0}, kNone},
    {"mobilenet", {320, 1280, 7, 7, 1, 1, 0}},
    {"mobilenet", {32, 32, 112, 112, 3, 1, 1, true}},
    {"mobilenet", {64, 64, 112, 112, 3, 2, 1, true}},
    {"mobilenet", {96, 96, 112, 112, 3, 2, 1, true}},
    {"mobilenet", {144, 144, 56, 56, 3, 1, 1, true}},
    {"mobilenet", {144, 144, 56, 56, 3, 2, 1, true}},
    {"mobilenet", {192, 192, 28, 28, 3, 1, 1, true}},
    {"mobilenet", {256, 256, 28, 28, 3, 1, 1, true}},
    {"mobilenet", {384, 384, 14, 14, 3, 1, 1, true}},
    {"mobilenet", {576, 576, 14, 14, 3, 2, 1, true}},
    {"mobilenet", {960, 960, 7, 7, 3, 1, 1, true}},
    {"mobilenet", {72, 72, 28, 28, 5, 1, 2, true}},
    {"mobilenet", {672, 672, 14, 14, 5, 1, 2, true}},
    {"vgg16", {3, 64, 224, 224, 3, 1, 1}},
    {"vgg16", {64, 64, 224, 224, 3, 1, 1}},
    {"vgg16", {64, 128, 112, 112, 3, 1, 1}},
    {"vgg16", {256, 256, 56, 56, 3, 1, 1}},
    {"vgg16", {512, 512, 28, 28, 3, 1, 1}},
    {"vgg16", {512, 512, 14, 14, 3, 1, 1}},
};

/// Each layer as it is for AVX-512, and for AVX2.
void addLayers(std::vector<Case> &cases) {
  for (const Layer &l : kLayers)
    for (bool avx2 : {false, true}) {
      const Shape &s = l.shape;
      std::string n = std::to_string(s.kernel);
      n = (s.depthwise ? "dw" : "") + n + "x" + n + (s.stride == 1 ? "" : "s" + std::to_string(s.stride));
      cases.push_back({std::string(avx2 ? "avx2_net/" : "net/") + l.net + "_" + n + "_" +
                           std::to_string(s.ic) + "x" + std::to_string(s.h) + "_" + std::to_string(s.oc),
                       s,
                       {.residual = l.residual, .planarInput = s.ic == 3, .act = l.act},
                       0,
                       avx2,
                       true});
    }
}

/// Dense 3 x 3 convolutions directly and by Winograd's transform, in percent of the direct form's peak.
std::vector<Case> allCases() {
  struct Map {
    int64_t channels, size;
  };
  std::vector<Case> r = kPublished;
  for (auto [n, size] : {Map{64, 56},
                         {128, 28},
                         {256, 14},
                         {512, 7},
                         {64, 80},
                         {32, 160},
                         {128, 40},
                         {256, 20},
                         {24, 80},
                         {48, 40},
                         {58, 28},
                         {116, 14}})
    for (const char *tile : {"0", "2", "4"}) {
      std::string name = "wino" + std::string(tile) + "_" + std::to_string(n) + "x" + std::to_string(size);
      r.push_back({name, {n, n, size, size, 3, 1, 1}, {.act = Activation::Relu}});
      r.back().config = {{"tile", tile[0] - '0'}};
    }
  for (int64_t tile : {2, 4})
    r.push_back({"avx2_wino" + std::to_string(tile) + "_64x56",
                 {64, 64, 56, 56, 3, 1, 1},
                 {.act = Activation::Relu},
                 0,
                 true,
                 false,
                 {{"tile", tile}}});
  addLayers(r);
  return r;
}

/// 64-byte aligned memory for buffers, in huge pages as an instance's.
class Memory {
public:
  explicit Memory(const Substitution &symbols) : symbols(symbols) {}
  void *add(const BufferNode &b, unsigned seed) {
    int64_t last = 0;
    auto value = [&](const Expr &e) { return *constantOf(substitute(e, symbols)); };
    for (size_t d = 0; d < b.shape.size(); ++d) last += (value(b.shape[d]) - 1) * value(b.strides[d]);
    void *p = addBytes((last + 1) * byteSize(b.dtype));
    std::mt19937 rng(seed);
    for (int64_t i = 0; i <= last; ++i) {
      if (b.dtype == DType::f32) static_cast<float *>(p)[i] = float(int(rng() % 2001) - 1000) * 1e-3f;
      else if (b.dtype == DType::i32) static_cast<int32_t *>(p)[i] = int32_t(rng() % 2001) - 1000;
      else static_cast<uint8_t *>(p)[i] = uint8_t(rng());
    }
    return p;
  }
  void *addBytes(int64_t bytes) {
    constexpr size_t huge = size_t(2) << 20;
    size_t step = size_t(bytes) < huge / 4 ? 64 : huge, size = (size_t(bytes) + 64 + step - 1) / step * step;
    storage.emplace_back(std::aligned_alloc(step, size), std::free);
    if (step == huge) madvise(storage.back().get(), size, MADV_HUGEPAGE);
    std::memset(storage.back().get(), 0, size);
    return storage.back().get();
  }

private:
  const Substitution &symbols;
  std::vector<std::unique_ptr<void, void (*)(void *)>> storage;
};

struct Built {
  schedule::Scheduled scheduled;
  Compute compute;
  codegen::Jit::Kernel code;
  double milliseconds;
};

Built build(const Case &k, const schedule::Config &config, codegen::Jit &jit, const Target &target) {
  double t = now();
  Compute c = convolution(k.shape, k.options);
  Built b{schedule::schedule(c, target, config), c, nullptr, 0};
  Legal legal{.fma = target.fma};
  auto code = jit.compile(legalize(unroll(vectorize(b.scheduled.lowered.function)), legal));
  if (!code) {
    std::fprintf(stderr, "%s: %s\n", k.name.c_str(), code.error().text.c_str());
    std::exit(1);
  }
  b.code = *code;
  b.milliseconds = (now() - t) * 1e3;
  return b;
}

constexpr int64_t kRotated =
    64'000'000; // bytes of weights that one call after the other goes through when `cold`

bench::Figure timed(const Case &k, const Built &b, double seconds) {
  const Compute &c = b.compute;
  Substitution symbols;
  std::vector<int64_t> scalars;
  for (const Var &v : c.scalars) {
    scalars.push_back(v->name == "h" ? k.shape.h : k.shape.w);
    symbols[v] = imm(scalars.back());
  }
  Memory memory(symbols);
  std::vector<void *> params;
  for (const Buffer &p : c.params) params.push_back(memory.add(*p, unsigned(params.size() + 1)));
  std::vector<std::vector<void *>> sets{params};
  for (const auto &p : b.scheduled.lowered.packings) {
    int64_t bytes = schedule::packedBytes(p);
    void *to = memory.addBytes(bytes);
    schedule::runPacking(p, params[size_t(p.param)], to);
    sets[0][size_t(p.param)] = to;
  }
  if (k.cold) {
    const auto &p = b.scheduled.lowered.packings[0];
    int64_t bytes = schedule::packedBytes(p);
    while (bytes * int64_t(sets.size()) < kRotated) {
      sets.push_back(sets[0]);
      void *copy = memory.addBytes(bytes);
      std::memcpy(copy, sets[0][size_t(p.param)], size_t(bytes));
      sets.back()[size_t(p.param)] = copy;
    }
  }
  size_t turn = 0;
  int64_t tasks = *constantOf(substitute(taskCount(b.scheduled.lowered.function), symbols));
  void *scratch = memory.addBytes(planScratch(b.scheduled.lowered.function).bytes);
  auto unit = k.options.int8 ? bench::Unit::Dot512 : k.avx2 ? bench::Unit::Fma256 : bench::Unit::Fma512;
  return bench::measure(
      {unit, k.shape.flops(), k.shape.depthwise ? k.shape.bytes() : 0},
      [&] { b.code(sets[turn++ % sets.size()].data(), scalars.data(), scratch, 0, tasks); }, seconds);
}

std::string textOf(const schedule::Config &c) {
  std::string s;
  for (const auto &[name, value] : c) s += name + "=" + std::to_string(value) + " ";
  return s;
}

/// All combinations of the knobs that shape the tile.
std::vector<schedule::Config> tiles(const Case &k, const Target &t) {
  schedule::Kernel kernel(convolution(k.shape, k.options));
  std::vector<schedule::Config> r{k.config};
  for (const schedule::Knob &knob : schedule::templateFor(kernel, t).space(kernel, t)) {
    if (knob.name != "vectors" && knob.name != "pixels" && knob.name != "group") continue;
    std::vector<schedule::Config> more;
    for (const schedule::Config &c : r)
      for (int64_t choice : knob.choices) {
        more.push_back(c);
        more.back()[std::string(knob.name)] = choice;
      }
    r = more;
  }
  std::erase_if(r, [&](const schedule::Config &c) {
    auto at = [&](const char *name) { return c.count(name) ? c.at(name) : 1; };
    int64_t acc = at("vectors") * at("pixels");
    return acc + at("vectors") + 1 > t.registers || (!c.count("group") && acc * 3 < t.registers);
  });
  return r;
}

Target targetNamed(const char *name) {
  auto t = parseTarget(name);
  if (!t) {
    std::fprintf(stderr, "%s\n", t.error().text.c_str());
    std::exit(1);
  }
  return *t;
}

} // namespace

int main(int argc, char **argv) {
  std::string mode = argc > 2 ? argv[1] : "", only = argc > 1 ? argv[argc - 1] : "";
  Target wide = targetNamed("cpu"), narrow = targetNamed("cpu:x86-64-v3");
  codegen::Jit jit(wide), jit2(narrow);
  if (wide.vectorBytes != 64 || !wide.dot4) {
    std::fprintf(stderr, "this table needs a CPU with AVX-512 VNNI\n");
    return 1;
  }
  if (mode != "--show") {
    bench::Peaks p = bench::peaks();
    std::printf(
        "peak: %.1f GFLOP/s f32 (256 bit: %.1f), %.1f GOP/s u8 x s8\n%-30s %8s %8s %7s %7s %7s %8s  %s\n",
        p.fma512, p.fma256, p.dot512, "kernel", "us", "G/s", "% peak", "bound", "note", "compile",
        "template and knobs");
  }
  for (const Case &k : allCases()) {
    if (k.name.find(only) == std::string::npos) continue;
    const Target &target = k.avx2 ? narrow : wide;
    auto measure = [&](const schedule::Config &config) {
      Built b = build(k, config, k.avx2 ? jit2 : jit, target);
      bench::Figure f = timed(k, b, mode == "--sweep" ? 0.05 : 0.25);
      int64_t lanes = k.avx2 ? 8 : 16;
      double filled = double(k.shape.oc) / double((k.shape.oc + lanes - 1) / lanes * lanes);
      std::printf("%-30s %8.1f %8.1f %6.1f%% %6.1f%% %6.1f%% %5.1f ms  %.*s %s\n", k.name.c_str(),
                  f.seconds * 1e6, k.shape.flops() / f.seconds * 1e-9, f.ofPeak / filled * 100,
                  f.ofBound / filled * 100, k.published, b.milliseconds, int(b.scheduled.templateName.size()),
                  b.scheduled.templateName.data(), textOf(b.scheduled.config).c_str());
      std::fflush(stdout);
    };
    if (mode == "--show") {
      auto s = schedule::schedule(convolution(k.shape, k.options), target, k.config);
      std::printf("%s\n", print(s.lowered.function).c_str());
      for (const auto &p : s.lowered.packings) std::printf("%s\n", print(p.function).c_str());
    } else if (mode == "--sweep") {
      for (const schedule::Config &config : tiles(k, target)) measure(config);
    } else {
      measure(k.config);
    }
  }
  return 0;
}
