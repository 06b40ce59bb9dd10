#include "planish/loop/Program.h"

namespace planish::loop {

std::vector<int64_t> constantOffsets(const Program &p) {
  constexpr int64_t kAlignment = 64;
  std::vector<int64_t> r;
  int64_t end = 0;
  for (const ConstantData &c : p.constants) {
    end = (end + kAlignment - 1) / kAlignment * kAlignment;
    r.push_back(end);
    end += int64_t(c.bytes->size());
  }
  return r;
}

} // namespace planish::loop
