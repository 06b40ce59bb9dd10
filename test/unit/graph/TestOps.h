// A few operators, just for the tests of the graph room, which knows none.
#pragma once

#include "planish/graph/OpDef.h"

namespace planish::graph::test {

struct ReshapeAttrs {
  Shape shape;
  void visit(FieldVisitor &v) { v.field("shape", shape); }
};

enum class Mode : uint8_t { Plain, Fancy };
inline std::span<const std::string_view> spellings(Mode) {
  static constexpr std::string_view kNames[] = {"plain", "fancy"};
  return kNames;
}

/// One field of every kind.
struct AllFields {
  int64_t count = 1;
  double factor = 0.5;
  bool flag = false;
  DType dtype = DType::f32;
  std::vector<int64_t> sizes;
  std::vector<double> weights;
  Shape shape;
  Mode mode = Mode::Plain;
  void visit(FieldVisitor &v) {
    v.field("count", count), v.field("factor", factor), v.field("flag", flag), v.field("dtype", dtype);
    v.field("sizes", sizes), v.field("weights", weights), v.field("shape", shape), v.field("mode", mode);
  }
};

struct HalveAttrs {
  int64_t dim = 0;
  void visit(FieldVisitor &v) { v.field("dim", dim); }
};

extern const OpDef kSum2;       // a + b, b broadcasts to a
extern const OpDef kTwice;      // x * x
extern const OpDef kRowSum;     // f32[n, k] -> f32[n], the sum over k plus an optional bias
extern const OpDef kSizes;      // the dimensions of x as i64
extern const OpDef kPick;       // data[index], both i64 vectors
extern const OpDef kView;       // x under the shape of the attribute
extern const OpDef kResized;    // x under the shape that an i64 operand says
extern const OpDef kHalve;      // every second element of a dimension: ceil(size / 2)
extern const OpDef kEverything; // x, with all kinds of attributes

std::span<const OpDef *const> testOps();

} // namespace planish::graph::test
