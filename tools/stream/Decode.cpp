#include "Decode.h"

#include "Levels.h"
#include "run/Array.h"

#include "planish/support/Overloaded.h"

#include <algorithm>
#include <cmath>

namespace planish::stream {
namespace {

/// A head's outputs, found and checked. What the two lists hold is each family's own.
struct Bound {
  std::vector<Level> levels, sides;
  int64_t classes = 0;
};

/// A point, or a size, in input pixels.
struct Pair {
  float x, y;
};

constexpr int64_t kBox = 4;             // values before the classes: a box,
constexpr int64_t kBoxAndObjectness = 5; // or a box and its objectness

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }
float activated(float x, Activation activation) { return activation == Activation::Sigmoid ? sigmoid(x) : x; }

struct Best {
  int64_t classId = 0;
  float score = 0;
};

/// The largest of `count` values `step` apart, the first among equals.
Best bestOf(const float *values, int64_t step, int64_t count) {
  Best best{0, values[0]};
  for (int64_t c = 1; c < count; ++c)
    if (values[c * step] > best.score) best = {c, values[c * step]};
  return best;
}

/// Collects boxes whose score reaches the threshold.
class Collector {
public:
  explicit Collector(float threshold) : threshold(threshold) {}

  bool wants(float score) const { return score >= threshold; }
  void addCorners(float x0, float y0, float x1, float y1, Best best) {
    if (wants(best.score) && std::isfinite(x0) && std::isfinite(y0) && std::isfinite(x1) && std::isfinite(y1))
      boxes.push_back({x0, y0, x1, y1, static_cast<int>(best.classId), best.score});
  }
  void addCentred(Pair centre, Pair size, Best best) {
    addCorners(centre.x - size.x / 2, centre.y - size.y / 2, centre.x + size.x / 2, centre.y + size.y / 2,
               best);
  }

