#include "Search.h"

#include <algorithm>

namespace planish::tune {
namespace {

/// What one step away from the best known counts, next to the model's costs.
constexpr double kStep = 0.03;
/// More choices than a tuning ever tries; of a larger space only these are.
constexpr size_t kMostChoices = 100'000;

/// Steps along the lists of choices that lie between two places.
size_t distance(const std::vector<size_t> &a, const std::vector<size_t> &b) {
  size_t r = 0;
  for (size_t i = 0; i < a.size(); ++i) r += a[i] < b[i] ? b[i] - a[i] : a[i] - b[i];
  return r;
}

} // namespace

Search::Search(std::vector<Knob> knobs, Config first, const std::function<double(const Config &)> &cost)
    : space(std::move(knobs)), start(std::move(first)) {
  std::erase_if(space, [&](const Knob &k) { return !start.contains(k.name); });
  // The start may have a value that its list lacks: it takes part, between its neighbours.
  for (Knob &k : space) {
    int64_t own = start.find(k.name)->second;
    if (std::ranges::find(k.choices, own) == k.choices.end()) k.choices.push_back(own);
    std::ranges::sort(k.choices);
  }
  center = placeOf(start);
  double startCost = cost ? cost(start) : 1;
  for (std::vector<size_t> place(space.size(), 0); left.size() < kMostChoices;) {
    if (place != center) left.push_back({place, cost ? cost(configAt(place)) / startCost : 1});
    size_t i = 0;
    while (i < space.size() && ++place[i] == space[i].choices.size()) place[i++] = 0;
    if (i == space.size()) break;
  }
}

std::vector<size_t> Search::placeOf(const Config &config) const {
  std::vector<size_t> r;
  for (const Knob &k : space)
    r.push_back(size_t(std::ranges::find(k.choices, config.find(k.name)->second) - k.choices.begin()));
  return r;
}

Config Search::configAt(const std::vector<size_t> &place) const {
  Config r = start;
  for (size_t i = 0; i < space.size(); ++i) r.find(space[i].name)->second = space[i].choices[place[i]];
  return r;
}

void Search::moveTo(const Config &best) { center = placeOf(best); }

std::optional<Config> Search::next() {
  auto score = [&](const Choice &c) { return c.cost * (1 + kStep * double(distance(c.place, center))); };
  auto best = std::ranges::min_element(left, {}, score);
  if (best == left.end()) return std::nullopt;
  Config r = configAt(best->place);
  left.erase(best);
  return r;
}

} // namespace planish::tune
