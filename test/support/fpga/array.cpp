// Runs the engine's array (planish_array, by Verilator) on one row of its table with random words and
// weights, checks every sum, and prints the cycles from the first word to the last sum. Arguments: name=value
// of the row's columns.
#include "Vplanish_array.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

std::map<std::string, int> r; // the row

template <class Port> void setByte(Port &port, int index, uint8_t value) {
  reinterpret_cast<uint8_t *>(&port)[index] = value;
}
template <class Port> int32_t wordOf(const Port &port, int index) {
  return reinterpret_cast<const int32_t *>(&port)[index];
}

struct Data {
  std::vector<uint8_t> map; // [height][width][words][SIMD]
  std::vector<int8_t> weights; // [blocks][taps][block_words][PE][SIMD]
};

Data randomData() {
  std::mt19937 random(7);
  Data d;
  d.map.resize(size_t(r["height"] * r["width"] * r["words"]) * SIMD);
  d.weights.resize(size_t(r["weights_words"]) * PE * SIMD);
  for (uint8_t &x : d.map) x = uint8_t(random());
  for (int8_t &w : d.weights) w = int8_t(random());
  return d;
}

/// Sums of one pixel and block.
std::vector<int32_t> expected(const Data &d, int oy, int ox, int ob) {
  std::vector<int32_t> sums(PE, 0);
  int word = ob * r["kernel_h"] * r["kernel_w"] * r["block_words"];
  for (int kh = 0; kh < r["kernel_h"]; ++kh)
    for (int kw = 0; kw < r["kernel_w"]; ++kw)
      for (int c = 0; c < r["block_words"]; ++c, ++word) {
        const int y = oy * r["stride_h"] - r["pad_h"] + kh * r["dilation_h"];
        const int x = ox * r["stride_w"] - r["pad_w"] + kw * r["dilation_w"];
        const bool inside = y >= 0 && y < r["height"] && x >= 0 && x < r["width"];
        for (int p = 0; p < PE; ++p)
          for (int s = 0; s < SIMD; ++s) {
            const int channel = ob * r["block_step"] + c;
            const int at = ((y * r["width"] + x) * r["words"] + channel) * SIMD + s;
            const int value = inside ? d.map[size_t(at)] : r["pad_value"];
            sums[size_t(p)] += value * d.weights[size_t((word * PE + p) * SIMD + s)];
          }
      }
  return sums;
}

void tick(Vplanish_array &v) {
  v.clk = 0;
  v.eval();
  v.clk = 1;
  v.eval();
}

void prepare(Vplanish_array &v, const Data &d) {
  const int row = r["width"] * r["words"];
  v.reset = 1;
  v.start = v.in_valid = v.weight_write = 0;
  v.kernel_h = r["kernel_h"], v.kernel_w = r["kernel_w"], v.out_h = r["out_h"], v.out_w = r["out_w"];
  v.blocks = r["blocks"], v.block_words = r["block_words"], v.block_step = r["block_step"];
  v.row_words = row, v.total = r["height"] * row, v.capacity = r["line_rows"] * row;
  v.first_top = -r["pad_h"] * row;
  v.first_bottom = ((r["kernel_h"] - 1) * r["dilation_h"] + 1 - r["pad_h"]) * row;
  v.stride_down = r["stride_h"] * row, v.dilation_down = r["dilation_h"] * row;
  v.first_left = -r["pad_w"] * r["words"];
  v.stride_right = r["stride_w"] * r["words"], v.dilation_right = r["dilation_w"] * r["words"];
  v.pad_value = r["pad_value"];
  tick(v);
  v.reset = 0;
  for (int w = 0; w < r["weights_words"]; ++w) {
    v.weight_write = 1, v.weight_to = w;
    for (int i = 0; i < PE * SIMD; ++i) setByte(v.weight, i, uint8_t(d.weights[size_t(w * PE * SIMD + i)]));
    tick(v);
  }
  v.weight_write = 0;
  v.start = 1;
  tick(v);
  v.start = 0;
}

} // namespace

int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t equals = text.find('=');
    if (equals != std::string::npos) r[text.substr(0, equals)] = std::atoi(text.c_str() + equals + 1);
  }
  const Data d = randomData();
  Vplanish_array v;
  prepare(v, d);
  const int sums = r["out_h"] * r["out_w"] * r["blocks"];
  const long most = 1000 + 100L * (long(d.map.size()) + long(sums) * r["weights_words"]);
  int seen = 0;
  size_t given = 0;
  long cycles = 0, last = 0;
  for (; cycles < most && !v.done; ++cycles) {
    v.in_valid = given < d.map.size();
    for (int s = 0; s < SIMD && v.in_valid; ++s) setByte(v.in_word, s, d.map[given + size_t(s)]);
    v.clk = 0;
    v.eval();
    const bool taken = v.in_valid && v.in_ready;
    v.clk = 1;
    v.eval();
    if (taken) given += SIMD;
    if (!v.out_valid) continue;
    const int ob = seen % r["blocks"], pixel = seen / r["blocks"];
    const std::vector<int32_t> want = expected(d, pixel / r["out_w"], pixel % r["out_w"], ob);
    for (int p = 0; p < PE; ++p)
      if (wordOf(v.out_sums, p) != want[size_t(p)]) {
        std::fprintf(stderr, "sum %d of output %d is %d, not %d\n", p, seen, wordOf(v.out_sums, p),
                     want[size_t(p)]);
        return 1;
      }
    ++seen;
    last = cycles + 1;
  }
  if (seen != sums || given != d.map.size() || !v.done) {
    std::fprintf(stderr, "%d of %d sums, %zu of %zu bytes taken\n", seen, sums, given, d.map.size());
    return 1;
  }
  std::printf("%ld\n", last);
  return 0;
}
