// Independent pieces of work on all cores.
#pragma once

#include <cstddef>
#include <functional>

namespace planish {

/// Calls work(0) .. work(count - 1), on as many threads as there are cores, the calling one included, and
/// returns when all are done. The exception of the first piece that threw one is thrown on.
void inParallel(size_t count, const std::function<void(size_t)> &work);

} // namespace planish
