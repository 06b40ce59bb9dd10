// The rows that import rules of several families append, and the families themselves.
#pragma once

#include "Common.h"
#include "planish/ops/Ops.h"

namespace planish::ops {

// ---- elementwise (ElementwiseTable.cpp) ----------------------------------------------------------

enum class Unary : uint8_t {
  Relu,
  Neg,
  Abs,
  Sign,
  Exp,
  Log,
  Sqrt,
  Reciprocal,
  Tanh,
  Erf,
  Sin,
  Cos,
  Tan,
  Asin,
  Acos,
  Atan,
  Sinh,
  Cosh,
  Asinh,
  Acosh,
  Atanh,
  Floor,
  Ceil,
  Round,
  Sigmoid,
  Silu,
  Softplus,
  Softsign,
  HardSwish,
  Mish,
  Gelu,
  GeluTanh,
  Not,
  IsNan,
  LeakyRelu,
  Elu,
  Selu,
  Celu,
  ThresholdedRelu,
  HardSigmoid,
  Swish,
  Shrink,
  Clip,
  IsInf,
  kCount
};
enum class Binary : uint8_t {
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Fmod,
  Min,
  Max,
  Pow,
  Less,
  LessOrEqual,
  Equal,
  And,
  Or,
  Xor,
  BitAnd,
  BitOr,
  BitXor,
  ShiftLeft,
  ShiftRight,
  PRelu,
  kCount
};
const OpDef &row(Unary fn);
/// What the function makes of an element.
Expr valueOf(Unary fn, const Expr &x, double alpha = 0, double beta = 0);
const OpDef &row(Binary fn);

/// Parameters of the unary functions that have some; clip's bounds are alpha and beta.
struct UnaryAttrs {
  double alpha = 0, beta = 0;
  void visit(FieldVisitor &v) { v.field("alpha", alpha), v.field("beta", beta); }
};
extern const OpDef kWhere, kBitCast;
/// The type of an ONNX element type's number, where values of it are computed.
std::optional<DType> computedType(int64_t onnxType);

ValueId apply(Importer &i, Unary fn, ValueId x);
ValueId apply(Importer &i, Unary fn, ValueId x, double alpha, double beta);
ValueId apply(Importer &i, Binary fn, ValueId a, ValueId b);
/// The same with a scalar second operand.
ValueId apply(Importer &i, Binary fn, ValueId a, double b);

// ---- movement ------------------------------------------------------------------------------------

struct ShapeAttrs {
  Shape shape;
  void visit(FieldVisitor &v) { v.field("shape", shape); }
};
struct PermAttrs {
  Ints perm;
  void visit(FieldVisitor &v) { v.field("perm", perm); }
};
/// out[i] = in[begin + i*step]; all per dimension of the input.
struct SliceAttrs {
  Shape begin;
  Ints steps;
  Shape size;
  void visit(FieldVisitor &v) { v.field("begin", begin), v.field("steps", steps), v.field("size", size); }
};
/// The sizes of dimensions [begin, end) of a tensor.
struct SizesAttrs {
  int64_t begin = 0, end = 0;
  void visit(FieldVisitor &v) { v.field("begin", begin), v.field("end", end); }
};
extern const OpDef kReshape, kTranspose, kSlice, kConcat, kBroadcast, kTile, kShape;
/// The part [begin, begin+size) of one axis.
ValueId sliced(Importer &i, ValueId x, int axis, const Expr &begin, const Expr &size, int64_t step = 1);
ValueId broadcastTo(Importer &i, ValueId x, Shape shape);

// ---- padding, gathering, resizing ----------------------------------------------------------------

enum class PadMode : uint8_t { Constant, Reflect, Edge, Wrap };
std::span<const std::string_view> spellings(PadMode);
struct PadAttrs {
  Ints begin, end;
  PadMode mode = PadMode::Constant;
  double value = 0;
  void visit(FieldVisitor &v) {
    v.field("begin", begin), v.field("end", end), v.field("mode", mode), v.field("value", value);
  }
};
extern const OpDef kPad, kGather;

// ---- windows, contractions, reductions -----------------------------------------------------------

struct ConvAttrs {
  Ints strides, dilations, padsBegin, padsEnd;
  int64_t group = 1;
  void visit(FieldVisitor &v) {
    v.field("strides", strides), v.field("dilations", dilations), v.field("pads_begin", padsBegin);
    v.field("pads_end", padsEnd), v.field("group", group);
  }
};
struct ConvTransposeAttrs {
  Ints strides, dilations, padsBegin, padsEnd, outputPadding;
  int64_t group = 1;
  void visit(FieldVisitor &v) {
    v.field("strides", strides), v.field("dilations", dilations), v.field("pads_begin", padsBegin);
    v.field("pads_end", padsEnd), v.field("output_padding", outputPadding), v.field("group", group);
  }
};
extern const OpDef kConv, kConvTranspose, kMatmul;

enum class Reduce : uint8_t { Sum, Mean, Max, Min, Prod, kCount };
struct ReduceAttrs {
  Ints axes;
  bool keepDims = true;
  void visit(FieldVisitor &v) { v.field("axes", axes), v.field("keep_dims", keepDims); }
};
const OpDef &row(Reduce fn);
ValueId apply(Importer &i, Reduce fn, ValueId x, Ints axes, bool keepDims = true);

// ---- control -------------------------------------------------------------------------------------

using ImportRule = std::vector<ValueId> (*)(Importer &);
/// A rule that wants the axes in an operand constant, for every set of axes of `rank` dimensions that a run
/// may give: an if over them. Axes that are known go straight to the rule. A run whose axes are none fails.
/// `possible` is the sum of 2^axis over the axes that may be meant.
std::vector<ValueId> overAxes(Importer &i, int operand, int rank, ImportRule rule, int64_t possible = -1);

// ---- families ------------------------------------------------------------------------------------

Family elementwiseFamily();
Family movementFamily();
Family indexingFamily();
Family convolutionFamily();
Family poolingFamily();
Family matmulFamily();
Family einsumFamily();
Family reductionFamily();
Family normalizationFamily();
Family resizeFamily();
Family samplingFamily();
Family shapeFamily();
Family quantizationFamily();
Family recurrentFamily();
Family sortingFamily();
Family selectionFamily();
Family scatterFamily();
Family regionFamily();
Family deformableFamily();
Family controlFamily();

} // namespace planish::ops
