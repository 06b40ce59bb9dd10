// The part of the engine whose cycles and blocks can be measured without a board's tools: line buffer, window
// and the array of multipliers as Verilog.
#pragma once

#include "Rows.h"

#include <string>

namespace planish::codegen::fpga {

/// Module `planish_array`: reads the words of a map, hands out the sums of every pixel and block of outputs.
/// Its ports are explained in the text. One DSP block takes two products (AMD's 27 x 18 multiplier); on
/// Intel's devices a product is a multiplier of its own.
std::string arrayVerilog(const Folding &f, const Board &b);

/// Cycles from the first word it is given to its last sum, where words come without a pause and sums are
/// always taken. Of rows with products.
double arrayCycles(const Row &row);

} // namespace planish::codegen::fpga
