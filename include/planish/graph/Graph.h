// Graph IR: a typed SSA dataflow graph. Handles are indices into arrays the Graph owns, nodes stand
// in topological order, so a Graph is a plain value: copy it, compare it, print it, parse it back.
// Types come only from the operators' inference. Passes build a new Graph (Rebuilder) instead of
// editing one.
#pragma once

#include "planish/graph/Attrs.h"
#include "planish/ir/Types.h"
#include "planish/loop/IR.h"
#include "planish/support/Result.h"

#include <compare>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace planish::graph {

struct NodeId {
  uint32_t index;
  auto operator<=>(const NodeId &) const = default;
};
struct ValueId {
  uint32_t index;
  auto operator<=>(const ValueId &) const = default;
};
inline constexpr ValueId kAbsent{UINT32_MAX};  // an optional operand that is not given

struct OpDef;
class Graph;

/// The bytes of a constant, dense in the logical order of dimensions. Shared, never copied.
using Bytes = std::shared_ptr<const std::vector<std::byte>>;

/// The user's node (or nodes, once merged) that a node came from; carried through every rewrite.
struct Loc {
  std::vector<std::string> onnxNodes;
};
Loc merged(const Loc &a, const Loc &b);

struct Node {
  const OpDef *op = nullptr;
  Attrs attrs;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<Graph> regions;  // `fused` has one: its body
  Loc loc;
};

struct Value {
  TensorType type;
  std::string name;             // the ONNX name, or a made one; unique in the graph
  std::optional<NodeId> def;    // absent for graph inputs and constants
  Bytes data;                   // constants only
  bool isConstant() const { return bool(data); }
};

/// A run-time size: that of a graph input's dimension, an element of a value that a node computes (a
/// count that depends on data), or an expression of earlier symbols that the host function evaluates. A
/// region sees the symbols of the graph around it; those that are none of the three are given to it.
struct Symbol {
  Var var;
  loop::Expr definition;        // of a size that is computed from others
  int input = -1, dim = -1;     // the graph input's dimension
  ValueId value = kAbsent;      // the integer value that holds the size ...
  int64_t element = 0;          // ... at this position
};

class Graph {
public:
  Graph() = default;
  /// An empty graph for a region of a node of `outer`: it sees the same symbols, no values.
  static Graph regionOf(const Graph &outer);

  std::span<const Node> nodes() const { return nodeList; }
  std::span<const Value> values() const { return valueList; }
  const Node &operator[](NodeId id) const { return nodeList[id.index]; }
  const Value &operator[](ValueId id) const { return valueList[id.index]; }
  const TensorType &type(ValueId id) const { return valueList[id.index].type; }
  std::span<const ValueId> inputs() const { return inputList; }
  std::span<const ValueId> outputs() const { return outputList; }
  std::span<const Symbol> symbols() const { return symbolList; }

  ValueId addInput(TensorType type, std::string name);
  /// An input that stands for a value of the graph around this region: with its type and what is known of it.
  ValueId addCapture(const Graph &outer, ValueId value);
  ValueId addConstant(TensorType type, Bytes data, std::string name = "");
  /// The values in logical order, one per element, each of the dtype's own type.
  template <class T>
  ValueId addConstant(DType dtype, const std::vector<int64_t> &shape, const std::vector<T> &values,
                      std::string name = "");
  /// Appends a node after type inference, the only way to make one. Empty attributes are
  /// the operator's defaults; names default to made ones.
  Result<std::vector<ValueId>> append(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs, Loc loc,
                                      std::vector<std::string> names = {}, std::vector<Graph> regions = {});
  void setOutputs(std::vector<ValueId> values);
  /// Gives a value the name the user knows it by (made unique if taken).
  void rename(ValueId value, std::string name);
  /// Passes run on the regions of control flow as well: what one of them has made of a node's regions.
  void setRegions(NodeId node, std::vector<Graph> regions);
  /// Only the layout pass says how a value lies in memory.
  void setLayout(ValueId value, Layout layout);

  /// A dimension of the given size: a constant where the expression folds, an existing symbol of the
  /// same definition, else a new one whose bounds come from interval analysis.
  Result<Dim> derive(const loop::Expr &size);
  /// The symbol of a graph input's free dimension. Equal names in one graph are the same symbol.
  Var addInputSymbol(std::string name, int64_t lower, int64_t upper, int input, int dim);
  /// The size that element `position` of an integer value has when the graph runs: a symbol, which every
  /// run checks to lie in [lower, upper], or a constant where these leave no choice.
  Dim sizeHeldBy(ValueId value, int64_t position, int64_t lower, int64_t upper);

