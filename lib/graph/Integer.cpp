#include "planish/graph/Integer.h"

namespace planish::graph {

std::optional<ValueId> IntegerContext::append(const OpDef &op, Attrs attributes,
                                              std::vector<ValueId> operands) {
  auto made = graph.append(op, std::move(attributes), std::move(operands), loc);
  if (!made || made->size() != 1) return std::nullopt;
  return made->front();
}

int32_t wrapped32(int64_t value) { return int32_t(uint32_t(uint64_t(value))); }

} // namespace planish::graph
