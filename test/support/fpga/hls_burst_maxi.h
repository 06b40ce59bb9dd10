// What emitted engines use of hls::burst_maxi (AMD UG1399), for emulation: requests first, then exactly as
// many elements in order. Anything else ends the program, as it would hang on a board.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ap_int.h"

namespace hls {

template <class T> class burst_maxi {
public:
  explicit burst_maxi(T *memory, std::size_t elements) : memory(memory), elements(elements) {}
  void read_request(std::size_t first, std::size_t count) { request(toRead, first, count, "read"); }
  T read() {
    T made;
    std::memcpy(&made, memory + next(toRead, "read"), sizeof(T));
    return made;
  }
  void write_request(std::size_t first, std::size_t count) { request(toWrite, first, count, "write"); }
  void write(const T &value, ap_int<int(sizeof(T))> bytes) {
    auto *to = reinterpret_cast<unsigned char *>(memory + next(toWrite, "write"));
    auto *from = reinterpret_cast<const unsigned char *>(&value);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      if (uint64_t(int64_t(bytes)) >> i & 1) to[i] = from[i];
  }
  void write_response() {
    if (toWrite.left) fail("a response before all is written");
  }

private:
  struct Burst {
    std::size_t at = 0, left = 0;
  };
  T *memory;
  std::size_t elements;
  Burst toRead, toWrite;

  [[noreturn]] static void fail(const char *what) {
    std::fprintf(stderr, "engine: %s\n", what);
    std::_Exit(3);
  }
  void request(Burst &b, std::size_t first, std::size_t count, const char *) {
    if (b.left) fail("a request before the one before is done");
    if (first > elements || count > elements - first) fail("a request outside of memory");
    b = {first, count};
  }
  std::size_t next(Burst &b, const char *) {
    if (!b.left) fail("an access that was not requested");
    --b.left;
    return b.at++;
  }
};

} // namespace hls
