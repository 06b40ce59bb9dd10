// Where the time of a run goes: per launch, held against what the machine can do at best.
#pragma once

#include "Machine.h"
#include "Session.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace planish::run {

/// The least time a launch could take: its arithmetic at the machine's peak, or its bytes at the triad
/// bandwidth of the fastest level of memory that holds them, whichever is longer.
struct Roofline {
  std::string bound; ///< "avx512": arithmetic with that instruction set; else the level, "L2"
  double microseconds = 0;
};

struct LaunchProfile {
  uint32_t index = 0; ///< in planish_model.launches
  int64_t count = 0; ///< how often a run launches it
  double median = 0, least = 0; ///< microseconds per run, all its repetitions together
  std::optional<Roofline> roofline; ///< of all repetitions; only with a machine

  /// How much of the machine's peak it reaches; 0 without a machine.
  double percentOfPeak() const { return roofline && median > 0 ? 100 * roofline->microseconds / median : 0; }
};

struct Profile {
  const planish_model *model = nullptr;
  uint32_t threads = 1;
  int runs = 0;
  double median = 0;  ///< microseconds of a run
  double between = 0; ///< of them, outside of launches
  std::vector<LaunchProfile> launches; ///< in the model's order
  std::vector<Launch> lastRun;
  std::string machineFile; ///< empty without a machine

  /// Microseconds in launches, and at the machine's peak.
  double launched() const;
  double atPeak() const;
  /// Microseconds by what bounds them, only with a machine.
  std::map<std::string, double> byBound() const;
};

/// The instruction set of a model's code, as machine files name it.
std::string isaOf(const planish_model &model);

/// Runs for about `seconds` after a warm-up, at least five times. The session must be profiled.
Result<Profile> profile(Session &session, double seconds);

/// Adds rooflines. A BadInput where the machine, read from `file`, was not measured with the model's
/// instruction set.
Status compareWithPeak(Profile &profile, const Machine &machine, const std::string &file);

/// A line per launch, the slowest first, and the sum.
std::string tableOf(const Profile &profile);
nlohmann::ordered_json jsonOf(const Profile &profile);
/// The last run as a Chrome trace (ui.perfetto.dev, chrome://tracing).
nlohmann::ordered_json traceOf(const Profile &profile);

} // namespace planish::run
