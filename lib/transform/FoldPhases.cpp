// A network may start by moving every other pixel of an image into channels of their own (YOLOX's "focus",
// space-to-depth): an image in s x s phases. A convolution of the phases is one of the image, with the same
// products under a window s times as large that goes s times as far, and nothing is moved.
#include "Questions.h"
#include "planish/ops/Ops.h"
#include "planish/transform/Passes.h"

#include <algorithm>

namespace planish::transform {

namespace {

/// Of an image with more channels, moving pixels costs little beside the sums, and the small window may take
/// Winograd's transform.
constexpr int64_t kMostChannels = 8;
constexpr size_t kBatch = 0, kChannel = 1, kFirstSpatial = 2;

/// Constant sizes, none of them 0.
std::optional<std::vector<int64_t>> sizesOf(const TensorType &type) {
  auto sizes = constantShape(type.shape);
  if (!sizes || std::ranges::find(*sizes, 0) != sizes->end()) return std::nullopt;
  return sizes;
}

/// Constant strides and offset.
struct Place {
  std::vector<int64_t> strides;
  int64_t offset;
};

std::optional<Place> constantPlace(const std::optional<graph::View> &view) {
  if (!view) return std::nullopt;
  auto offset = loop::constantOf(view->offset);
  if (!offset) return std::nullopt;
  Place r{{}, *offset};
  for (const loop::Expr &s : view->strides) {
    auto stride = loop::constantOf(s);
    if (!stride) return std::nullopt;
    r.strides.push_back(*stride);
  }
  return r;
}

/// An image and the phases of it that the channels of another value are.
struct Phased {
  ValueId image = kAbsent;
  std::vector<int64_t> steps;  // per spatial dimension
  std::vector<ops::Phase> channels;
};

class PhaseFolder {
public:
  explicit PhaseFolder(const Graph &g) : old(g), r(g) {}

  Result<Graph> run() {
    for (uint32_t n = 0; n < old.nodes().size(); ++n)
      if (!folded(old[NodeId{n}])) PLANISH_TRY(r.copy({n}));
    return r.finish();
  }

private:
  bool folded(const Node &node) {
    if (node.op->cls != graph::OpClass::Contraction || node.outputs.size() != 1) return false;
    auto phased = phasedOf(node.inputs[0]);
    if (!phased) return false;
    auto made =
        ops::overPhases(r.graph(), node, r(node.inputs), r(phased->image), phased->steps, phased->channels);
    if (!made) return false;
    r.replace(node.outputs[0], *made);
    return true;
  }

  std::optional<Phased> phasedOf(ValueId v) const {
    auto sizes = sizesOf(old.type(v));
    if (!old[v].def || !sizes || sizes->size() <= kFirstSpatial) return std::nullopt;
    const Node &join = old[*old[v].def];
    if (!isJoin(join)) return std::nullopt;
    auto whole = constantPlace(graph::denseView(old.type(v)));
    Phased r;
    r.channels.resize(size_t((*sizes)[kChannel]), {-1, {}});
    for (size_t i = 0; i < join.inputs.size(); ++i) {
      auto part = constantPlace(join.op->inputView(opView(old, join), int(i), graph::denseView(old.type(v))));
      // Operands that follow each other in channels.
      if (!part || part->strides != whole->strides || part->offset % whole->strides[kChannel])
        return std::nullopt;
      if (!addPhase(r, join.inputs[i], part->offset / whole->strides[kChannel])) return std::nullopt;
    }
    return r;
  }

  /// The operand's channels as phases, of which the first is channel `at` of the whole.
  bool addPhase(Phased &whole, ValueId operand, int64_t at) const {
    auto [image, view] = sourceOf(operand);
    if (whole.image == kAbsent) whole.image = image;
    auto from = sizesOf(old.type(image)), to = sizesOf(old.type(operand));
    auto place = constantPlace(view), dense = constantPlace(graph::denseView(old.type(image)));
    if (image != whole.image || !from || !to || !place || !dense || from->size() != to->size() ||
        (*from)[kChannel] > kMostChannels || (*from)[kBatch] != (*to)[kBatch] ||
        at + (*to)[kChannel] > int64_t(whole.channels.size())) // joined along another dimension
      return false;
    auto stepOf = [&](size_t d) {
      return place->strides[d] % dense->strides[d] ? 0 : place->strides[d] / dense->strides[d];
    };
    if (((*from)[kBatch] > 1 && stepOf(kBatch) != 1) || ((*to)[kChannel] > 1 && stepOf(kChannel) != 1))
      return false;
    ops::Phase first{place->offset / dense->strides[kChannel], {}};
    std::vector<int64_t> steps;
    int64_t rest = place->offset % dense->strides[kChannel];
    for (size_t d = kFirstSpatial; d < from->size(); ++d) {
      steps.push_back(stepOf(d));
      first.first.push_back(rest / dense->strides[d]);
      rest %= dense->strides[d];
      if (steps.back() < 1 || first.first.back() >= steps.back() || (*to)[d] * steps.back() != (*from)[d])
        return false;
    }
    if (whole.steps.empty()) whole.steps = steps;
    if (steps != whole.steps || first.channel + (*to)[kChannel] > (*from)[kChannel]) return false;
    for (int64_t c = 0; c < (*to)[kChannel]; ++c)
      whole.channels[size_t(at + c)] = {first.channel + c, first.first};
    return true;
  }

  /// The value that a chain of views starts at, and where the last of them lies in it.
  std::pair<ValueId, std::optional<graph::View>> sourceOf(ValueId v) const {
    std::vector<NodeId> chain;
    for (; old[v].def && isRenaming(old[*old[v].def]); v = old[*old[v].def].inputs[0])
      chain.push_back(*old[v].def);
    return {v, throughChain(old, chain, old.type(v))};
  }

  const Graph &old;
  graph::Rebuilder r;
};

} // namespace

Result<Graph> foldPhases(const Graph &g) { return PhaseFolder(g).run(); }

} // namespace planish::transform
