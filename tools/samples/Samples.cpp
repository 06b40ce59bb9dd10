#include "Samples.h"

#include "stream/Frame.h"
#include "stream/Preprocess.h"

#include <algorithm>
#include <filesystem>

namespace planish::samples {

using graph::Graph;
using graph::Tensor;
using graph::ValueId;
using tune::Sample;
using tune::Samples;

namespace {

namespace fs = std::filesystem;

/// Element types that networks have, as the compiler and the runtime number them.
struct TypePair {
  DType ours;
  int32_t theirs;
};
constexpr TypePair kTypes[] = {{DType::b1, PLANISH_BOOL}, {DType::u8, PLANISH_U8},
                               {DType::i8, PLANISH_I8},   {DType::i32, PLANISH_I32},
                               {DType::i64, PLANISH_I64}, {DType::f32, PLANISH_F32}};

int32_t typeOf(DType type) { return std::ranges::find(kTypes, type, &TypePair::ours)->theirs; }

std::string inputText(const Graph &g, ValueId v) {
  return "input '" + g[v].name + "' is " + textOf(g.type(v));
}

/// Whether a tensor of the shape may be the input.
bool fits(const TensorType &type, std::span<const int64_t> shape) {
  if (shape.size() != type.shape.size()) return false;
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] < type.shape[d].lower() || shape[d] > type.shape[d].upper()) return false;
  return true;
}

Result<const run::Array *> arrayFor(const run::NamedArrays &arrays, const Graph &g, ValueId v,
                                    const std::string &where) {
  auto found = std::ranges::find(arrays, g[v].name, [](const auto &a) { return a.first; });
  if (found == arrays.end())
    return badInput(where + " has no array '" + g[v].name + "'; the model's " + inputText(g, v));
  if (found->second.dtype != typeOf(g.type(v).dtype))
    return badInput(where + ": array '" + g[v].name + "' is " + run::dtypeName(found->second.dtype) +
                    ", but the model's " + inputText(g, v));
  return &found->second;
}

/// Slices of arrays along their first dimension.
class Rows : public Samples {
public:
  Rows(run::NamedArrays arrays, const Graph &g) : arrays(std::move(arrays)) {
    for (ValueId v : g.inputs()) inputs.push_back({g[v].name, g.type(v)});
  }

  Status check(const Graph &g, const std::string &where) {
    std::optional<size_t> number;
    for (ValueId v : g.inputs()) {
      PLANISH_ASSIGN(const run::Array *array, arrayFor(arrays, g, v, where));
      const TensorType &type = g.type(v);
      std::vector<int64_t> one = sampleShape(type, array->shape);
      if (array->shape.empty() || !fits(type, one) || array->shape[0] % rowsOf(type) != 0)
        return badInput(where + ": array '" + g[v].name + "' is " + run::shapeText(array->shape) +
                        "; expected samples along its first dimension, the model's " + inputText(g, v));
      size_t n = size_t(array->shape[0] / rowsOf(type));
      if (number && *number != n)
        return badInput(where + ": array '" + g[v].name + "' holds " + std::to_string(n) +
                        " samples, others hold " + std::to_string(*number));
      number = n;
    }
    samples = number.value_or(0);
    return {};
  }

  size_t count() const override { return samples; }

  Result<Sample> read(size_t index) override {
    Sample r;
    for (const auto &[name, type] : inputs) {
      const run::Array &array =
          std::ranges::find(arrays, name, [](const auto &a) { return a.first; })->second;
      size_t bytes = array.bytes.size() / samples;
      auto begin = array.bytes.begin() + ptrdiff_t(index * bytes);
      r.emplace_back(name, Tensor{type.dtype, sampleShape(type, array.shape),
                                  std::make_shared<std::vector<std::byte>>(begin, begin + ptrdiff_t(bytes))});
    }
    return r;
  }

private:
  /// Rows of an array that are one sample.
  static int64_t rowsOf(const TensorType &type) {
    return !type.shape.empty() && type.shape[0].isConstant() ? std::max<int64_t>(type.shape[0].constant(), 1)
                                                             : 1;
  }
  static std::vector<int64_t> sampleShape(const TensorType &type, std::vector<int64_t> shape) {
    if (!shape.empty()) shape[0] = rowsOf(type);
    return shape;
  }

  run::NamedArrays arrays;
  std::vector<std::pair<std::string, TensorType>> inputs;
  size_t samples = 0;
};

/// A file per sample.
class Files : public Samples {
public:
  Files(std::vector<fs::path> files, const Graph &g) : files(std::move(files)), g(g) {}
  size_t count() const override { return files.size(); }
  Result<Sample> read(size_t index) override {
    PLANISH_ASSIGN(run::NamedArrays arrays, run::readNpz(files[index].string()));
    return sampleOf(arrays, g, "'" + files[index].string() + "'");
  }

private:
  std::vector<fs::path> files;
  Graph g;
};

class Pictures : public Samples {
public:
  Pictures(std::vector<fs::path> files, const Graph &g, const stream::InputSpec &spec)
      : files(std::move(files)), name(g[g.inputs()[0]].name), dtype(g.type(g.inputs()[0]).dtype), spec(spec),
        preprocessor(spec) {}

