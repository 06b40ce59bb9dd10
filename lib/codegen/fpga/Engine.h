// The engine as source. Its stages are written once, in the part of C that both languages have; a dialect
// says how streams, memory and pragmas are spelled.
#pragma once

#include "Rows.h"

#include <string>

namespace planish::codegen::fpga {

/// HLS C++ for AMD's Vitis; `about` are lines of the comment at its top.
std::string hlsSource(const Folding &f, const Board &b, const std::vector<std::string> &about);

/// OpenCL C with Intel's channels.
std::string channelSource(const Folding &f, const Board &b, const std::vector<std::string> &about);

} // namespace planish::codegen::fpga
