// Compiled models in this process, by the runtime's C interface.
#pragma once

#include "planish/runtime.h"

#include <memory>

namespace planish::tune {

struct CloseModel {
  void operator()(const planish_model *m) const { planish_close(m); }
};
struct DestroyInstance {
  void operator()(planish_instance *i) const { planish_destroy(i); }
};
using LoadedModel = std::unique_ptr<const planish_model, CloseModel>;
using Instance = std::unique_ptr<planish_instance, DestroyInstance>;

} // namespace planish::tune
