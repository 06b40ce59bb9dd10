#include "Rows.h"

#include <algorithm>

namespace planish::codegen::fpga {

namespace {

constexpr ColumnText kColumnTexts[] = {
#define PLANISH_FPGA_TEXT(name, about) {#name, about},
    PLANISH_FPGA_COLUMNS(PLANISH_FPGA_TEXT)
#undef PLANISH_FPGA_TEXT
};

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How the groups of a dense sum meet words and blocks.
struct Blocks {
  int64_t block = 0, blockWords = 0, blockStep = 0;
  int64_t groupsPerRow = 1;  // of the layer's groups, in one row
};

Result<Blocks> blocksOf(const Layer &l, const Folding &f) {
  if (l.sum != Sum::Dense) return Blocks{f.simd, 1, 1, 1};
  int64_t in = l.in.channels / l.groups, out = l.out.channels / l.groups;
  if (l.groups == 1) return Blocks{f.pe, ceilDiv(in, f.simd), 0, 1};
  // Whole groups in a word, so that a block of outputs reads one word.
  if (f.simd % in == 0 && out % in == 0 && f.simd / in * out <= f.pe)
    return Blocks{f.simd / in * out, 1, 1, l.groups};
  constexpr int64_t kMostGroups = 64; // each a sweep of its own
  if (l.groups > kMostGroups) return unsupported("its many groups do not fill words of the engine");
  return Blocks{f.pe, ceilDiv(in, f.simd), 0, 1};
}

/// A part of the output's columns, and the input it reads.
struct Strip {
  int64_t out = 0, outs = 0, in = 0, ins = 0, pad = 0;
};

Strip stripOf(const Window &w, int64_t from, int64_t count) {
  int64_t first = from * w.stride - w.pad, end = (from + count - 1) * w.stride - w.pad + w.span();
  int64_t begin = std::clamp<int64_t>(first, 0, w.in), last = std::clamp<int64_t>(end, begin, w.in);
  return {from, count, begin, last - begin, begin - first};
}

int64_t lineRows(const Window &h, int64_t rows) {
  return std::min(std::max<int64_t>(rows, 1), h.span() + h.stride);
}

Row commonRow(const Layer &l, const Blocks &b) {
  Row r{};
  r[k_op] = int32_t(l.sum);
  r[k_flags] = (l.requantizes ? kRequantizes : 0) | (l.codes.table.empty() ? 0 : kHasTable);
  r[k_in_row] = int32_t(l.in.row), r[k_in_pixel] = int32_t(l.in.pixel);
  r[k_kernel_h] = int32_t(l.height.kernel), r[k_kernel_w] = int32_t(l.width.kernel);
  r[k_stride_h] = int32_t(l.height.stride), r[k_stride_w] = int32_t(l.width.stride);
  r[k_dilation_h] = int32_t(l.height.dilation), r[k_dilation_w] = int32_t(l.width.dilation);
  r[k_pad_value] = l.padValue;
  r[k_block] = int32_t(b.block), r[k_block_words] = int32_t(b.blockWords),
  r[k_block_step] = int32_t(b.blockStep);
  r[k_out_row] = int32_t(l.out.row), r[k_out_pixel] = int32_t(l.out.pixel);
  r[k_zero] = l.codes.zero, r[k_least] = l.codes.least, r[k_most] = l.codes.most;
  if (!l.residual.empty()) {
    const Residual &res = l.residual[0];
    r[k_flags] |= kHasResidual | (res.codes.table.empty() ? 0 : kHasResidualTable);
    r[k_other_row] = int32_t(res.other.row), r[k_other_pixel] = int32_t(res.other.pixel);
    r[k_own_factor] = res.ownFactor, r[k_other_factor] = res.otherFactor;
    r[k_other_zero] = res.codes.zero, r[k_other_least] = res.codes.least, r[k_other_most] = res.codes.most;
  }
  return r;
}

bool fitsTable(const Layer &l) {
  auto fits = [](const Map &m, int64_t rows) {
    return m.base >= 0 && m.base + rows * m.row + m.pixel + m.channels < INT32_MAX;
  };
  return fits(l.in, l.height.in) && fits(l.out, l.height.out) &&
         (l.residual.empty() || fits(l.residual[0].other, l.height.out));
}

} // namespace

std::span<const ColumnText> columns() { return kColumnTexts; }

Result<std::vector<Row>> rowsOf(const Layer &l, const Folding &f) {
  if (!fitsTable(l)) return unsupported("its maps lie beyond 2 GB");
  PLANISH_ASSIGN(Blocks b, blocksOf(l, f));
  const bool dense = l.sum == Sum::Dense;
  const int64_t taps = l.height.kernel * l.width.kernel;
  const int64_t passGroups = l.groups / b.groupsPerRow;
  const int64_t inChannels = l.in.channels / passGroups, outChannels = l.out.channels / passGroups;
  const int64_t words = ceilDiv(inChannels, f.simd);

  // Blocks of one row: as many as weights and scales fit.
  int64_t most = f.channels / b.block;
  if (dense) most = std::min(most, f.weightWords / (taps * b.blockWords));
  if (most < 1) return unsupported("the weights of one block of its outputs do not fit on the chip");
  const int64_t blocks = ceilDiv(outChannels, b.block);
  const int64_t passes = ceilDiv(blocks, most), perPass = ceilDiv(blocks, passes);

  // Columns of one row: as many as the line buffer holds the window of.
  Strip rows = stripOf(l.height, 0, l.height.out);
  const int64_t ring = lineRows(l.height, rows.ins), widest = f.lineWords / (ring * words);
  int64_t columns = l.width.out;
  if (stripOf(l.width, 0, columns).ins > widest) columns = (widest - l.width.span()) / l.width.stride + 1;
  if (columns < 1 || widest < 1) return unsupported("its window does not fit into the line buffer");
  columns = ceilDiv(l.width.out, ceilDiv(l.width.out, columns));

  std::vector<Row> result;
  for (int64_t g = 0; g < passGroups; ++g)
    for (int64_t pass = 0; pass < passes; ++pass)
      for (int64_t from = 0; from < l.width.out; from += columns) {
        Strip s = stripOf(l.width, from, std::min(columns, l.width.out - from));
        Row r = commonRow(l, b);
        int64_t first = pass * perPass * b.block; // output channel of the group
        int64_t made = std::min(outChannels - first, perPass * b.block);
        int64_t out = g * outChannels + first;
        int64_t in = g * inChannels + (b.blockStep ? pass * perPass * b.blockStep * f.simd : 0);
        int64_t read = std::min(inChannels - (in - g * inChannels),
                                b.blockStep ? perPass * b.blockStep * f.simd : inChannels);
        r[k_in_base] = int32_t(l.in.base + rows.in * l.in.row + s.in * l.in.pixel + in);
        r[k_height] = int32_t(rows.ins), r[k_width] = int32_t(s.ins);
        r[k_channels_in] = int32_t(read), r[k_words] = int32_t(ceilDiv(read, f.simd));
        r[k_pad_h] = int32_t(rows.pad), r[k_pad_w] = int32_t(s.pad);
        r[k_line_rows] = int32_t(ring);
        r[k_out_h] = int32_t(l.height.out), r[k_out_w] = int32_t(s.outs);
        r[k_out_channels] = int32_t(made), r[k_blocks] = int32_t(ceilDiv(made, b.block));
        r[k_out_base] = int32_t(l.out.base + s.out * l.out.pixel + out);
        r[k_weights_words] = dense ? int32_t(r[k_blocks] * taps * b.blockWords) : 0;
        r[k_scales_base] = int32_t(out); // of the layer's own, until it has a place
        if (!l.residual.empty()) {
          const Map &o = l.residual[0].other;
          r[k_other_base] = int32_t(o.base + s.out * o.pixel + out);
        }
        result.push_back(r);
      }
  for (size_t i = 0; i < result.size(); ++i) {
    result[i][k_rows] = int32_t(result.size() - i);
    if (i > 0) result[i - 1][k_next_words] = result[i][k_weights_words];
  }
  return result;
}

namespace {

std::array<int32_t, 4> entryOf(const Scale &s) { return {s.bias, s.limit, s.multiplier, s.shift}; }

int32_t appendTable(Tables &t, const std::vector<uint8_t> &table) {
  auto at = int32_t(t.scales.size());
  for (size_t i = 0; i + 3 < table.size(); i += 4)
    t.scales.push_back({table[i], table[i + 1], table[i + 2], table[i + 3]});
  return at;
}

/// The weights of a row: words of [pe][simd], for every block, tap and word of a pixel.
void appendWeights(Tables &t, const Layer &l, const Row &r, int64_t firstOut, const Folding &f) {
  const int64_t in = l.in.channels / l.groups, out = l.out.channels / l.groups;
  const int64_t taps = l.height.kernel * l.width.kernel;
  const int64_t firstIn = firstOut / out * in;
  size_t at = t.weights.size();
  t.weights.resize(at + size_t(r[k_weights_words] * f.pe * f.simd));
  for (int64_t block = 0; block < r[k_blocks]; ++block)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t word = 0; word < r[k_block_words]; ++word)
        for (int64_t p = 0; p < f.pe; ++p)
          for (int64_t s = 0; s < f.simd; ++s, ++at) {
            int64_t o = firstOut + block * r[k_block] + p;                            // of the layer
            int64_t i = firstIn + (block * r[k_block_step] + word) * f.simd + s;      // of the layer
            if (p >= r[k_block] || o >= firstOut + r[k_out_channels] || i / in != o / out) continue;
            t.weights[at] = std::byte(l.weights[size_t((o * taps + tap) * in + i % in)]);
          }
}

} // namespace

