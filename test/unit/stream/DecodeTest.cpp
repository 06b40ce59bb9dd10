// Every decoder family against boxes computed by hand, in each layout its outputs may have.
#include "stream/Decode.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace planish::stream {
namespace {

using testing::HasSubstr;

// An input of 16x8: strides 8 and 16 have 2x1 and 1x1 cells.
FrameSpec specOf(Head head, float score = 0.5F) {
  FrameSpec spec;
  spec.path = "frame.json";
  spec.input.width = 16;
  spec.input.height = 8;
  spec.head = std::move(head);
  spec.thresholds.score = score;
  return spec;
}

OutputTensor tensor(const std::string &name, const std::vector<float> &values, std::vector<int64_t> shape) {
  return {name, values.data(), std::move(shape)};
}

float logit(float p) { return std::log(p / (1 - p)); }

void expectBoxes(const FrameSpec &spec, const std::vector<OutputTensor> &outputs,
                 const std::vector<Detection> &want) {
  const auto got = decode(spec, outputs);
  ASSERT_TRUE(got) << got.error().text;
  ASSERT_EQ(got->size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const Detection &g = (*got)[i], &w = want[i];
    EXPECT_NEAR(g.x0, w.x0, 1e-4) << i;
    EXPECT_NEAR(g.y0, w.y0, 1e-4) << i;
    EXPECT_NEAR(g.x1, w.x1, 1e-4) << i;
    EXPECT_NEAR(g.y1, w.y1, 1e-4) << i;
    EXPECT_EQ(g.classId, w.classId) << i;
    EXPECT_NEAR(g.score, w.score, 1e-5) << i;
  }
}

std::string refusal(const FrameSpec &spec, const std::vector<OutputTensor> &outputs) {
  const auto got = decode(spec, outputs);
  EXPECT_FALSE(got);
  if (got) return "";
  EXPECT_EQ(got.error().kind, ErrorKind::BadInput);
  return got.error().text;
}

/// Rows of K values as columns.
std::vector<float> transposed(const std::vector<float> &rows, size_t values) {
  std::vector<float> columns(rows.size());
  const size_t count = rows.size() / values;
  for (size_t r = 0; r < count; ++r)
    for (size_t v = 0; v < values; ++v) columns[v * count + r] = rows[r * values + v];
  return columns;
}

// Three predictions: cells 0 and 1 of stride 8, and the one of stride 16.
const float kLog2 = std::log(2.0F);
const std::vector<float> kYoloxRows = {
    0.5F,  0.25F, 0,      kLog2, 0.9F, 0.1F, 0.8F, // centre (4, 2), size 8x16, class 1, 0.72
    0,     0.5F,  kLog2,  0,     0.4F, 0.9F, 0.9F, // objectness below 0.5
    0.25F, 0.25F, -kLog2, 0,     1,    0.6F, 0.6F, // centre (4, 4), size 8x16; the first of equals
};
const std::vector<Detection> kYoloxBoxes = {{0, -6, 8, 10, 1, 0.72F}, {0, -4, 8, 12, 0, 0.6F}};

TEST(Decode, YoloxTable) {
  YoloxHead head;
  head.strides = {8, 16};
  expectBoxes(specOf(head), {tensor("out", kYoloxRows, {1, 3, 7})}, kYoloxBoxes);
  expectBoxes(specOf(head), {tensor("out", kYoloxRows, {3, 7})}, kYoloxBoxes);
  head.order = Order::Columns;
  expectBoxes(specOf(head), {tensor("out", transposed(kYoloxRows, 7), {1, 7, 3})}, kYoloxBoxes);
}

TEST(Decode, YoloxOneOutputPerStride) {
  YoloxHead head;
  head.strides = {8, 16};
  head.outputs = {"a", "b"};
  const std::vector<float> a(kYoloxRows.begin(), kYoloxRows.begin() + 14),
      b(kYoloxRows.begin() + 14, kYoloxRows.end());
  const std::vector<float> planes = transposed(a, 7);
  expectBoxes(specOf(head), {tensor("b", b, {1, 7, 1, 1}), tensor("a", planes, {1, 7, 1, 2})}, kYoloxBoxes);
  expectBoxes(specOf(head), {tensor("a", a, {1, 1, 2, 7}), tensor("b", b, {1, 1, 1, 7})}, kYoloxBoxes);
  expectBoxes(specOf(head), {tensor("a", a, {1, 2, 7}), tensor("b", b, {1, 1, 7})}, kYoloxBoxes);
}

TEST(Decode, YoloxActivationAndDecodedBoxes) {
  YoloxHead head;
  head.decoded = true;
  head.activation = Activation::Sigmoid;
  const std::vector<float> row = {8, 4, 4, 2, logit(0.9F), logit(0.1F), logit(0.8F)};
  expectBoxes(specOf(head), {tensor("out", row, {1, 1, 7})}, {{6, 3, 10, 5, 1, 0.72F}});
}

TEST(Decode, Yolov5) {
  const std::vector<float> decoded = {8, 4, 4, 2, 0.9F, 0.1F, 0.8F, 1, 1, 1, 1, 0.1F, 1, 1};
  expectBoxes(specOf(Yolov5Head{}), {tensor("out", decoded, {1, 2, 7})}, {{6, 3, 10, 5, 1, 0.72F}});

  Yolov5Head raw;
  raw.decoded = false;
  raw.strides = {8};
  raw.anchors = {{{4, 2}, {10, 6}}};
  // Anchor 0 is silent; anchor 1, cell 1: centre ((2*0.75 - 0.5 + 1) * 8, (1 - 0.5) * 8), size (10 * 1, 6
  // * 2.25).
  const float no = -20;
  const std::vector<float> rows = {0,           0, 0, 0,           no,          0,           //
                                   0,           0, 0, 0,           no,          0,           //
                                   0,           0, 0, 0,           no,          0,           //
                                   logit(.75F), 0, 0, logit(.75F), logit(0.9F), logit(0.8F)};
  const std::vector<Detection> boxes = {{16 - 5, 4 - 6.75F, 16 + 5, 4 + 6.75F, 0, 0.72F}};
  expectBoxes(specOf(raw), {tensor("out", rows, {1, 2, 1, 2, 6})}, boxes);
  expectBoxes(specOf(raw), {tensor("out", rows, {1, 4, 6})}, boxes);
  // A*K channels of 1x2 maps: within each anchor the values are planes of two cells.
  const std::vector<float> first(rows.begin(), rows.begin() + 12), second(rows.begin() + 12, rows.end());
  std::vector<float> planes = transposed(first, 6);
  for (const float v : transposed(second, 6)) planes.push_back(v);
  expectBoxes(specOf(raw), {tensor("out", planes, {1, 12, 1, 2})}, boxes);
}

TEST(Decode, Yolov8) {
  const std::vector<float> rows = {8, 4, 4, 2, 0.1F, 0.8F, 8, 4, 4, 2, 0.1F, 0.2F};
  expectBoxes(specOf(Yolov8Head{}), {tensor("out", transposed(rows, 6), {1, 6, 2})},
              {{6, 3, 10, 5, 1, 0.8F}});

  Yolov8Head raw;
  raw.decoded = false;
  raw.strides = {8};
  raw.bins = 2;
  // Sides of two bins: the mean is sigmoid(second - first) strides.
  std::vector<float> cells;
  for (int cell = 0; cell < 2; ++cell) {
    for (const float side : {0.25F, 0.5F, 0.75F, 0.5F})
      for (const float bin : {0.0F, logit(side)}) cells.push_back(bin);
    cells.push_back(cell == 1 ? logit(0.8F) : -5);
  }
  expectBoxes(specOf(raw), {tensor("out", transposed(cells, 9), {1, 9, 1, 2})},
              {{12 - 2, 0, 12 + 6, 8, 0, 0.8F}});
}

TEST(Decode, Nanodet) {
  NanodetHead head;
  head.strides = {8, 16};
  head.scores = {"s8", "s16"};
  head.distances = {"d8", "d16"};
  head.bins = 2;
  head.centreShift = -0.5F;
  const std::vector<float> s8 = {0.1F, 0.2F, 0.7F, 0.2F}, s16 = {0.1F, 0.6F};
  std::vector<float> d8(16, 0), d16;
  for (const float side : {0.25F, 0.5F, 0.75F, 0.5F})
    for (const float bin : {0.0F, logit(side)}) d16.push_back(bin);
  // All-zero distributions mean half a stride.
  expectBoxes(specOf(head),
              {tensor("s8", s8, {1, 2, 2}), tensor("s16", s16, {1, 1, 2}), tensor("d8", d8, {1, 2, 8}),
               tensor("d16", d16, {1, 1, 8})},
              {{11.5F - 4, 3.5F - 4, 11.5F + 4, 3.5F + 4, 0, 0.7F},
               {7.5F - 4, 7.5F - 8, 7.5F + 12, 7.5F + 8, 1, 0.6F}});
}

TEST(Decode, Fastestdet) {
  // A 1x2 map; cell 1: centre ((1 + tanh 0) / 2, (0 + tanh 0.5) / 1), size sigmoid of (0, log 3) of the
  // input.
  const std::vector<float> cells = {0.01F, 0,    0,    0, 0,
                                    0.9F,  0.1F, //
                                    0.9F,  0,    0.5F, 0, std::log(3.0F),
                                    0.3F,  0.7F};
  const float score = std::pow(0.9F, 0.6F) * std::pow(0.7F, 0.4F), y = std::tanh(0.5F) * 8;
  expectBoxes(specOf(FastestdetHead{}), {tensor("out", transposed(cells, 7), {1, 7, 1, 2})},
              {{8 - 4, y - 3, 8 + 4, y + 3, 1, score}});
}

SsdHead ssd() {
  SsdHead head;
  head.boxes = "boxes";
  head.scores = "scores";
  return head;
}

TEST(Decode, SsdDecodedBoxes) {
  SsdHead head = ssd();
  // Every class above the threshold gives a box; the background never does.
  const std::vector<float> scores = {0.1F, 0.7F, 0.6F, 0.9F, 0.05F, 0.05F};
  const std::vector<float> boxes = {0.25F, 0.5F, 0.75F, 1, 0, 0, 1, 1};
  const auto outputs = [&] {
    return std::vector{tensor("scores", scores, {1, 2, 3}), tensor("boxes", boxes, {1, 2, 4})};
  };
  expectBoxes(specOf(head), outputs(), {{4, 4, 12, 8, 0, 0.7F}, {4, 4, 12, 8, 1, 0.6F}});
  head.form = BoxForm::CentreSize;
  expectBoxes(specOf(head), outputs(), {{-2, 0, 10, 8, 0, 0.7F}, {-2, 0, 10, 8, 1, 0.6F}});
  head.form = BoxForm::Corners;
  head.normalised = false;
  head.background = 2;
  expectBoxes(specOf(head), outputs(), {{0.25F, 0.5F, 0.75F, 1, 1, 0.7F}, {0, 0, 1, 1, 0, 0.9F}});
  head.background = -1;
  expectBoxes(specOf(head, 0.8F), outputs(), {{0, 0, 1, 1, 0, 0.9F}});
}

TEST(Decode, SsdPriors) {
  SsdHead head = ssd();
  head.activation = Activation::Softmax;
  head.priors = {{8, {{4, 2}, {6, 6}}}, {16, {{16, 8}}}};
  // Prior 3: cell 1, size 6x6; centre (12 + 2*0.1*6, 4 - 1*0.1*6), size 6 * exp(0.2 * 5 * log 2).
  const std::vector<float> scores = {0, -9, 0, -9, 0, -9, 0, std::log(4.0F), 0, -9};
  std::vector<float> boxes(20, 0);
  boxes[12] = 2;
  boxes[13] = -1;
  boxes[14] = 5 * kLog2;
  expectBoxes(specOf(head), {tensor("scores", scores, {1, 5, 2}), tensor("boxes", boxes, {1, 5, 4})},
              {{13.2F - 6, 3.4F - 3, 13.2F + 6, 3.4F + 3, 0, 0.8F}});
  head.priors.pop_back();
  EXPECT_THAT(refusal(specOf(head), {tensor("scores", scores, {1, 5, 2}), tensor("boxes", boxes, {1, 5, 4})}),
              HasSubstr("\"priors\" of the decoder ssd are 4 for an input of 16x8, but 'boxes' has 5 boxes"));
}

TEST(Decode, BoxesThatAreNotFiniteAreLeftOut) {
  YoloxHead head;
  head.decoded = true;
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const std::vector<float> rows = {nan, 0,   1, 1, 1, 1, 0, 0, inf, 1, 1, 1, 0, 0, 1,
                                   1,   nan, 1, 0, 0, 1, 1, 1, nan, 2, 2, 2, 2, 1, 1};
  expectBoxes(specOf(head), {tensor("out", rows, {1, 5, 6})}, {{1, 1, 3, 3, 0, 1}});
}

TEST(Decode, RefusesOutputsThatDoNotFit) {
  YoloxHead head;
  head.strides = {8, 16};
  const FrameSpec spec = specOf(head);
  EXPECT_EQ(
      refusal(spec, {tensor("out", kYoloxRows, {1, 7, 3})}),
      "'frame.json': $.decoder: output 'out' of the model is 1x7x3; the decoder yolox of the frame.json "
      "takes "
      "1x3xK with K at least 6 (input 16x8, strides 8, 16): check the input size, \"strides\", \"order\" and "
      "\"form\"");
  EXPECT_THAT(refusal(spec, {tensor("a", kYoloxRows, {1, 3, 7}), tensor("b", {}, {1})}),
              HasSubstr("names no output and the model has several: 'a' (1x3x7), 'b' (1)"));
  head.outputs = {"c"};
  EXPECT_THAT(refusal(specOf(head), {tensor("a", kYoloxRows, {1, 3, 7})}),
              HasSubstr("the model has no output 'c', it has 'a' (1x3x7)"));
  head.outputs = {"a", "a", "a"};
  EXPECT_THAT(refusal(specOf(head), {tensor("a", kYoloxRows, {1, 3, 7})}),
              HasSubstr("names 3 outputs for 2 strides"));
  EXPECT_THAT(refusal(specOf(FastestdetHead{}), {tensor("a", kYoloxRows, {1, 3, 7})}),
              HasSubstr("takes 1xKxHxW"));
  EXPECT_THAT(refusal(specOf(Yolov8Head{}), {tensor("a", kYoloxRows, {1, 4, 7})}),
              HasSubstr("with K at least 5"));
  EXPECT_THAT(refusal(specOf(ssd()),
                      {tensor("boxes", kYoloxRows, {1, 3, 4}), tensor("scores", kYoloxRows, {1, 2, 3})}),
              HasSubstr("do not fit"));
}

TEST(Decode, LabelsMustBeAsManyAsClasses) {
  YoloxHead head;
  head.strides = {8, 16};
  FrameSpec spec = specOf(head);
  const std::vector<OutputTensor> outputs = {tensor("out", {}, {1, 3, 7})}; // shapes are enough
  EXPECT_EQ(*classesOf(spec, outputs), 2);
  spec.labels = {"a", "b"};
  EXPECT_EQ(*classesOf(spec, outputs), 2);
  spec.labels = {"a"};
  EXPECT_EQ(classesOf(spec, outputs).error().text,
            "'frame.json': $.labels: 1 labels, but the model has 2 classes");
}

TEST(Suppress, KeepsTheBestOfWhatOverlaps) {
  // IoU of the first two: 80 / 120; of the first and the last: 0.
  const std::vector<Detection> boxes = {
      {2, 0, 12, 10, 0, 0.6F}, {0, 0, 10, 10, 0, 0.9F}, {0, 0, 10, 10, 1, 0.5F}, {10, 0, 20, 10, 0, 0.4F}};
  const auto scores = [&](Thresholds thresholds) {
    std::vector<float> result;
    for (const Detection &box : suppress(boxes, thresholds)) result.push_back(box.score);
    return result;
  };
  EXPECT_THAT(scores({.iou = 0.6F}), testing::ElementsAre(0.9F, 0.5F, 0.4F));
  EXPECT_THAT(scores({.iou = 0.7F}), testing::ElementsAre(0.9F, 0.6F, 0.5F, 0.4F));
  EXPECT_THAT(scores({.iou = 0.6F, .classAware = false}), testing::ElementsAre(0.9F, 0.4F));
  EXPECT_THAT(scores({.iou = 0.7F, .maxDetections = 2}), testing::ElementsAre(0.9F, 0.6F));
  EXPECT_TRUE(suppress({}, {}).empty());
}

} // namespace
} // namespace planish::stream
