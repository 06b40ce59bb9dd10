// What is known of an FPGA board: sizes of its device and of its memory. Presets are rows of a table, each
// with the documents its figures are from.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace planish {

enum class FpgaVendor : uint8_t { Amd, Intel };

struct Board {
  std::string_view target;  // "fpga-amd:kv260"
  std::string_view device;  // the part
  FpgaVendor vendor = FpgaVendor::Amd;
  int64_t dsps = 0;            // DSP blocks
  int64_t productsPerDsp = 1;  // 8-bit products that one block takes in a cycle
  int64_t wideProductDsps = 1; // blocks of a product of 25 by 24 bits
  int64_t memories = 0;        // blocks of memory (BRAM36, M20K, M10K)
  int64_t memoryBits = 0;      // of one block
  int64_t memoryWidth = 0;     // most bits that one block gives in a cycle
  int64_t largeMemories = 0;   // UltraRAM, 288 Kbit each, 72 bits wide
  double megahertz = 0;        // assumed of the engine, no promise of a tool
  double gigabytes = 0;        // per second from memory, the peak
  int64_t portBytes = 0;       // that one port to memory takes in a cycle of the engine
  std::string_view sources;    // where the figures are from
};

std::span<const Board> boards();
/// Null where there is none of the name.
const Board *boardOf(std::string_view target);

} // namespace planish
