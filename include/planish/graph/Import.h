// How an operator's row meets an ONNX node: what the file said, already typed, and the graph to
// append to. The onnx room fills an OnnxNode and calls the rule of its operator and version.
#pragma once

#include "planish/graph/OpDef.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace planish::graph {

struct ConstantTensor {
  TensorType type;
  Bytes data;
};
using AttributeValue = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                                    std::vector<std::string>, ConstantTensor>;

/// A graph attribute (a branch of an If, the body of a Loop or Scan) with the values around it in scope.
class OnnxBody {
public:
  virtual ~OnnxBody() = default;
  virtual int inputs() const = 0;
  virtual int outputs() const = 0;
  /// Appends the body's nodes to the graph around it, over the given inputs; what its outputs are.
  virtual Result<std::vector<ValueId>> inlined(const std::vector<ValueId> &inputs) = 0;
  /// The values around it that the body reads, constants excepted.
  virtual Result<std::vector<ValueId>> captures() = 0;
  /// The body as a region. Its inputs: the given types, then the captured values.
  virtual Result<Graph> region(const std::vector<TensorType> &inputs,
                               const std::vector<ValueId> &captured) = 0;
};

struct OnnxNode {
  std::string opType, domain, name;
  int version = 0;              // opset version of the domain in this model
  std::map<std::string, AttributeValue, std::less<>> attributes;
  std::map<std::string, std::shared_ptr<OnnxBody>, std::less<>> bodies;
  std::vector<ValueId> inputs;  // kAbsent where empty
  std::vector<DType> stored;    // by input: of f32 values, what the file has them as (f32, f16 or bf16)
  int outputs = 1;              // number of outputs the node names
};

/// What an import rule works with. Attribute getters return the default where the file has none and
/// record an error naming the attribute where it has another type; `append` and the others record
/// the first error and keep going with harmless values, so rules read straight. The importer looks
/// at `error()` when the rule returns.
class Importer {
public:
  Importer(Graph &graph, const OnnxNode &node) : g(graph), n(node) {}
  const OnnxNode &node() const { return n; }
  Graph &graph() { return g; }

  int64_t intAttr(std::string_view name, int64_t otherwise);
  double floatAttr(std::string_view name, double otherwise);
  std::string stringAttr(std::string_view name, std::string otherwise);
  std::vector<int64_t> intsAttr(std::string_view name, std::vector<int64_t> otherwise);
  std::vector<double> floatsAttr(std::string_view name, std::vector<double> otherwise);
  std::vector<std::string> stringsAttr(std::string_view name, std::vector<std::string> otherwise);
  /// The graph attribute; null, and an error, where there is none.
  OnnxBody *body(std::string_view name);
  bool hasAttr(std::string_view name) const { return n.attributes.contains(name); }

  bool has(int input) const { return size_t(input) < n.inputs.size() && n.inputs[size_t(input)] != kAbsent; }
  ValueId in(int input);                        // records "misses operand i" where absent
  const TensorType &type(ValueId v) const { return g.type(v); }
  /// What the file has an operand as, where that computes as f32: f32, f16 or bf16.
  DType stored(int input) const {
    return size_t(input) < n.stored.size() ? n.stored[size_t(input)] : DType::f32;
  }
  /// The same of the results; unless a rule says so it is that of the first operand that is no f32.
  DType storedResult() const;
  void storeAs(DType type) { results = type; }
  /// Known integer elements of an operand (a shape, axes ...); an error says that the operand must be
  /// computable from constants and input sizes.
  std::vector<loop::Expr> elements(int input);
  /// The same, all constant.
  std::vector<int64_t> constants(int input);

  ValueId append(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs);  // one output
  std::vector<ValueId> appendAll(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs, size_t results,
                                 std::vector<Graph> regions = {});
  /// What a Result holds; its error is recorded.
  template <class T> T taken(Result<T> r) {
    if (r) return *std::move(r);
    if (!problem) problem = r.error();
    return T{};
  }
  ValueId scalar(DType dtype, double value);                                  // a rank-0 constant
  ValueId constant(DType dtype, std::vector<int64_t> shape, const std::vector<double> &values);
  Dim derive(const loop::Expr &size);
  /// An axis in [0, rank), negative ones counted from the end; else an error naming `what`.
  int axis(int64_t value, int rank, std::string_view what = "axis");

  void fail(std::string text);         // bad input: attribute or operand values
  void fail(Diagnostic error);         // what a rule used on the way complains about
  void notSupported(std::string text); // exit 3
  const std::optional<Diagnostic> &error() const { return problem; }

private:
  Graph &g;
  const OnnxNode &n;
  std::optional<Diagnostic> problem;
  std::optional<DType> results;
};

/// One ONNX operator from version `since` of its domain up to the next row's.
struct OnnxRule {
  std::string_view opType;
  int since = 1;
  std::vector<ValueId> (*import)(Importer &) = nullptr;  // one value per output, kAbsent for unused ones
  std::string_view domain = "";                          // "" is ai.onnx
  bool doubles = false;  // computes operands of f64 as they are; others get them as f32
};

} // namespace planish::graph
