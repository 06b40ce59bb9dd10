// Facts about a device that schedules and emitters read. Presets are rows of a table; nothing else
// in the compiler asks for a device by name.
#pragma once

#include "planish/ir/Types.h"
#include "planish/support/Result.h"

#include <string>
#include <string_view>
#include <vector>

namespace planish {

enum class DeviceKind : uint8_t { Cpu, OpenCl, Cuda, Fpga };

enum class Architecture : uint8_t { X86_64, Arm64, Arm32 };

/// What estimates of time take for true of a CPU that nobody measured; zeros where nothing is known.
struct Assumed {
  double gigahertz = 0;
  double multiplies = 0;  // vector multiply-adds begun in a cycle
  double loads = 0;       // vectors read in a cycle
  double gigabytes = 0;   // per second from memory
};

struct Board;

struct Target {
  std::string name;                   // as the user wrote it, resolved: "cpu:znver5"
  DeviceKind device = DeviceKind::Cpu;
  Architecture architecture = Architecture::X86_64;
  bool bare = false;                  // no operating system: no threads, memory is the caller's
  std::string triple, cpu;            // LLVM's spelling; of a CUDA device "sm_80" alone
  std::vector<std::string> features;  // "+avx512vnni" ..., beyond what `cpu` implies
  int vectorBytes = 64;               // widest vector register to use
  int registers = 32;                 // vector registers
  bool fma = true;
  bool strict = false;                // floats as every target computes them: no multiply-add is fused
  bool dot4 = false;                  // u8 x s8 dot products of four
  bool signedDot4 = false;            // s8 x s8 dot products of four
  bool laneOperands = false;          // a multiply takes one lane of a register for all lanes
  bool inOrder = false;               // what waits for a load stops everything behind it
  bool bytePermute = false;           // any bytes of two registers in one instruction
  bool maskedMemory = true;           // cheap masked loads and stores
  int cores = 4;                      // that may share a kernel; how many there are is the library's to see
  int64_t l1Bytes = 32 << 10, l2Bytes = 1 << 20;
  int64_t groupItems = 1;             // work-items that share local memory; 1: nothing is gained by groups
  int64_t localBytes = 0;             // of a group
  int64_t warpItems = 1;              // neighbouring items that run in step
  bool byteMatrices = false;          // a warp multiplies matrices of bytes, 16 x 32 by 32 x 8, as one
  bool asyncCopies = false;           // memory is copied to local memory while items compute
  Assumed assumed;
  const Board *board = nullptr;       // of an FPGA
  uint64_t requiredIsa = 0;           // bits of the runtime's ISA mask that create() must find

  int lanes(DType t) const { return vectorBytes / byteSize(t); }
};

/// "cpu" (this machine), "cpu:x86-64-v3", "cpu:x86-64-v4+avx512vnni", "cpu:cortex-a76", "bare:cortex-a53",
/// "opencl:gpu", "cuda:sm_87", "fpga-amd:kv260".
Result<Target> parseTarget(std::string_view text);
/// One line per preset, for --list-targets.
std::vector<std::string> listTargets();

} // namespace planish
