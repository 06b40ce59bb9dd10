#include "planish/tune/CompareCompiled.h"

#include "ChannelsOf.h"
#include "Loaded.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

namespace planish::tune {

using graph::Graph;
using graph::ValueId;

namespace {

// ---- what is compared how ------------------------------------------------------------------------

/// Numbers next to the line through a reference that fits best, channel by channel: codes stand for numbers
/// by a scale and a zero point.
class LineFit {
public:
  explicit LineFit(quant::Channels channels) : layout(channels), sums(size_t(channels.count)) {}

  void add(std::span<const float> reference, std::span<const float> got) {
    for (size_t i = 0; i < reference.size(); ++i) {
      Sums &s = sums[i / size_t(layout.inner) % sums.size()];
      double r = double(reference[i]), g = double(got[i]);
      s.count += 1, s.r += r, s.g += g, s.rr += r * r, s.gg += g * g, s.rg += r * g;
    }
  }

  ValueError error() const {
    double signal = 0, noise = 0, relative = 0;
    for (const Sums &s : sums) {
      double n = std::max(s.count, 1.0), of = std::max(s.rr - s.r * s.r / n, 0.0),
             in = std::max(s.gg - s.g * s.g / n, 0.0),
             both = std::max(s.rg - s.r * s.g / n, 0.0); // a scale is positive
      if (!(of > 0)) continue; // a channel that never changes says nothing
      double left = in > 0 ? std::clamp(1 - both * both / (of * in), 0.0, 1.0) : 1;
      signal += of, noise += left * of, relative += left / double(sums.size());
    }
    double part = signal > 0 ? noise / signal : 0;
    return {quant::decibels(1, part), std::sqrt(std::max(0.0, 1 - part)), relative};
  }

private:
  struct Sums {
    double count = 0, r = 0, g = 0, rr = 0, gg = 0, rg = 0;
  };
  quant::Channels layout;
  std::vector<Sums> sums;
};

// ---- the library ---------------------------------------------------------------------------------

template <class T> float numberAt(const void *data, int64_t at) {
  return float(static_cast<const T *>(data)[at]);
}

using Reader = float (*)(const void *data, int64_t at);
Reader readerOf(int32_t dtype) {
  switch (dtype) {
  case PLANISH_F32: return numberAt<float>;
  case PLANISH_U8: return numberAt<uint8_t>;
  case PLANISH_I8: return numberAt<int8_t>;
  default: return nullptr;
  }
}

/// The elements in ONNX order.
std::vector<float> numbersOf(const planish_view &v) {
  Reader read = readerOf(v.dtype);
  auto rank = size_t(v.rank);
  int64_t count = 1;
  for (size_t d = 0; d < rank; ++d) count *= v.dims[d];
  std::vector<float> r;
  r.reserve(size_t(count));
  std::vector<int64_t> at(rank, 0);
  for (int64_t i = 0, place = 0; i < count; ++i) {
    r.push_back(read(v.data, place));
    for (size_t d = rank; d-- > 0;) {
      place += v.strides[d];
      if (++at[d] < v.dims[d]) break;
      place -= at[d] * v.strides[d];
      at[d] = 0;
    }
  }
  return r;
}

std::vector<std::string> split(std::string_view text, std::string_view between) {
  std::vector<std::string> r;
  while (!text.empty()) {
    size_t end = std::min(text.find(between), text.size());
    r.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + between.size(), text.size()));
  }
  return r;
}

/// Runs a library on samples and keeps the values that are asked for.
class Compiled {
public:
  static Result<std::unique_ptr<Compiled>> open(const std::string &library) {
    const planish_model *model = nullptr;
    if (planish_open(library.c_str(), &model) != PLANISH_OK)
      return badInput(library + ": " + planish_error());
    auto r = std::make_unique<Compiled>();
    r->held.reset(model);
    planish_options options{};
    options.profile = &Compiled::seen;
    options.profile_user = r.get();
    planish_instance *instance = nullptr;
    if (planish_create(model, &options, &instance) != PLANISH_OK) return failed(planish_error());
    r->instance.reset(instance);
    r->values.resize(model->n_values);
    return r;
  }

