// The fields of attributes as a list: what equality, printing and the search for symbols derive from.
#pragma once

#include "planish/graph/Attrs.h"

#include <string>
#include <variant>
#include <vector>

namespace planish::graph {

/// A value of an enumeration with the spellings of its kind.
struct Choice {
  int index = 0;
  std::span<const std::string_view> spellings;
  bool operator==(const Choice &other) const { return index == other.index; }
};

struct Field {
  std::string_view name;
  std::variant<int64_t, double, bool, DType, std::vector<int64_t>, std::vector<double>, Shape, Choice> value;
};

std::vector<Field> fieldsOf(const Attrs &attrs);

/// Equal values; doubles by their bits, so that NaN equals itself; symbols by identity.
bool equal(const Field &a, const Field &b);

} // namespace planish::graph
