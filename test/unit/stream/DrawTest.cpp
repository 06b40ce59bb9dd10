// Boxes and text stay within their picture and show what they should.
#include "stream/Draw.h"

#include <gtest/gtest.h>

#include <random>

namespace planish::stream {
namespace {

constexpr Rgb kWhite{255, 255, 255}, kBlack{0, 0, 0};

run::Pixels blank(int width, int height) {
  return {width, height, 3,
          std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3, 7)};
}

TEST(DrawText, GlyphOfL) {
  run::Pixels picture = blank(8, 9);
  drawText(picture, 0, 0, "L", 1, kWhite, kBlack);
  std::string rows;
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 8; ++x) {
      const uint8_t v = picture.row(y)[x * 3];
      rows += v == 255 ? '#' : v == 0 ? '.' : ' ';
    }
    rows += '\n';
  }
  EXPECT_EQ(rows,
            "....... \n.#..... \n.#..... \n.#..... \n.#..... \n.#..... \n.#..... \n.#####. \n....... \n");
}

TEST(DrawText, OneQuestionMarkPerCharacterItDoesNotHave) {
  run::Pixels a = blank(30, 9), b = blank(30, 9);
  drawText(a, 0, 0, "?x?", 1, kWhite, kBlack);
  drawText(b, 0, 0, "\u00e9x\u4e2d", 1, kWhite, kBlack);
  EXPECT_EQ(a.data, b.data);
}

TEST(DrawDetections, AnythingGoesWithinThePicture) {
  const uint32_t seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE(seed);
  FrameSpec spec;
  for (int round = 0; round < 200; ++round) {
    run::Pixels picture = blank(1 + static_cast<int>(random() % 50), 1 + static_cast<int>(random() % 50));
    std::uniform_real_distribution<float> at(-20, 80);
    std::vector<Detection> boxes;
    for (int i = 0; i < 5; ++i)
      boxes.push_back(
          {at(random), at(random), at(random), at(random), static_cast<int>(random() % 1000), 0.5F});
    drawDetections(picture, boxes, spec); // the sanitizers watch
  }
}

TEST(DrawDetections, EdgesHaveTheClassColour) {
  FrameSpec spec;
  run::Pixels picture = blank(100, 100);
  drawDetections(picture, std::vector<Detection>{{20, 40, 80, 90, 0, 0.5F}}, spec);
  const auto pixel = [&](int x, int y) {
    return std::vector(picture.row(y) + x * 3, picture.row(y) + x * 3 + 3);
  };
  EXPECT_NE(pixel(20, 60), pixel(50, 60));
  EXPECT_EQ(pixel(50, 60), (std::vector<uint8_t>{7, 7, 7}));
  EXPECT_EQ(pixel(20, 60), pixel(79, 60));
  EXPECT_EQ(pixel(50, 89), pixel(79, 60));
  EXPECT_EQ(pixel(50, 90), (std::vector<uint8_t>{7, 7, 7}));
}

} // namespace
} // namespace planish::stream
