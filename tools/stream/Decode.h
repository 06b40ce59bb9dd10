// A network's outputs become boxes.
#pragma once

#include "Frame.h"

#include "planish/support/Result.h"

#include <span>
#include <string>
#include <vector>

namespace planish::stream {

/// A network's output: dense, row-major, f32; owned by the caller.
struct OutputTensor {
  std::string name;
  const float *data = nullptr;
  std::vector<int64_t> shape;
};

/// A box by its corners; in input pixels until mapped to a picture.
struct Detection {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int classId = 0;
  float score = 0;
};

/// The number of classes of the outputs, which are looked at by name and shape only. BadInput where they are
/// not what the decoder of the frame.json takes, or where the labels are not as many as the classes.
Result<int> classesOf(const FrameSpec &spec, std::span<const OutputTensor> outputs);

/// All boxes whose score reaches the threshold, in the order of the outputs; non-finite ones are left out.
/// Each prediction gives its best class, in SSDs every class.
Result<std::vector<Detection>> decode(const FrameSpec &spec, std::span<const OutputTensor> outputs);

/// Greedy non-maximum suppression: best first (equals in their order), each unless its intersection over
/// union with one kept before (of its class, where classes are told apart) is larger than the threshold.
std::vector<Detection> suppress(std::vector<Detection> boxes, const Thresholds &thresholds);

} // namespace planish::stream
