#include "Array.h"

#include "planish/support/Text.h"

#include <algorithm>

namespace planish::codegen::fpga {

namespace {

/// `@NAME@` are numbers, `@products@` the multipliers of a pair of outputs.
constexpr std::string_view kModule = R"V(
// Line buffer, window and array of multipliers of the engine for @BOARD@, made by Planish.
//
// Weights are written first: word by word, one of PE * SIMD bytes for every block, tap and word of a pixel. After
// `start`, with the sizes held still, words of the map are taken while in_ready; each sum of PE outputs stands for
// one cycle beside out_valid, in the order of pixels and blocks. `done` follows the last one.
module planish_array (
  input wire clk,
  input wire reset,
  input wire start,
  // Counts of one row of the table, and, in words of the map, its distances: a row, the whole map, the line
  // buffer's ring; from the window's first row at the start (negative where it is padded) to behind its last;
  // what a step of the window and of a tap is worth, down and to the right.
  input wire [15:0] kernel_h, kernel_w, out_h, out_w, blocks, block_words, block_step,
  input wire signed [31:0] row_words, total, capacity,
  input wire signed [31:0] first_top, first_bottom, stride_down, dilation_down,
  input wire signed [31:0] first_left, stride_right, dilation_right,
  input wire [7:0] pad_value,
  input wire weight_write,
  input wire [@WEIGHT_BITS@:0] weight_to,
  input wire [@WEIGHT_TOP@:0] weight,
  input wire in_valid,
  output wire in_ready,
  input wire [@WORD_TOP@:0] in_word,
  output reg out_valid,
  output wire [@SUMS_TOP@:0] out_sums,
  output reg done
);
  reg [@WORD_TOP@:0] lines [0:@LINE_WORDS@ - 1];
  reg [@WEIGHT_TOP@:0] weights [0:@WEIGHT_WORDS@ - 1];
  always @(posedge clk) if (weight_write) weights[weight_to] <= weight;

  // Where the window stands, in words: row oy, and within it pixel, block, tap and word.
  reg running;
  reg signed [31:0] top, bottom, filled, slot, ring_begin, left, y, x;
  reg [15:0] oy, ox, ob, kh, kw, c;
  reg [31:0] block_at, weight_at;
  wire signed [31:0] oldest = top > 0 ? top : 0;
  wire signed [31:0] needed = bottom > total ? total : bottom > 0 ? bottom : 0;
  wire signed [31:0] room = oldest + capacity;
  wire signed [31:0] ahead = room < total ? room : total;
  wire emitting = running && oy < out_h && filled >= needed;
  wire take = running && (oy < out_h ? filled < (filled < needed ? needed : ahead) : filled < total);
  assign in_ready = take;

