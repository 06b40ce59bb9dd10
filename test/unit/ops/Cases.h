// Operators on small tensors against references written without the compiler: nested loops in double.
#pragma once

#include "planish/graph/Evaluate.h"
#include "planish/graph/Graph.h"
#include "planish/ops/Ops.h"

#include <functional>
#include <string>
#include <vector>

namespace planish::ops::test {

using Index = std::vector<int64_t>;

/// A tensor as plain numbers, row-major.
struct Numbers {
  DType dtype = DType::f32;
  Index shape;
  std::vector<double> values;

  double at(const Index &index) const {
    int64_t r = 0;
    for (size_t d = 0; d < shape.size(); ++d) r = r * shape[d] + index[d];
    return values.at(size_t(r));
  }
  /// The element, or `otherwise` where the index is outside.
  double at(const Index &index, double otherwise) const {
    for (size_t d = 0; d < shape.size(); ++d)
      if (index[d] < 0 || index[d] >= shape[d]) return otherwise;
    return at(index);
  }
};
using Inputs = std::vector<Numbers>;

/// One operator on given inputs: `reference` says element `at` of the output.
struct Case {
  std::string op, attrs;  // as text: "conv", "strides=[1, 1], ..."
  Inputs inputs;
  DType dtype;
  Index shape;  // of the output
  std::function<double(const Inputs &, const Index &)> reference;
  double tolerance = 1e-5;
  Inputs more = {};  // types of the results besides, where there are several
  int result = 0;    // the one that `reference` is about
};
/// What a reference says where an element has no meaning.
inline constexpr double kAnything = 12345678e200;
/// Results that are no case's business, by their types.
Numbers resultOf(DType dtype, Index shape);
std::ostream &operator<<(std::ostream &out, const Case &c);

/// Seeded values in [low, high).
Numbers random(Index shape, double low, double high, unsigned seed);
Numbers numbers(DType dtype, Index shape, std::vector<double> values);
int64_t sizeOf(const Index &shape);
Index unravel(int64_t position, const Index &shape);
/// The index of a broadcast operand.
Index aligned(const Numbers &operand, const Index &at);

/// The graph of the one node, through its text.
Result<graph::Graph> graphOf(const Case &c);
Result<Numbers> evaluated(const Case &c);

std::vector<Case> elementwiseCases();
std::vector<Case> windowCases();
std::vector<Case> movementCases();
std::vector<Case> reductionCases();
std::vector<Case> indexingCases();
std::vector<Case> selectionCases();
std::vector<Case> recurrentCases();
std::vector<Case> quantizationCases();

} // namespace planish::ops::test
