#include "Array.h"
#include "Pixels.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#include <stb/stb_image.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string_view>

namespace planish::run {
namespace {

/// Where height, width and channels stand in a picture-like shape of 3 or 4 dimensions.
struct PictureShape {
  int height, width, channels;
  int64_t channelCount;
};

std::optional<PictureShape> pictureShape(const planish_tensor_info &info) {
  if (info.rank != 3 && info.rank != 4) return std::nullopt;
  const int first = info.rank - 3;
  const auto count = [&](int d) { return info.dims[d].lower == info.dims[d].upper ? info.dims[d].upper : 0; };
  for (const int channels : {first, first + 2}) {
    if (count(channels) != 1 && count(channels) != 3) continue;
    const int height = channels == first ? first + 1 : first;
    return PictureShape{height, height + 1, channels, count(channels)};
  }
  return std::nullopt;
}

/// Bilinear, pixel centres at halves; no low-pass filter.
std::vector<float> scaled(const uint8_t *pixels, int width, int height, int channels, int64_t toWidth,
                          int64_t toHeight) {
  std::vector<float> out(static_cast<size_t>(toWidth * toHeight * channels));
  const auto source = [](int64_t i, int64_t from, int64_t to) {
    const double x =
        (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    return std::clamp(x, 0.0, static_cast<double>(from - 1));
  };
  size_t at = 0;
  for (int64_t y = 0; y < toHeight; ++y) {
    const double sy = source(y, height, toHeight);
    const int y0 = static_cast<int>(sy), y1 = std::min(y0 + 1, height - 1);
    for (int64_t x = 0; x < toWidth; ++x) {
      const double sx = source(x, width, toWidth);
      const int x0 = static_cast<int>(sx), x1 = std::min(x0 + 1, width - 1);
      for (int c = 0; c < channels; ++c) {
        const auto pixel = [&](int px, int py) {
          return static_cast<double>(pixels[(py * width + px) * channels + c]);
        };
        const double top = std::lerp(pixel(x0, y0), pixel(x1, y0), sx - x0);
        const double bottom = std::lerp(pixel(x0, y1), pixel(x1, y1), sx - x0);
        out[at++] = static_cast<float>(std::lerp(top, bottom, sy - y0));
      }
    }
  }
  return out;
}

} // namespace

/// A JPEG ends with a marker of its own; the decoder would fill in what is missing with grey.
static bool isCutOffJpeg(const std::vector<std::byte> &file) {
  constexpr std::string_view kStart("\xFF\xD8", 2), kScan("\xFF\xDA", 2), kEnd("\xFF\xD9", 2);
  const std::string_view bytes(reinterpret_cast<const char *>(file.data()), file.size());
  if (!bytes.starts_with(kStart)) return false;
  const size_t end = bytes.rfind(kEnd), scan = bytes.rfind(kScan);
  return end == std::string_view::npos || (scan != std::string_view::npos && end < scan);
}

Result<Pixels> readPixels(const std::string &path, int channels) {
  PLANISH_ASSIGN(const std::vector<std::byte> file, readFile(path));
  if (isCutOffJpeg(file)) return badInput("'" + path + "' is not a picture that can be read: it is cut off");
  Pixels picture;
  picture.channels = channels;
  int found = 0;
  const std::unique_ptr<uint8_t, void (*)(void *)> pixels(
      stbi_load_from_memory(reinterpret_cast<const uint8_t *>(file.data()),
                            static_cast<int>(std::min<size_t>(file.size(), INT32_MAX)), &picture.width,
                            &picture.height, &found, channels),
      stbi_image_free);
  if (!pixels) return badInput("'" + path + "' is not a picture that can be read: " + stbi_failure_reason());
  picture.data.assign(pixels.get(),
                      pixels.get() + static_cast<size_t>(picture.width) * picture.height * channels);
  return picture;
}

Result<Array> readPicture(const std::string &path, const planish_tensor_info &info, std::string &note) {
  const std::string input = std::string("input '") + info.name + "'";
  const auto layout = pictureShape(info);
  if (!layout || (info.dtype != PLANISH_F32 && info.dtype != PLANISH_U8))
    return failed(input + " is not a picture (f32 or u8, 1 or 3 channels): give it as .npy");
  PLANISH_ASSIGN(const Pixels picture, readPixels(path, static_cast<int>(layout->channelCount)));
  const int width = picture.width, height = picture.height;

  Array array;
  array.dtype = info.dtype;
  for (int d = 0; d < info.rank; ++d) array.shape.push_back(std::max<int64_t>(info.dims[d].lower, 1));
  const auto fit = [&](int d, int64_t size) {
    array.shape[static_cast<size_t>(d)] = std::clamp(size, info.dims[d].lower, info.dims[d].upper);
    return array.shape[static_cast<size_t>(d)];
  };
  const int64_t toHeight = fit(layout->height, height), toWidth = fit(layout->width, width);
  if (toHeight != height || toWidth != width)
    note = input + ": '" + path + "' scaled from " + std::to_string(width) + "x" + std::to_string(height) +
           " to " + std::to_string(toWidth) + "x" + std::to_string(toHeight);
  if (array.elements() != toHeight * toWidth * layout->channelCount)
    return failed(input + " takes more than one picture: give it as .npy");

  const std::vector<float> data =
      scaled(picture.data.data(), width, height, static_cast<int>(layout->channelCount), toWidth, toHeight);
  array.bytes.resize(data.size() * planish_dtype_bytes(info.dtype));
  const bool channelsLast = layout->channels > layout->width;
  for (int64_t i = 0; i < toHeight * toWidth; ++i)
    for (int64_t c = 0; c < layout->channelCount; ++c) {
      const float value = data[static_cast<size_t>(i * layout->channelCount + c)];
      const auto at =
          static_cast<size_t>(channelsLast ? i * layout->channelCount + c : c * toHeight * toWidth + i);
      if (info.dtype == PLANISH_F32) {
        array.floats()[at] = value / 255.0f;
      } else {
        array.bytes[at] = static_cast<std::byte>(std::lrint(value));
      }
    }
  return array;
}

} // namespace planish::run