  const planish_model &model() const { return *held; }
  /// By value: its elements in the last run, empty where it did not come to be.
  std::vector<std::vector<float>> values;

  Status run(const Sample &sample) {
    for (uint32_t i = 0; i < held->n_inputs; ++i) {
      auto found = std::ranges::find(sample, std::string_view(held->inputs[i].name),
                                     [](const auto &entry) { return std::string_view(entry.first); });
      PLANISH_CHECK(found != sample.end(), "a sample without an input that the graph has");
      const graph::Tensor &t = found->second;
      if (planish_set_input(instance.get(), i, t.data->data(), t.shape.data(), uint32_t(t.shape.size())) !=
          PLANISH_OK)
        return badInput(std::string("the compiled model's ") + planish_error());
    }
    for (auto &v : values) v.clear();
    if (planish_run(instance.get()) != PLANISH_OK) return failed(planish_error());
    return {};
  }

  Result<std::vector<float>> output(uint32_t index) const {
    planish_tensor t{};
    if (planish_get_output(instance.get(), index, &t) != PLANISH_OK) return failed(planish_error());
    const auto *data = static_cast<const float *>(t.data);
    return std::vector<float>(data, data + size_t(t.bytes) / sizeof(float));
  }

private:
  static void seen(void *user, const planish_instance *instance, uint32_t launch, int64_t, int64_t) {
    auto &self = *static_cast<Compiled *>(user);
    for (uint32_t v = 0; v < self.held->n_values; ++v) {
      const planish_value_info &info = self.held->values[v];
      planish_view view{};
      if (info.launch != int32_t(launch) || !readerOf(info.dtype)) continue;
      if (planish_get_value(instance, v, &view) == PLANISH_OK && view.data) self.values[v] = numbersOf(view);
    }
  }

  LoadedModel held;
  Instance instance;
};

// ---- which value stands for which ----------------------------------------------------------------

struct Pair {
  uint32_t compiled; // in the library's table
  ValueId real;
  CompiledLayer layer;
  std::optional<quant::Deviation> deviation; // one of them, made with the first sample
  std::optional<LineFit> fit;
};

class Matcher {
public:
  explicit Matcher(const Graph &graph) : g(graph) {
    for (uint32_t v = 0; v < g.values().size(); ++v)
      if (g.values()[v].def && g.values()[v].type.dtype == DType::f32) named[g.values()[v].name] = {v};
    for (const graph::Node &node : g.nodes())
      for (const std::string &n : node.loc.onnxNodes)
        if (node.outputs.size() == 1 && g.type(node.outputs[0]).dtype == DType::f32)
          last[n] = node.outputs[0];
  }

  std::optional<Pair> pairOf(const planish_model &model, uint32_t index) const {
    const planish_value_info &info = model.values[index];
    if (info.launch < 0 || !readerOf(info.dtype)) return std::nullopt;
    std::vector<std::string> nodes = split(model.launches[info.launch].nodes, ", ");
    auto same = named.find(info.name);
    bool fitted = same == named.end() || info.dtype != PLANISH_F32;
    ValueId real = graph::kAbsent;
    if (same != named.end()) real = same->second;
    else if (auto made = nodes.empty() ? last.end() : last.find(nodes.back()); made != last.end())
      real = made->second;
    if (real == graph::kAbsent || !isShaped(info, g.type(real).shape)) return std::nullopt;
    return Pair{index, real, {g[real].name, std::move(nodes), fitted, {}}, {}, {}};
  }

private:
  /// Sizes that only a run says are compared there.
  static bool isShaped(const planish_value_info &info, const Shape &shape) {
    if (size_t(info.rank) != shape.size()) return false;
    for (size_t d = 0; d < shape.size(); ++d)
      if (info.dims[d].upper != shape[d].upper()) return false;
    return true;
  }

  const Graph &g;
  std::map<std::string, ValueId, std::less<>> named;
  std::map<std::string, ValueId> last; // by node: what it computes
};

