// Which values of a graph of real numbers become codes: structure alone, no numbers.
#pragma once

#include "Questions.h"

#include <functional>
#include <vector>

namespace planish::transform {

/// How a node would compute on codes.
enum class Role : uint8_t {
  Real,      // not at all
  Sum,       // a contraction with constant weights: an exact sum
  Shift,     // a constant per channel, added to such a sum
  Limits,    // bounds (ReLU, Clip) of what an integer kernel gives: bounds of its codes
  Function,  // of one value that has codes: a table
  Pair,      // +, - or * of two values that have codes
  Whole,     // the row's own integer form of one value that has codes
  Picks,     // moves or picks elements
};

/// What becomes codes, by value and by node index.
struct CodePlan {
  std::vector<Role> role;       // by node
  std::vector<ValueId> origin;  // by value: what the result of a Function depends on; kAbsent otherwise
  std::vector<bool> coded;      // by value

  bool isFunctionOf(ValueId value, ValueId from) const { return origin[value.index] == from; }
};

/// `keptReal` says which nodes must stay with real numbers. `tables`: a function reads codes of the sum
/// before it.
CodePlan planCodes(const Graph &g, const std::function<bool(const Node &)> &keptReal, bool tables);

} // namespace planish::transform
