#include "Frame.h"

#include "run/Array.h"
#include "run/JsonFields.h"

#include <cmath>
#include <filesystem>
#include <sstream>

namespace planish::stream {
namespace {

using run::JsonComplaint;
using run::JsonFields;
using run::Word;

constexpr int kLargestSide = 16384;
constexpr float kLargestNumber = 1e6F;

constexpr std::initializer_list<Word<Order>> kOrders = {{"rows", Order::Rows}, {"columns", Order::Columns}};
constexpr std::initializer_list<Word<bool>> kForms = {{"decoded", true}, {"raw", false}};
constexpr std::initializer_list<Word<Activation>> kGates = {{"none", Activation::None},
                                                            {"sigmoid", Activation::Sigmoid}};
constexpr std::initializer_list<Word<Activation>> kActivations = {
    {"none", Activation::None}, {"sigmoid", Activation::Sigmoid}, {"softmax", Activation::Softmax}};

InputSpec readInput(JsonFields in) {
  InputSpec input;
  input.name = in.text("name", std::string());
  input.width = in.integer("width", 1, kLargestSide);
  input.height = in.integer("height", 1, kLargestSide);
  input.layout = in.choice<Layout>("layout", {{"nchw", Layout::Nchw}, {"nhwc", Layout::Nhwc}}, Layout::Nchw);
  input.colour =
      in.choice<Colour>("colour", {{"rgb", Colour::Rgb}, {"bgr", Colour::Bgr}, {"grey", Colour::Grey}});
  input.resize =
      in.choice<Resize>("resize", {{"stretch", Resize::Stretch}, {"letterbox", Resize::Letterbox}});
  if (input.resize == Resize::Letterbox) {
    input.pad = in.number("pad", 0, 255, 114.0F);
    input.align =
        in.choice<Align>("align", {{"top-left", Align::TopLeft}, {"centre", Align::Centre}}, Align::TopLeft);
  } else if (in.has("pad") || in.has("align")) {
    in.wrong("\"pad\" and \"align\" belong to \"resize\": \"letterbox\"");
  }
  input.mean = in.channels("mean", input.channels(), 0);
  input.scale = in.channels("scale", input.channels(), 1);
  in.finish();
  return input;
}

YoloxHead readYolox(JsonFields &in) {
  YoloxHead head;
  head.outputs = in.texts("outputs");
  head.strides = in.sizes("strides", head.strides);
  head.order = in.choice<Order>("order", kOrders, head.order);
  head.activation = in.choice<Activation>("activation", kGates, head.activation);
  head.decoded = in.choice<bool>("form", kForms, head.decoded);
  return head;
}

Yolov5Head readYolov5(JsonFields &in) {
  Yolov5Head head;
  head.outputs = in.texts("outputs");
  head.order = in.choice<Order>("order", kOrders, head.order);
  head.decoded = in.choice<bool>("form", kForms, head.decoded);
  if (head.decoded) return head;
  head.strides = in.sizes("strides", std::vector<int>{8, 16, 32});
  head.anchors = in.pairLists("anchors");
  if (head.anchors.size() != head.strides.size())
    in.wrongField("anchors", "expected one list per stride, " + std::to_string(head.strides.size()) +
                                 ", found " + std::to_string(head.anchors.size()));
  return head;
}

Yolov8Head readYolov8(JsonFields &in) {
  Yolov8Head head;
  head.outputs = in.texts("outputs");
  head.order = in.choice<Order>("order", kOrders, head.order);
  head.decoded = in.choice<bool>("form", kForms, head.decoded);
  if (head.decoded) return head;
  head.strides = in.sizes("strides", std::vector<int>{8, 16, 32});
  head.bins = in.integer("bins", 2, 64, head.bins);
  return head;
}

NanodetHead readNanodet(JsonFields &in) {
  NanodetHead head;
  head.strides = in.sizes("strides", head.strides);
  head.bins = in.integer("bins", 2, 64, head.bins);
  head.activation = in.choice<Activation>("activation", kGates, head.activation);
  head.centreShift = in.number("centre_shift", -kLargestSide, kLargestSide, head.centreShift);
  for (const auto &[key, list] :
       {std::pair{"scores", &head.scores}, std::pair{"distances", &head.distances}}) {
    *list = in.texts(key);
    if (list->size() != head.strides.size())
      in.wrongField(key, "expected one output name per stride, " + std::to_string(head.strides.size()) +
                             ", found " + std::to_string(list->size()));
  }
  return head;
}

SsdHead readSsd(JsonFields &in) {
  SsdHead head;
  head.boxes = in.text("boxes");
  head.scores = in.text("scores");
  head.background = in.integer("background", -1, kLargestSide, head.background);
  head.activation = in.choice<Activation>("activation", kActivations, head.activation);
  for (JsonFields level : in.objects("priors")) {
    head.priors.push_back({level.integer("stride", 1, kLargestSide), level.pairs("sizes")});
    level.finish();
  }
  if (head.priors.empty()) {
    head.form = in.choice<BoxForm>(
        "form", {{"corners", BoxForm::Corners}, {"centre-size", BoxForm::CentreSize}}, head.form);
    head.normalised = in.boolean("normalised", head.normalised);
  } else {
    JsonFields variances = in.object("variances", false);
    head.variances[0] = variances.number("centre", 0, kLargestNumber, head.variances[0]);
    head.variances[1] = variances.number("size", 0, kLargestNumber, head.variances[1]);
    variances.finish();
  }
  return head;
}

enum class Family : uint8_t { Yolox, Yolov5, Yolov8, Nanodet, Fastestdet, Ssd };

Head readHead(JsonFields in) {
  Head head;
  switch (in.choice<Family>("family", {{"yolox", Family::Yolox},
                                       {"yolov5", Family::Yolov5},
                                       {"yolov8", Family::Yolov8},
                                       {"nanodet", Family::Nanodet},
                                       {"fastestdet", Family::Fastestdet},
                                       {"ssd", Family::Ssd}})) {
  case Family::Yolox: head = readYolox(in); break;
  case Family::Yolov5: head = readYolov5(in); break;
  case Family::Yolov8: head = readYolov8(in); break;
  case Family::Nanodet: head = readNanodet(in); break;
  case Family::Fastestdet: head = FastestdetHead{in.text("output", std::string())}; break;
  case Family::Ssd: head = readSsd(in); break;
  }
  in.finish();
  return head;
}

Thresholds readThresholds(JsonFields in) {
  Thresholds thresholds;
  thresholds.score = in.number("score", 0, 1, thresholds.score);
  thresholds.iou = in.number("iou", 0, 1, thresholds.iou);
  thresholds.classAware = in.boolean("class_aware", thresholds.classAware);
  thresholds.maxDetections = in.integer("max_detections", 1, 100000, thresholds.maxDetections);
  in.finish();
  return thresholds;
}

Result<std::string> readText(const std::string &path) {
  PLANISH_ASSIGN(const std::vector<std::byte> bytes, run::readFile(path));
  return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

/// One label per line; the last line end is optional.
Result<std::vector<std::string>> readLabelFile(const std::string &path) {
  PLANISH_ASSIGN(const std::string text, readText(path));
  std::vector<std::string> labels;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty())
      return badInput("'" + path + "': line " + std::to_string(labels.size() + 1) +
                      " is empty; expected one label per line, in the order of the classes");
    labels.push_back(line);
  }
  if (labels.empty()) return badInput("'" + path + "' has no labels; expected one per line");
  return labels;
}

} // namespace

