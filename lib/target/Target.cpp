// Target texts, presets and the facts of this machine.
#include "planish/target/Target.h"

#include "planish/abi.h"
#include "planish/support/Text.h"

#include <llvm/ADT/StringMap.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <thread>

namespace planish {

namespace {

struct Preset {
  std::string_view cpu;  // LLVM's spelling
  int64_t l1Bytes, l2Bytes;
  std::string_view about;
};
constexpr size_t kColumn = 24;  // where the descriptions of listed targets start

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

struct Feature {
  int bit;
  std::string_view name;  // LLVM's spelling
};
#define PLANISH_ROW(index, enumerator, text, leaf, subleaf, reg, bit, state) Feature{index, text},
constexpr Feature kFeatures[] = {PLANISH_X86_FEATURES(PLANISH_ROW)};
#undef PLANISH_ROW

/// Features that code made of loop IR never uses, however the cpu is called: a virtual machine that
/// hides them can run it.
constexpr std::array<std::string_view, 13> kNeverUsed{
    "aes",      "pclmul",   "sha",      "vaes",    "vpclmulqdq", "adx", "cx16",
    "amx-bf16", "amx-tile", "amx-int8", "movdiri", "prfchw",     "sahf"};

using FeatureSet = llvm::StringMap<bool>;

bool has(const FeatureSet &set, std::string_view name) { return set.lookup(name); }

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

/// The cpu whose name `text` starts with, the longest if several do; empty if none does.
std::string_view leadingCpu(std::string_view text) {
  llvm::SmallVector<llvm::StringRef, 128> known;
  llvm::X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  size_t longest = 0;
  for (auto name : known) {
    bool ends = text.size() == name.size() ||
                (text.size() > name.size() && (text[name.size()] == '+' || text[name.size()] == '-'));
    if (ends && text.starts_with(std::string_view(name))) longest = std::max(longest, name.size());
  }
  return text.substr(0, longest);
}

const Feature *leadingFeature(std::string_view text) {
  const Feature *longest = nullptr;
  for (const Feature &f : kFeatures) {
    bool ends = text.size() == f.name.size() ||
                (text.size() > f.name.size() && (text[f.name.size()] == '+' || text[f.name.size()] == '-'));
    if (ends && text.starts_with(f.name) && (!longest || f.name.size() > longest->name.size())) longest = &f;
  }
  return longest;
}

/// What the features say about vectors.
void setVectors(Target &t, const FeatureSet &set) {
  bool wide = has(set, "avx512f") && has(set, "avx512bw") && has(set, "avx512vl") && has(set, "avx512dq");
  t.vectorBytes = wide ? 64 : has(set, "avx2") ? 32 : 16;
  t.registers = wide ? 32 : 16;
  t.fma = has(set, "fma");
  t.dot4 = (wide && has(set, "avx512vnni")) || has(set, "avxvnni");
  t.bytePermute = wide && has(set, "avx512vbmi");
  t.maskedMemory = wide;
  t.requiredIsa = 0;
  for (const Feature &f : kFeatures) {
    bool used = std::find(kNeverUsed.begin(), kNeverUsed.end(), f.name) == kNeverUsed.end();
    if (used && has(set, f.name)) t.requiredIsa |= uint64_t(1) << f.bit;
  }
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
Target cpuTarget(std::string_view cpu, const FeatureSet &set) {
  Target t;
  t.triple = "x86_64-unknown-linux-gnu";
  t.cpu = cpu;
  t.name = "cpu:" + t.cpu;
  auto preset = std::find_if(kPresets.begin(), kPresets.end(), [&](const Preset &p) { return p.cpu == cpu; });
  if (preset != kPresets.end()) t.l1Bytes = preset->l1Bytes, t.l2Bytes = preset->l2Bytes;
  FeatureSet implied = featuresOf(cpu);
  for (const Feature &f : kFeatures) {
    bool on = has(set, f.name);
    if (on == has(implied, f.name)) continue;
    t.features.push_back((on ? "+" : "-") + std::string(f.name));
    t.name += t.features.back();
  }
  setVectors(t, set);
  return t;
}

std::string knownTargets() {
  return "known are cpu, " + joined(kPresets, [](const Preset &p) { return "cpu:" + std::string(p.cpu); }) +
         ", each with +feature and -feature behind it, and opencl";
}

/// Applies "+a-b" to the features.
Status applySuffixes(std::string_view text, std::string_view suffixes, FeatureSet &set) {
  while (!suffixes.empty()) {
    const Feature *f = leadingFeature(suffixes.substr(1));
    if ((suffixes[0] != '+' && suffixes[0] != '-') || !f)
      return usage("target '" + std::string(text) + "': unknown feature '" + std::string(suffixes) +
                   "'; known are " + joined(kFeatures, [](const Feature &x) { return std::string(x.name); }));
    change(set, f->name, suffixes[0] == '+');
    suffixes.remove_prefix(1 + f->name.size());
  }
  return {};
}

Target openClTarget() {
  Target t;
  t.name = "opencl";
  t.device = DeviceKind::OpenCl;
  t.maskedMemory = false;
  return t;
}

} // namespace

Result<Target> parseTarget(std::string_view text) {
  if (text == "opencl") return openClTarget();
  std::string_view rest = text;
  bool isCpu = rest.starts_with("cpu");
  if (isCpu) rest.remove_prefix(3);
  bool host = isCpu && (rest.empty() || rest[0] == '+' || rest[0] == '-');
  if (!isCpu || (!host && rest[0] != ':'))
    return usage("target '" + std::string(text) + "' is unknown; " + knownTargets());

  if (!host) {
    rest.remove_prefix(1);
    std::string_view cpu = leadingCpu(rest);
    if (cpu.empty())
      return usage("target '" + std::string(text) + "' names an unknown cpu; " + knownTargets());
    FeatureSet set = featuresOf(cpu);
    PLANISH_TRY(applySuffixes(text, rest.substr(cpu.size()), set));
    return cpuTarget(cpu, set);
  }

  std::string cpu = llvm::sys::getHostCPUName().str();
  FeatureSet set = llvm::sys::getHostCPUFeatures();
  if (leadingCpu(cpu) != cpu)
    return unsupported("this machine's cpu '" + cpu + "' is not an x86-64 that Planish knows");
  PLANISH_TRY(applySuffixes(text, rest, set));
  Target t = cpuTarget(cpu, set);
  t.cores = int(std::max(1u, std::thread::hardware_concurrency()));
  constexpr int kL1Data = 0, kL2 = 2;  // the order of sysfs: L1 data, L1 instructions, L2, L3
  t.l1Bytes = cacheBytes(kL1Data).value_or(t.l1Bytes);
  t.l2Bytes = cacheBytes(kL2).value_or(t.l2Bytes);
  return t;
}

std::vector<std::string> listTargets() {
  auto line = [](std::string name, std::string_view about) {
    name.resize(std::max(kColumn, name.size() + 1), ' ');
    return name.append(about);
  };
  std::vector<std::string> r{line("cpu", "this machine")};
  for (const Preset &p : kPresets) r.push_back(line("cpu:" + std::string(p.cpu), p.about));
  r.push_back(line("opencl", "OpenCL 1.2 source"));
  return r;
}

} // namespace planish
