#include "planish/support/Parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace planish {

void inParallel(size_t count, const std::function<void(size_t)> &work) {
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> thrown(count);
  auto run = [&] {
    for (size_t i; (i = next++) < count;) {
      try {
        work(i);
      } catch (...) { thrown[i] = std::current_exception(); }
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (size_t t = 1; t < std::min<size_t>(count, std::thread::hardware_concurrency()); ++t)
        threads.emplace_back(run);
    } catch (const std::system_error &) {
      // The system refuses more threads: those there are do all the work.
    }
    run();
  }
  for (const std::exception_ptr &e : thrown)
    if (e) std::rethrow_exception(e);
}

} // namespace planish