std::string FrameSpec::labelOf(int classId) const {
  return static_cast<size_t>(classId) < labels.size() ? labels[static_cast<size_t>(classId)]
                                                      : "class " + std::to_string(classId);
}

Result<FrameSpec> parseFrame(const std::string &text, const std::string &path) {
  PLANISH_ASSIGN(const nlohmann::json document, run::parseJson(text, path));
  JsonComplaint complaint{path, "docs/frame.md", {}};
  JsonFields top(&document, "$", complaint);
  FrameSpec spec;
  spec.path = path;
  spec.input = readInput(top.object("input", true));
  spec.head = readHead(top.object("decoder", true));
  spec.thresholds = readThresholds(top.object("thresholds", false));
  const bool isFile = document.is_object() && document.contains("labels") && document["labels"].is_string();
  spec.labels = top.texts("labels");
  top.finish();
  if (complaint.first) return *complaint.first;
  if (isFile) {
    const std::filesystem::path file = std::filesystem::path(path).parent_path() / spec.labels[0];
    auto labels = readLabelFile(file.string());
    if (!labels) return labels.error().in("'" + path + "': $.labels");
    spec.labels = *std::move(labels);
  }
  return spec;
}

Result<FrameSpec> readFrame(const std::string &path) {
  PLANISH_ASSIGN(const std::string text, readText(path));
  return parseFrame(text, path);
}

} // namespace planish::stream