  std::vector<Detection> boxes;

private:
  float threshold;
};

/// Calls f(anchor, values, column, row) for each prediction of a level.
template <class F> void forEach(const Level &level, F f) {
  for (int64_t anchor = 0; anchor < level.anchors; ++anchor)
    for (int64_t cell = 0; cell < level.cells; ++cell) {
      const int64_t row = level.gridWidth ? cell / level.gridWidth : 0;
      f(anchor, level.at(anchor, cell), static_cast<float>(cell - row * level.gridWidth),
        static_cast<float>(row));
    }
}

Grid gridOf(const char *family, const InputSpec &input, const std::vector<int> &strides, Order order) {
  return {family, input.width, input.height, strides, std::vector<int64_t>(strides.size(), 1), order};
}

/// Levels of one table that has its boxes decoded: no grid.
Result<std::vector<Level>> decodedTable(const std::vector<std::string> &names, Order order,
                                        int64_t leastValues, const char *family,
                                        std::span<const OutputTensor> outputs) {
  if (names.size() > 1)
    return badInput(std::string("the decoder ") + family + " takes one output where \"form\" is \"decoded\"");
  PLANISH_ASSIGN(const OutputTensor output, findOutput(outputs, names.empty() ? "" : names[0]));
  PLANISH_ASSIGN(const Level level, findTable(output, order, leastValues, family));
  return std::vector<Level>{level};
}

/// The same number of classes in all levels.
Result<Bound> boundWith(std::vector<Level> levels, int64_t valuesBefore, const char *family) {
  for (const Level &level : levels)
    if (level.values != levels[0].values)
      return badInput(std::string("the outputs of the decoder ") + family +
                      " differ in their number of values: " + std::to_string(levels[0].values) + " and " +
                      std::to_string(level.values));
  const int64_t classes = levels[0].values - valuesBefore;
  return Bound{std::move(levels), {}, classes};
}

// --- YOLOX

Result<Bound> bind(const YoloxHead &head, const InputSpec &input, std::span<const OutputTensor> outputs) {
  constexpr int64_t kLeast = kBoxAndObjectness + 1;
  auto levels = head.decoded ? decodedTable(head.outputs, head.order, kLeast, "yolox", outputs)
                             : findLevels(outputs, head.outputs,
                                          gridOf("yolox", input, head.strides, head.order), kLeast);
  if (!levels) return levels.error();
  return boundWith(*std::move(levels), kBoxAndObjectness, "yolox");
}

void collect(const YoloxHead &head, const InputSpec &, const Bound &bound, Collector &out) {
  for (const Level &level : bound.levels)
    forEach(level, [&](int64_t, const float *v, float column, float row) {
      const int64_t s = level.valueStep;
      const float objectness = activated(v[4 * s], head.activation);
      if (!out.wants(objectness)) return;
      Best best = bestOf(v + kBoxAndObjectness * s, s, bound.classes);
      best.score = objectness * activated(best.score, head.activation);
      if (!out.wants(best.score)) return;
      if (head.decoded) return out.addCentred({v[0], v[s]}, {v[2 * s], v[3 * s]}, best);
      const auto stride = static_cast<float>(level.stride);
      out.addCentred({(v[0] + column) * stride, (v[s] + row) * stride},
                     {std::exp(v[2 * s]) * stride, std::exp(v[3 * s]) * stride}, best);
    });
}

// --- YOLOv5

Result<Bound> bind(const Yolov5Head &head, const InputSpec &input, std::span<const OutputTensor> outputs) {
  constexpr int64_t kLeast = kBoxAndObjectness + 1;
  Grid grid = gridOf("yolov5", input, head.strides, head.order);
  for (size_t i = 0; i < grid.anchors.size(); ++i)
    grid.anchors[i] = static_cast<int64_t>(head.anchors[i].size());
  auto levels = head.decoded ? decodedTable(head.outputs, head.order, kLeast, "yolov5", outputs)
                             : findLevels(outputs, head.outputs, grid, kLeast);
  if (!levels) return levels.error();
  return boundWith(*std::move(levels), kBoxAndObjectness, "yolov5");
}

void collect(const Yolov5Head &head, const InputSpec &, const Bound &bound, Collector &out) {
  const Activation activation = head.decoded ? Activation::None : Activation::Sigmoid;
  for (size_t i = 0; i < bound.levels.size(); ++i) {
    const Level &level = bound.levels[i];
    forEach(level, [&](int64_t anchor, const float *v, float column, float row) {
      const int64_t s = level.valueStep;
      const float objectness = activated(v[4 * s], activation);
      if (!out.wants(objectness)) return;
      Best best = bestOf(v + kBoxAndObjectness * s, s, bound.classes);
      best.score = objectness * activated(best.score, activation);
      if (!out.wants(best.score)) return;
      if (head.decoded) return out.addCentred({v[0], v[s]}, {v[2 * s], v[3 * s]}, best);
      const auto stride = static_cast<float>(level.stride);
      const auto [width, height] = head.anchors[i][static_cast<size_t>(anchor)];
      const float w = 2 * sigmoid(v[2 * s]), h = 2 * sigmoid(v[3 * s]);
      out.addCentred(
          {(2 * sigmoid(v[0]) - 0.5F + column) * stride, (2 * sigmoid(v[s]) - 0.5F + row) * stride},
          {w * w * width, h * h * height}, best);
    });
  }
}

// --- Distances to four sides as distributions (YOLOv8, NanoDet)

/// The mean of 0 .. bins-1 under the softmax of `values`.
float expectedBin(const float *values, int64_t step, int64_t bins) {
  const float largest = bestOf(values, step, bins).score;
  float sum = 0, weighted = 0;
  for (int64_t b = 0; b < bins; ++b) {
    const float e = std::exp(values[b * step] - largest);
    sum += e;
    weighted += e * static_cast<float>(b);
  }
  return weighted / sum;
}

/// A box from the distances of its sides (left, top, right, bottom, in strides) to a point.
void addSides(const float *distances, int64_t step, int64_t bins, Pair point, float stride, Best best,
              Collector &out) {
  const auto side = [&](int64_t i) { return expectedBin(distances + i * bins * step, step, bins) * stride; };
  out.addCorners(point.x - side(0), point.y - side(1), point.x + side(2), point.y + side(3), best);
}

Result<Bound> bind(const Yolov8Head &head, const InputSpec &input, std::span<const OutputTensor> outputs) {
  const int64_t before = head.decoded ? kBox : kBox * head.bins;
  auto levels = head.decoded ? decodedTable(head.outputs, head.order, before + 1, "yolov8", outputs)
                             : findLevels(outputs, head.outputs,
                                          gridOf("yolov8", input, head.strides, head.order), before + 1);
  if (!levels) return levels.error();
  return boundWith(*std::move(levels), before, "yolov8");
}

void collect(const Yolov8Head &head, const InputSpec &, const Bound &bound, Collector &out) {
  for (const Level &level : bound.levels)
    forEach(level, [&](int64_t, const float *v, float column, float row) {
      const int64_t s = level.valueStep;
      Best best = bestOf(v + (level.values - bound.classes) * s, s, bound.classes);
      if (!head.decoded) best.score = sigmoid(best.score);
      if (!out.wants(best.score)) return;
      if (head.decoded) return out.addCentred({v[0], v[s]}, {v[2 * s], v[3 * s]}, best);
      const auto stride = static_cast<float>(level.stride);
      addSides(v, s, head.bins, {(column + 0.5F) * stride, (row + 0.5F) * stride}, stride, best, out);
    });
}

Result<Bound> bind(const NanodetHead &head, const InputSpec &input, std::span<const OutputTensor> outputs) {
  const Grid grid = gridOf("nanodet", input, head.strides, Order::Rows);
  PLANISH_ASSIGN(std::vector<Level> scores, findLevels(outputs, head.scores, grid, 1));
  PLANISH_ASSIGN(std::vector<Level> sides, findLevels(outputs, head.distances, grid, kBox * head.bins));
  for (const Level &level : sides)
    if (level.values != kBox * head.bins)
      return badInput("the \"distances\" of the decoder nanodet have " + std::to_string(level.values) +
                      " values; expected 4 sides of " + std::to_string(head.bins) + " bins: set \"bins\"");
  PLANISH_ASSIGN(Bound bound, boundWith(std::move(scores), 0, "nanodet"));
  bound.sides = std::move(sides);
  return bound;
}

void collect(const NanodetHead &head, const InputSpec &, const Bound &bound, Collector &out) {
  for (size_t i = 0; i < bound.levels.size(); ++i) {
    const Level &level = bound.levels[i], &sides = bound.sides[i];
    forEach(level, [&](int64_t, const float *v, float column, float row) {
      Best best = bestOf(v, level.valueStep, bound.classes);
      best.score = activated(best.score, head.activation);
      if (!out.wants(best.score)) return;
      const auto stride = static_cast<float>(level.stride);
      const Pair point{(column + 0.5F) * stride + head.centreShift, (row + 0.5F) * stride + head.centreShift};
      const auto cell = static_cast<int64_t>(row) * level.gridWidth + static_cast<int64_t>(column);
      addSides(sides.at(0, cell), sides.valueStep, head.bins, point, stride, best, out);
    });
  }
}

// --- FastestDet

Result<Bound> bind(const FastestdetHead &head, const InputSpec &, std::span<const OutputTensor> outputs) {
  PLANISH_ASSIGN(const OutputTensor output, findOutput(outputs, head.output));
  const std::vector<int64_t> &s = output.shape;
  if (s.size() != 4 || s[0] != 1 || s[1] <= kBoxAndObjectness || s[2] < 1 || s[3] < 1)
    return badInput("output '" + output.name + "' of the model is " + run::shapeText(s) +
                    "; the decoder fastestdet of the frame.json takes 1xKxHxW with K at least 6");
  Level level;
  level.data = output.data;
  level.cells = s[2] * s[3];
  level.valueStep = level.cells;
  level.cellStep = 1;
  level.values = s[1];
  level.gridWidth = static_cast<int>(s[3]);
  return boundWith({level}, kBoxAndObjectness, "fastestdet");
}

/// Objectness first, then the box; score = objectness^0.6 * class^0.4 (FastestDet's own test code).
void collect(const FastestdetHead &, const InputSpec &input, const Bound &bound, Collector &out) {
  const Level &level = bound.levels[0];
  const float cellWidth = static_cast<float>(input.width) / static_cast<float>(level.gridWidth);
  const float cellHeight = static_cast<float>(input.height) /
                           (static_cast<float>(level.cells) / static_cast<float>(level.gridWidth));
  forEach(level, [&](int64_t, const float *v, float column, float row) {
    const int64_t s = level.valueStep;
    Best best = bestOf(v + kBoxAndObjectness * s, s, bound.classes);
    best.score = std::pow(v[0], 0.6F) * std::pow(best.score, 0.4F);
    if (!out.wants(best.score)) return;
    const Pair size{sigmoid(v[3 * s]) * static_cast<float>(input.width),
                    sigmoid(v[4 * s]) * static_cast<float>(input.height)};
    out.addCentred({(column + std::tanh(v[s])) * cellWidth, (row + std::tanh(v[2 * s])) * cellHeight}, size,
                   best);
  });
}

// --- SSD

int64_t priorCount(const SsdHead &head, const InputSpec &input) {
  int64_t count = 0;
  for (const PriorLevel &level : head.priors) {
    const int64_t columns = (input.width + level.stride - 1) / level.stride;
    const int64_t rows = (input.height + level.stride - 1) / level.stride;
    count += columns * rows * static_cast<int64_t>(level.sizes.size());
  }
  return count;
}

Result<Bound> bind(const SsdHead &head, const InputSpec &input, std::span<const OutputTensor> outputs) {
  PLANISH_ASSIGN(const OutputTensor scores, findOutput(outputs, head.scores));
  PLANISH_ASSIGN(const OutputTensor boxes, findOutput(outputs, head.boxes));
  PLANISH_ASSIGN(const Level scoreTable, findTable(scores, Order::Rows, head.background < 0 ? 1 : 2, "ssd"));
  PLANISH_ASSIGN(const Level boxTable, findTable(boxes, Order::Rows, kBox, "ssd"));
  if (boxTable.values != kBox || boxTable.cells != scoreTable.cells)
    return badInput("the outputs '" + head.boxes + "' (" + run::shapeText(boxes.shape) + ") and '" +
                    head.scores + "' (" + run::shapeText(scores.shape) +
                    ") do not fit: the decoder ssd takes 1xNx4 and 1xNxC");
  if (head.background >= scoreTable.values)
    return badInput("\"background\" is " + std::to_string(head.background) + ", but '" + head.scores +
                    "' has " + std::to_string(scoreTable.values) + " values per box");
  const int64_t priors = priorCount(head, input);
  if (!head.priors.empty() && priors != boxTable.cells)
    return badInput("\"priors\" of the decoder ssd are " + std::to_string(priors) + " for an input of " +
                    std::to_string(input.width) + "x" + std::to_string(input.height) + ", but '" +
                    head.boxes + "' has " + std::to_string(boxTable.cells) + " boxes");
  return Bound{{scoreTable}, {boxTable}, scoreTable.values - (head.background < 0 ? 0 : 1)};
}

/// Per box the scores of all values, the background's included.
void scoresOf(const Level &table, int64_t box, Activation activation, std::vector<float> &scores) {
  const float *v = table.at(0, box);
  scores.assign(v, v + table.values);
  if (activation == Activation::Softmax) {
    const float largest = *std::max_element(scores.begin(), scores.end());
    float sum = 0;
    for (float &score : scores) sum += score = std::exp(score - largest);
    for (float &score : scores) score /= sum;
  } else {
    for (float &score : scores) score = activated(score, activation);
  }
}

/// A prior's centre and size; the network's own boxes have none.
struct Prior {
  Pair centre, size;
};

std::vector<Prior> priorsOf(const SsdHead &head, const InputSpec &input) {
  std::vector<Prior> priors;
  for (const PriorLevel &level : head.priors) {
    const int columns = (input.width + level.stride - 1) / level.stride;
    const int rows = (input.height + level.stride - 1) / level.stride;
    const auto stride = static_cast<float>(level.stride);
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < columns; ++x)
        for (const auto &[width, height] : level.sizes)
          priors.push_back(
              {{(static_cast<float>(x) + 0.5F) * stride, (static_cast<float>(y) + 0.5F) * stride},
               {width, height}});
  }
  return priors;
}

