// What tuning found out, as a file: JSON lines, one record per line, only ever appended to.
//
//   {"key":"0123456789abcdef","target":"cpu:znver5","template":"contraction.cpu",
//    "knobs":{"pixels":8,"vectors":2},"default_ns":1250,"best_ns":1190,"interval":[0.946,0.957],
//    "about":"conv f32[1,64,56,56]","machine":"AMD EPYC 9555","compiler":"0.1.0"}
//
// A record speaks of one computation on one target: for these two, the newest line counts. It holds nothing
// of the model or the day it was made for, so databases of several models and machines can be one file.
#pragma once

#include "planish/schedule/Template.h"
#include "planish/support/Result.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace planish::schedule {

struct TuningRecord {
  std::string key;           // keyOf the computation
  std::string target;        // Target::name
  std::string templateName;  // that the knobs belong to
  Config knobs;              // the best found; empty: nothing is faster than the template's own choice
  double defaultNs = 0, bestNs = 0; // medians of one call in one thread, in nanoseconds
  double low = 1, high = 1;  // 95 % interval of best time / default time
  std::string about;         // what a person recognises the computation by
  std::string machine, compiler; // where it was measured, and by which version

  bool operator==(const TuningRecord &) const = default;
};

/// The identity of a computation: a hash of its definition, the same in every model and for any names of
/// values and symbols. Sixteen hexadecimal digits.
std::string keyOf(const loop::Compute &compute);

/// A record as one line, without the line's end.
std::string print(const TuningRecord &record);

/// The records that count. A plain value.
class TuningDatabase {
public:
  struct Entry {
    TuningRecord record;
    std::string origin;  // "db.jsonl:12"
  };

  /// A file's text; `name` is what errors call it. A line that is no record is an error with its number.
  static Result<TuningDatabase> parse(std::string_view text, const std::string &name);
  static Result<TuningDatabase> read(const std::string &path);

  const Entry *find(const std::string &key, const std::string &target) const;
  size_t size() const { return entries.size(); }
  size_t sizeFor(const std::string &target) const;  // records of one target
  const std::string &sha256() const { return hash; }  // of the text

private:
  std::map<std::pair<std::string, std::string>, Entry> entries;  // by target, key
  std::string hash;
};

/// The knobs a record gives this computation; an error where they are not its template's.
Result<Config> knobsFor(const loop::Compute &compute, const Target &target,
                        const TuningDatabase::Entry &entry);

} // namespace planish::schedule
