#include "Window.h"

#include <algorithm>

namespace planish::ops {

std::vector<Window> windowsOf(const Ints &kernel, const Ints &strides, const Ints &dilations,
                              const Ints &padsBegin, const Ints &padsEnd) {
  std::vector<Window> r;
  for (size_t d = 0; d < kernel.size(); ++d)
    r.push_back({kernel[d], strides[d], dilations[d], padsBegin[d], padsEnd[d]});
  return r;
}

Result<std::vector<Window>> checkedWindows(int rank, const Ints &kernel, const Ints &strides,
                                           const Ints &dilations, const Ints &padsBegin,
                                           const Ints &padsEnd) {
  size_t n = size_t(rank);
  PLANISH_TRY(wantEntries(kernel, n, 1, kMaxParameter, "the window"));
  PLANISH_TRY(wantEntries(strides, n, 1, kMaxParameter, "strides"));
  PLANISH_TRY(wantEntries(dilations, n, 1, kMaxParameter, "dilations"));
  PLANISH_TRY(wantEntries(padsBegin, n, 0, kMaxParameter, "pads"));
  PLANISH_TRY(wantEntries(padsEnd, n, 0, kMaxParameter, "pads"));
  return windowsOf(kernel, strides, dilations, padsBegin, padsEnd);
}

Result<Dim> positions(InferContext &c, const Window &w, const Dim &size, bool roundUp) {
  int64_t extra = w.padBegin + w.padEnd - w.reach();
  if (size.upper() + extra < 0)
    return badInput("a window of " + std::to_string(w.reach()) + " elements does not fit into " +
                    std::to_string(size.upper()) + " with padding " + std::to_string(w.padBegin) + " and " +
                    std::to_string(w.padEnd));
  Expr free = extentOf(size) + extra;
  if (!roundUp) return c.derive(floorDiv(free, imm(w.stride)) + 1);
  // The last window must start before the padding at the end.
  Expr last = ceilDiv(free, w.stride);
  Expr starts = floorDiv(extentOf(size) + (w.padBegin - 1), imm(w.stride));
  return c.derive(loop::simplify(min(last, starts), {}) + 1);
}

Expr tapOf(const Window &w, const Expr &o, const Expr &k) {
  return o * w.stride + k * w.dilation - w.padBegin;
}

void guardTap(Compute &c, const Window &w, const Expr &tap, const Dim &in, const Dim &out, bool roundUp) {
  if (w.padBegin > 0) c.where.push_back(tap);
  bool reachesEnd = in.isConstant() && out.isConstant()
                        ? (out.constant() - 1) * w.stride + w.reach() - w.padBegin > in.constant()
                        : w.padEnd > 0 || roundUp;
  if (reachesEnd) c.where.push_back(extentOf(in) - 1 - tap);
}

std::optional<Borders> bordersOf(const Window &w, const Dim &in, const Dim &out) {
  if (!in.isConstant() || !out.isConstant()) return std::nullopt;
  Borders b{0, 0, out.constant()};
  b.begin = std::min((w.padBegin + w.stride - 1) / w.stride, b.count);
  int64_t room = in.constant() - w.reach() + w.padBegin; // the last whole window starts here
  b.end = room < 0 ? 0 : std::min(room / w.stride + 1, b.count);
  return b;
}
Expr Borders::classOf(const Expr &position) const {
  if (!hasInterior()) return position;
  Expr r = begin + 1 < count ? min(position, imm(begin)) : position;
  return end < count ? r + max(position - (end - 1), imm(0)) : r;
}

std::string spatialName(std::string_view prefix, int dim, int rank) {
  static constexpr std::string_view kNames[] = {"d", "h", "w"};
  std::string r(prefix);
  return rank <= 3 ? r + std::string(kNames[size_t(3 - rank + dim)]) : r + std::to_string(dim);
}

/// Padding that makes ceil(size / stride) positions.
static void padToSame(Importer &i, const Dim &size, Window &w, bool extraAtEnd) {
  auto beginOf = [&](int64_t total) { return extraAtEnd ? total / 2 : total - total / 2; };
  // What is left over in the last stride decides: 1 .. stride elements.
  auto totalOf = [&](int64_t left) { return std::max<int64_t>(w.reach() - left, 0); };
  if (size.isConstant()) {
    int64_t total = totalOf((size.constant() + w.stride - 1) % w.stride + 1);
    w.padBegin = beginOf(total), w.padEnd = total - w.padBegin;
    return;
  }
  if (beginOf(totalOf(1)) != beginOf(totalOf(w.stride)))
    return i.notSupported("attribute 'auto_pad' needs constant sizes for this window and stride");
  // Reaching further at the end adds no position and no element.
  w.padBegin = beginOf(totalOf(1));
  w.padEnd = std::max<int64_t>(w.reach() - 1 - w.padBegin, 0);
}

WindowAttrs importWindow(Importer &i, ValueId x, const Ints &kernel) {
  size_t n = kernel.size();
  const Shape &shape = i.type(x).shape;
  WindowAttrs a{i.intsAttr("strides", Ints(n, 1)), i.intsAttr("dilations", Ints(n, 1)), Ints(n, 0),
                Ints(n, 0)};
  std::string mode = i.stringAttr("auto_pad", "NOTSET");
  Ints pads = i.intsAttr("pads", Ints(2 * n, 0));
  if (shape.size() != n + 2)
    i.fail("operand 0 is " + textOf(i.type(x)) + ", but the window has " + std::to_string(n) + " dimensions");
  for (auto [values, count, what] :
       {std::tuple(&a.strides, n, "strides"), {&a.dilations, n, "dilations"}, {&pads, 2 * n, "pads"}}) {
    if (values->size() != count)
      i.fail("attribute '" + std::string(what) + "' has " + std::to_string(values->size()) +
             " entries, expected " + std::to_string(count));
    for (int64_t v : *values)
      if (v < (values == &pads ? 0 : 1) || v > kMaxParameter)
        i.fail("attribute '" + std::string(what) + "' has the entry " + std::to_string(v));
  }
  for (int64_t k : kernel)
    if (k < 1 || k > kMaxParameter) i.fail("the window has the size " + std::to_string(k));
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER")
    i.fail("attribute 'auto_pad' is '" + mode + "'");
  if (i.error()) return {Ints(n, 1), Ints(n, 1), Ints(n, 0), Ints(n, 0)};
  for (size_t d = 0; d < n; ++d) {
    Window w{kernel[d], a.strides[d], a.dilations[d], 0, 0};
    if (mode == "NOTSET") w.padBegin = pads[d], w.padEnd = pads[n + d];
    else if (mode != "VALID") padToSame(i, shape[d + 2], w, mode == "SAME_UPPER");
    a.padsBegin[d] = w.padBegin, a.padsEnd[d] = w.padEnd;
  }
  return a;
}

} // namespace planish::ops
