// Templates: how to run a shape of computation on a class of device. A template matches the shape
// (contraction, window, pointwise), never an operator; its knobs are the tuning space.
#pragma once

#include "planish/schedule/Kernel.h"
#include "planish/target/Target.h"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace planish::schedule {

struct Knob {
  std::string_view name;
  std::vector<int64_t> choices;  // all values that make sense here
};
using Config = std::map<std::string, int64_t, std::less<>>;  // knob name -> value

/// The time that a template expects of its kernel with these knobs, relative to others.
using CostModel = std::function<double(const Config &)>;

struct Template {
  std::string_view name;  // "contraction.cpu"
  bool (*matches)(const Kernel &, const Target &);
  std::vector<Knob> (*space)(const Kernel &, const Target &);
  Config (*defaults)(const Kernel &, const Target &);  // the untuned choice
  void (*apply)(Kernel &, const Config &, const Target &);  // by verbs
  CostModel (*model)(const Kernel &, const Target &) = nullptr;  // absent: all choices look alike
  Kernel::Lowered (*build)(const Kernel &, const Config &, const Target &) = nullptr; // in its place
  /// About how long one core takes, with the data near; absent where nothing is to be shared.
  double (*nanoseconds)(const Kernel &, const Target &) = nullptr;
  /// Where absent, a row that matches is chosen.
  bool (*chosen)(const Kernel &, const Config &, const Target &) = nullptr;
  /// Sums are split or formed in another way than term by term, so that rounding depends on the target.
  bool reassociates = false;
};

/// First match wins; the last row matches everything and stays serial. `config` decides where several rows
/// have the same knobs. A strict choice leaves out rows that reassociate, where that rounds otherwise.
std::span<const Template> templates();
const Template &templateFor(const Kernel &kernel, const Target &target, const Config &config = {},
                            bool strict = false);

struct Scheduled {
  Kernel::Lowered lowered;
  std::string_view templateName;
  Config config;
  double nanoseconds;  // as the template expects; 0 where it expects nothing
};
/// The computation through its template (defaults, overridden by `config` where given), as loops
/// with kinds; loop passes come after.
Scheduled schedule(loop::Compute compute, const Target &target, const Config &config = {},
                   bool strict = false);

/// The name of the knob by which Winograd's transform is chosen: the tile it makes at once (2 or 4 in either
/// direction), 0 for direct sums.
inline constexpr std::string_view kTileKnob = "tile";

/// What Winograd's transform with a tile would buy.
struct WeightTrade {
  int64_t tile;
  double savedNs; // of one run in one thread, against direct sums
  int64_t bytes, extraBytes; // of the transformed weights, and those beyond the direct form's
};
/// The tiles that save time on this target, fastest first.
std::vector<WeightTrade> weightTrades(const Kernel &kernel, const Target &target);

} // namespace planish::schedule
