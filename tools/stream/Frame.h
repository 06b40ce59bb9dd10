// frame.json: what lies between a camera's picture and a network's tensors. One schema for all tools;
// docs/frame.md describes every field.
#pragma once

#include "planish/support/Result.h"

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace planish::stream {

enum class Layout : uint8_t { Nchw, Nhwc };
enum class Colour : uint8_t { Rgb, Bgr, Grey };
enum class Resize : uint8_t { Stretch, Letterbox };
enum class Align : uint8_t { TopLeft, Centre };
enum class Activation : uint8_t { None, Sigmoid, Softmax };
/// Which way a table of predictions lies: [1, predictions, values] or [1, values, predictions].
enum class Order : uint8_t { Rows, Columns };
enum class BoxForm : uint8_t { Corners, CentreSize };

/// How a picture becomes the input tensor.
struct InputSpec {
  std::string name; ///< empty: the model's only input
  int width = 0, height = 0;
  Layout layout = Layout::Nchw;
  Colour colour = Colour::Rgb;
  Resize resize = Resize::Stretch;
  float pad = 114;             ///< letterbox: value around the picture, before mean and scale
  Align align = Align::TopLeft; ///< letterbox: where the picture lies
  std::array<float, 3> mean{},
      scale{1, 1, 1}; ///< tensor = (x - mean) * scale, x in 0..255, tensor's channel order

  int channels() const { return colour == Colour::Grey ? 1 : 3; }
};

/// Anchor-free, one objectness: x, y, w, h, objectness, classes per cell (YOLOX).
struct YoloxHead {
  std::vector<std::string>
      outputs; ///< one table of all levels, or one per stride; empty: the model's only one
  std::vector<int> strides{8, 16, 32};
  Order order = Order::Rows;
  Activation activation = Activation::None; ///< of objectness and classes
  bool decoded = false;                     ///< boxes are already centre and size in input pixels
};

/// Anchor boxes, one objectness: x, y, w, h, objectness, classes per anchor (YOLOv5).
struct Yolov5Head {
  std::vector<std::string> outputs;
  std::vector<int> strides;                             ///< raw heads only
  std::vector<std::vector<std::array<float, 2>>> anchors; ///< width, height in input pixels, per stride
  Order order = Order::Rows;
  bool decoded = true;
};

/// Anchor-free without objectness: either decoded x, y, w, h, classes, or raw distributions (YOLOv8 and
/// later).
struct Yolov8Head {
  std::vector<std::string> outputs;
  std::vector<int> strides; ///< raw heads only
  int bins = 16;            ///< raw heads only: per side
  Order order = Order::Columns;
  bool decoded = true;
};

/// Class scores beside distributions of the distances to four sides (NanoDet, generalised focal loss).
struct NanodetHead {
  std::vector<std::string> scores, distances; ///< one of each per stride
  std::vector<int> strides{8, 16, 32};
  int bins = 8;
  Activation activation = Activation::None;
  float centreShift = 0; ///< input pixels added to a cell's centre
};

/// One map of objectness, x, y, w, h, classes (FastestDet).
struct FastestdetHead {
  std::string output;
};

/// Boxes of one level of an SSD: a cell of `stride` pixels has one prior per size.
struct PriorLevel {
  int stride = 0;
  std::vector<std::array<float, 2>> sizes; ///< width, height in input pixels
};

/// Scores per prior and class beside boxes, in the graph decoded or relative to priors (SSD, UltraFace).
struct SsdHead {
  std::string boxes, scores;
  int background = 0; ///< class that means nothing is there; -1: none
  Activation activation = Activation::None;
  BoxForm form = BoxForm::Corners;      ///< without priors
  bool normalised = true;               ///< without priors: fractions of the input, else input pixels
  std::vector<PriorLevel> priors;       ///< empty: boxes are decoded
  std::array<float, 2> variances{0.1F, 0.2F}; ///< of centre and size
};

using Head = std::variant<YoloxHead, Yolov5Head, Yolov8Head, NanodetHead, FastestdetHead, SsdHead>;

struct Thresholds {
  float score = 0.25F;
  float iou = 0.45F;
  bool classAware = true; ///< boxes of different classes never suppress each other
  int maxDetections = 300;
};

struct FrameSpec {
  std::string path; ///< of the file, for messages
  InputSpec input;
  Head head;
  Thresholds thresholds;
  std::vector<std::string> labels; ///< empty: classes have numbers only

  /// The label of a class, or "class 7".
  std::string labelOf(int classId) const;
};

/// Reads a frame.json and the label file it may name. Errors (BadInput) name the file, the JSON path, what
/// was expected and what to do.
Result<FrameSpec> readFrame(const std::string &path);

/// The same from text; label files are looked for beside `path`.
Result<FrameSpec> parseFrame(const std::string &text, const std::string &path);

} // namespace planish::stream