void append(Tables &t, const Layer &l, std::vector<Row> rows, const Folding &f) {
  auto scales = int32_t(t.scales.size());
  for (const Scale &s : l.scales) t.scales.push_back(entryOf(s));
  int32_t table = l.codes.table.empty() ? 0 : appendTable(t, l.codes.table);
  int32_t otherScale = 0, otherTable = 0;
  if (!l.residual.empty()) {
    otherScale = int32_t(t.scales.size());
    t.scales.push_back(entryOf(l.residual[0].scale));
    if (!l.residual[0].codes.table.empty()) otherTable = appendTable(t, l.residual[0].codes.table);
  }
  int64_t placed = -1; // the output channel whose weights were appended last: strips share them
  int32_t place = 0;
  for (Row r : rows) {
    int64_t firstOut = r[k_scales_base];
    if (r[k_weights_words] && firstOut != placed) {
      placed = firstOut, place = int32_t(int64_t(t.weights.size()) / (f.pe * f.simd));
      appendWeights(t, l, r, firstOut, f);
    }
    r[k_weights_base] = place;
    r[k_scales_base] = l.requantizes ? scales + int32_t(firstOut) : 0;
    r[k_table_base] = table, r[k_other_scale] = otherScale, r[k_other_table] = otherTable;
    t.rows.push_back(r);
  }
}

} // namespace planish::codegen::fpga