void collect(const SsdHead &head, const InputSpec &input, const Bound &bound, Collector &out) {
  const std::vector<Prior> priors = priorsOf(head, input);
  const float width = head.normalised ? static_cast<float>(input.width) : 1.0F;
  const float height = head.normalised ? static_cast<float>(input.height) : 1.0F;
  std::vector<float> scores;
  for (int64_t i = 0; i < bound.levels[0].cells; ++i) {
    scoresOf(bound.levels[0], i, head.activation, scores);
    const float *b = bound.sides[0].at(0, i);
    int64_t classId = 0;
    for (size_t value = 0; value < scores.size(); ++value) {
      if (static_cast<int>(value) == head.background) continue;
      const Best best{classId++, scores[value]};
      if (!out.wants(best.score)) continue;
      if (!priors.empty()) {
        const auto &[centre, size] = priors[static_cast<size_t>(i)];
        out.addCentred(
            {centre.x + b[0] * head.variances[0] * size.x, centre.y + b[1] * head.variances[0] * size.y},
            {size.x * std::exp(b[2] * head.variances[1]), size.y * std::exp(b[3] * head.variances[1])}, best);
      } else if (head.form == BoxForm::Corners) {
        out.addCorners(b[0] * width, b[1] * height, b[2] * width, b[3] * height, best);
      } else {
        out.addCentred({b[0] * width, b[1] * height}, {b[2] * width, b[3] * height}, best);
      }
    }
  }
}

