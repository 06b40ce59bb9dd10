#include "Cpus.h"

#include "planish/abi.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <array>

namespace planish {
namespace {

constexpr std::array<Preset, 14> kPresets{{
    {"x86-64-v2", 32 << 10, 256 << 10, "SSE4.2"},
    {"x86-64-v3", 32 << 10, 256 << 10, "AVX2 and FMA"},
    {"x86-64-v4", 32 << 10, 1 << 20, "AVX-512 without VNNI"},
    {"haswell", 32 << 10, 256 << 10, "Intel 2013, AVX2"},
    {"skylake", 32 << 10, 256 << 10, "Intel 2015, AVX2"},
    {"skylake-avx512", 32 << 10, 1 << 20, "Intel 2017, AVX-512"},
    {"cascadelake", 32 << 10, 1 << 20, "Intel 2019, AVX-512 VNNI"},
    {"icelake-server", 48 << 10, 1280 << 10, "Intel 2021, AVX-512 VNNI"},
    {"alderlake", 32 << 10, 1280 << 10, "Intel 2021, AVX2 and AVX-VNNI"},
    {"sapphirerapids", 48 << 10, 2 << 20, "Intel 2023, AVX-512 VNNI"},
    {"znver2", 32 << 10, 512 << 10, "AMD 2019, AVX2"},
    {"znver3", 32 << 10, 512 << 10, "AMD 2020, AVX2"},
    {"znver4", 32 << 10, 1 << 20, "AMD 2022, AVX-512 VNNI"},
    {"znver5", 48 << 10, 1 << 20, "AMD 2024, AVX-512 VNNI"},
}};

#define PLANISH_ROW(index, enumerator, text, leaf, subleaf, reg, bit, state) Feature{index, text},
constexpr Feature kFeatures[] = {PLANISH_X86_FEATURES(PLANISH_ROW)};
#undef PLANISH_ROW

constexpr std::array<std::string_view, 13> kNeverUsed{
    "aes",      "pclmul",   "sha",      "vaes",    "vpclmulqdq", "adx", "cx16",
    "amx-bf16", "amx-tile", "amx-int8", "movdiri", "prfchw",     "sahf"};

std::vector<std::string> cpus() {
  llvm::SmallVector<llvm::StringRef, 128> known;
  llvm::X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  return {known.begin(), known.end()};
}

void change(FeatureSet &set, std::string_view name, bool on) {
  set[name] = on;
  llvm::X86::updateImpliedFeatures(name, on, set);
}

FeatureSet featuresOf(std::string_view cpu) {
  llvm::SmallVector<llvm::StringRef, 64> list;
  llvm::X86::getFeaturesForCPU(cpu, list);
  FeatureSet set;
  for (auto name : list) change(set, name, true);
  return set;
}

void setVectors(Target &t, const FeatureSet &set) {
  bool wide = has(set, "avx512f") && has(set, "avx512bw") && has(set, "avx512vl") && has(set, "avx512dq");
  t.vectorBytes = wide ? 64 : has(set, "avx2") ? 32 : 16;
  t.registers = wide ? 32 : 16;
  t.fma = has(set, "fma");
  t.dot4 = (wide && has(set, "avx512vnni")) || has(set, "avxvnni");
  t.bytePermute = wide && has(set, "avx512vbmi");
  t.maskedMemory = wide;
}

} // namespace

const CpuFamily kX86{
    Architecture::X86_64,
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-none-elf",
    kPresets,
    kFeatures,
    cpus,
    [](std::string_view cpu) { return cpu; },
    featuresOf,
    change,
    [](std::string_view) { return std::vector<std::string>(); },
    setVectors,
    kNeverUsed,
};

} // namespace planish
