// Pictures in memory, and reading them from files.
#pragma once

#include "planish/support/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace planish::run {

/// Rows from the top, pixels from the left, channels interleaved: R, G, B, or grey alone.
struct Pixels {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> data; ///< width * height * channels

  const uint8_t *row(int y) const { return data.data() + static_cast<size_t>(y) * width * channels; }
  uint8_t *row(int y) { return data.data() + static_cast<size_t>(y) * width * channels; }
};

/// Decodes a .png or .jpg file to 1 or 3 channels; BadInput where it is none or is damaged.
Result<Pixels> readPixels(const std::string &path, int channels);

} // namespace planish::run
