// Target texts, presets and the facts of this machine.
#include "planish/target/Target.h"

#include "Cpus.h"
#include "OpenClDevices.h"

#include "planish/support/Text.h"
#include "planish/target/Board.h"

#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>

namespace planish {

namespace {

constexpr size_t kColumn = 24;  // where the descriptions of listed targets start

constexpr const CpuFamily *kFamilies[] = {&kX86, &kArm64, &kArm32};

/// Whether one of the names ends `text` or the part of it in front of a suffix.
bool leads(std::string_view text, std::string_view name) {
  bool ends = text.size() == name.size() ||
              (text.size() > name.size() && (text[name.size()] == '+' || text[name.size()] == '-'));
  return !name.empty() && ends && text.starts_with(name);
}

/// The cpu whose name `text` starts with, the longest if several do; empty if none does.
std::string_view leadingCpu(const CpuFamily &family, std::string_view text) {
  size_t longest = 0;
  for (const std::string &name : family.cpus())
    if (leads(text, name)) longest = std::max(longest, name.size());
  return text.substr(0, longest);
}

/// A feature and the length of its name as written.
using Named = std::pair<const Feature *, size_t>;
Named leadingFeature(const CpuFamily &family, std::string_view text) {
  Named longest{nullptr, 0};
  for (const Feature &f : family.features)
    for (std::string_view name : {f.name, f.alias})
      if (leads(text, name) && name.size() > longest.second) longest = {&f, name.size()};
  return longest;
}

/// "48K" of a cache description, or nothing where the system does not tell.
std::optional<int64_t> cacheBytes(int index) {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
  int64_t n = 0;
  char unit = 0;
  if (!(file >> n) || n <= 0) return std::nullopt;
  file >> unit;
  return unit == 'K' ? n << 10 : unit == 'M' ? n << 20 : n;
}

/// A cpu target with `set` as its features; those that differ from what the name implies are listed.
Target cpuTarget(const CpuFamily &family, std::string_view cpu, const FeatureSet &set, bool bare) {
  Target t;
  t.architecture = family.architecture;
  t.bare = bare;
  if (bare) t.cores = 1;
  t.triple = bare ? family.bareTriple : family.triple;
  t.cpu = cpu;
  t.name = (bare ? "bare:" : "cpu:") + t.cpu;
  auto preset = std::find_if(family.presets.begin(), family.presets.end(),
                             [&](const Preset &p) { return p.cpu == cpu; });
  if (preset != family.presets.end()) {
    t.l1Bytes = preset->l1Bytes, t.l2Bytes = preset->l2Bytes;
    t.assumed = preset->assumed;
  }
  t.features = family.extraFeatures(cpu);
  FeatureSet implied = family.featuresOf(cpu);
  for (const Feature &f : family.features) {
    bool on = has(set, f.name);
    if (on == has(implied, f.name)) continue;
    t.features.push_back((on ? "+" : "-") + std::string(f.name));
    t.name += t.features.back();
  }
  family.setVectors(t, set);
  t.cpu = family.llvmCpu(cpu);
  for (const Feature &f : family.features) {
    bool used = std::find(family.neverUsed.begin(), family.neverUsed.end(), f.name) == family.neverUsed.end();
    // Without an operating system there is nobody to ask what the CPU has.
    if (used && !bare && has(set, f.name)) t.requiredIsa |= uint64_t(1) << f.bit;
  }
  return t;
}

/// Classes of OpenCL devices: sizes that all of a class have, or nearly.
struct OpenClPreset {
  std::string_view name;
  int vectorBytes, registers, cores;
  int64_t groupItems, localBytes;
  std::string_view about;
};
constexpr std::array<OpenClPreset, 2> kOpenCl{{
    {"opencl:cpu", 64, 32, 8, 1, 0, "OpenCL 1.2: CPUs and DSPs, wide vectors in registers"},
    {"opencl:gpu", 16, 64, 512, 64, 32 << 10,
     "OpenCL 1.2: graphics processors, work-groups and local memory"},
}};

/// CUDA devices by compute capability: what all of one have; `cores` of one that is common.
struct CudaPreset {
  std::string_view name;  // NVIDIA's, of the real architecture
  int cores;              // multiprocessors
  bool asyncCopies;
  std::string_view about;
};
constexpr int64_t kCudaGroupItems = 128, kCudaWarpItems = 32;
constexpr int64_t kCudaLocalBytes = 48 << 10;  // of a group without opting in (CUDA C++ Programming Guide)
constexpr std::array<CudaPreset, 4> kCuda{{
    {"sm_75", 40, false, "NVIDIA Turing: T4, RTX 20"},
    {"sm_80", 108, true, "NVIDIA Ampere: A100, A30"},
    {"sm_87", 16, true, "NVIDIA Ampere: Jetson Orin"},
    {"sm_90", 132, true, "NVIDIA Hopper: H100, H200"},
}};
constexpr std::string_view kCudaBegin = "cuda:";

std::string nameOf(const CudaPreset &p) { return std::string(kCudaBegin) + std::string(p.name); }

std::string knownTargets() {
  std::string r = "known are cpu";
  for (const CpuFamily *family : kFamilies)
    r += ", " + joined(family->presets, [](const Preset &p) { return "cpu:" + std::string(p.cpu); });
  return r +
         ", each with +feature and -feature behind it, bare: instead of cpu: where there is no operating "
         "system, and opencl, " +
         joined(kOpenCl, [](const OpenClPreset &p) { return std::string(p.name); }) + ", " +
         joined(kCuda, nameOf) + ", " +
         joined(boards(), [](const Board &b) { return std::string(b.target); });
}

/// Applies "+a-b" to the features.
Status applySuffixes(const CpuFamily &family, std::string_view text, std::string_view suffixes,
                     FeatureSet &set) {
  while (!suffixes.empty()) {
    auto [feature, length] = leadingFeature(family, suffixes.substr(1));
    if ((suffixes[0] != '+' && suffixes[0] != '-') || !feature)
      return usage("target '" + std::string(text) + "': unknown feature '" + std::string(suffixes) +
                   "'; known are " +
                   joined(family.features, [](const Feature &x) { return std::string(x.name); }));
    family.change(set, feature->name, suffixes[0] == '+');
    suffixes.remove_prefix(1 + length);
  }
  return {};
}

/// "NAME+feature-feature", of the first family that knows the name.
Result<Target> namedTarget(std::string_view text, std::string_view name, bool bare) {
  for (const CpuFamily *family : kFamilies) {
    std::string_view cpu = leadingCpu(*family, name);
    if (cpu.empty()) continue;
    FeatureSet set = family->featuresOf(cpu);
    PLANISH_TRY(applySuffixes(*family, text, name.substr(cpu.size()), set));
    return cpuTarget(*family, cpu, set, bare);
  }
  return usage("target '" + std::string(text) + "' names an unknown cpu; " + knownTargets());
}

/// This machine's CPU, "+feature-feature" applied.
Result<Target> hostTarget(std::string_view text, std::string_view suffixes) {
  llvm::Triple triple(llvm::sys::getProcessTriple());
  std::string cpu = llvm::sys::getHostCPUName().str();
  FeatureSet set = llvm::sys::getHostCPUFeatures();
  const CpuFamily &family = triple.isAArch64() ? kArm64 : kX86;
  if (cpu.empty() || leadingCpu(family, cpu) != cpu)
    return unsupported("this machine's cpu '" + cpu + "' is none that Planish knows");
  PLANISH_TRY(applySuffixes(family, text, suffixes, set));
  Target t = cpuTarget(family, cpu, set, /*bare=*/false);
  t.cores = int(std::max(1u, std::thread::hardware_concurrency()));
  constexpr int kL1Data = 0, kL2 = 2;  // the order of sysfs: L1 data, L1 instructions, L2, L3
  t.l1Bytes = cacheBytes(kL1Data).value_or(t.l1Bytes);
  t.l2Bytes = cacheBytes(kL2).value_or(t.l2Bytes);
  return t;
}

Target openClTarget(const OpenClPreset &preset) {
  Target t;
  t.name = preset.name;
  t.device = DeviceKind::OpenCl;
  t.vectorBytes = preset.vectorBytes;
  t.registers = preset.registers;
  t.maskedMemory = false;
  t.cores = preset.cores;
  t.groupItems = preset.groupItems;
  t.localBytes = preset.localBytes;
  return t;
}

Target cudaTarget(const CudaPreset &preset) {
  Target t;
  t.name = nameOf(preset);
  t.device = DeviceKind::Cuda;
  t.cpu = preset.name;
  t.vectorBytes = 16;
  t.registers = 64;
  t.maskedMemory = false;
  t.cores = preset.cores;
  t.groupItems = kCudaGroupItems;
  t.warpItems = kCudaWarpItems;
  t.localBytes = kCudaLocalBytes;
  t.byteMatrices = true;
  t.asyncCopies = preset.asyncCopies;
  return t;
}

Target fpgaTarget(const Board &board) {
  Target t;
  t.name = board.target;
  t.device = DeviceKind::Fpga;
  t.board = &board;
  return t;
}

} // namespace

Result<Target> parseTarget(std::string_view text) {
  if (text == "opencl") return parseTarget(onlyOpenClCpus() ? "opencl:cpu" : "opencl:gpu");
  for (const OpenClPreset &p : kOpenCl)
    if (text == p.name) return openClTarget(p);
  for (const CudaPreset &p : kCuda)
    if (text == nameOf(p)) return cudaTarget(p);
  if (const Board *board = boardOf(text)) return fpgaTarget(*board);
  constexpr std::string_view cpu = "cpu", named = "cpu:", bare = "bare:";
  if (text.starts_with(named)) return namedTarget(text, text.substr(named.size()), /*bare=*/false);
  if (text.starts_with(bare)) return namedTarget(text, text.substr(bare.size()), /*bare=*/true);
  if (leads(text, cpu)) return hostTarget(text, text.substr(cpu.size()));
  return usage("target '" + std::string(text) + "' is unknown; " + knownTargets());
}

std::vector<std::string> listTargets() {
  auto line = [](std::string name, std::string_view about) {
    name.resize(std::max(kColumn, name.size() + 1), ' ');
    return name.append(about);
  };
  std::vector<std::string> r{line("cpu", "this machine")};
  for (const CpuFamily *family : kFamilies)
    for (const Preset &p : family->presets) r.push_back(line("cpu:" + std::string(p.cpu), p.about));
  r.push_back(line("bare:NAME", "the same CPUs without an operating system: a static library, no threads"));
  r.push_back(line("opencl", "the class of this machine's OpenCL device"));
  for (const OpenClPreset &p : kOpenCl) r.push_back(line(std::string(p.name), p.about));
  for (const CudaPreset &p : kCuda) r.push_back(line(nameOf(p), p.about));
  for (const Board &b : boards())
    r.push_back(
        line(std::string(b.target), std::string(b.device) + ", " + std::to_string(b.dsps) + " DSP blocks"));
  return r;
}

} // namespace planish
