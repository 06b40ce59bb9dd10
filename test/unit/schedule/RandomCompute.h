// Random small computations of every shape that a template knows: odd sizes, groups, dilation,
// strides, padding, views, memory orders, in-place residuals, symbolic extents. The data are small
// integers, so that sums are exact in every order and forms can be compared bit for bit.
#pragma once

#include "planish/loop/Compute.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace planish::schedule::test {

class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t below(int64_t n) { return int64_t(engine() % uint64_t(n)); }
  bool chance(int percent) { return below(100) < percent; }
  int64_t pick(std::initializer_list<int64_t> v) { return *(v.begin() + below(int64_t(v.size()))); }

private:
  std::mt19937_64 engine;
};

struct Case {
  loop::Compute compute;
  std::vector<int64_t> scalars;  // values of compute.scalars
  std::string text;              // what it is, for messages
  bool exact = true;             // no transcendental function inside
};

/// `inPlace`: the output is also read, so that a place written twice shows.
Case randomCase(Random &random, bool inPlace = false);

/// The memory of the parameters of a function, filled with data (or a canary where it is written).
class Memory {
public:
  Memory(const std::vector<loop::Buffer> &params, const std::vector<Var> &scalars,
         const std::vector<int64_t> &values, uint64_t seed);
  std::vector<void *> pointers() const;
  std::vector<std::byte> &bytes(size_t param) { return storage[param]; }
  const std::vector<std::byte> &bytes(size_t param) const { return storage[param]; }

private:
  std::vector<std::vector<std::byte>> storage;
};

} // namespace planish::schedule::test
