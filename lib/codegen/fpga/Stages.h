// The stages of the engine, between memory and memory:
//
//   dispatch -> rows to all others
//   load -> window -> multiply -> requantize -> store
//   weights ------------^  scales --^  other --^
//
// Every stage runs the rows of one layer in order. In the texts `READ(s)` and `WRITE(s, x)` are of streams,
// `FETCH(m, i)` and `EMIT(...)` of memory; `@pipeline` and `@unroll` behind a loop's head, `@registers x` and
// `@independent x` on lines of their own stand for the vendor's pragmas.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace planish::codegen::fpga {

struct Stream {
  std::string_view name, type;
};
/// A port to memory of its own.
struct Port {
  std::string_view name, type;
  bool bursts = false; // asked for by REQUEST_READ or REQUEST_WRITE, else indexed
  bool written = false;
};
struct Stage {
  std::string_view name, about;
  std::vector<Stream> in, out;
  std::vector<Port> ports;
  std::string_view scalars; // parameters before the count of rows, each with a comma behind it
  std::string_view body;
};
std::span<const Stage> stages();

/// Functions that stages share.
std::string_view sharedFunctions();

} // namespace planish::codegen::fpga
