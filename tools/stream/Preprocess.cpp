#include "Preprocess.h"

#include <algorithm>
#include <cmath>

namespace planish::stream {
namespace {

template <class T> T stored(float value) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    return static_cast<uint8_t>(std::lrint(std::clamp(value, 0.0F, 255.0F)));
  } else {
    return value;
  }
}

/// Plane of the picture (R, G, B) that the tensor's channel takes.
int sourceChannel(Colour colour, int channel) { return colour == Colour::Bgr ? 2 - channel : channel; }

} // namespace

Placement place(const InputSpec &spec, int pictureWidth, int pictureHeight) {
  if (spec.resize == Resize::Stretch) return {0, 0, spec.width, spec.height};
  const int64_t w = pictureWidth, h = pictureHeight;
  const auto rounded = [](int64_t numerator, int64_t denominator) {
    return static_cast<int>(std::max<int64_t>(1, (2 * numerator + denominator) / (2 * denominator)));
  };
  Placement result{0, 0, spec.width, spec.height};
  if (w * spec.height <= h * spec.width) {
    result.width = rounded(w * spec.height, h);
  } else {
    result.height = rounded(h * spec.width, w);
  }
  if (spec.align == Align::Centre) {
    result.x = (spec.width - result.width) / 2;
    result.y = (spec.height - result.height) / 2;
  }
  return result;
}

std::vector<Preprocessor::Tap> Preprocessor::taps(int from, int to) {
  std::vector<Tap> result;
  result.reserve(static_cast<size_t>(to));
  for (int i = 0; i < to; ++i) {
    const double at = std::clamp((i + 0.5) * from / to - 0.5, 0.0, static_cast<double>(from - 1));
    const int first = static_cast<int>(at);
    result.push_back({first, std::min(first + 1, from - 1), static_cast<float>(at - first)});
  }
  return result;
}

/// The row from the cache, or made in the slot that does not hold row `keep`.
const Preprocessor::Row &Preprocessor::resizedRow(const run::Pixels &picture, int y, int keep) {
  for (const Row &row : rows)
    if (row.source == y) return row;
  Row &row = rows[rows[0].source == keep ? 1 : 0];
  row.source = y;
  row.planes.resize(columns.size() * 3);
  const uint8_t *source = picture.row(y);
  float *red = row.planes.data(), *green = red + columns.size(), *blue = green + columns.size();
  for (size_t x = 0; x < columns.size(); ++x) {
    const uint8_t *a = source + static_cast<ptrdiff_t>(columns[x].first) * 3;
    const uint8_t *b = source + static_cast<ptrdiff_t>(columns[x].second) * 3;
    const float weight = columns[x].weight;
    const auto blend = [&](int c) {
      return static_cast<float>(a[c]) + static_cast<float>(b[c] - a[c]) * weight;
    };
    red[x] = blend(0);
    green[x] = blend(1);
    blue[x] = blend(2);
  }
  return row;
}

void Preprocessor::blendRows(const Row &top, const Row &bottom, float weight) {
  const size_t width = columns.size();
  blended.resize(width * 3);
  const auto value = [&](size_t i) { return top.planes[i] + (bottom.planes[i] - top.planes[i]) * weight; };
  if (spec.colour == Colour::Grey) {
    for (size_t x = 0; x < width; ++x) {
      const float grey = 0.299F * value(x) + 0.587F * value(width + x) + 0.114F * value(2 * width + x);
      blended[x] = (grey - spec.mean[0]) * spec.scale[0];
    }
    return;
  }
  for (int c = 0; c < 3; ++c) {
    const auto channel = static_cast<size_t>(c);
    const float *a = top.planes.data() + width * static_cast<size_t>(sourceChannel(spec.colour, c));
    const float *b = bottom.planes.data() + (a - top.planes.data());
    float *to = blended.data() + width * channel;
    const float mean = spec.mean[channel], scale = spec.scale[channel];
    for (size_t x = 0; x < width; ++x) to[x] = (a[x] + (b[x] - a[x]) * weight - mean) * scale;
  }
}

template <class T> void Preprocessor::writeRow(int y, const Placement &placement, T *tensor) const {
  const auto width = static_cast<size_t>(placement.width);
  const int channels = spec.channels();
  for (int c = 0; c < channels; ++c) {
    const float *from = blended.data() + width * static_cast<size_t>(c);
    if (spec.layout == Layout::Nchw) {
      T *to = tensor + (static_cast<ptrdiff_t>(c) * spec.height + y) * spec.width + placement.x;
      for (size_t x = 0; x < width; ++x) to[x] = stored<T>(from[x]);
    } else {
      T *to = tensor + (static_cast<ptrdiff_t>(y) * spec.width + placement.x) * channels + c;
      for (size_t x = 0; x < width; ++x) to[x * static_cast<size_t>(channels)] = stored<T>(from[x]);
    }
  }
}

/// `count` pixels of padding.
template <class T> void Preprocessor::fillRow(int y, int x, int count, T *tensor) const {
  const int channels = spec.channels();
  for (int c = 0; c < channels; ++c) {
    const auto channel = static_cast<size_t>(c);
    const T value = stored<T>((spec.pad - spec.mean[channel]) * spec.scale[channel]);
    const bool planar = spec.layout == Layout::Nchw;
    const ptrdiff_t step = planar ? 1 : channels;
    T *to = planar ? tensor + (static_cast<ptrdiff_t>(c) * spec.height + y) * spec.width + x
                   : tensor + (static_cast<ptrdiff_t>(y) * spec.width + x) * channels + c;
    for (int i = 0; i < count; ++i) to[i * step] = value;
  }
}

template <class T> void Preprocessor::fill(const run::Pixels &picture, T *tensor) {
  const Placement placement = place(spec, picture.width, picture.height);
  columns = taps(picture.width, placement.width);
  const std::vector<Tap> lines = taps(picture.height, placement.height);
  for (Row &row : rows) row.source = -1;
  for (int y = 0; y < spec.height; ++y) {
    if (y < placement.y || y >= placement.y + placement.height) {
      fillRow(y, 0, spec.width, tensor);
      continue;
    }
    const Tap &tap = lines[static_cast<size_t>(y - placement.y)];
    const Row &top = resizedRow(picture, tap.first, tap.second);
    const Row &bottom = resizedRow(picture, tap.second, tap.first);
    blendRows(top, bottom, tap.weight);
    fillRow(y, 0, placement.x, tensor);
    writeRow(y, placement, tensor);
    const int right = placement.x + placement.width;
    fillRow(y, right, spec.width - right, tensor);
  }
}

template void Preprocessor::fill(const run::Pixels &, float *);
template void Preprocessor::fill(const run::Pixels &, uint8_t *);

} // namespace planish::stream
