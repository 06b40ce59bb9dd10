// Reading frame.json: what is right, and one clear complaint about everything that is wrong.
#include "stream/Frame.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <random>

namespace planish::stream {
namespace {

using Json = nlohmann::json;

const char *const kValid = R"({
  "input": {"width": 64, "height": 32, "colour": "bgr", "resize": "letterbox"},
  "decoder": {"family": "yolox"}
})";

TEST(Frame, DefaultsAndFields) {
  const auto spec = parseFrame(kValid, "f.json");
  ASSERT_TRUE(spec) << spec.error().text;
  EXPECT_EQ(spec->input.width, 64);
  EXPECT_EQ(spec->input.height, 32);
  EXPECT_EQ(spec->input.colour, Colour::Bgr);
  EXPECT_EQ(spec->input.pad, 114);
  EXPECT_EQ(std::get<YoloxHead>(spec->head).strides, (std::vector{8, 16, 32}));
  EXPECT_EQ(spec->thresholds.score, 0.25F);
  EXPECT_TRUE(spec->thresholds.classAware);
  EXPECT_EQ(spec->labelOf(7), "class 7");
}

TEST(Frame, EveryFamily) {
  const auto head = [](const char *decoder) {
    Json document = Json::parse(kValid);
    document["decoder"] = Json::parse(decoder);
    auto spec = parseFrame(document.dump(), "f.json");
    EXPECT_TRUE(spec) << (spec ? "" : spec.error().text);
    return spec ? spec->head : Head();
  };
  const auto v5 = std::get<Yolov5Head>(head(
      R"({"family": "yolov5", "form": "raw", "strides": [8, 16], "anchors": [[[1, 2]], [[3, 4], [5, 6.5]]]})"));
  EXPECT_FALSE(v5.decoded);
  EXPECT_EQ(v5.anchors[1][1], (std::array{5.0F, 6.5F}));
  const auto v8 = std::get<Yolov8Head>(head(R"({"family": "yolov8", "outputs": "o", "order": "rows"})"));
  EXPECT_EQ(v8.outputs, std::vector<std::string>{"o"});
  EXPECT_EQ(v8.order, Order::Rows);
  const auto nanodet = std::get<NanodetHead>(head(
      R"({"family": "nanodet", "scores": ["a"], "distances": ["b"], "strides": [8], "centre_shift": -0.5})"));
  EXPECT_EQ(nanodet.centreShift, -0.5F);
  EXPECT_EQ(std::get<FastestdetHead>(head(R"({"family": "fastestdet", "output": "o"})")).output, "o");
  const auto ssd =
      std::get<SsdHead>(head(R"({"family": "ssd", "boxes": "b", "scores": "s", "activation": "softmax",
      "priors": [{"stride": 8, "sizes": [[10, 10], [16, 20]]}], "variances": {"centre": 0.5, "size": 0.25}})"));
  EXPECT_EQ(ssd.activation, Activation::Softmax);
  EXPECT_EQ(ssd.priors[0].sizes[1], (std::array{16.0F, 20.0F}));
  EXPECT_EQ(ssd.variances, (std::array{0.5F, 0.25F}));
}

/// A change of the valid document (a JSON merge patch), and the complaint it must give.
struct Mistake {
  const char *patch, *complaint;
};

class FrameMistake : public testing::TestWithParam<Mistake> {};

TEST_P(FrameMistake, IsToldWithItsPath) {
  Json document = Json::parse(kValid);
  document.merge_patch(Json::parse(GetParam().patch));
  const auto spec = parseFrame(document.dump(), "f.json");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().kind, ErrorKind::BadInput);
  EXPECT_EQ(spec.error().text, std::string("'f.json': ") + GetParam().complaint);
}

