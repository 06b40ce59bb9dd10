// Boxes with labels on a picture.
#pragma once

#include "Decode.h"
#include "run/Pixels.h"

#include <span>

namespace planish::stream {

/// Draws each box with its label and score; weaker ones first, so that the strongest stay readable. Line and
/// text grow with the picture. A class always has the same colour.
void drawDetections(run::Pixels &picture, std::span<const Detection> boxes, const FrameSpec &spec);

/// The picture with each pixel as a square of `factor` by `factor`.
run::Pixels enlarged(const run::Pixels &picture, int factor);

/// Draws text with its top left corner at (x, y), each of its pixels `scale` picture pixels wide, on a bar of
/// `background`. What lies outside the picture is left out; characters other than printable ASCII become '?'.
struct Rgb {
  uint8_t r, g, b;
};
void drawText(run::Pixels &picture, int x, int y, const std::string &text, int scale, Rgb foreground,
              Rgb background);

} // namespace planish::stream
