#include "Cpus.h"

#include "planish/abi.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/TargetParser/AArch64TargetParser.h>

#include <algorithm>
#include <array>

namespace planish {
namespace {

// Cache sizes are those most boards have. The numbers behind `about` are what estimates assume of a typical
// one: clock in GHz, vector multiply-adds and loads a cycle, memory in GB/s.
constexpr std::array<Preset, 14> kArm64Presets{{
    {"cortex-a35", 32 << 10, 512 << 10, "Armv8.0, in order", {1.2, 0.5, 0.5, 2}},
    {"cortex-a53",
     32 << 10,
     512 << 10,
     "Armv8.0, in order: Raspberry Pi 3, Zynq UltraScale+",
     {1.4, 1, 0.5, 3}},
    {"cortex-a55", 32 << 10, 256 << 10, "Armv8.2 with dot products, in order", {1.8, 1, 0.5, 6}},
    {"cortex-a57", 32 << 10, 2 << 20, "Armv8.0: Jetson TX1 and Nano", {1.5, 1, 1, 12}},
    {"cortex-a72", 32 << 10, 1 << 20, "Armv8.0: Raspberry Pi 4", {1.5, 1, 1, 4}},
    {"cortex-a73", 64 << 10, 1 << 20, "Armv8.0", {1.8, 1, 1, 8}},
    {"cortex-a76", 64 << 10, 512 << 10, "Armv8.2 with dot products: Raspberry Pi 5, RK3588", {2.4, 2, 2, 10}},
    {"cortex-a78", 64 << 10, 512 << 10, "Armv8.2 with dot products: Jetson Orin (A78AE)", {2, 2, 2, 20}},
    {"cortex-a510", 32 << 10, 256 << 10, "Armv9, in order", {1.8, 1, 1, 8}},
    {"cortex-a710", 64 << 10, 512 << 10, "Armv9 with int8 matrix products", {2.5, 2, 2, 15}},
    {"cortex-x1", 64 << 10, 1 << 20, "Armv8.2 with dot products", {2.8, 4, 2, 15}},
    {"neoverse-n1",
     64 << 10,
     1 << 20,
     "Armv8.2 with dot products: Graviton 2, Ampere Altra",
     {2.5, 2, 2, 15}},
    {"neoverse-v1", 64 << 10, 1 << 20, "Armv8.4 with int8 matrix products: Graviton 3", {2.6, 4, 2, 20}},
    {"neoverse-n2", 64 << 10, 1 << 20, "Armv9 with int8 matrix products", {2.7, 2, 2, 20}},
}};

constexpr std::array<Preset, 6> kArm32Presets{{
    {"armv7", 32 << 10, 512 << 10, "32 bits, NEON and VFPv4", {1.2, 0.5, 0.5, 2}},
    {"cortex-a7", 32 << 10, 512 << 10, "32 bits, NEON and VFPv4, in order", {1.2, 0.25, 0.5, 2}},
    {"cortex-a8",
     32 << 10,
     256 << 10,
     "32 bits, NEON without fused multiply-adds, in order",
     {1, 0.5, 0.5, 1}},
    {"cortex-a9",
     32 << 10,
     512 << 10,
     "32 bits, NEON without fused multiply-adds: Zynq-7000, Cyclone V",
     {0.8, 0.5, 0.5, 2}},
    {"cortex-a15", 32 << 10, 1 << 20, "32 bits, NEON and VFPv4", {1.5, 1, 0.5, 6}},
    {"cortex-a17", 32 << 10, 1 << 20, "32 bits, NEON and VFPv4", {1.6, 1, 0.5, 6}},
}};

constexpr std::array<std::string_view, 10> kInOrder{"cortex-a35",  "cortex-a53",  "cortex-a55", "cortex-a65",
                                                    "cortex-a510", "cortex-a520", "cortex-a5",  "cortex-a7",
                                                    "cortex-a8",   "armv7"};

#define PLANISH_ROW(index, enumerator, text, word, bit) Feature{index, text},
constexpr Feature kArm32Features[] = {PLANISH_ARM32_FEATURES(PLANISH_ROW)};
#undef PLANISH_ROW
#define PLANISH_ROW(index, enumerator, text, word, bit)                                                      \
  Feature{index, text, std::string_view(text) == "fullfp16" ? "fp16" : ""},
constexpr Feature kArm64Features[] = {PLANISH_ARM64_FEATURES(PLANISH_ROW)};
#undef PLANISH_ROW

constexpr std::array<std::string_view, 1> kNeverUsed{"crc"};

// Two loads of a vector are done before one load of two.
constexpr std::array<std::string_view, 3> kSlowPairs{"cortex-a55", "cortex-a510", "cortex-a520"};

std::vector<std::string> arm64Extra(std::string_view cpu) {
  if (std::find(kSlowPairs.begin(), kSlowPairs.end(), cpu) == kSlowPairs.end()) return {};
  return {"+slow-paired-128"};
}

bool inOrder(const std::string &cpu) {
  return std::find(kInOrder.begin(), kInOrder.end(), cpu) != kInOrder.end();
}

// Both have vectors of 16 bytes and no masked memory.
void setCommon(Target &t) {
  t.vectorBytes = 16;
  t.bytePermute = false;
  t.maskedMemory = false;
  t.inOrder = inOrder(t.cpu);
}

std::vector<std::string> arm64Cpus() {
  llvm::SmallVector<llvm::StringRef, 128> known;
  llvm::AArch64::fillValidCPUArchList(known);
  return {known.begin(), known.end()};
}

FeatureSet setOf(const llvm::AArch64::ExtensionSet &extensions) {
  std::vector<std::string> list;
  extensions.toLLVMFeatureList(list);
  FeatureSet set;
  for (const std::string &name : list) set[std::string_view(name).substr(1)] = name[0] == '+';
  return set;
}

llvm::AArch64::ExtensionSet extensionsOf(const FeatureSet &set) {
  llvm::AArch64::ExtensionSet r;
  for (const auto &entry : set) {
    auto extension = llvm::AArch64::targetFeatureToExtension("+" + entry.getKey().str());
    if (extension && entry.getValue()) r.enable(extension->ID);
  }
  return r;
}

FeatureSet arm64Features(std::string_view cpu) {
  llvm::AArch64::ExtensionSet r;
  if (auto info = llvm::AArch64::parseCpu(cpu)) r.addCPUDefaults(*info);
  return setOf(r);
}

void changeArm64(FeatureSet &set, std::string_view name, bool on) {
  auto extension = llvm::AArch64::targetFeatureToExtension("+" + std::string(name));
  if (!extension) return;
  llvm::AArch64::ExtensionSet all = extensionsOf(set);
  if (on) all.enable(extension->ID);
  else all.disable(extension->ID);
  set = setOf(all);
}

void setArm64(Target &t, const FeatureSet &set) {
  setCommon(t);
  t.registers = 32;
  t.fma = true;
  t.laneOperands = true;
  t.dot4 = has(set, "i8mm");
  t.signedDot4 = has(set, "dotprod");
}

/// A 32-bit core: how LLVM calls it, and what it has beyond NEON.
struct Arm32Cpu {
  std::string_view name, llvm;
  bool vfp4, divides;
};
constexpr std::array<Arm32Cpu, 7> kArm32Cpus{{{"armv7", "generic", true, false},
                                              {"cortex-a5", "cortex-a5", true, false},
                                              {"cortex-a7", "cortex-a7", true, true},
                                              {"cortex-a8", "cortex-a8", false, false},
                                              {"cortex-a9", "cortex-a9", false, false},
                                              {"cortex-a15", "cortex-a15", true, true},
                                              {"cortex-a17", "cortex-a17", true, true}}};

const Arm32Cpu &arm32Cpu(std::string_view cpu) {
  return *std::find_if(kArm32Cpus.begin(), kArm32Cpus.end(),
                       [&](const Arm32Cpu &c) { return c.name == cpu; });
}

std::vector<std::string> arm32Cpus() {
  std::vector<std::string> r;
  for (const Arm32Cpu &c : kArm32Cpus) r.emplace_back(c.name);
  return r;
}

FeatureSet arm32Features(std::string_view cpu) {
  FeatureSet set;
  set["neon"] = true;
  set["vfp4"] = arm32Cpu(cpu).vfp4;
  set["hwdiv-arm"] = arm32Cpu(cpu).divides;
  return set;
}

void setArm32(Target &t, const FeatureSet &set) {
  setCommon(t);
  t.registers = 16;
  t.fma = has(set, "vfp4");
  t.dot4 = false;
}

} // namespace

const CpuFamily kArm64{
    Architecture::Arm64,
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-none-elf",
    kArm64Presets,
    kArm64Features,
    arm64Cpus,
    [](std::string_view cpu) { return cpu; },
    arm64Features,
    changeArm64,
    arm64Extra,
    setArm64,
    kNeverUsed,
};

const CpuFamily kArm32{
    Architecture::Arm32,
    "armv7-unknown-linux-gnueabihf",
    "armv7-unknown-none-eabihf",
    kArm32Presets,
    kArm32Features,
    arm32Cpus,
    [](std::string_view cpu) { return arm32Cpu(cpu).llvm; },
    arm32Features,
    [](FeatureSet &set, std::string_view name, bool on) { set[name] = on; },
    [](std::string_view cpu) {
      return arm32Cpu(cpu).vfp4 ? std::vector<std::string>{"+vfp4"} : std::vector<std::string>();
    },
    setArm32,
    {},
};

} // namespace planish
