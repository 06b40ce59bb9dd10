#include "Draw.h"

#include "FontTable.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace planish::stream {
namespace {

constexpr double kGoldenRatio = 0.6180339887498949; // steps of hue: neighbouring classes look different
constexpr int kPixelsPerScale = 320; // of the picture's shorter side

Rgb colourOf(int classId) {
  const double hue = std::fmod(0.05 + classId * kGoldenRatio, 1.0) * 6;
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue, 6);
    return static_cast<uint8_t>(std::lround(255 * (1 - 0.85 * std::clamp(std::min(k, 4 - k), 0.0, 1.0))));
  };
  return {channel(5), channel(3), channel(1)};
}

Rgb readableOn(Rgb c) {
  const int luma = 299 * c.r + 587 * c.g + 114 * c.b;
  return luma > 128 * 1000 ? Rgb{0, 0, 0} : Rgb{255, 255, 255};
}

/// [x0, x1) x [y0, y1), as far as it lies in the picture.
void fillRectangle(run::Pixels &picture, int x0, int y0, int x1, int y1, Rgb colour) {
  x0 = std::max(x0, 0);
  x1 = std::min(x1, picture.width);
  for (int y = std::max(y0, 0); y < std::min(y1, picture.height); ++y) {
    uint8_t *row = picture.row(y);
    for (int x = x0; x < x1; ++x) {
      row[x * 3] = colour.r;
      row[x * 3 + 1] = colour.g;
      row[x * 3 + 2] = colour.b;
    }
  }
}

/// One character per code point of UTF-8.
std::string printable(const std::string &text) {
  std::string result;
  for (const char c : text) {
    if ((c & 0xC0) == 0x80) continue;
    result += c >= kFirstGlyph && c < static_cast<char>(kFirstGlyph + std::ssize(kGlyphs)) ? c : '?';
  }
  return result;
}

void drawBox(run::Pixels &picture, const Detection &box, const std::string &text, int scale) {
  const Rgb colour = colourOf(box.classId);
  const auto pixel = [](float v) { return static_cast<int>(std::lround(v)); };
  const int x0 = pixel(box.x0), y0 = pixel(box.y0), x1 = pixel(box.x1), y1 = pixel(box.y1), line = scale + 1;
  fillRectangle(picture, x0, y0, x1, y0 + line, colour);
  fillRectangle(picture, x0, y1 - line, x1, y1, colour);
  fillRectangle(picture, x0, y0, x0 + line, y1, colour);
  fillRectangle(picture, x1 - line, y0, x1, y1, colour);
  const int height = (kGlyphHeight + 2) * scale,
            width = static_cast<int>(text.size()) * (kGlyphWidth + 1) * scale;
  // Above the box where there is room, else inside; within the picture.
  const int top = y0 >= height ? y0 - height : y0;
  drawText(picture, std::max(0, std::min(x0, picture.width - width - scale)), top, text, scale,
           readableOn(colour), colour);
}

} // namespace

void drawText(run::Pixels &picture, int x, int y, const std::string &text, int scale, Rgb foreground,
              Rgb background) {
  const std::string shown = printable(text);
  const int advance = (kGlyphWidth + 1) * scale;
  fillRectangle(picture, x, y, x + static_cast<int>(shown.size()) * advance + scale,
                y + (kGlyphHeight + 2) * scale, background);
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto &glyph = kGlyphs[shown[i] - kFirstGlyph];
    const int left = x + scale + static_cast<int>(i) * advance;
    for (int row = 0; row < kGlyphHeight; ++row)
      for (int column = 0; column < kGlyphWidth; ++column) {
        if (!(glyph[static_cast<size_t>(row)] >> (kGlyphWidth - 1 - column) & 1)) continue;
        const int px = left + column * scale, py = y + (row + 1) * scale;
        fillRectangle(picture, px, py, px + scale, py + scale, foreground);
      }
  }
}

run::Pixels enlarged(const run::Pixels &picture, int factor) {
  run::Pixels result{picture.width * factor, picture.height * factor, picture.channels, {}};
  result.data.reserve(picture.data.size() * static_cast<size_t>(factor) * static_cast<size_t>(factor));
  for (int y = 0; y < result.height; ++y)
    for (int x = 0; x < result.width; ++x) {
      const uint8_t *pixel = picture.row(y / factor) + static_cast<ptrdiff_t>(x / factor) * picture.channels;
      result.data.insert(result.data.end(), pixel, pixel + picture.channels);
    }
  return result;
}

void drawDetections(run::Pixels &picture, std::span<const Detection> boxes, const FrameSpec &spec) {
  const int scale =
      std::max(1, (std::min(picture.width, picture.height) + kPixelsPerScale / 2) / kPixelsPerScale);
  std::vector<Detection> weakestFirst(boxes.begin(), boxes.end());
  std::stable_sort(weakestFirst.begin(), weakestFirst.end(),
                   [](const Detection &a, const Detection &b) { return a.score < b.score; });
  for (const Detection &box : weakestFirst) {
    const auto percent = std::to_string(std::lround(box.score * 100)) + "%";
    drawBox(picture, box, printable(spec.labelOf(box.classId)) + " " + percent, scale);
  }
}

} // namespace planish::stream