  size_t count() const override { return files.size(); }

  Result<Sample> read(size_t index) override {
    PLANISH_ASSIGN(run::Pixels pixels, run::readPixels(files[index].string(), 3));
    size_t elements = size_t(spec.width) * size_t(spec.height) * size_t(spec.channels());
    auto bytes = std::make_shared<std::vector<std::byte>>(elements * size_t(byteSize(dtype)));
    if (dtype == DType::f32) {
      preprocessor.run(pixels, std::span(reinterpret_cast<float *>(bytes->data()), elements));
    } else {
      preprocessor.run(pixels, std::span(reinterpret_cast<uint8_t *>(bytes->data()), elements));
    }
    return Sample{{name, Tensor{dtype, shapeOf(spec), std::move(bytes)}}};
  }

  static std::vector<int64_t> shapeOf(const stream::InputSpec &spec) {
    if (spec.layout == stream::Layout::Nchw) return {1, spec.channels(), spec.height, spec.width};
    return {1, spec.height, spec.width, spec.channels()};
  }

private:
  std::vector<fs::path> files;
  std::string name;
  DType dtype;
  stream::InputSpec spec;
  stream::Preprocessor preprocessor;
};

bool endsWith(const fs::path &path, std::initializer_list<std::string_view> endings) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return std::ranges::find(endings, ending) != endings.end();
}

bool isPicture(const fs::path &path) { return endsWith(path, {".png", ".jpg", ".jpeg"}); }

Result<std::unique_ptr<Samples>> openPictures(std::vector<fs::path> files, const std::string &path,
                                              const std::string &frame, const Graph &g) {
  if (frame.empty())
    return usage("'" + path + "' holds pictures; --frame frame.json says how they become the model's input");
  PLANISH_ASSIGN(stream::FrameSpec spec, stream::readFrame(frame));
  if (g.inputs().size() != 1)
    return badInput("pictures are one input, the model has " + std::to_string(g.inputs().size()) +
                    "; give arrays (.npz)");
  ValueId v = g.inputs()[0];
  if (!spec.input.name.empty() && spec.input.name != g[v].name)
    return badInput("'" + frame + "': $.input.name is '" + spec.input.name + "', but the model's " +
                    inputText(g, v));
  std::vector<int64_t> shape = Pictures::shapeOf(spec.input);
  bool typed = g.type(v).dtype == DType::f32 || g.type(v).dtype == DType::u8;
  if (!typed || !fits(g.type(v), shape))
    return badInput("'" + frame + "': $.input makes tensors of " + run::shapeText(shape) +
                    ", but the model's " + inputText(g, v));
  return std::unique_ptr<Samples>(std::make_unique<Pictures>(std::move(files), g, spec.input));
}

} // namespace

Result<Sample> sampleOf(const run::NamedArrays &arrays, const Graph &g, const std::string &where) {
  Sample r;
  for (ValueId v : g.inputs()) {
    PLANISH_ASSIGN(const run::Array *array, arrayFor(arrays, g, v, where));
    if (!fits(g.type(v), array->shape))
      return badInput(where + ": array '" + g[v].name + "' is " + run::shapeText(array->shape) +
                      ", but the model's " + inputText(g, v));
    r.emplace_back(g[v].name, Tensor{g.type(v).dtype, array->shape,
                                     std::make_shared<std::vector<std::byte>>(array->bytes)});
  }
  return r;
}

Result<std::unique_ptr<Samples>> samplesOf(run::NamedArrays arrays, const Graph &g,
                                           const std::string &where) {
  auto rows = std::make_unique<Rows>(std::move(arrays), g);
  PLANISH_TRY(rows->check(g, where));
  return std::unique_ptr<Samples>(std::move(rows));
}

Result<std::unique_ptr<Samples>> openSamples(const std::string &path, const std::string &frame,
                                             const Graph &g) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (!fs::exists(path, error)) return badInput("cannot read '" + path + "'");
    if (isPicture(path)) return openPictures({path}, path, frame, g);
    PLANISH_ASSIGN(run::NamedArrays arrays, run::readNpz(path));
    return samplesOf(std::move(arrays), g, "'" + path + "'");
  }
  std::vector<fs::path> arrays, pictures;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (endsWith(it->path(), {".npz"})) arrays.push_back(it->path());
    if (isPicture(it->path())) pictures.push_back(it->path());
  }
  if (error) return badInput("cannot read directory '" + path + "': " + error.message());
  if (arrays.empty() == pictures.empty())
    return badInput("'" + path + "' holds " + (arrays.empty() ? "neither" : "both") +
                    " pictures (.png, .jpg) and arrays (.npz); expected one of the two");
  std::ranges::sort(arrays);
  std::ranges::sort(pictures);
  if (!pictures.empty()) return openPictures(std::move(pictures), path, frame, g);
  return std::unique_ptr<Samples>(std::make_unique<Files>(std::move(arrays), g));
}

} // namespace planish::samples
