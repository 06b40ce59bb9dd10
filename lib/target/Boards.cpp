// FPGA boards. An 8-bit product: AMD's DSP48E2 takes two that share a factor (WP486), Arria 10 and Stratix 10
// two of 18 by 19 bits, Cyclone V three of 9 by 9. Clocks are what designs by high-level synthesis commonly
// reach on these parts; a build's own clock is in its timing report.
#include "planish/target/Board.h"

#include <algorithm>
#include <array>

namespace planish {

namespace {

constexpr std::array<Board, 6> kBoards{{
    {.target = "fpga-amd:zcu104",
     .device = "xczu7ev-ffvc1156-2-e",
     .vendor = FpgaVendor::Amd,
     .dsps = 1728,
     .productsPerDsp = 2,
     .wideProductDsps = 2,
     .memories = 312,
     .memoryBits = 36 << 10,
     .memoryWidth = 72,
     .largeMemories = 96,
     .megahertz = 250,
     .gigabytes = 19.2,
     .portBytes = 16,
     .sources = "AMD DS891 (XCZU7EV), UG1267 (64-bit DDR4-2400), UG1085 (128-bit HP ports)"},
    {.target = "fpga-amd:kv260",
     .device = "xck26-sfvc784-2LV-c",
     .vendor = FpgaVendor::Amd,
     .dsps = 1248,
     .productsPerDsp = 2,
     .wideProductDsps = 2,
     .memories = 144,
     .memoryBits = 36 << 10,
     .memoryWidth = 72,
     .largeMemories = 64,
     .megahertz = 250,
     .gigabytes = 19.2,
     .portBytes = 16,
     .sources = "AMD DS987 (K26: XCK26, 64-bit DDR4-2400), UG1085 (128-bit HP ports)"},
    {.target = "fpga-amd:u50",
     .device = "xcu50-fsvh2104-2-e",
     .vendor = FpgaVendor::Amd,
     .dsps = 5952,
     .productsPerDsp = 2,
     .wideProductDsps = 2,
     .memories = 1344,
     .memoryBits = 36 << 10,
     .memoryWidth = 72,
     .largeMemories = 640,
     .megahertz = 250,
     .gigabytes = 316,
     .portBytes = 32,
     .sources = "AMD DS965 (XCU50, HBM2 316 GB/s), PG276 (256-bit HBM ports)"},
    {.target = "fpga-intel:arria10",
     .device = "10AX115N2F40E2LG",
     .vendor = FpgaVendor::Intel,
     .dsps = 1518,
     .productsPerDsp = 2,
     .wideProductDsps = 1,
     .memories = 2713,
     .memoryBits = 20 << 10,
     .memoryWidth = 40,
     .megahertz = 250,
     .gigabytes = 34.1,
     .portBytes = 64,
     .sources = "Intel A10-OVERVIEW (GX 1150), Programmable Acceleration Card with Arria 10 (two banks of "
                "DDR4-2133)"},
    {.target = "fpga-intel:stratix10",
     .device = "1SX280HN2F43E2VG",
     .vendor = FpgaVendor::Intel,
     .dsps = 5760,
     .productsPerDsp = 2,
     .wideProductDsps = 1,
     .memories = 11721,
     .memoryBits = 20 << 10,
     .memoryWidth = 40,
     .megahertz = 300,
     .gigabytes = 76.8,
     .portBytes = 64,
     .sources =
         "Intel S10-OVERVIEW (SX 2800), Programmable Acceleration Card D5005 (four banks of DDR4-2400)"},
    {.target = "fpga-intel:de10-nano",
     .device = "5CSEBA6U23I7",
     .vendor = FpgaVendor::Intel,
     .dsps = 112,
     .productsPerDsp = 3,
     .wideProductDsps = 1,
     .memories = 553,
     .memoryBits = 10 << 10,
     .memoryWidth = 40,
     .megahertz = 120,
     .gigabytes = 3.2,
     .portBytes = 32,
     .sources = "Intel CV-51001 (Cyclone V SE A6), Terasic DE10-Nano user manual (32-bit DDR3-800)"},
}};

} // namespace

std::span<const Board> boards() { return kBoards; }

const Board *boardOf(std::string_view target) {
  auto it = std::ranges::find(kBoards, target, &Board::target);
  return it == kBoards.end() ? nullptr : &*it;
}

} // namespace planish
