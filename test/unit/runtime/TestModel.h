// Compiled models by hand, and a system that can be told to refuse things.
#pragma once

#include "planish/runtime.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace planish::test {

/// x f32 [n, 3] and y f32 [n, 3] with n in 0..kMaxRows  ->  twice f32 [n, 3] = 2 (x + y), rows i64 [] = n.
/// Launch 0 adds into the arena by way of the scratch memory, launch 1 doubles out of it, launch 2 writes the
/// count; the sum is a listed value.
struct AddModel {
  static constexpr int64_t kMaxRows = 1000;
  planish_model model{};
  AddModel();
};

/// x u8 [4] -> y u8 [4], a copy, with constant shapes. `run` replaces what the model does.
struct CopyModel {
  planish_model model{};
  CopyModel();
};

/// Parts of the system the runtime uses, replaced for the whole test program.
struct System {
  std::atomic<int> allocations{0};
  std::atomic<bool> refuseMemory{false};
  std::atomic<int> threadsLeft{1 << 30}; ///< starts of threads that will still succeed
  std::atomic<int> threadsRunning{0}; ///< started and not joined
  std::atomic<bool> holdWorkers{false}; ///< new threads wait before they do anything
  std::atomic<uint32_t> cores{4};
};
System &testSystem();

/// An instance that is destroyed with the scope.
class Instance {
public:
  explicit Instance(const planish_model &model, int threads = 1);
  ~Instance() { planish_destroy(instance); }
  Instance(const Instance &) = delete;
  Instance &operator=(const Instance &) = delete;
  operator planish_instance *() const { return instance; }

private:
  planish_instance *instance = nullptr;
};

/// Runs an AddModel on rows of small integers that depend on `seed`, compares every element; the empty text
/// when all is right.
std::string checkAdd(planish_instance *instance, int64_t rows, uint32_t seed);

} // namespace planish::test
