#include "Scripts.h"

#include "planish/support/Text.h"

namespace planish::codegen::fpga {

namespace {

/// Vitis HLS (UG1399): an IP for the block design of an embedded board.
std::string vitisScript(const std::string &model, const Board &b) {
  return "# Synthesizes the engine of '" + model + "': vitis_hls -f " + model + "_engine.tcl\n" +
         "# From 2025.1 on: vitis-run --mode hls --tcl " + model + "_engine.tcl\n" + "open_project -reset " +
         model + "_engine\n" + "add_files " + model + "_engine.cpp\n" + "set_top planish_engine\n" +
         "open_solution -reset solution -flow_target vivado\n" + "set_part " + std::string(b.device) + "\n" +
         "create_clock -period " + textOf(1e3 / b.megahertz) + "ns\n" +
         "csynth_design\nexport_design -format ip_catalog\nexit\n";
}

/// Intel FPGA SDK for OpenCL (last version 22.4); BOARD is the board support package's name.
std::string aocScript(const std::string &model) {
  return "# Compiles the engine of '" + model + "' with Intel's FPGA SDK for OpenCL:\n" + "#   make -f " +
         model + "_engine.mk report BOARD=...   a report, in minutes\n" + "#   make -f " + model +
         "_engine.mk engine BOARD=...   a bitstream, in hours\n" + "AOC ?= aoc\n\n" + "report: " + model +
         "_engine.cl\n\t$(AOC) -rtl -report -board=$(BOARD) $< -o " + model + "_engine.aocr\n\n" +
         "engine: " + model + "_engine.cl\n\t$(AOC) -board=$(BOARD) $< -o " + model + "_engine.aocx\n\n" +
         ".PHONY: report engine\n";
}

} // namespace

std::vector<FpgaFile> scripts(const std::string &model, const Board &b) {
  if (b.vendor == FpgaVendor::Amd) return {{"_engine.tcl", vitisScript(model, b)}};
  return {{"_engine.mk", aocScript(model)}};
}

} // namespace planish::codegen::fpga
