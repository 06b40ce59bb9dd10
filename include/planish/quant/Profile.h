// What was seen of the values of a network on samples: the file that quantization starts from.
#pragma once

#include "planish/graph/Graph.h"
#include "planish/quant/Histogram.h"

#include <map>
#include <string>
#include <vector>

namespace planish::quant {

/// One slice of a value along its dimension 1, over all samples.
struct Channel {
  double least = 0, most = 0, mean = 0;
  bool operator==(const Channel &) const = default;
};

struct ValueProfile {
  Histogram histogram;
  std::vector<Channel> channels; // empty where the value has no dimension 1 of constant size
  bool operator==(const ValueProfile &) const = default;
};

/// By value: channel c of its dimension 1 is divided by 2^exponents[c] before the numbers are noted, so that
/// wide and narrow channels share a scale well; what reads the value takes the factor back.
using Equalization = std::map<std::string, std::vector<int>>;

struct Profile {
  std::string graph;     // identityOf the graph that was run
  uint64_t samples = 0;
  Calibrator calibrator = Calibrator::Mse; // to use where none is asked for
  bool tables = false; // activation functions read codes of the sums before them, rather than the sums
  Equalization equalization;
  std::vector<std::string> real; // the user's nodes that read real numbers: codes there would cost too much
  std::map<std::string, ValueProfile> values; // by the value's name in that graph, equalized
  bool operator==(const Profile &) const = default;
};

/// The same for two graphs only if they compute the same with the same names.
std::string identityOf(const graph::Graph &g);

/// JSON; docs/quantization.md describes it.
std::string print(const Profile &profile);
/// `where` names the text in errors (BadInput).
Result<Profile> parseProfile(std::string_view text, const std::string &where);
Result<Profile> readProfile(const std::string &path);
Status writeProfile(const Profile &profile, const std::string &path);

/// Gathers a profile, value by value.
class Profiler {
public:
  explicit Profiler(std::vector<std::string> names) : names(std::move(names)), values(this->names.size()) {}

  /// A dense f32 tensor of value `index`.
  void add(size_t index, std::span<const int64_t> shape, std::span<const float> numbers);
  /// BadInput where a value was not finite.
  Result<Profile> finish(std::string graph, uint64_t samples, Calibrator calibrator) const;

private:
  struct Sums {
    ValueProfile profile;
    std::vector<double> total, count;
  };
  std::vector<std::string> names;
  std::vector<Sums> values;
};

} // namespace planish::quant
