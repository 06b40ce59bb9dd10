// The table: every family, in the order of docs/operators.md.
#include "Rows.h"

namespace planish::ops {

static const Family &table() {
  static const Family all = [] {
    Family r;
    for (Family (*family)() :
         {elementwiseFamily, convolutionFamily,   matmulFamily,       einsumFamily,     poolingFamily,
          reductionFamily,   normalizationFamily, movementFamily,     indexingFamily,   resizeFamily,
          samplingFamily,    shapeFamily,         quantizationFamily, recurrentFamily,  sortingFamily,
          selectionFamily,   scatterFamily,       regionFamily,       deformableFamily, controlFamily}) {
      Family f = family();
      r.ops.insert(r.ops.end(), f.ops.begin(), f.ops.end());
      r.rules.insert(r.rules.end(), f.rules.begin(), f.rules.end());
    }
    return r;
  }();
  return all;
}

std::span<const OpDef *const> allOps() { return table().ops; }
std::span<const OnnxRule> allOnnxRules() { return table().rules; }

const OnnxRule *ruleFor(std::string_view domain, std::string_view opType, int version) {
  const OnnxRule *best = nullptr;
  for (const OnnxRule &r : allOnnxRules())
    if (r.opType == opType && r.domain == domain && r.since <= version && (!best || best->since < r.since))
      best = &r;
  return best;
}

} // namespace planish::ops
