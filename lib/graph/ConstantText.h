// Small constants as lists of numbers.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/support/Text.h"

namespace planish::graph {

/// Whether the constant is written out in text: up to 32 elements, all of which read back as the same bits.
bool isSmall(const Value &constant);
/// "[1, 2, 3]" in logical order.
std::string elementsText(const Value &constant);
/// Reads what elementsText wrote.
Result<Bytes> parseElements(Lexer &lexer, const TensorType &type);

} // namespace planish::graph
