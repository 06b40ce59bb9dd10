// The tuning of one kernel: candidates from a Search, judged by contests with the default.
#pragma once

#include "Contest.h"
#include "Search.h"

#include "planish/tune/Tune.h"

#include <functional>
#include <string>
#include <vector>

namespace planish::tune {

/// What is tuned: makes candidates and times them.
class Subject {
public:
  virtual ~Subject() = default;
  struct Candidate {
    bool duplicate = false;  // the same loops as an earlier candidate or the default
    std::string wrong;       // why it must not be taken; then there is nothing to time
    Sampler sample;
  };
  /// In order, as many as there are configs. They live until the next call.
  virtual std::vector<Candidate> prepare(const std::vector<Config> &configs) = 0;
  virtual Sampler baseline() = 0;
};

class KernelSearch {
public:
  /// `first` are tried before the search's own: what earlier tunings found.
  KernelSearch(Search search, Config defaults, std::vector<Config> first = {});

  /// Tries some more candidates. `tried` is called after every one; false ends it.
  void tryMore(Subject &subject, int count, const std::function<bool()> &tried);

  const Config &best() const { return config; }
  const Outcome &outcome() const { return confirmed; }  // of the best against the default
  bool improved() const { return config != defaults; }
  bool exhausted() const { return done; }
  int64_t fruitless() const { return sinceBest; }  // candidates since the last improvement
  const Candidates &candidates() const { return counts; }
  const std::string &complaint() const { return firstWrong; }  // what the first wrong candidate was, if any

private:
  void judge(Subject &subject, const Config &candidate, const Sampler &sample);

  Search search;
  Config defaults, config;
  std::vector<Config> queue;
  Outcome confirmed;
  Candidates counts;
  std::string firstWrong;
  int64_t sinceBest = 0;
  bool done = false;
};

} // namespace planish::tune
