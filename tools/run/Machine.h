// What a machine can do at best, as planish-peak measured it: profiles are held against it.
#pragma once

#include "planish/support/Result.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace planish::run {

/// Arithmetic out of registers with `threads` cores busy, in 1e9 operations per second; a multiply-add is
/// two.
struct ComputePeak {
  std::string isa;  ///< "sse4.2", "avx2", "avx512"
  std::string type; ///< "f32": multiply-add; "u8s8": products of u8 and s8 summed in i32
  int threads = 1;
  double rate = 0;
};

/// Bytes moved with `threads` cores busy, in 1e9 per second.
struct Bandwidth {
  int threads = 1;
  double read = 0;  ///< loads alone
  double triad = 0; ///< a[i] = s * b[i] + c[i], each array counted once
};

/// A place where data lies: a cache, or memory.
struct MemoryLevel {
  std::string name;   ///< "L1", "L2", "L3", "memory"
  double bytes = 0;   ///< of one cache; 0 for memory
  int sharedBy = 1;   ///< how many of the machine's cores share one
  std::vector<Bandwidth> bandwidth; ///< by rising number of threads

  /// Bytes that `threads` cores hold in it together; infinite for memory.
  double capacity(int threads) const;
  /// Of the largest measured number of threads that is at most `threads`.
  const Bandwidth &bandwidthOf(int threads) const;
};

/// The time a cache line takes from one core to another and back.
struct RoundTrip {
  int first = 0, second = 0; ///< the system's numbers of the cores
  double nanoseconds = 0, least = 0, most = 0; ///< median and extremes of several measurements
};

struct Machine {
  std::string cpu; ///< the system's name for it
  int cores = 1;
  std::vector<ComputePeak> compute;
  std::vector<MemoryLevel> levels; ///< the fastest first, memory last
  std::vector<RoundTrip> roundTrips;

  /// Of the largest measured number of threads that is at most `threads`; none for an instruction set that
  /// was not measured.
  std::optional<double> computePeak(const std::string &isa, const std::string &type, int threads) const;
  /// The fastest level that holds `bytes`, spread over `threads` cores.
  const MemoryLevel &levelOf(double bytes, int threads) const;
};

/// The system's name for the CPU this process runs on.
std::string thisCpu();

/// machine.json in $XDG_CACHE_HOME/planish, or in ~/.cache/planish; empty where neither is known.
std::string defaultMachineFile();
/// A BadInput names the file and the field that is wrong.
Result<Machine> readMachine(const std::string &path);
Result<Machine> parseMachine(const std::string &text, const std::string &path);
nlohmann::ordered_json jsonOf(const Machine &machine);

} // namespace planish::run