  // The ring holds a word of the map at its place modulo the ring.
  wire is_inside = y >= 0 && y < total && x >= 0 && x < row_words;
  wire signed [31:0] in_ring = y - ring_begin;
  wire signed [31:0] line = in_ring >= capacity ? in_ring - capacity : in_ring;
  wire [31:0] line_at = line + x + block_at + {16'd0, c};

  wire last_c = c + 1 == block_words, last_kw = kw + 1 == kernel_w, last_kh = kh + 1 == kernel_h;
  wire last_ob = ob + 1 == blocks, last_ox = ox + 1 == out_w;
  wire last_step = last_c && last_kw && last_kh, last_block = last_step && last_ob;
  wire signed [31:0] next_top = top + stride_down;
  wire signed [31:0] next_left = last_ox ? first_left : left + stride_right;
  wire signed [31:0] next_oldest = next_top > 0 ? next_top : 0;

  always @(posedge clk) begin
    if (reset) begin
      running <= 0;
    end else if (start) begin
      running <= 1;
      top <= first_top; y <= first_top; bottom <= first_bottom; left <= first_left; x <= first_left;
      ring_begin <= 0; filled <= 0; slot <= 0; weight_at <= 0; block_at <= 0;
      oy <= 0; ox <= 0; ob <= 0; kh <= 0; kw <= 0; c <= 0;
    end else begin
      if (take && in_valid) begin
        lines[slot] <= in_word;
        slot <= slot + 1 == capacity ? 0 : slot + 1;
        filled <= filled + 1;
      end
      if (emitting) begin
        weight_at <= last_block ? 0 : weight_at + 1;
        c <= last_c ? 0 : c + 1;
        if (last_c) begin
          kw <= last_kw ? 0 : kw + 1;
          x <= last_block ? next_left : last_kw ? left : x + dilation_right;
        end
        if (last_c && last_kw) begin
          kh <= last_kh ? 0 : kh + 1;
          y <= last_block && last_ox ? next_top : last_kh ? top : y + dilation_down;
        end
        if (last_step) begin
          ob <= last_ob ? 0 : ob + 1;
          block_at <= last_ob ? 0 : block_at + block_step;
        end
        if (last_block) begin
          ox <= last_ox ? 0 : ox + 1;
          left <= next_left;
        end
        if (last_block && last_ox) begin
          oy <= oy + 1;
          top <= next_top;
          bottom <= bottom + stride_down;
          if (next_oldest - ring_begin >= capacity) ring_begin <= ring_begin + capacity;
        end
      end
      if (running && oy == out_h && filled == total) running <= 0;
    end
  end

  // Read, multiply, add, accumulate: one stage each.
  reg read_valid, read_first, read_last, product_valid, product_first, product_last, tree_valid, tree_first, tree_last;
  reg read_inside, was_running;
  reg [1:0] ending;
  reg [@WORD_TOP@:0] read_line;
  reg [@WEIGHT_TOP@:0] read_weight;
  wire [@WORD_TOP@:0] tap = read_inside ? read_line : {@SIMD@{pad_value}};
  always @(posedge clk) begin
    read_line <= lines[line_at];
    read_weight <= weights[weight_at];
    read_inside <= is_inside;
    read_valid <= emitting;
    read_first <= c == 0 && kh == 0 && kw == 0;
    read_last <= last_step;
    product_valid <= read_valid; product_first <= read_first; product_last <= read_last;
    tree_valid <= product_valid; tree_first <= product_first; tree_last <= product_last;
    out_valid <= !reset && tree_valid && tree_last;
    was_running <= !reset && running;
    ending <= {ending[0], !reset && was_running && !running};
    done <= !reset && ending[1];
  end

  genvar p, s;
  generate
    for (p = 0; p < @PE@; p = p + @STEP@) begin : outputs
@products@
    end
  endgenerate
endmodule
)V";

/// Two outputs share a multiplier: (w1 * 2^18 + w0) * x. The low product is taken off before the high one is
/// read.
constexpr std::string_view kPairs = R"V(      wire [45 * @SIMD@ - 1:0] products;
      for (s = 0; s < @SIMD@; s = s + 1) begin : inputs
        wire signed [7:0] w0 = read_weight[8 * (p * @SIMD@ + s) +: 8];
        wire signed [7:0] w1 = read_weight[8 * ((p + 1) * @SIMD@ + s) +: 8];
        wire signed [26:0] both = $signed({w1, 18'd0}) + w0;
        wire signed [17:0] x = {10'd0, tap[8 * s +: 8]};
        reg signed [44:0] product;
        always @(posedge clk) product <= both * x;
        assign products[45 * s +: 45] = product;
      end
      reg signed [31:0] even, odd, even_sum, odd_sum, even_acc, odd_acc;
      integer i;
      always @* begin
        even = 0;
        odd = 0;
        for (i = 0; i < @SIMD@; i = i + 1) begin
          even = even + $signed(products[45 * i +: 18]);
          odd = odd + $signed(products[45 * i + 18 +: 27]);
          if (products[45 * i + 17]) odd = odd + 1;
        end
      end
      always @(posedge clk) begin
        even_sum <= even;
        odd_sum <= odd;
        if (tree_valid) begin
          even_acc <= (tree_first ? 0 : even_acc) + even_sum;
          odd_acc <= (tree_first ? 0 : odd_acc) + odd_sum;
        end
      end
      assign out_sums[32 * p +: 32] = even_acc;
      assign out_sums[32 * (p + 1) +: 32] = odd_acc;)V";

constexpr std::string_view kSingles = R"V(      wire [17 * @SIMD@ - 1:0] products;
      for (s = 0; s < @SIMD@; s = s + 1) begin : inputs
        wire signed [7:0] w = read_weight[8 * (p * @SIMD@ + s) +: 8];
        wire signed [8:0] x = {1'b0, tap[8 * s +: 8]};
        reg signed [16:0] product;
        always @(posedge clk) product <= x * w;
        assign products[17 * s +: 17] = product;
      end
      reg signed [31:0] partial, sum, acc;
      integer i;
      always @* begin
        partial = 0;
        for (i = 0; i < @SIMD@; i = i + 1) partial = partial + $signed(products[17 * i +: 17]);
      end
      always @(posedge clk) begin
        sum <= partial;
        if (tree_valid) acc <= (tree_first ? 0 : acc) + sum;
      end
      assign out_sums[32 * p +: 32] = acc;)V";

std::string filled(std::string_view text, const std::vector<std::pair<std::string, std::string>> &values) {
  std::string r(text);
  for (const auto &[name, value] : values)
    for (size_t at = r.find("@" + name + "@"); at != std::string::npos; at = r.find("@" + name + "@"))
      r.replace(at, name.size() + 2, value);
  return r;
}

int64_t bitsFor(int64_t count) {
  int64_t bits = 1;
  while ((int64_t(1) << bits) < count) ++bits;
  return bits;
}

} // namespace

std::string arrayVerilog(const Folding &f, const Board &b) {
  bool pairs = b.vendor == FpgaVendor::Amd;
  return filled(kModule.substr(1), {{"products", std::string(pairs ? kPairs : kSingles)},
                                    {"BOARD", std::string(b.target)},
                                    {"STEP", pairs ? "2" : "1"},
                                    {"PE", std::to_string(f.pe)},
                                    {"SIMD", std::to_string(f.simd)},
                                    {"WORD_TOP", std::to_string(8 * f.simd - 1)},
                                    {"WEIGHT_TOP", std::to_string(8 * f.pe * f.simd - 1)},
                                    {"SUMS_TOP", std::to_string(32 * f.pe - 1)},
                                    {"WEIGHT_BITS", std::to_string(bitsFor(f.weightWords) - 1)},
                                    {"WEIGHT_WORDS", std::to_string(f.weightWords)},
                                    {"LINE_WORDS", std::to_string(f.lineWords)}});
}

double arrayCycles(const Row &r) {
  constexpr double kStages = 4;
  const double rowWords = double(r[k_width]) * r[k_words];
  const double steps = double(r[k_out_w]) * r[k_blocks] * r[k_kernel_h] * r[k_kernel_w] * r[k_block_words];
  const int64_t span = int64_t(r[k_kernel_h] - 1) * r[k_dilation_h] + 1;
  double cycles = kStages, filled = 0;
  const double total = r[k_height] * rowWords;
  for (int64_t oy = 0; oy < r[k_out_h]; ++oy) {
    const int64_t top = oy * r[k_stride_h] - r[k_pad_h], oldest = std::max<int64_t>(top, 0);
    const double needed = double(std::clamp<int64_t>(top + span, 0, r[k_height])) * rowWords;
    const double ahead = std::min(total, double(oldest + r[k_line_rows]) * rowWords);
    const double wait = std::max(0.0, needed - filled);
    filled = std::max(filled, std::min(ahead, filled + wait + steps));
    cycles += wait + steps;
  }
  return cycles;
}

} // namespace planish::codegen::fpga
