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

/// Positions of a window by which of its taps are outside: those of one class skip the same. The first
/// `begin` positions and those from `end` on are classes of their own, all between are one; where no
/// position has all its taps, each is its own class.
struct Borders {
  int64_t begin = 0, end = 0, count = 0;
  bool hasInterior() const { return begin < end; }
  int64_t classes() const { return hasInterior() ? begin + 1 + count - end : count; }
  /// A position of the class.
  int64_t member(int64_t index) const {
    return !hasInterior() || index <= begin ? index : end + index - begin - 1;
  }
  Expr classOf(const Expr &position) const;
};
/// Nothing where a size is a symbol.
std::optional<Borders> bordersOf(const Window &w, const Dim &in, const Dim &out);

/// Names of spatial axes: d, h, w as far as they go, behind a prefix.
std::string spatialName(std::string_view prefix, int dim, int rank);

/// Window attributes of an ONNX node, with auto_pad resolved against the input's spatial sizes.
struct WindowAttrs {
  Ints strides, dilations, padsBegin, padsEnd;
};
WindowAttrs importWindow(Importer &i, ValueId x, const Ints &kernel);

} // namespace planish::ops
