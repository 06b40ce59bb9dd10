// Placement by hand; resizing against a direct evaluation of the documented formula.
#include "stream/Preprocess.h"
#include "stream/Detector.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

namespace planish::stream {
namespace {

InputSpec letterbox(int width, int height, Align align) {
  InputSpec spec;
  spec.width = width;
  spec.height = height;
  spec.resize = Resize::Letterbox;
  spec.align = align;
  return spec;
}

TEST(Place, LetterboxKeepsTheAspect) {
  const auto expect = [](const InputSpec &spec, int width, int height, Placement want) {
    const Placement got = place(spec, width, height);
    EXPECT_EQ(std::tie(got.x, got.y, got.width, got.height),
              std::tie(want.x, want.y, want.width, want.height))
        << width << "x" << height;
  };
  expect(letterbox(416, 416, Align::TopLeft), 810, 1080, {0, 0, 312, 416});
  expect(letterbox(416, 416, Align::Centre), 810, 1080, {52, 0, 312, 416});
  expect(letterbox(416, 416, Align::Centre), 640, 427, {0, 69, 416, 278}); // 277.55
  expect(letterbox(10, 10, Align::Centre), 10, 5, {0, 2, 10, 5});          // odd rest: more below
  expect(letterbox(10, 10, Align::TopLeft), 4, 3, {0, 0, 10, 8});          // 7.5: halves up
  expect(letterbox(10, 10, Align::TopLeft), 1000, 1, {0, 0, 10, 1});       // never nothing
  expect(letterbox(64, 32, Align::TopLeft), 64, 32, {0, 0, 64, 32});
  InputSpec stretch = letterbox(20, 10, Align::Centre);
  stretch.resize = Resize::Stretch;
  expect(stretch, 3, 77, {0, 0, 20, 10});
}

run::Pixels randomPicture(std::mt19937 &random, int width, int height) {
  run::Pixels picture{width, height, 3, {}};
  for (int i = 0; i < width * height * 3; ++i) picture.data.push_back(static_cast<uint8_t>(random()));
  return picture;
}

/// One sample of the picture's channel c (R, G, B), by the formula in the header.
double sampled(const run::Pixels &picture, const Placement &at, int x, int y, int c) {
  const auto blend = [](int i, int from, int to) {
    const double v = std::clamp((i + 0.5) * from / to - 0.5, 0.0, from - 1.0);
    return std::pair{static_cast<int>(v), v - std::floor(v)};
  };
  const auto [x0, wx] = blend(x - at.x, picture.width, at.width);
  const auto [y0, wy] = blend(y - at.y, picture.height, at.height);
  const int x1 = std::min(x0 + 1, picture.width - 1), y1 = std::min(y0 + 1, picture.height - 1);
  const auto pixel = [&](int px, int py) { return static_cast<double>(picture.row(py)[px * 3 + c]); };
  return (pixel(x0, y0) * (1 - wx) + pixel(x1, y0) * wx) * (1 - wy) +
         (pixel(x0, y1) * (1 - wx) + pixel(x1, y1) * wx) * wy;
}

double expected(const InputSpec &spec, const run::Pixels &picture, int x, int y, int c) {
  const Placement at = place(spec, picture.width, picture.height);
  double value = spec.pad;
  if (x >= at.x && x < at.x + at.width && y >= at.y && y < at.y + at.height) {
    const auto channel = [&](int plane) { return sampled(picture, at, x, y, plane); };
    value = spec.colour == Colour::Grey  ? 0.299 * channel(0) + 0.587 * channel(1) + 0.114 * channel(2)
            : spec.colour == Colour::Bgr ? channel(2 - c)
                                         : channel(c);
  }
  return (value - spec.mean[static_cast<size_t>(c)]) * spec.scale[static_cast<size_t>(c)];
}

TEST(Preprocessor, FollowsItsFormulaOnRandomSizes) {
  const uint32_t seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto upTo = [&](int n) { return 1 + static_cast<int>(random() % static_cast<uint32_t>(n)); };
  for (int round = 0; round < 60; ++round) {
    InputSpec spec = letterbox(upTo(40), upTo(40), random() % 2 ? Align::Centre : Align::TopLeft);
    spec.resize = random() % 2 ? Resize::Letterbox : Resize::Stretch;
    spec.layout = random() % 2 ? Layout::Nchw : Layout::Nhwc;
    spec.colour = std::array{Colour::Rgb, Colour::Bgr, Colour::Grey}[random() % 3];
    spec.mean = {10, 20, 30};
    spec.scale = {0.5F, 0.25F, 2};
    Preprocessor preprocessor(spec);
    const run::Pixels picture = randomPicture(random, upTo(60), upTo(60));
    const int channels = spec.channels();
    std::vector<float> tensor(static_cast<size_t>(spec.width * spec.height * channels), -1e9F);
    preprocessor.run(picture, tensor);
    for (int y = 0; y < spec.height; ++y)
      for (int x = 0; x < spec.width; ++x)
        for (int c = 0; c < channels; ++c) {
          const int at = spec.layout == Layout::Nchw ? (c * spec.height + y) * spec.width + x
                                                     : (y * spec.width + x) * channels + c;
          ASSERT_NEAR(tensor[static_cast<size_t>(at)], expected(spec, picture, x, y, c), 1e-3)
              << "seed " << seed << " round " << round << " x " << x << " y " << y << " c " << c;
        }
  }
}

TEST(Preprocessor, BytesAreRoundedAndSaturated) {
  InputSpec spec;
  spec.width = 3;
  spec.height = 1;
  spec.scale = {2, 0.5F, 1};
  spec.mean = {0, 0, 10};
  const run::Pixels picture{3, 1, 3, {200, 3, 5, 10, 5, 10, 0, 0, 255}};
  std::vector<uint8_t> tensor(9);
  Preprocessor(spec).run(picture, tensor);
  EXPECT_THAT(tensor, testing::ElementsAre(255, 20, 0, 2, 2, 0, 0, 0, 245)); // 1.5 -> 2, 2.5 -> 2
}

TEST(MapToPicture, UndoesThePlacementAndClips) {
  std::vector<Detection> boxes = {
      {52, 0, 364, 416, 3, 0.5F}, {0, 0, 100, 100, 0, 0.5F}, {0, 0, 52, 9, 0, 0.5F}};
  mapToPicture(boxes, {52, 0, 312, 416}, 810, 1080);
  ASSERT_EQ(boxes.size(), 2U); // the last one lies in the padding
  EXPECT_FLOAT_EQ(boxes[0].x0, 0);
  EXPECT_FLOAT_EQ(boxes[0].x1, 810);
  EXPECT_FLOAT_EQ(boxes[0].y1, 1080);
  EXPECT_EQ(boxes[0].classId, 3);
  EXPECT_FLOAT_EQ(boxes[1].x0, 0);
  EXPECT_NEAR(boxes[1].x1, 48 * 810.0 / 312, 1e-3);
  EXPECT_NEAR(boxes[1].y1, 100 * 1080.0 / 416, 1e-3);
}

} // namespace
} // namespace planish::stream
