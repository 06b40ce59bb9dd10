#include "Model.h"

#include "Array.h"

#include <algorithm>
#include <cmath>

namespace planish::codegen::fpga {

namespace {

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// UltraRAM: 4096 words of 72 bits.
constexpr int64_t kLargeWidth = 72, kLargeDepth = 4096;
/// Bits of a scale: bias, limit, 24 of a multiplier, 6 of a shift.
constexpr int64_t kScaleBits = 32 + 32 + 24 + 6;
/// Cycles until a stage of the pipeline hands on its first element, all stages together; of memory included.
constexpr double kPipeline = 150;

int64_t blocksOfMemory(int64_t width, int64_t depth, const Board &b) {
  return ceilDiv(width, b.memoryWidth) * ceilDiv(depth, b.memoryBits / b.memoryWidth);
}

} // namespace

Resources resourcesOf(const Folding &f, const Board &b) {
  Resources r;
  // Of a lane: two wide products by the scales, two by the factors of a residual sum.
  r.dsps = ceilDiv(f.pe * f.simd, b.productsPerDsp) + f.lanes * (2 * b.wideProductDsps + 2);
  r.memories = blocksOfMemory(f.pe * f.simd * 8, 2 * f.weightWords, b) +
               f.lanes * blocksOfMemory(kScaleBits, ceilDiv(f.channels, f.lanes), b);
  if (b.largeMemories) r.largeMemories = ceilDiv(f.simd * 8, kLargeWidth) * ceilDiv(f.lineWords, kLargeDepth);
  else r.memories += blocksOfMemory(f.simd * 8, f.lineWords, b);
  return r;
}

std::string_view Cycles::bound() const {
  struct Stage {
    double cycles;
    std::string_view name;
  };
  const Stage stages[] = {{compute, "compute"}, {memory, "memory"},         {weights, "weights"},
                          {load, "load"},       {requantize, "requantize"}, {store, "store"},
                          {fill, "fill"}};
  return std::ranges::max_element(stages, {}, &Stage::cycles)->name;
}

namespace {

/// The stages of one row; `fill` is what nothing overlaps.
Cycles rowCycles(const Row &r, const Folding &f, const Board &b) {
  Cycles c;
  const double pixels = double(r[k_out_h]) * r[k_out_w],
               beat = double(std::max<int64_t>(1, f.simd / b.portBytes));
  const double inBytes = double(r[k_width]) * r[k_in_pixel];
  const double words = double(r[k_width]) * r[k_words];
  c.load = r[k_height] * std::max(words, inBytes / double(f.simd) + 1) * beat;
  c.compute = pixels * r[k_blocks] * r[k_kernel_h] * r[k_kernel_w] * r[k_block_words];
  const double pieces = pixels * double(ceilDiv(r[k_out_channels], f.lanes));
  c.requantize = pieces;
  c.store =
      r[k_out_h] * std::max(pieces / r[k_out_h], double(r[k_out_w]) * r[k_out_pixel] / double(f.simd) + 1);
  const double weightBytes = double(r[k_weights_words]) * double(f.pe * f.simd);
  c.weights = weightBytes / double(b.portBytes);
  const double scaleBytes = r[k_flags] & kRequantizes ? 16.0 * r[k_out_channels] : 0;
  double other = r[k_flags] & kHasResidual ? pixels * r[k_out_channels] : 0;
  c.bytes = r[k_height] * inBytes + pixels * r[k_out_channels] + other + weightBytes + scaleBytes;
  const double perCycle = b.gigabytes * kMemoryShare * 1e3 / b.megahertz;
  c.memory = c.bytes / perCycle;
  // The line buffer fills up to the first window, and later where the window moves on faster than the map
  // comes; scales and tables come before the first result.
  const double waits = (arrayCycles(r) - c.compute) * beat;
  const double scales =
      scaleBytes / 16 + (r[k_flags] & kHasTable ? 64 : 0) + (r[k_flags] & kHasResidualTable ? 64 : 0);
  c.fill = std::max(waits, scales);
  return c;
}

} // namespace

Cycles cyclesOf(std::span<const Row> rows, const Folding &f, const Board &b) {
  Cycles sum;
  for (size_t i = 0; i < rows.size(); ++i) {
    Cycles c = rowCycles(rows[i], f, b);
    // The first row's weights are waited for, those of the others come beside the row before.
    if (i == 0) sum.fill += kPipeline + c.weights;
    double next = i + 1 < rows.size() ? rowCycles(rows[i + 1], f, b).weights : 0;
    sum.fill += c.fill;
    sum.total += std::max({c.load, c.compute, c.requantize, c.store, next, c.memory});
    sum.load += c.load, sum.compute += c.compute, sum.requantize += c.requantize, sum.store += c.store;
    sum.weights += next, sum.memory += c.memory, sum.bytes += c.bytes;
  }
  sum.total += sum.fill;
  return sum;
}

namespace {

/// Cycles of all layers; of those that do not fit, as many as a tenth of the engine would take.
double cyclesOf(std::span<const Layer> layers, const Folding &f, const Board &b) {
  double total = 0;
  for (const Layer &l : layers) {
    auto rows = rowsOf(l, f);
    constexpr double kHostShare = 10;
    total += rows ? cyclesOf(*rows, f, b).total : kHostShare * double(l.macs()) / double(f.pe * f.simd);
  }
  return total;
}

/// Words of the line buffer: half of the large memories, or an eighth of the others.
int64_t lineWordsOf(int64_t simd, const Board &b) {
  if (b.largeMemories)
    return std::max<int64_t>(1, b.largeMemories / 2 / ceilDiv(simd * 8, kLargeWidth)) * kLargeDepth;
  int64_t deep = b.memoryBits / b.memoryWidth;
  return std::max<int64_t>(1, b.memories / 8 / ceilDiv(simd * 8, b.memoryWidth)) * deep;
}

} // namespace

Folding chooseFolding(std::span<const Layer> layers, const Board &b) {
  constexpr int64_t kMostPe = 512, kLeastWords = 128, kMostWords = 2048, kLeastLanes = 4, kMostLanes = 16;
  Folding best;
  double least = INFINITY;
  for (int64_t simd : {4, 8, 16, 32, 64})
    for (int64_t pe = simd; pe <= kMostPe; pe += simd)
      for (int64_t lanes = kLeastLanes; lanes <= std::min(simd, kMostLanes); lanes *= 2)
        for (int64_t words = kLeastWords; words <= kMostWords; words *= 2) {
          Folding f{simd, pe, lanes, words, lineWordsOf(simd, b)};
          Resources r = resourcesOf(f, b);
          if (double(r.dsps) > kBudget * double(b.dsps) || double(r.memories) > kBudget * double(b.memories))
            continue;
          double cycles = cyclesOf(layers, f, b);
          if (cycles >= least) continue;
          least = cycles, best = f;
        }
  return best;
}

} // namespace planish::codegen::fpga
