// Finds faster knobs for the kernels of a model: compiles candidates in this process, times them against the
// templates' own choice in turns, and appends what is faster to a tuning database (schedule/Tuning.h).
#pragma once

#include "planish/driver/Compile.h"
#include "planish/schedule/Template.h"
#include "planish/support/Result.h"

#include <functional>
#include <string>
#include <vector>

namespace planish::tune {

/// What became of the candidates of one kernel.
struct Candidates {
  int64_t faster = 0;       // were the best when they were tried, and confirmed
  int64_t slower = 0;       // not faster than the best so far, or not surely
  int64_t unconfirmed = 0;  // faster at first, not so in the second measurement
  int64_t wrong = 0;        // another result than the default's
  int64_t duplicates = 0;   // the same loops as an earlier one; not timed
  int64_t timed() const { return faster + slower + unconfirmed; }
};

struct KernelResult {
  std::string key, about;          // as the database has them
  std::vector<std::string> nodes;  // the user's ONNX nodes of the first launch
  std::string templateName;
  schedule::Config defaults, best; // every knob; equal where nothing is faster
  int64_t launches = 0;            // per run of the model
  double share = 0;                // of the model's time, untuned, by the profile
  double defaultNs = 0, bestNs = 0; // medians of one call, in nanoseconds
  double low = 1, high = 1;        // 95 % interval of best time / default time; 1 where nothing is faster
  Candidates candidates;
  std::string complaint;           // of the first wrong candidate: its knobs and what was wrong
  bool exhausted = false;          // every choice was tried
};

struct Progress {
  double seconds = 0;     // since the start
  int64_t kernels = 0;    // of the model
  int64_t improved = 0;   // of these
  Candidates candidates;  // of all kernels
  double gain = 0;        // share of the model's time saved, by the profile: 0.02 is 2 %
};

struct Options {
  driver::Options compile;  // model, target and shapes; the rest is ignored
  std::string database;     // path; made if needed, appended to as results come
  double seconds = 60;      // for everything; a measurement under way is finished
  std::function<bool(const Progress &)> progress = {}; // after every candidate; false stops the search
};

struct Summary {
  std::vector<KernelResult> kernels;  // in order of first launch
  Progress total;
  bool stopped = false;  // by `progress`
};

/// Measures in the calling thread, single-threaded; other cores compile. Needs a machine that runs the
/// target's code. A candidate is taken where the 95 % interval of paired measurements says it is faster,
/// twice; a kernel with nothing faster keeps its defaults. Knobs of the division of work among threads are
/// left alone.
Result<Summary> tune(const Options &options);

} // namespace planish::tune
