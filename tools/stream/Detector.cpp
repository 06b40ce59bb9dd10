#include "Detector.h"

#include <algorithm>
#include <chrono>

namespace planish::stream {
namespace {

double millisecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

std::string shapeOf(const planish_tensor_info &info) {
  std::string text;
  for (int32_t d = 0; d < info.rank; ++d) {
    const planish_dim &dim = info.dims[d];
    text += (d ? "x" : "") + std::to_string(dim.lower) +
            (dim.upper != dim.lower ? ".." + std::to_string(dim.upper) : std::string());
  }
  return text;
}

} // namespace

Result<std::unique_ptr<Detector>> Detector::open(const std::string &directory, const FrameSpec &spec,
                                                 int threads) {
  PLANISH_ASSIGN(run::Library library, run::Library::open(directory));
  std::unique_ptr<Detector> detector(new Detector(std::move(library), spec));
  PLANISH_TRY(detector->session.create(threads, /*profiled=*/false));
  if (const Status status = detector->bindInput(); !status)
    return badInput("'" + spec.path + "': $.input: " + status.error().text);
  PLANISH_ASSIGN(const std::vector<OutputTensor> outputs, detector->outputs());
  PLANISH_ASSIGN(detector->classCount, classesOf(spec, outputs));
  return detector;
}

/// Makes the input tensor, which every picture is then written into.
Status Detector::bindInput() {
  const planish_model &model = library.model();
  if (model.n_inputs != 1)
    return badInput("model '" + std::string(model.name) + "' has " + std::to_string(model.n_inputs) +
                    " inputs; a network that takes one picture is expected");
  if (!spec.input.name.empty()) { PLANISH_ASSIGN(input, session.inputNamed(spec.input.name)); }
  const planish_tensor_info &info = model.inputs[input];
  run::Array array;
  array.dtype = info.dtype;
  array.shape = {1, spec.input.channels(), spec.input.height, spec.input.width};
  if (spec.input.layout == Layout::Nhwc)
    array.shape = {1, spec.input.height, spec.input.width, spec.input.channels()};
  bool fits = info.rank == static_cast<int32_t>(array.shape.size());
  for (int32_t d = 0; fits && d < info.rank; ++d) {
    const int64_t size = array.shape[static_cast<size_t>(d)];
    fits = size >= info.dims[d].lower && size <= info.dims[d].upper;
  }
  if (!fits)
    return badInput("gives " + run::shapeText(array.shape) + ", but input '" + info.name +
                    "' of the model takes " + shapeOf(info) +
                    "; set width, height, layout and colour to what the model was compiled for");
  if (info.dtype != PLANISH_F32 && info.dtype != PLANISH_U8)
    return badInput(std::string("input '") + info.name + "' of the model is " + run::dtypeName(info.dtype) +
                    "; pictures are given as f32 or u8");
  array.bytes.resize(static_cast<size_t>(array.elements()) * planish_dtype_bytes(info.dtype));
  return session.setInput(input, std::move(array));
}

Result<std::vector<OutputTensor>> Detector::outputs() const {
  const planish_model &model = library.model();
  std::vector<OutputTensor> result;
  for (uint32_t i = 0; i < model.n_outputs; ++i) {
    planish_tensor tensor{};
    if (planish_get_output(session.handle(), i, &tensor) != PLANISH_OK) return failed(planish_error());
    if (tensor.dtype != PLANISH_F32) continue; // of no use to a decoder
    result.push_back({model.outputs[i].name,
                      static_cast<const float *>(tensor.data),
                      {tensor.dims, tensor.dims + tensor.rank}});
  }
  return result;
}

Result<std::vector<Detection>> Detector::detect(const run::Pixels &picture) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const std::span<std::byte> bytes = session.inputBytes(input);
  if (library.model().inputs[input].dtype == PLANISH_U8) {
    preprocessor.run(picture, std::span(reinterpret_cast<uint8_t *>(bytes.data()), bytes.size()));
  } else {
    preprocessor.run(picture,
                     std::span(reinterpret_cast<float *>(bytes.data()), bytes.size() / sizeof(float)));
  }
  lastTimes.preprocess = millisecondsSince(begin);
  PLANISH_ASSIGN(const int64_t nanoseconds, session.run());
  lastTimes.network = static_cast<double>(nanoseconds) / 1e6;
  const auto decoding = Clock::now();
  PLANISH_ASSIGN(const std::vector<OutputTensor> tensors, outputs());
  PLANISH_ASSIGN(std::vector<Detection> boxes, decode(spec, tensors));
  boxes = suppress(std::move(boxes), spec.thresholds);
  mapToPicture(boxes, place(spec.input, picture.width, picture.height), picture.width, picture.height);
  lastTimes.decode = millisecondsSince(decoding);
  return boxes;
}

void mapToPicture(std::vector<Detection> &boxes, const Placement &placement, int pictureWidth,
                  int pictureHeight) {
  const auto width = static_cast<float>(pictureWidth), height = static_cast<float>(pictureHeight);
  const float scaleX = width / static_cast<float>(placement.width),
              scaleY = height / static_cast<float>(placement.height);
  const auto x = [&](float v) {
    return std::clamp((v - static_cast<float>(placement.x)) * scaleX, 0.0F, width);
  };
  const auto y = [&](float v) {
    return std::clamp((v - static_cast<float>(placement.y)) * scaleY, 0.0F, height);
  };
  for (Detection &box : boxes) box = {x(box.x0), y(box.y0), x(box.x1), y(box.y1), box.classId, box.score};
  std::erase_if(boxes, [](const Detection &box) { return box.x1 <= box.x0 || box.y1 <= box.y0; });
}

} // namespace planish::stream
