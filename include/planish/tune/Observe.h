// Values inside of a network while it runs on samples: what calibration and error analysis look at.
#pragma once

#include "planish/graph/Evaluate.h"
#include "planish/support/Result.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace planish::tune {

/// One tensor per input of a network, by the input's name, dense in ONNX order.
using Sample = std::vector<std::pair<std::string, graph::Tensor>>;

/// Inputs that stand for those of the network's use, in a fixed order.
class Samples {
public:
  virtual ~Samples() = default;
  virtual size_t count() const = 0;
  /// Sample `index`, made or read now. BadInput names the file and what is wrong with it.
  virtual Result<Sample> read(size_t index) = 0;
};

/// Samples that are in memory.
class StoredSamples : public Samples {
public:
  explicit StoredSamples(std::vector<Sample> samples) : samples(std::move(samples)) {}
  size_t count() const override { return samples.size(); }
  Result<Sample> read(size_t index) override { return samples[index]; }

private:
  std::vector<Sample> samples;
};

/// A dense tensor in ONNX order that belongs to somebody else.
struct TensorView {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  /// The elements of an f32 tensor.
  std::span<const float> floats() const;
};

/// Gets watched value `watched` (the index in the list given) of sample `sample`; the view holds during the
/// call. An error ends the observation.
using Observer = std::function<Status(size_t sample, size_t watched, const TensorView &value)>;

/// Compiles the graph for this machine, with the watched values as further outputs, runs it on every sample
/// and shows the values in order. The graph is one before the pass `layout`; inputs and constants may be
/// watched, too. The code is that of --strict, so what is seen does not depend on the number of threads.
Status observe(const graph::Graph &g, std::span<const graph::ValueId> watched, Samples &samples,
               const Observer &observer);

} // namespace planish::tune
