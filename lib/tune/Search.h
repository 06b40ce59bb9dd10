// In which order the choices of a kernel's knobs are tried: those first that the template's cost model likes
// and that are near the best known, until all are tried.
#pragma once

#include "planish/schedule/Template.h"

#include <functional>
#include <optional>
#include <vector>

namespace planish::tune {

using schedule::Config;
using schedule::Knob;

class Search {
public:
  /// `start` sets every knob; those that `space` does not name stay as they are. `cost` is the relative time
  /// that a model expects of a choice; it may be absent.
  Search(std::vector<Knob> space, Config start, const std::function<double(const Config &)> &cost = {});

  /// The next one to try, each once, never the start; nothing when there is no more.
  std::optional<Config> next();
  /// From now on the neighbours of this one come first.
  void moveTo(const Config &best);

private:
  struct Choice {
    std::vector<size_t> place; // in every knob's list
    double cost; // relative to the start's
  };
  std::vector<size_t> placeOf(const Config &config) const;
  Config configAt(const std::vector<size_t> &place) const;

  std::vector<Knob> space;
  Config start;
  std::vector<size_t> center;
  std::vector<Choice> left;
};

} // namespace planish::tune
