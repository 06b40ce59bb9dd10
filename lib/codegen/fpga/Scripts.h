// What builds the engine with the vendor's tools. Written after their documentation; no tool has run it.
#pragma once

#include "planish/codegen/Fpga.h"
#include "planish/target/Board.h"

namespace planish::codegen::fpga {

/// By the end of the file's name.
std::vector<FpgaFile> scripts(const std::string &model, const Board &b);

} // namespace planish::codegen::fpga
