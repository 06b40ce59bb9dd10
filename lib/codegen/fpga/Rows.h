// The layer table: what the engine is told. A row is one sweep over an input map with weights that fit on the
// chip; a layer is one or more rows that do not depend on each other.
#pragma once

#include "Layer.h"

#include "planish/target/Board.h"

#include <array>
#include <cstddef>

namespace planish::codegen::fpga {

/// What of the engine is a matter of resources.
struct Folding {
  int64_t simd = 16; // input channels at a time: bytes of a word; a power of two
  int64_t pe = 16; // output channels at a time: a multiple of simd
  int64_t lanes = 8; // outputs requantized at a time: a power of two, at most simd
  int64_t weightWords = 256; // of pe * simd weights, in each of two banks
  int64_t lineWords = 4096; // of simd bytes, in the line buffer
  int64_t channels = 2048; // most output channels of a row
  auto operator<=>(const Folding &) const = default;
};

/// The columns of the table, in order: X(name, what it says).
#define PLANISH_FPGA_COLUMNS(X)                                                                              \
  X(rows, "rows of this layer that follow, counting this one")                                               \
  X(op, "0 products with weights, 1 largest, 2 sum, each of 1 and 2 by channel")                             \
  X(flags, "1 requantize, 2 table, 4 residual, 8 table behind the residual")                                 \
  X(in_base, "byte of the first channel read, in the activations")                                           \
  X(in_row, "bytes from one row to the next")                                                                \
  X(in_pixel, "bytes from one pixel to the next")                                                            \
  X(height, "rows read")                                                                                     \
  X(width, "pixels of a row read")                                                                           \
  X(channels_in, "channels read")                                                                            \
  X(words, "words of a pixel read")                                                                          \
  X(kernel_h, "taps")                                                                                        \
  X(kernel_w, "taps")                                                                                        \
  X(stride_h, "")                                                                                            \
  X(stride_w, "")                                                                                            \
  X(dilation_h, "")                                                                                          \
  X(dilation_w, "")                                                                                          \
  X(pad_h, "rows missing before the first")                                                                  \
  X(pad_w, "pixels missing before the first")                                                                \
  X(pad_value, "what missing pixels read as")                                                                \
  X(line_rows, "rows that the line buffer holds")                                                            \
  X(out_h, "rows made")                                                                                      \
  X(out_w, "pixels of a row made")                                                                           \
  X(out_channels, "channels made")                                                                           \
  X(blocks, "blocks of channels made")                                                                       \
  X(block, "channels of a block")                                                                            \
  X(block_words, "words of a pixel that a block reads")                                                      \
  X(block_step, "words from one block's first to the next one's")                                            \
  X(out_base, "byte of the first channel made")                                                              \
  X(out_row, "bytes from one row to the next")                                                               \
  X(out_pixel, "bytes from one pixel to the next")                                                           \
  X(weights_base, "first word of the weights")                                                               \
  X(weights_words, "words of weights")                                                                       \
  X(scales_base, "first scale: bias, limit, multiplier, shift of a channel")                                 \
  X(zero, "")                                                                                                \
  X(least, "")                                                                                               \
  X(most, "")                                                                                                \
  X(table_base, "first scale-sized entry of the table, 4 codes in each")                                     \
  X(other_base, "byte of the residual's first channel")                                                      \
  X(other_row, "")                                                                                           \
  X(other_pixel, "")                                                                                         \
  X(own_factor, "of the code, in the residual sum")                                                          \
  X(other_factor, "of the residual")                                                                         \
  X(other_scale, "the residual sum's scale")                                                                 \
  X(other_zero, "")                                                                                          \
  X(other_least, "")                                                                                         \
  X(other_most, "")                                                                                          \
  X(other_table, "as table_base, behind the residual")                                                       \
  X(next_words, "words of weights of the row that follows in this layer")

enum Column : uint8_t {
#define PLANISH_FPGA_ENUMERATOR(name, about) k_##name,
  PLANISH_FPGA_COLUMNS(PLANISH_FPGA_ENUMERATOR)
#undef PLANISH_FPGA_ENUMERATOR
      kColumns
};
struct ColumnText {
  const char *name, *about;
};
std::span<const ColumnText> columns();

using Row = std::array<int32_t, kColumns>;

enum RowFlags : uint8_t { kRequantizes = 1, kHasTable = 2, kHasResidual = 4, kHasResidualTable = 8 };

/// The rows of one layer, without places in the weights and scales; an error where the engine of that folding
/// cannot run it.
Result<std::vector<Row>> rowsOf(const Layer &layer, const Folding &folding);

/// Everything that the engine reads beside activations.
struct Tables {
  std::vector<Row> rows;
  std::vector<std::byte> weights; // pe * simd bytes a word, [out channel][in channel]
  std::vector<std::array<int32_t, 4>> scales;
};
/// Appends a layer's rows, weights and scales.
void append(Tables &tables, const Layer &layer, std::vector<Row> rows, const Folding &folding);

} // namespace planish::codegen::fpga
