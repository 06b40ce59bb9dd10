// The families of CPUs that code is made for. What differs between them is a row: names, features, and what
// features say about vectors.
#pragma once

#include "planish/target/Target.h"

#include <llvm/ADT/StringMap.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish {

/// Instruction sets by LLVM's names; one that is absent is off.
using FeatureSet = llvm::StringMap<bool>;

inline bool has(const FeatureSet &set, std::string_view name) { return set.lookup(name); }

/// A feature that a target text may add or take away, and the runtime's bit for it.
struct Feature {
  int bit;
  std::string_view name;  // LLVM's spelling
  std::string_view alias{};  // another that users know
};

/// A CPU with numbers of its own; others take those of a plain Target.
struct Preset {
  std::string_view cpu;  // as users write it
  int64_t l1Bytes, l2Bytes;
  std::string_view about;
  Assumed assumed{};
};

struct CpuFamily {
  Architecture architecture;
  std::string_view triple, bareTriple;
  std::span<const Preset> presets;
  std::span<const Feature> features;
  std::vector<std::string> (*cpus)();  // all that may be named
  std::string_view (*llvmCpu)(std::string_view cpu);
  FeatureSet (*featuresOf)(std::string_view cpu);
  /// With what the feature implies.
  void (*change)(FeatureSet &set, std::string_view name, bool on);
  /// What LLVM does not know of the cpu by its name.
  std::vector<std::string> (*extraFeatures)(std::string_view cpu);
  void (*setVectors)(Target &t, const FeatureSet &set);
  /// Features that code made of loop IR never uses, however the cpu is called: a virtual machine that hides
  /// them can run it.
  std::span<const std::string_view> neverUsed;
};

extern const CpuFamily kX86, kArm64, kArm32;

} // namespace planish
