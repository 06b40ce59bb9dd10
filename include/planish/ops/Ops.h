// The operator table: every row, and every ONNX rule. Explicit lists, no registrars.
#pragma once

#include "planish/graph/Import.h"
#include "planish/graph/OpDef.h"

#include <span>
#include <string>

namespace planish::ops {

std::span<const graph::OpDef *const> allOps();
std::span<const graph::OnnxRule> allOnnxRules();
/// The rule for an operator at a version of its domain: the row with the highest `since` not above
/// it; null where there is none.
const graph::OnnxRule *ruleFor(std::string_view domain, std::string_view opType, int version);

/// Every row and every rule as Markdown: docs/operators.md.
std::string documentation();

// Rows that passes append (they may name what they make, never what they match).
extern const graph::OpDef kCopy;  // out = in; the layout of the output may differ
extern const graph::OpDef kCast, kQuantize, kDequantize, kRequantize, kLookup, kPiecewise;

/// Parameters of kCast.
struct CastAttrs {
  DType to = DType::f32;
  void visit(graph::FieldVisitor &v) { v.field("to", to); }
};
/// Parameters of kLookup, and of others that work along one dimension.
struct AxisAttrs {
  int64_t axis = 0;
  void visit(graph::FieldVisitor &v) { v.field("axis", axis); }
};
/// Parameters of kRequantize: all are u8 codes; the result lies in [least, most].
struct RequantizeAttrs {
  int64_t zero = 0, least = 0, most = 255;
  void visit(graph::FieldVisitor &v) {
    v.field("zero", zero), v.field("least", least), v.field("most", most);
  }
};
/// Parameters of kPiecewise: piece i lies around the number (first + i) / perUnit, the outer two reach on for
/// ever.
struct PiecewiseAttrs {
  double perUnit = 1;
  int64_t first = 0;
  void visit(graph::FieldVisitor &v) { v.field("per_unit", perUnit), v.field("first", first); }
};
/// How many pieces a function has: what two vector registers hold.
inline constexpr int64_t kPieces = 32;
/// The elementwise a + b, a - b, a * b, min and max of two operands that broadcast.
enum class Arithmetic : uint8_t { Add, Sub, Mul, Min, Max };
const graph::OpDef &row(Arithmetic fn);
/// The values one after the other along a dimension.
Result<graph::ValueId> concatenated(graph::Graph &g, std::vector<graph::ValueId> values, size_t dim,
                                    graph::Loc loc);
/// The slices of x along a dimension at the given positions.
Result<graph::ValueId> picked(graph::Graph &g, graph::ValueId x, size_t dim,
                              const std::vector<int64_t> &positions, graph::Loc loc);
/// x with zeros behind it along a dimension, up to `size` of them in all.
Result<graph::ValueId> extended(graph::Graph &g, graph::ValueId x, size_t dim, int64_t size, graph::Loc loc);
/// What one channel holds of an image: of its channel `channel`, along each spatial dimension the elements
/// from `first` on in steps.
struct Phase {
  int64_t channel;
  std::vector<int64_t> first;
};
/// A convolution whose operand 0 has these phases of `image` as channels, as one of `image` itself
/// (`operands` stand for the node's in `g`). Nothing where the node is no such convolution, or where it would
/// sum more products.
std::optional<graph::ValueId> overPhases(graph::Graph &g, const graph::Node &node,
                                         std::vector<graph::ValueId> operands, graph::ValueId image,
                                         const std::vector<int64_t> &steps, std::span<const Phase> phases);

} // namespace planish::ops
