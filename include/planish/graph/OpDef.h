// One operator, one row. A row answers every question that the importer, passes and lowering ask;
// none of them switches on the operator.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/loop/Compute.h"

#include <span>
#include <string_view>

namespace planish::graph {

/// All that fusion asks.
enum class OpClass : uint8_t {
  Elementwise,  // out[i] from in[i] of operands of the output's shape (or broadcast ones)
  Injective,    // out[i] from some elements of the input: gather, pad, resize
  Movement,     // bytes are moved or merely renamed: reshape, transpose, slice, concat
  Reduction,    // pooling, reductions
  Contraction,  // convolution, matmul
  Opaque,
};

/// All that layout asks: how the output likes to lie in memory.
enum class LayoutRule : uint8_t {
  ChannelsLast,  // dimension 1 innermost: windows over images
  FollowInput,   // as the first operand of the output's rank
  RowMajor,
};

/// How an operator stands between real numbers and their 8-bit codes; all others work on what they get.
enum class Coding : uint8_t {
  None,
  Encodes,  // (x, scale, zero): the codes of real numbers
  Decodes,  // (codes, scale, zero?): the real numbers that codes stand for
};

/// Nodes that run regions. The regions' inputs are the last operands; their results are the node's.
enum class Control : uint8_t {
  None,
  If,  // operand 0 chooses: region 0 where it is true, region 1 where it is false
};

/// Where a value lives inside somebody's memory: element (i, ...) at offset + sum i*strides.
struct View {
  std::vector<loop::Expr> strides;
  loop::Expr offset;
};

/// A value alone in its memory, in the order its layout says.
View denseView(const TensorType &type);

class InferContext {
public:
  virtual ~InferContext() = default;
  virtual int inputs() const = 0;
  virtual bool has(int input) const = 0;
  virtual const TensorType &in(int input) const = 0;
  virtual const Attrs &attrs() const = 0;
  virtual std::span<const Graph> regions() const = 0;
  /// Known elements of a small integer operand.
  virtual std::optional<std::vector<loop::Expr>> elements(int input) const = 0;
  virtual Result<Dim> derive(const loop::Expr &size) = 0;
};

/// What `compute` and the view questions see. Buffers have the logical shapes; strides are whatever
/// the plan (or the reference evaluator: dense) gives.
struct OpView {
  const Attrs &attrs;
  std::vector<TensorType> inTypes;
  TensorType outType;
  std::vector<loop::Buffer> in;  // null for absent operands
  loop::Buffer out;
};

struct IntegerContext;
struct IntegerValue;

/// What `loops` sees: one buffer per operand (null where absent) and per result.
struct LoopsView {
  const Attrs &attrs;
  std::vector<TensorType> inTypes, outTypes;
  std::vector<loop::Buffer> in, out;
};

/// An operator's meaning stands in `compute` or in `loops`.
struct OpDef {
  std::string_view name;      // its spelling in text: "conv"
  std::string_view summary;   // docs/operators.md is generated from the table
  std::string_view operands;  // "x, w, bias?"; "x..." for any number
  OpClass cls = OpClass::Opaque;
  LayoutRule layout = LayoutRule::FollowInput;
  Control control = Control::None;
  Attrs prototype;            // an attribute struct with default values

  /// Output types, or what is wrong with operands and attributes.
  Result<std::vector<TensorType>> (*infer)(InferContext &) = nullptr;
  /// The meaning index by index, of operators with one result.
  loop::Compute (*compute)(const OpView &) = nullptr;
  /// The meaning as statements: for sorts, recurrences and results whose size depends on data. Every
  /// element of every result is written before it is read; loops may be parallel or vectorized.
  loop::Stmt (*loops)(const LoopsView &) = nullptr;
  /// Where the output lives if it is a view of input 0's memory; nothing where it must be copied.
  std::optional<View> (*outputView)(const OpView &, const View &input) = nullptr;
  /// Where input i lives if the output's memory is given: the inverse of a bijective view, or a part
  /// of a concatenation.
  std::optional<View> (*inputView)(const OpView &, int input, const View &output) = nullptr;
  Coding coding = Coding::None;
  /// The operator on codes, as an exact integer (graph/Integer.h); nothing where it must stay with real
  /// numbers. Absent: what `compute` says is enough (moving and picking, sums, products, limits, functions
  /// of one value), or there is no integer form.
  std::optional<IntegerValue> (*integer)(IntegerContext &) = nullptr;
};

/// Whether as many operands are given as `operands` names; the error says what is missing or too much.
Status checkOperands(const OpDef &op, std::span<const ValueId> inputs);

/// A graph's operator named in text; null if there is none.
const OpDef *findOp(std::span<const OpDef *const> ops, std::string_view name);

/// The node that holds a fused group: one region whose inputs are the node's operands in order.
extern const OpDef kFused;

/// Space axes over the output's shape, named like the dimensions of an image where that fits, with
/// out, outIndices filled: the start of most `compute` functions.
loop::Compute overOutput(const OpView &v, std::string name);
/// Index of an operand element that broadcasts (ONNX rules) to output indices `at`: trailing
/// dimensions align, size 1 reads index 0, unequal symbols clamp.
std::vector<loop::Expr> broadcastIndices(const OpView &v, int input, const std::vector<loop::Expr> &at);

} // namespace planish::graph
