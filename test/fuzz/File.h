// Bytes as a file, for readers that take a path.
#pragma once

#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace planish::fuzz {

/// The path of a file in memory that holds `data` until the next call; empty where it cannot be written.
inline std::string fileOf(const uint8_t *data, size_t size) {
  static const int file = memfd_create("input", 0);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != ssize_t(size)) return {};
  return "/proc/self/fd/" + std::to_string(file);
}

} // namespace planish::fuzz
