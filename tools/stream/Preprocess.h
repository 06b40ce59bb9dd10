// A picture becomes an input tensor: resize, letterbox, colour order, mean and scale in one pass.
#pragma once

#include "Frame.h"

#include "run/Pixels.h"

#include <span>

namespace planish::stream {

/// Where a picture lies in the network's input, in input pixels.
struct Placement {
  int x = 0, y = 0, width = 0, height = 0;
};

/// Stretched: the whole input. Letterboxed: the larger side fills the input, the other one is rounded to the
/// nearest pixel (halves up, at least 1), at the top left or in the middle (odd remainders: more on the right
/// and below).
Placement place(const InputSpec &spec, int pictureWidth, int pictureHeight);

/// Fills tensors. Keeps its buffers from call to call; one per thread.
class Preprocessor {
public:
  explicit Preprocessor(const InputSpec &spec) : spec(spec) {}

  /// Writes width * height * channels elements in the layout asked for. `picture` has three channels. Pixel i
  /// of n samples the picture at (i + 0.5) * size / n - 0.5, clamped to its pixels, and blends the two
  /// neighbours per axis, columns first, in float; then (x - mean) * scale. Grey is 0.299 R + 0.587 G + 0.114
  /// B. Bytes are rounded to nearest even and saturated.
  void run(const run::Pixels &picture, std::span<float> tensor) { fill(picture, tensor.data()); }
  void run(const run::Pixels &picture, std::span<uint8_t> tensor) { fill(picture, tensor.data()); }

private:
  /// Blend of two neighbours: first, second, and the second's weight.
  struct Tap {
    int first, second;
    float weight;
  };
  /// A row of the picture resized sideways: R, G, B planes.
  struct Row {
    int source = -1;
    std::vector<float> planes;
  };

  static std::vector<Tap> taps(int from, int to);
  const Row &resizedRow(const run::Pixels &picture, int y, int keep);
  void blendRows(const Row &top, const Row &bottom, float weight);
  template <class T> void fill(const run::Pixels &picture, T *tensor);
  template <class T> void writeRow(int y, const Placement &placement, T *tensor) const;
  template <class T> void fillRow(int y, int x, int count, T *tensor) const;

  InputSpec spec;
  std::vector<Tap> columns;
  Row rows[2];
  std::vector<float> blended; ///< planes in the tensor's channel order
};

} // namespace planish::stream
