// Regions of interest: parts of an image, given by data, resampled to one size (RoiAlign of Mask R-CNN).
#include "Rows.h"
#include "Sorting.h"

#include <algorithm>

namespace planish::ops {

namespace {

using graph::LoopsView;

/// Samples per bin and direction where the region's size says how many: more than any image needs.
constexpr int64_t kMaxSamples = 256;
constexpr int64_t kLanes = 16;

struct RoiAttrs {
  Ints size;            // of the output
  double scale = 1;     // from a region's coordinates to the image's
  int64_t samples = 0;  // per bin and direction; 0: as many as pixels
  bool halfPixel = true, maximum = false;
  void visit(FieldVisitor &v) {
    v.field("size", size), v.field("scale", scale), v.field("samples", samples);
    v.field("half_pixel", halfPixel), v.field("maximum", maximum);
  }
};

/// x [batch, channels, height, width], regions [n, 4] as x, y, x, y, the image of each [n].
Types inferRoi(InferContext &c) {
  const RoiAttrs &a = c.attrs().as<RoiAttrs>();
  PLANISH_TRY(wantType(c, 0, kFloats));
  PLANISH_TRY(wantType(c, 1, kFloats));
  PLANISH_TRY(wantType(c, 2, kIndexes));
  PLANISH_TRY(wantRank(c, 0, 4, 4));
  PLANISH_TRY(wantRank(c, 1, 2, 2));
  PLANISH_TRY(wantRank(c, 2, 1, 1));
  PLANISH_TRY(wantEntries(a.size, 2, 1, kMaxParameter, "size"));
  PLANISH_TRY(wantEntries({a.samples}, 1, 0, kMaxSamples, "samples"));
  const Shape &x = c.in(0).shape;
  if (c.in(1).shape[1] != Dim(4)) return badInput("the regions are " + textOf(c.in(1)) + ", expected [n, 4]");
  PLANISH_TRY(sameDim(c, c.in(1).shape[0], c.in(2).shape[0]));
  for (size_t d : {0, 2, 3})
    if (x[d].lower() < 1) return badInput("the input " + textOf(c.in(0)) + " may be empty");
  return oneOutput({DType::f32, {c.in(1).shape[0], x[1], Dim(a.size[0]), Dim(a.size[1])}, {}, {}});
}

Expr f(double v) { return loop::fimm(v); }

/// One direction of a bin: where its samples lie and how many they are.
struct Bin {
  Expr begin, step, count;
};
Bin binOf(const RoiAttrs &a, const Expr &low, const Expr &high, const Expr &index, int64_t bins) {
  double offset = a.halfPixel ? 0.5 : 0;
  Expr start = low * f(a.scale) - f(offset), size = high * f(a.scale) - f(offset) - start;
  if (!a.halfPixel) size = max(size, f(1));
  Expr bin = binary(BinaryOp::Div, size, f(double(bins)));
  Expr wanted = cast(DType::i64, loop::call(Intrinsic::Ceil, {bin}));
  Expr count = a.samples ? imm(a.samples) : min(max(wanted, imm(0)), imm(kMaxSamples));
  Expr step = binary(BinaryOp::Div, bin, max(cast(DType::f32, count), f(1)));
  return {start + cast(DType::f32, index) * bin + step * f(0.5), step, count};
}

/// The two pixels around a place and the weight of the second.
struct Taps {
  Expr inside, low, high, weight;
};
Taps tapsAt(const Expr &place, const Expr &size) {
  Expr inside = conjunction(lessEqual(f(-1), place), lessEqual(place, cast(DType::f32, size)));
  Expr p = min(max(place, f(0)), cast(DType::f32, size - 1));
  Expr low = max(min(cast(DType::i64, p), size - 1), imm(0));
  return {inside, low, min(low + 1, size - 1), p - cast(DType::f32, low)};
}

/// Every bin of every region by itself; channels, which lie side by side, are innermost.
Stmt loopsRoi(const LoopsView &v) {
  const RoiAttrs &a = v.attrs.as<RoiAttrs>();
  const Shape &x = v.inTypes[0].shape, &y = v.outTypes[0].shape;
  auto bound = [](const char *name, DType type, const Expr &value,
                  const std::function<Stmt(const Expr &)> &body, int64_t most = INT32_MAX) {
    Var var = loop::var(name, Type{type}, type == DType::i64 ? 0 : INT32_MIN, most);
    return loop::makeStmt(loop::Let{var, value, body(use(var))});
  };
  auto bin = [&](const Expr &n, const Expr &image, const Expr &row, const Expr &column) {
    auto at = [&](int64_t k) { return load(v.in[1], {n, imm(k)}); };
    Bin vertical = binOf(a, at(1), at(3), row, a.size[0]),
        horizontal = binOf(a, at(0), at(2), column, a.size[1]);
    auto overChannels = [&](const std::function<Expr(const Expr &, const Expr &)> &value) {
      auto put = [&](const Expr &c) {
        Exprs to{n, c, row, column};
        return loop::store(v.out[0], to, value(load(v.out[0], to), c));
      };
      int64_t channels = x[1].isConstant() ? x[1].constant() : 0, whole = channels / kLanes,
              rest = channels % kLanes;
      if (!channels) return forEach("c", imm(0), extentOf(x[1]), x[1].upper(), put);
      Stmt vectors = forEach("o", imm(0), imm(whole), whole, [&](const Expr &o) {
        return forEach(
            "l", imm(0), imm(kLanes), kLanes, [&](const Expr &l) { return put(o * kLanes + l); },
            LoopKind::Vectorized);
      });
      Stmt tail = forEach(
          "l", imm(0), imm(rest), rest, [&](const Expr &l) { return put(l + whole * kLanes); },
          LoopKind::Vectorized);
      return loop::block({whole ? vectors : loop::block({}), rest ? tail : loop::block({})});
    };
    auto sample = [&](const Expr &first, const Taps &ty, const Taps &tx) {
      Expr inside = conjunction(ty.inside, tx.inside);
      return overChannels([&](const Expr &sum, const Expr &c) {
        auto tap = [&](const Expr &h, const Expr &w, const Expr &weight) {
          return select(inside, load(v.in[0], {image, c, h, w}) * weight, f(0));
        };
        Expr wy = ty.weight, wx = tx.weight, uy = f(1) - wy, ux = f(1) - wx;
        Expr p = tap(ty.low, tx.low, uy * ux), q = tap(ty.low, tx.high, uy * wx);
        Expr r = tap(ty.high, tx.low, wy * ux), s = tap(ty.high, tx.high, wy * wx);
        if (!a.maximum) return sum + (((p + q) + r) + s);
        Expr largest = max(max(max(p, q), r), s);
        return select(first, largest, max(sum, largest));
      });
    };
    auto samples = [&](const Expr &rows, const Expr &columns) {
      return forEach("iy", imm(0), rows, kMaxSamples, [&](const Expr &iy) {
        return forEach("ix", imm(0), columns, kMaxSamples, [&](const Expr &ix) {
          Expr first = conjunction(binary(BinaryOp::Eq, iy, imm(0)), binary(BinaryOp::Eq, ix, imm(0)));
          auto place = [](const Bin &b, const Expr &k) { return b.begin + cast(DType::f32, k) * b.step; };
          return bound("y", DType::f32, place(vertical, iy), [&](const Expr &py) {
            return bound("x", DType::f32, place(horizontal, ix), [&](const Expr &px) {
              return sample(first, tapsAt(py, extentOf(x[2])), tapsAt(px, extentOf(x[3])));
            });
          });
        });
      });
    };
    Stmt zero = overChannels([](const Expr &, const Expr &) { return f(0); });
    auto mean = [&](const Expr &rows, const Expr &columns) {
      Expr count = max(cast(DType::f32, rows * columns), f(1));
      return overChannels([&](const Expr &sum, const Expr &) { return binary(BinaryOp::Div, sum, count); });
    };
    return bound(
        "rows", DType::i64, vertical.count,
        [&](const Expr &rows) {
          return bound(
              "columns", DType::i64, horizontal.count,
              [&](const Expr &columns) {
                std::vector<Stmt> r{zero, samples(rows, columns)};
                if (!a.maximum) r.push_back(mean(rows, columns));
                return loop::block(std::move(r));
              },
              kMaxSamples);
        },
        kMaxSamples);
  };
  return forEach(
      "n", imm(0), extentOf(y[0]), y[0].upper(),
      [&](const Expr &n) {
        Expr image = max(min(cast(DType::i64, load(v.in[2], {n})), extentOf(x[0]) - 1), imm(0));
        return bound(
            "image", DType::i64, image,
            [&](const Expr &which) {
              return forEach("h", imm(0), imm(a.size[0]), a.size[0], [&](const Expr &row) {
                return forEach("w", imm(0), imm(a.size[1]), a.size[1],
                               [&](const Expr &column) { return bin(n, which, row, column); });
              });
            },
            std::max<int64_t>(x[0].upper() - 1, 0));
      },
      LoopKind::Parallel);
}
const OpDef kRoiAlign = {.name = "roi_align",
                         .summary = "regions of x resampled to one size: the mean (or the largest weighted "
                                    "pixel) of samples between pixels",
                         .operands = "x, regions, images",
                         .layout = LayoutRule::ChannelsLast,
                         .prototype = RoiAttrs{},
                         .infer = inferRoi,
                         .loops = loopsRoi};

std::vector<ValueId> importRoiAlign(Importer &i) {
  std::string mode = i.stringAttr("mode", "avg");
  std::string coordinates = i.stringAttr("coordinate_transformation_mode",
                                         i.node().version >= 16 ? "half_pixel" : "output_half_pixel");
  if (mode != "avg" && mode != "max") i.fail("attribute 'mode' is '" + mode + "', expected avg or max");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    i.fail("attribute 'coordinate_transformation_mode' is '" + coordinates + "'");
  RoiAttrs a{{i.intAttr("output_height", 1), i.intAttr("output_width", 1)},
             i.floatAttr("spatial_scale", 1),
             i.intAttr("sampling_ratio", 0),
             coordinates == "half_pixel",
             mode == "max"};
  return i.appendAll(kRoiAlign, a, {i.in(0), i.in(1), i.in(2)}, 1);
}

} // namespace

Family regionFamily() { return {{&kRoiAlign}, {{"RoiAlign", 10, importRoiAlign}}}; }

} // namespace planish::ops