Status checkInputs(const Graph &real, const planish_model &model, const std::string &library) {
  bool same = model.n_inputs == real.inputs().size();
  for (uint32_t i = 0; same && i < model.n_inputs; ++i) {
    const planish_tensor_info &input = model.inputs[i];
    same = std::ranges::any_of(real.inputs(), [&](ValueId v) {
      return real[v].name == input.name &&
             uint32_t(byteSize(real.type(v).dtype)) == planish_dtype_bytes(input.dtype);
    });
  }
  if (same) return {};
  return badInput(library + ": its inputs are not the model's; it was compiled from another one");
}

} // namespace

Result<CompiledComparison> compareCompiled(const Graph &real, const std::string &library, Samples &samples) {
  if (samples.count() == 0) return usage("there are no samples to compare on");
  PLANISH_ASSIGN(auto compiled, Compiled::open(library));
  const planish_model &model = compiled->model();
  PLANISH_TRY(checkInputs(real, model, library));

  CompiledComparison r{samples.count(), {}, {}};
  std::vector<Pair> pairs;
  std::vector<ValueId> watched;
  Matcher matcher(real);
  for (uint32_t v = 0; v < model.n_values; ++v)
    if (auto pair = matcher.pairOf(model, v)) pairs.push_back(std::move(*pair));
  std::ranges::stable_sort(pairs, {}, [&](const Pair &p) { return model.values[p.compiled].launch; });
  for (const Pair &p : pairs) watched.push_back(p.real);
  std::vector<uint32_t> outputs; // the library's
  std::vector<std::optional<quant::Deviation>> deviations;
  for (uint32_t o = 0; o < model.n_outputs; ++o)
    for (ValueId v : real.outputs())
      if (real[v].name == model.outputs[o].name && real.type(v).dtype == DType::f32 &&
          model.outputs[o].dtype == PLANISH_F32) {
        watched.push_back(v);
        outputs.push_back(o);
        r.outputs.push_back({real[v].name, {}, 0});
      }
  if (watched.empty())
    return badInput(library + ": holds none of the model's values; it was compiled from another one");
  deviations.resize(outputs.size());

  auto seeOutput = [&](size_t o, const TensorView &value) -> Status {
    PLANISH_ASSIGN(std::vector<float> got, compiled->output(outputs[o]));
    std::span<const float> wanted = value.floats();
    if (got.size() != wanted.size())
      return badInput(library + ": output '" + r.outputs[o].name + "' has another size than the model's");
    if (!deviations[o]) deviations[o].emplace(channelsOf(value.shape));
    deviations[o]->add(wanted, got);
    for (size_t i = 0; i < got.size(); ++i)
      r.outputs[o].largest = std::max(r.outputs[o].largest, double(std::abs(got[i] - wanted[i])));
    return {};
  };
  auto see = [&](size_t sample, size_t at, const TensorView &value) -> Status {
    if (at == 0) {
      PLANISH_ASSIGN(Sample inputs, samples.read(sample));
      PLANISH_TRY(compiled->run(inputs));
    }
    if (at >= pairs.size()) return seeOutput(at - pairs.size(), value);
    Pair &p = pairs[at];
    const std::vector<float> &got = compiled->values[p.compiled];
    std::span<const float> wanted = value.floats();
    if (got.size() != wanted.size() || got.empty()) return {}; // a branch that this run did not take
    quant::Channels channels = channelsOf(value.shape);
    if (p.layer.fitted) {
      if (!p.fit) p.fit.emplace(channels);
      p.fit->add(wanted, got);
    } else {
      if (!p.deviation) p.deviation.emplace(channels);
      p.deviation->add(wanted, got);
    }
    return {};
  };
  PLANISH_TRY(observe(real, watched, samples, see));

  for (Pair &p : pairs) {
    if (!p.fit && !p.deviation) continue;
    p.layer.error = p.fit ? p.fit->error() : errorOf(*p.deviation);
    r.layers.push_back(std::move(p.layer));
  }
  for (size_t o = 0; o < outputs.size(); ++o) r.outputs[o].error = errorOf(*deviations[o]);
  return r;
}

} // namespace planish::tune
