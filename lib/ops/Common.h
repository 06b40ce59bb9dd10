// What the rows of all families share: operand checks, shape arithmetic with overflow in mind, axes.
#pragma once

#include "planish/graph/Import.h"
#include "planish/graph/OpDef.h"
#include "planish/loop/Compute.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Text.h"

namespace planish::ops {

using graph::Attrs;
using graph::FieldVisitor;
using graph::Importer;
using graph::InferContext;
using graph::kAbsent;
using graph::LayoutRule;
using graph::OnnxRule;
using graph::OpClass;
using graph::OpDef;
using graph::OpView;
using graph::ValueId;
using graph::View;
using loop::BinaryOp;
using loop::Combine;
using loop::Compute;
using loop::Expr;
using loop::extentOf;
using loop::imm;
using loop::Intrinsic;
using loop::Iter;
using loop::use;

using Types = Result<std::vector<TensorType>>;
using Ints = std::vector<int64_t>;
using Exprs = std::vector<Expr>;

/// No tensor has more elements than this, whatever its file claims.
inline constexpr int64_t kMaxElements = int64_t(1) << 40;
/// Strides, paddings, windows and the like: far above any use, far below any overflow.
inline constexpr int64_t kMaxParameter = int64_t(1) << 24;
inline constexpr int kMaxRank = 8;

/// Sets of element types as bits.
using DTypes = unsigned;
constexpr DTypes bit(DType t) { return 1u << unsigned(t); }
inline constexpr DTypes kFloats = bit(DType::f32);
inline constexpr DTypes kLongs = bit(DType::i32) | bit(DType::i64) | bit(DType::u32) | bit(DType::u64);
inline constexpr DTypes kInts = kLongs | bit(DType::u8) | bit(DType::i8) | bit(DType::u16) | bit(DType::i16);
inline constexpr DTypes kIndexes = bit(DType::i32) | bit(DType::i64);
inline constexpr DTypes kNumbers = kFloats | kInts;
/// What simple arithmetic takes: doubles, too, which all else has as f32 (OnnxRule::doubles).
inline constexpr DTypes kOrdered = kNumbers | bit(DType::f64);
inline constexpr DTypes kReals = kFloats | bit(DType::f64);
inline constexpr DTypes kBools = bit(DType::b1);
inline constexpr DTypes kAnyType = kNumbers | kBools;

// ---- infer ---------------------------------------------------------------------------------------

/// The operands 0 .. least-1 are there, and no more than `most`.
Status wantOperands(const InferContext &c, int least, int most);
/// Operand `input` has one of the types.
Status wantType(const InferContext &c, int input, DTypes types);
Status wantSameType(const InferContext &c, int a, int b);
/// The size that two must share. Where only a run can tell whether they do, one where they differ fails.
Result<Dim> sameDim(InferContext &c, const Dim &a, const Dim &b);
Status wantRank(const InferContext &c, int input, int least, int most = kMaxRank);
/// `values` has `count` entries, each in [least, most].
Status wantEntries(const Ints &values, size_t count, int64_t least, int64_t most, std::string_view what);
/// Each axis in [0, rank), none twice.
Status wantAxes(const Ints &axes, int rank, std::string_view what);
/// The constant size of dimension `dim` of an operand.
Result<int64_t> constantDim(const InferContext &c, int input, int dim);
/// One output, unless its rank or element count is beyond all use.
Types oneOutput(TensorType type);
/// The shape that operands of these shapes broadcast to (ONNX: trailing dimensions align).
Result<Shape> broadcastShape(InferContext &c, const Shape &a, const Shape &b);
/// The type of a purely elementwise output: operands 0 .. n-1 broadcast.
Result<Shape> broadcastOperands(InferContext &c, int first, int last);

// ---- shapes --------------------------------------------------------------------------------------

/// The upper bound of the element count; kMaxElements + 1 where it is larger.
int64_t elementBound(const Shape &shape);
/// Product of the sizes from dimension `first` up to (not including) `last`.
Expr product(const Shape &shape, int first, int last);
Expr product(const Shape &shape);
Exprs extents(const Shape &shape);
/// Sizes whose product over `shape` equals that of `known` times the result, by cancelling equal dimensions
/// first.
Expr quotient(const Shape &shape, const Shape &known);

// ---- compute -------------------------------------------------------------------------------------

/// A loop axis over [0, size).
Iter axis(std::string name, const Dim &size);
Exprs usesOf(const std::vector<Iter> &axes);
/// A computation without reduction that stores `value(indices of the output)`.
Compute mapped(const OpView &v, std::string name, const std::function<Expr(const Exprs &)> &value);
/// Completes a reduction: sets sum, value (the sum unless given) and the parameter lists.
Compute reduced(Compute c, Combine combine, DType accumulator,
                const std::function<Expr(const Expr &)> &value = {});

Expr number(double value, DType dtype);
Expr negation(const Expr &boolean);
Expr notEqual(const Expr &a, const Expr &b);
/// Conversion as ONNX's Cast: to a boolean means "is not zero".
Expr converted(DType to, const Expr &e);
/// 0 <= e and e < size.
Expr within(const Expr &e, const Expr &size);
Expr truncatedDiv(const Expr &a, const Expr &b);
/// An index that may count from the end: e < 0 ? e + size : e.
Expr wrapped(const Expr &e, const Expr &size);

// ---- import --------------------------------------------------------------------------------------

/// x with another shape (nothing where it has it already).
ValueId reshaped(Importer &i, ValueId x, Shape shape);
ValueId transposed(Importer &i, ValueId x, Ints perm);
ValueId convertedTo(Importer &i, ValueId x, DType dtype);
/// A constant of the element type of `like`.
ValueId scalarLike(Importer &i, ValueId like, double value);
std::vector<ValueId> one(ValueId v);
Dim dimOf(Importer &i, const Expr &size);
/// The sizes of a shape as a Shape, from known elements of operand `input`.
Shape shapeOperand(Importer &i, int input);
/// The integers of operand `input` as sizes: known ones as they are, others as what it holds when the graph
/// runs, between 0 and `most` each.
Exprs sizesOperand(Importer &i, int input, int64_t most);
/// `x` cut to its first `size` elements along an axis.
ValueId firstOf(Importer &i, ValueId x, int axis, const Dim &size);
/// The only value of a constant operand, or `otherwise` where absent; an error if it is not a constant
/// scalar.
double scalarOperand(Importer &i, int input, double otherwise);
/// The value of a constant scalar operand, if it is one.
std::optional<double> constantScalar(Importer &i, ValueId v);

/// What a family brings to the table.
struct Family {
  std::vector<const OpDef *> ops;
  std::vector<OnnxRule> rules;
};

} // namespace planish::ops