  /// The elements of a small (at most 64) integer or boolean value in order, as expressions of symbols, where
  /// they are known: of constants, shapes, and whatever is computed from those.
  std::optional<std::vector<loop::Expr>> elements(ValueId value) const;

  /// Which nodes read each value (by value index); graph outputs are not counted.
  std::vector<std::vector<NodeId>> uses() const;
  /// How often each value is a graph output or holds a size, by value index.
  std::vector<int> outputUses() const;

  /// Structural equality: operators, attributes, types, constants' bytes, wiring; not names or locations.
  bool operator==(const Graph &other) const;

private:
  friend class Rebuilder;
  friend class TextParser;
  friend class Verifier;
  friend Graph withoutDeadNodes(const Graph &g);

  /// Says which value holds a size, so that the value's elements are known by it.
  void bindSize(const Var &symbol, ValueId value);
  ValueId addValue(Value value);
  std::string uniqueName(std::string wished);
  std::string unusedSymbolName() const;
  bool hasSymbolNamed(const std::string &name) const;
  Var addSymbol(Symbol symbol);
  /// A known element of a constant or of a value with facts.
  std::optional<loop::Expr> element(ValueId value, int64_t position) const;
  /// Works out the elements of a node's only result where the operands' elements say them.
  std::vector<loop::Expr> knownResults(const OpDef &op, const Attrs &attrs, std::span<const ValueId> inputs,
                                       const TensorType &type) const;

  std::vector<Node> nodeList;
  std::vector<Value> valueList;
  std::vector<ValueId> inputList, outputList;
  std::vector<Symbol> symbolList;
  std::vector<std::vector<loop::Expr>> elementFacts; // by value index; empty: unknown
  std::unordered_set<std::string> names; // of all values
  uint32_t madeNames = 0;
};

/// Number of elements of a shape; nothing where a dimension is a symbol.
std::optional<int64_t> elementCount(const Shape &shape);

/// Elements of a constant as their own type.
template <class T> std::span<const T> dataOf(const Value &constant) {
  PLANISH_CHECK(constant.data && sizeof(T) == size_t(byteSize(constant.type.dtype)), "data of another type");
  return {reinterpret_cast<const T *>(constant.data->data()), constant.data->size() / sizeof(T)};
}

template <class T>
ValueId Graph::addConstant(DType dtype, const std::vector<int64_t> &shape, const std::vector<T> &values,
                           std::string name) {
  PLANISH_CHECK(sizeof(T) == size_t(byteSize(dtype)), "elements of another type");
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T element = values[i];
    std::memcpy(bytes->data() + i * sizeof(T), &element, sizeof(T));
  }
  return addConstant({dtype, Shape(shape.begin(), shape.end()), {}, {}}, std::move(bytes), std::move(name));
}

/// How a pass rewrites: walk the old graph's nodes in order, append to the new one what each becomes.
class Rebuilder {
public:
  /// Copies inputs, symbols; constants follow when used. `old` must outlive the rebuilder.
  explicit Rebuilder(const Graph &old);
  const Graph &old() const { return before; }
  Graph &graph() { return after; }

  /// What an old value has become (constants are copied on first use).
  ValueId operator()(ValueId oldValue);
  std::vector<ValueId> operator()(std::span<const ValueId> oldValues);
  bool has(ValueId oldValue) const;
  /// Says what an old value becomes. A new value with a made name takes the old one's.
  void replace(ValueId oldValue, ValueId newValue);
  /// Whether `newValue` may stand for `oldValue` also where that is a graph output: the user's name of
  /// an output must not move to an input, a constant or another output.
  bool mayReplace(ValueId oldValue, ValueId newValue) const;
  /// Appends the node as it is, over the mapped inputs; layouts stay.
  Status copy(NodeId node);
  /// Sets the outputs, drops nodes that nothing needs; names of outputs survive.
  Result<Graph> finish();

private:
  /// Symbols that the old value holds are held by the new one.
  void moveSizes(ValueId oldValue, ValueId newValue);

  const Graph &before;
  Graph after;
  std::vector<ValueId> map;
};

/// The graph without nodes, constants and symbols that no output needs.
Graph withoutDeadNodes(const Graph &g);

} // namespace planish::graph
