#include "planish/tune/Observe.h"

#include "Loaded.h"

#include "planish/artifact/Artifact.h"
#include "planish/lower/Lower.h"
#include "planish/support/Check.h"
#include "planish/support/ScratchFolder.h"
#include "planish/transform/Passes.h"

#include <algorithm>
#include <map>
#include <optional>

namespace planish::tune {

using graph::Graph;
using graph::ValueId;

namespace {

/// Builds the library, loads it and forgets the file.
Result<LoadedModel> built(const Graph &g) {
  PLANISH_ASSIGN(Target target, parseTarget("cpu"));
  PLANISH_ASSIGN(Graph passed, transform::runPasses(g, transform::passes(), {}));
  target.strict = true;
  PLANISH_ASSIGN(loop::Program program,
                 lower::lower(passed, target, {"observed", lower::Mode::Scheduled, nullptr, true}));
  PLANISH_ASSIGN(artifact::Files files, artifact::build(program, target, artifact::LibraryKind::Shared, {}));
  PLANISH_ASSIGN(ScratchFolder folder, ScratchFolder::make());
  PLANISH_TRY(artifact::write(files, folder.name() + "/observed"));
  const planish_model *model = nullptr;
  if (planish_open((folder.name() + "/observed/libobserved.so").c_str(), &model) != PLANISH_OK)
    return failed(planish_error());
  return LoadedModel(model);
}

/// Where a watched value comes from: an output of the library, an input or a constant of the graph.
struct Source {
  std::optional<uint32_t> output;
  std::optional<size_t> input;
};

class Observation {
public:
  Observation(const Graph &g, std::span<const ValueId> watched)
      : graph(g), watched(watched), sources(watched.size()) {}

  /// The graph with what is watched among its outputs.
  Graph withOutputs() {
    std::vector<ValueId> outputs(graph.outputs().begin(), graph.outputs().end());
    std::map<ValueId, uint32_t> places;
    for (size_t i = 0; i < outputs.size(); ++i) places.emplace(outputs[i], uint32_t(i));
    for (size_t i = 0; i < watched.size(); ++i) {
      ValueId v = watched[i];
      auto input = std::ranges::find(graph.inputs(), v);
      if (input != graph.inputs().end()) {
        sources[i].input = size_t(input - graph.inputs().begin());
      } else if (!graph[v].isConstant()) {
        auto [place, isNew] = places.emplace(v, uint32_t(outputs.size()));
        if (isNew) outputs.push_back(v);
        sources[i].output = place->second;
      }
    }
    Graph r = graph;
    r.setOutputs(std::move(outputs));
    return r;
  }

  Status run(const LoadedModel &model, Samples &samples, const Observer &observer) {
    planish_instance *made = nullptr;
    if (planish_create(model.get(), nullptr, &made) != PLANISH_OK) return failed(planish_error());
    Instance instance(made);
    for (size_t s = 0; s < samples.count(); ++s) {
      PLANISH_ASSIGN(Sample sample, samples.read(s));
      PLANISH_ASSIGN(std::vector<graph::Tensor> inputs, inOrder(sample));
      for (size_t i = 0; i < inputs.size(); ++i)
        if (planish_set_input(instance.get(), uint32_t(i), inputs[i].data->data(), inputs[i].shape.data(),
                              uint32_t(inputs[i].shape.size())) != PLANISH_OK)
          return badInput("sample " + std::to_string(s) + ": " + planish_error());
      if (planish_run(instance.get()) != PLANISH_OK)
        return failed("sample " + std::to_string(s) + ": " + planish_error());
      for (size_t w = 0; w < watched.size(); ++w) {
        PLANISH_ASSIGN(TensorView view, viewOf(w, instance.get(), inputs));
        PLANISH_TRY(observer(s, w, view));
      }
    }
    return {};
  }

private:
  /// The sample's tensors in the order of the graph's inputs.
  Result<std::vector<graph::Tensor>> inOrder(const Sample &sample) const {
    std::vector<graph::Tensor> r;
    for (ValueId v : graph.inputs()) {
      const std::string &name = graph[v].name;
      auto found = std::ranges::find(sample, name, [](const auto &entry) { return entry.first; });
      if (found == sample.end()) return badInput("a sample has no array for the input '" + name + "'");
      if (found->second.dtype != graph.type(v).dtype)
        return badInput("input '" + name + "' is " + std::string(nameOf(graph.type(v).dtype)) +
                        ", a sample has " + std::string(nameOf(found->second.dtype)));
      r.push_back(found->second);
    }
    return r;
  }

  Result<TensorView> viewOf(size_t w, const planish_instance *instance,
                            const std::vector<graph::Tensor> &inputs) const {
    const TensorType &type = graph.type(watched[w]);
    if (sources[w].input) {
      const graph::Tensor &t = inputs[*sources[w].input];
      return TensorView{t.dtype, t.shape, *t.data};
    }
    if (!sources[w].output)
      return TensorView{type.dtype, *constantShape(type.shape), *graph[watched[w]].data};
    planish_tensor t{};
    if (planish_get_output(instance, *sources[w].output, &t) != PLANISH_OK) return failed(planish_error());
    return TensorView{type.dtype,
                      std::vector<int64_t>(t.dims, t.dims + t.rank),
                      {static_cast<const std::byte *>(t.data), size_t(t.bytes)}};
  }

  const Graph &graph;
  std::span<const ValueId> watched;
  std::vector<Source> sources;
};

} // namespace

std::span<const float> TensorView::floats() const {
  PLANISH_CHECK(dtype == DType::f32, "floats of a tensor of another type");
  return {reinterpret_cast<const float *>(bytes.data()), bytes.size() / sizeof(float)};
}

Status observe(const Graph &g, std::span<const ValueId> watched, Samples &samples, const Observer &observer) {
  Observation observation(g, watched);
  PLANISH_ASSIGN(LoadedModel model, built(observation.withOutputs()));
  return observation.run(model, samples, observer);
}

} // namespace planish::tune
