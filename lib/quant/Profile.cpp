#include "planish/quant/Profile.h"

#include "planish/graph/Text.h"
#include "planish/support/Check.h"
#include "planish/support/Hash.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

namespace planish::quant {

std::string identityOf(const graph::Graph &g) { return hexOf(hash64(graph::print(g))); }

void Profiler::add(size_t index, std::span<const int64_t> shape, std::span<const float> numbers) {
  Sums &sums = values[index];
  sums.profile.histogram.add(numbers);
  if (shape.size() < 2 || numbers.empty()) return;
  size_t channels = size_t(shape[1]), inner = 1;
  for (size_t d = 2; d < shape.size(); ++d) inner *= size_t(shape[d]);
  std::vector<Channel> &seen = sums.profile.channels;
  if (seen.empty()) seen.assign(channels, {INFINITY, -INFINITY, 0});
  // A size that changes from run to run has no channels that mean anything.
  if (seen.size() != channels) return;
  sums.total.resize(channels), sums.count.resize(channels);
  for (size_t i = 0; i < numbers.size(); i += inner) {
    size_t c = i / inner % channels;
    double total = 0;
    auto [least, most] = std::pair(numbers[i], numbers[i]);
    for (float x : numbers.subspan(i, inner)) {
      total += double(x);
      least = std::min(least, x), most = std::max(most, x);
    }
    seen[c].least = std::min(seen[c].least, double(least)),
    seen[c].most = std::max(seen[c].most, double(most));
    sums.total[c] += total, sums.count[c] += double(inner);
  }
}

Result<Profile> Profiler::finish(std::string graph, uint64_t samples, Calibrator calibrator) const {
  Profile r{std::move(graph), samples, calibrator, false, {}, {}, {}};
  for (size_t v = 0; v < values.size(); ++v) {
    ValueProfile profile = values[v].profile;
    if (profile.histogram.notFinite())
      return badInput("value '" + names[v] + "' is not finite in " +
                      std::to_string(profile.histogram.notFinite()) +
                      " places on these samples; such a network cannot be calibrated");
    for (size_t c = 0; c < profile.channels.size(); ++c)
      profile.channels[c].mean = values[v].total[c] / std::max(values[v].count[c], 1.0);
    r.values.emplace(names[v], std::move(profile));
  }
  return r;
}

} // namespace planish::quant