Result<Bound> bindHead(const FrameSpec &spec, std::span<const OutputTensor> outputs) {
  auto bound = std::visit([&](const auto &head) { return bind(head, spec.input, outputs); }, spec.head);
  if (!bound) return bound.error().in("'" + spec.path + "': $.decoder");
  return bound;
}

float area(const Detection &box) { return (box.x1 - box.x0) * (box.y1 - box.y0); }

float overlap(const Detection &a, const Detection &b) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const float height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  return width * height / (area(a) + area(b) - width * height);
}

} // namespace

Result<int> classesOf(const FrameSpec &spec, std::span<const OutputTensor> outputs) {
  PLANISH_ASSIGN(const Bound bound, bindHead(spec, outputs));
  if (!spec.labels.empty() && static_cast<int64_t>(spec.labels.size()) != bound.classes)
    return badInput("'" + spec.path + "': $.labels: " + std::to_string(spec.labels.size()) +
                    " labels, but the model has " + std::to_string(bound.classes) + " classes");
  return static_cast<int>(bound.classes);
}

Result<std::vector<Detection>> decode(const FrameSpec &spec, std::span<const OutputTensor> outputs) {
  PLANISH_ASSIGN(const Bound bound, bindHead(spec, outputs));
  Collector out(spec.thresholds.score);
  std::visit([&](const auto &head) { collect(head, spec.input, bound, out); }, spec.head);
  return std::move(out.boxes);
}

std::vector<Detection> suppress(std::vector<Detection> boxes, const Thresholds &thresholds) {
  std::stable_sort(boxes.begin(), boxes.end(),
                   [](const Detection &a, const Detection &b) { return a.score > b.score; });
  std::vector<Detection> kept;
  for (const Detection &box : boxes) {
    if (static_cast<int>(kept.size()) == thresholds.maxDetections) break;
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Detection &other) {
      return (!thresholds.classAware || other.classId == box.classId) && overlap(box, other) > thresholds.iou;
    });
    if (!hidden) kept.push_back(box);
  }
  return kept;
}

} // namespace planish::stream
