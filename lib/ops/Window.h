// Sliding windows: what convolutions and poolings share.
#pragma once

#include "Common.h"

namespace planish::ops {

/// One spatial dimension of a window over an input.
struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1, padBegin = 0, padEnd = 0;
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
};

/// The windows of an operator with `rank` spatial dimensions; an error names the wrong attribute.
Result<std::vector<Window>> checkedWindows(int rank, const Ints &kernel, const Ints &strides,
                                           const Ints &dilations, const Ints &padsBegin, const Ints &padsEnd);
std::vector<Window> windowsOf(const Ints &kernel, const Ints &strides, const Ints &dilations,
                              const Ints &padsBegin, const Ints &padsEnd);

/// The number of positions of a window over `size` elements; an error where it does not fit.
Result<Dim> positions(InferContext &c, const Window &w, const Dim &size, bool roundUp);

/// The element that tap `k` of position `o` reads.
Expr tapOf(const Window &w, const Expr &o, const Expr &k);
/// Adds "the tap is inside" to the domain, where it can be outside. `roundUp` as for positions().
void guardTap(Compute &c, const Window &w, const Expr &tap, const Dim &in, const Dim &out, bool roundUp);

/// Names of spatial axes: d, h, w as far as they go, behind a prefix.
std::string spatialName(std::string_view prefix, int dim, int rank);

/// Window attributes of an ONNX node, with auto_pad resolved against the input's spatial sizes.
struct WindowAttrs {
  Ints strides, dilations, padsBegin, padsEnd;
};
WindowAttrs importWindow(Importer &i, ValueId x, const Ints &kernel);

} // namespace planish::ops