const Mistake kMistakes[] = {
    {R"({"input": null})", "$: field \"input\" is missing; docs/frame.md describes it"},
    {R"({"input": 3})", "$.input: expected an object, found 3"},
    {R"({"input": {"width": null}})", "$.input: field \"width\" is missing; docs/frame.md describes it"},
    {R"({"input": {"width": 0}})", "$.input.width: expected an integer from 1 to 16384, found 0"},
    {R"({"input": {"width": 18446744073709551615}})",
     "$.input.width: expected an integer from 1 to 16384, found 18446744073709551615"},
    {R"({"input": {"width": 64.5}})", "$.input.width: expected an integer from 1 to 16384, found 64.5"},
    {R"({"input": {"width": "64"}})", "$.input.width: expected an integer from 1 to 16384, found \"64\""},
    {R"({"input": {"color": "rgb"}})", "$.input: unknown field \"color\"; did you mean \"colour\"?"},
    {R"({"input": {"colour": "yuv"}})",
     "$.input.colour: expected one of \"rgb\", \"bgr\", \"grey\", found \"yuv\""},
    {R"({"input": {"align": "center"}})",
     "$.input.align: expected one of \"top-left\", \"centre\", found \"center\""},
    {R"({"input": {"resize": "stretch", "pad": 0}})",
     "$.input: \"pad\" and \"align\" belong to \"resize\": \"letterbox\""},
    {R"({"input": {"pad": 256}})", "$.input.pad: expected a number from 0 to 255, found 256"},
    {R"({"input": {"mean": [1, 2]}})",
     "$.input.mean: expected a number, or a list of 3 numbers, found [1,2]"},
    {R"({"input": {"colour": "grey", "mean": [1, 2, 3]}})", "$.input.mean: expected a number, found [1,2,3]"},
    {R"({"input": {"scale": "no"}})",
     "$.input.scale: expected a number, or a list of 3 numbers, found \"no\""},
    {R"({"decoder": {"family": "yolo"}})", "$.decoder.family: expected one of \"yolox\", \"yolov5\", "
                                           "\"yolov8\", \"nanodet\", \"fastestdet\", \"ssd\", "
                                           "found \"yolo\""},
    {R"({"decoder": {"strides": []}})",
     "$.decoder.strides: expected a list of integers from 1 to 4096, found []"},
    {R"({"decoder": {"strides": [8, 0]}})",
     "$.decoder.strides: expected a list of integers from 1 to 4096, found [8,0]"},
    {R"({"decoder": {"outputs": [1]}})", "$.decoder.outputs: expected a name, or a list of names, found [1]"},
    {R"({"decoder": {"anchors": []}})",
     "$.decoder: unknown field \"anchors\"; the fields here are \"family\", "
     "\"outputs\", \"strides\", \"order\", \"activation\", \"form\""},
    {R"({"decoder": {"family": "yolov5", "form": "raw", "anchors": [[[1, 2]]]}})",
     "$.decoder.anchors: expected one list per stride, 3, found 1"},
    {R"({"decoder": {"family": "yolov5", "form": "raw", "anchors": [[[1, -2]]]}})",
     "$.decoder.anchors: expected [width, height] of positive numbers, found [1,-2]"},
    {R"({"decoder": {"family": "yolov8", "strides": [8]}})",
     "$.decoder: unknown field \"strides\"; the fields here are \"family\", \"outputs\", \"order\", "
     "\"form\""},
    {R"({"decoder": {"family": "nanodet", "scores": ["a"], "distances": ["b"]}})",
     "$.decoder.scores: expected one output name per stride, 3, found 1"},
    {R"({"decoder": {"family": "ssd", "scores": "s"}})",
     "$.decoder: field \"boxes\" is missing; docs/frame.md describes it"},
    {R"({"decoder": {"family": "ssd", "boxes": "b", "scores": "s", "priors": [{"stride": 8}]}})",
     "$.decoder.priors[0]: field \"sizes\" is missing; docs/frame.md describes it"},
    {R"({"thresholds": {"score": 1.5}})", "$.thresholds.score: expected a number from 0 to 1, found 1.5"},
    {R"({"thresholds": {"class_aware": 1}})", "$.thresholds.class_aware: expected true or false, found 1"},
    {R"({"thresholds": {"max_detections": 0}})",
     "$.thresholds.max_detections: expected an integer from 1 to 100000, found 0"},
    {R"({"labels": []})", "$.labels: expected a name, or a list of names, found []"},
    {R"({"labels": "missing.txt"})", "$.labels: cannot read 'missing.txt'"},
    {R"({"lables": ["a"]})", "$: unknown field \"lables\"; did you mean \"labels\"?"},
};
INSTANTIATE_TEST_SUITE_P(All, FrameMistake, testing::ValuesIn(kMistakes));

TEST(Frame, TextThatIsNotJson) {
  EXPECT_THAT(parseFrame("{\n  \"input\": }", "f.json").error().text,
              testing::StartsWith("'f.json': parse error at line 2, column 12"));
  EXPECT_EQ(parseFrame("[]", "f.json").error().text, "'f.json': $: expected an object, found []");
  EXPECT_FALSE(parseFrame("", "f.json"));
  EXPECT_FALSE(parseFrame(std::string("\"\xFF\""), "f.json"));
}

TEST(Frame, DamagedTextIsReadOrRefused) {
  const uint32_t seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string text = kValid;
    for (uint32_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % text.size();
      const char *const pieces[] = {"null",  "[]",      "{",       "}", "-1",
                                    "1e999", "\"ssd\"", "\"raw\"", ",", "\\u0000"};
      text.replace(at, random() % 8, pieces[random() % std::size(pieces)]);
    }
    const auto spec = parseFrame(text, "f.json");
    if (spec) continue;
    EXPECT_THAT(spec.error().text, testing::StartsWith("'f.json': ")) << text;
  }
}

TEST(Frame, LabelsFromAFileBesideIt) {
  const std::string folder = testing::TempDir();
  std::ofstream(folder + "labels.txt", std::ios::binary) << "nut\r\nbolt\n";
  std::ofstream(folder + "gap.txt", std::ios::binary) << "nut\n\nbolt\n";
  Json document = Json::parse(kValid);
  document["labels"] = "labels.txt";
  const auto spec = parseFrame(document.dump(), folder + "f.json");
  ASSERT_TRUE(spec) << spec.error().text;
  EXPECT_EQ(spec->labels, (std::vector<std::string>{"nut", "bolt"}));
  document["labels"] = "gap.txt";
  EXPECT_THAT(parseFrame(document.dump(), folder + "f.json").error().text,
              testing::HasSubstr("gap.txt': line 2 is empty; expected one label per line"));
}

} // namespace
} // namespace planish::stream
