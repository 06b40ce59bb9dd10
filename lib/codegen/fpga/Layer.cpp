#include "Layer.h"

#include "Codes.h"
#include "Definition.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace planish::codegen::fpga {

using namespace loop;

namespace {

/// What of an address depends on one variable: the factor of v, where it is a constant one.
std::optional<int64_t> factorOf(const Affine &a, const Var &v) {
  Affine factor = a.coefficientOf(v);
  if (!factor.isConstant()) return std::nullopt;
  for (const Affine::Term &t : a.without(v).terms)
    for (const Expr &f : t.factors)
      if (dependsOn(f, v)) return std::nullopt;
  return factor.constant;
}

/// An index of one dimension: outer * (an output's index) + inner * (a tap or channel) + constant.
struct Index {
  std::vector<std::pair<Var, int64_t>> space, reduce;
  int64_t constant = 0;
};

std::optional<Index> indexOf(const Expr &e, const Definition &d) {
  Affine a = affine(e);
  Index r{{}, {}, a.constant};
  size_t terms = 0;
  for (const auto *axes : {&d.space, &d.reduce})
    for (const Axis &axis : *axes) {
      auto factor = factorOf(a, axis.var);
      if (!factor) return std::nullopt;
      if (*factor == 0) continue;
      ++terms;
      if (axis.extent > 1) (axes == &d.space ? r.space : r.reduce).emplace_back(axis.var, *factor);
    }
  if (terms != a.terms.size()) return std::nullopt;
  return r;
}

class Reader {
public:
  Reader(const Program &program, const Launch &launch) : p(program), l(launch) {}

  Result<Layer> read() {
    auto found = definitionOf(*l.kernel);
    if (!found) return unsupported("its loops are not those of one sum");
    d = std::move(*found);
    if (d.out->dtype != DType::u8) return unsupported("its result is no 8-bit code");
    PLANISH_ASSIGN(CodeChain chain, codeChainOf(d));
    PLANISH_TRY(readSum(chain));
    PLANISH_TRY(readGeometry());
    PLANISH_TRY(readCodes(chain));
    return std::move(r);
  }

private:
  const Program &p;
  const Launch &l;
  Definition d;
  Layer r;
  const Load *input = nullptr, *weights = nullptr;
  Var heightOut, widthOut, heightTap, widthTap, channelTap;
  std::vector<std::pair<Var, int64_t>> outChannels; // group and channel of the output, by their factors

  const loop::Slot &slotOf(const Buffer &parameter) const {
    size_t i = size_t(std::ranges::find(l.kernel->params, parameter) - l.kernel->params.begin());
    PLANISH_CHECK(i < l.buffers.size(), "a parameter without an argument");
    size_t host = size_t(std::ranges::find(p.host.params, l.buffers[i]) - p.host.params.begin());
    return p.slots.at(host);
  }
  int64_t extentOf(const Var &v) const {
    for (const auto *axes : {&d.space, &d.reduce})
      for (const Axis &axis : *axes)
        if (axis.var == v) return axis.extent;
    return 1;
  }

  /// Which loads are the input and the weights.
  Status readSum(const CodeChain &chain) {
    Expr first = d.reduces() ? d.lhs : chain.input, second = d.rhs;
    if (d.reduces() && !chain.readsSum) return unsupported("its result is not made from its sum alone");
    while (const Cast *c = as<Cast>(first)) first = c->value;
    while (const Cast *c = as<Cast>(second)) second = c->value;
    input = as<Load>(first), weights = as<Load>(second);
    if (!input || (second && !weights)) return unsupported("its terms are no products of operands");
    if (weights && input->buffer->dtype == DType::i8 && weights->buffer->dtype == DType::u8)
      std::swap(input, weights);
    if (input->buffer->dtype != DType::u8) return unsupported("its input is no u8 code");
    if (slotOf(input->buffer).region != Region::Arena) return unsupported("its input is the caller's memory");
    if (slotOf(d.out).region != Region::Arena) return unsupported("its result is the caller's memory");
    if (weights &&
        (weights->buffer->dtype != DType::i8 || slotOf(weights->buffer).region != Region::Constant))
      return unsupported("its weights are no constant codes of 8 bits");
    if (d.reduces() && d.accumulates == BinaryOp::Max && !weights) r.sum = Sum::Largest;
    else if (d.reduces() && d.accumulates == BinaryOp::Add) r.sum = weights ? Sum::Dense : Sum::Lanes;
    else if (!d.reduces()) r.sum = Sum::Largest; // of one element
    else return unsupported("it is no sum and no maximum");
    return {};
  }

  /// Bytes from the begin of the arena, and the view's own offset.
  Result<int64_t> baseOf(const Buffer &b, const Affine &offset) const {
    const Slot &slot = slotOf(b);
    auto first = slot.offset ? constantOf(slot.offset) : std::optional<int64_t>(0);
    if (!first) return unsupported("an operand's place is known at run time only");
    return slot.index + *first + offset.constant;
  }

  /// Where a map lies that is indexed by the output's rows and columns.
  Result<Map> mapOf(const Buffer &b, const std::vector<Expr> &indices) const {
    Affine offset = elementOffset(*b, indices);
    Map m;
    PLANISH_ASSIGN(m.base, baseOf(b, offset));
    auto row = heightOut ? factorOf(offset, heightOut) : std::optional<int64_t>(0);
    auto pixel = widthOut ? factorOf(offset, widthOut) : std::optional<int64_t>(0);
    if (!row || !pixel) return unsupported("its addresses are not regular");
    m.row = *row, m.pixel = *pixel;
    return m;
  }

  Status readGeometry() {
    const BufferNode &x = *input->buffer;
    if (!hasConstantShape(x) || !hasConstantShape(*d.out)) return unsupported("its sizes are not constant");
    std::vector<int64_t> shape = constantsOf(x.shape), strides = constantsOf(x.strides);
    // The channels are the dimension whose elements lie next to each other, the others rows and columns.
    int channelDim = -1;
    std::vector<size_t> spatial;
    std::vector<std::optional<Index>> index;
    for (size_t i = 0; i < shape.size(); ++i) {
      index.push_back(indexOf(input->indices[i], d));
      if (!index[i]) return unsupported("its indices are not regular");
      if (strides[i] == 1 && shape[i] > 1 && channelDim < 0) channelDim = int(i);
      else if (shape[i] > 1 || !index[i]->space.empty() || !index[i]->reduce.empty()) spatial.push_back(i);
    }
    std::ranges::sort(spatial, [&](size_t a, size_t b) { return strides[a] > strides[b]; });
    if (spatial.size() > 2) return unsupported("its input has more than rows, columns and channels");
    PLANISH_TRY(readChannels(channelDim < 0 ? Index() : *index[size_t(channelDim)]));
    for (size_t n = 0; n < spatial.size(); ++n) {
      bool isHeight = spatial.size() == 2 && n == 0;
      size_t dim = spatial[n];
      PLANISH_TRY(readWindow(isHeight ? r.height : r.width, isHeight ? heightOut : widthOut,
                             isHeight ? heightTap : widthTap, *index[dim], shape[dim]));
      (isHeight ? r.in.row : r.in.pixel) = strides[dim];
    }
    for (const Axis &axis : d.space)
      if (axis.extent > 1 && axis.var != heightOut && axis.var != widthOut &&
          std::ranges::find(outChannels, axis.var, &std::pair<Var, int64_t>::first) == outChannels.end())
        return unsupported("its result has an axis that its input does not have");
    PLANISH_TRY(checkGuards(spatial, shape));
    const Slot &slot = slotOf(input->buffer);
    auto first = slot.offset ? constantOf(slot.offset) : std::optional<int64_t>(0);
    if (!first) return unsupported("an operand's place is known at run time only");
    r.in.base = slot.index + *first;
    if (channelDim >= 0) r.in.base += index[size_t(channelDim)]->constant;
    return readOutput();
  }

  /// Channels of input and output, and the groups.
  Status readChannels(const Index &at) {
    if (at.reduce.size() > 1 || at.space.size() > 1) return unsupported("its channels are not regular");
    if (!at.reduce.empty() && at.reduce[0].second != 1)
      return unsupported("its channels do not lie next to each other");
    if (!at.reduce.empty()) channelTap = at.reduce[0].first;
    int64_t perGroup = channelTap ? extentOf(channelTap) : 1;
    Affine out = elementOffset(*d.out, d.outIndices);
    // An output channel: its variable is no row's or column's. Those are found by the input's channels
    // (groups) and by the weights (channels of a group).
    if (r.sum == Sum::Dense) {
      Affine w = elementOffset(*weights->buffer, weights->indices);
      for (const Axis &axis : d.space) {
        auto factor = factorOf(w, axis.var);
        if (!factor) return unsupported("its weights are not regular");
        if (*factor == 0 || axis.extent == 1) continue;
        bool isGroup = !at.space.empty() && at.space[0].first == axis.var;
        if (isGroup) {
          if (at.space[0].second != perGroup) return unsupported("its groups are not next to each other");
          r.groups = axis.extent;
        }
        auto place = factorOf(out, axis.var);
        if (!place) return unsupported("its result's addresses are not regular");
        outChannels.emplace_back(axis.var, *place);
      }
      if (!at.space.empty() && r.groups == 1) return unsupported("its input channels are not regular");
    } else if (!at.space.empty()) {
      if (at.space[0].second != 1 || channelTap) return unsupported("its channels are not regular");
      auto place = factorOf(out, at.space[0].first);
      if (!place) return unsupported("its result's addresses are not regular");
      outChannels.emplace_back(at.space[0].first, *place);
    } else if (channelTap) {
      return unsupported("it combines channels without weights");
    }
    r.in.channels = perGroup * (r.sum == Sum::Dense ? r.groups : 1);
    if (r.sum != Sum::Dense && !at.space.empty()) r.in.channels = extentOf(at.space[0].first);
    return {};
  }

  Status readWindow(Window &w, Var &out, Var &tap, const Index &at, int64_t extent) {
    if (at.space.size() > 1 || at.reduce.size() > 1) return unsupported("its window is not regular");
    w.in = extent;
    w.pad = -at.constant;
    if (!at.space.empty()) {
      out = at.space[0].first;
      w.out = extentOf(out), w.stride = at.space[0].second;
    }
    if (!at.reduce.empty()) {
      tap = at.reduce[0].first;
      w.kernel = extentOf(tap), w.dilation = at.reduce[0].second;
    }
    if (w.stride < 1 || w.dilation < 1) return unsupported("its window runs backwards");
    return {};
  }

  /// Taps outside of the input are left out, and no others.
  Status checkGuards(const std::vector<size_t> &spatial, const std::vector<int64_t> &shape) const {
    for (const Expr &guard : d.guards) {
      bool known = false;
      for (size_t dim : spatial) {
        const Expr &i = input->indices[dim];
        known |= loop::equal(affine(guard), affine(i)) ||
                 loop::equal(affine(guard), affine(imm(shape[dim] - 1) - i));
      }
      if (!known) return unsupported("it leaves out other terms than those outside of its input");
    }
    return {};
  }

  Status readOutput() {
    PLANISH_ASSIGN(r.out, mapOf(d.out, d.outIndices));
    int64_t inner = 1;
    r.out.channels = 1;
    std::ranges::sort(outChannels, {}, &std::pair<Var, int64_t>::second);
    for (auto &[v, factor] : outChannels) {
      if (factor != inner) return unsupported("its result's channels do not lie next to each other");
      inner *= extentOf(v);
      r.out.channels *= extentOf(v);
    }
    if (r.sum == Sum::Dense) return readWeights();
    if (r.out.channels != r.in.channels) return unsupported("its channels are not those of its input");
    return {};
  }

  /// The variables of output channel `c`, and those that have one value only.
  Substitution channel(int64_t c) const {
    Substitution at;
    for (const Axis &axis : d.space)
      if (axis.extent == 1) at[axis.var] = imm(0);
    for (auto &[v, factor] : outChannels) at[v] = imm(c / factor % extentOf(v));
    return at;
  }

  /// An element of a constant, where the index is a number.
  template <class T> std::optional<T> element(const Load &at, const Substitution &where) const {
    const Slot &slot = slotOf(at.buffer);
    if (slot.region != Region::Constant) return std::nullopt;
    std::vector<Expr> indices;
    for (const Expr &i : at.indices) indices.push_back(substitute(i, where));
    auto index = constantOf(toExpr(elementOffset(*at.buffer, indices)));
    auto first = slot.offset ? constantOf(slot.offset) : std::optional<int64_t>(0);
    if (!index || !first) return std::nullopt;
    const std::vector<std::byte> &bytes = *p.constants[size_t(slot.index)].bytes;
    size_t from = size_t(*index + *first) * sizeof(T);
    if (from + sizeof(T) > bytes.size()) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + from, sizeof(T));
    return value;
  }
  /// A number of an expression that is a constant, or an element of one.
  template <class T> std::optional<T> number(const Expr &e, const Substitution &where) const {
    if (const Load *load = as<Load>(e)) return element<T>(*load, where);
    if (const FloatImm *f = as<FloatImm>(e)) return T(f->value);
    if (auto i = constantOf(e)) return T(*i);
    return std::nullopt;
  }

  Status readWeights() {
    Affine w = elementOffset(*weights->buffer, weights->indices);
    const Slot &slot = slotOf(weights->buffer);
    auto first = slot.offset ? constantOf(slot.offset) : std::optional<int64_t>(0);
    if (!first) return unsupported("its weights' place is known at run time only");
    auto step = [&](const Var &v) { return v ? factorOf(w, v).value_or(0) : 0; };
    const std::vector<std::byte> &bytes = *p.constants[size_t(slot.index)].bytes;
    int64_t perGroup = r.in.channels / r.groups;
    for (int64_t c = 0; c < r.out.channels; ++c) {
      int64_t base = w.constant + *first;
      for (auto &[v, factor] : outChannels) base += c / factor % extentOf(v) * step(v);
      for (int64_t kh = 0; kh < r.height.kernel; ++kh)
        for (int64_t kw = 0; kw < r.width.kernel; ++kw)
          for (int64_t i = 0; i < perGroup; ++i) {
            int64_t at = base + kh * step(heightTap) + kw * step(widthTap) + i * step(channelTap);
            PLANISH_CHECK(at >= 0 && size_t(at) < bytes.size(), "a weight outside of its constant");
            r.weights.push_back(int8_t(bytes[size_t(at)]));
          }
    }
    return {};
  }

  Status readCodes(const CodeChain &chain) {
    if (chain.first) {
      r.requantizes = true;
      PLANISH_ASSIGN(r.codes, codesOf(*chain.first));
      if (Status s = readScales(*chain.first); !s) return s;
    }
    if (chain.firstTable) { PLANISH_ASSIGN(r.codes.table, tableOf(*chain.firstTable)); }
    if (!chain.first && d.reduces() && d.init && r.sum != Sum::Largest)
      return unsupported("its sum stays as it is");
    if (!chain.second) return {};
    const Requantization &second = *chain.second;
    Residual res;
    PLANISH_ASSIGN(res.other, mapOf(chain.other->buffer, chain.other->indices));
    if (chain.other->buffer->dtype != DType::u8 || slotOf(chain.other->buffer).region != Region::Arena)
      return unsupported("its second operand is no 8-bit code");
    for (auto &[v, factor] : outChannels)
      if (factorOf(elementOffset(*chain.other->buffer, chain.other->indices), v) != factor)
        return unsupported("its second operand's channels lie otherwise");
    res.other.channels = r.out.channels;
    res.ownFactor = chain.ownFactor, res.otherFactor = chain.otherFactor;
    PLANISH_ASSIGN(res.codes, codesOf(second));
    PLANISH_ASSIGN(res.scale, scaleAt(second, {}));
    if (chain.secondTable) { PLANISH_ASSIGN(res.codes.table, tableOf(*chain.secondTable)); }
    r.residual.push_back(std::move(res));
    return {};
  }

  static Result<Codes> codesOf(const Requantization &q) {
    if (q.least < 0 || q.most > 255) return unsupported("its codes leave 8 bits");
    return Codes{q.zero, q.least, q.most};
  }
  Result<std::vector<uint8_t>> tableOf(const Load &table) const {
    if (table.indices.size() != 1) return unsupported("it has a table for each channel");
    std::vector<uint8_t> entries;
    for (int i = 0; i < 256; ++i) {
      Load at{table.buffer, {imm(i)}, {}};
      auto entry = element<uint8_t>(at, {});
      if (!entry) return unsupported("its table is no constant of 256 codes");
      entries.push_back(*entry);
    }
    return entries;
  }

  Result<Scale> scaleAt(const Requantization &q, const Substitution &where) const {
    Scale s;
    auto scale = number<float>(q.scale, where);
    if (!scale) return unsupported("its scale is no constant of a channel");
    auto integer = integerScale(*scale);
    if (!integer) return unsupported("its scale is no normal number");
    s.multiplier = integer->multiplier, s.shift = integer->shift;
    int64_t bias = 0;
    for (auto &[e, sign] : q.addends) {
      auto value = number<int32_t>(e, where);
      if (!value) return unsupported("its bias is no constant of a channel");
      bias += sign * int64_t(*value);
    }
    s.bias = int32_t(uint32_t(uint64_t(bias)));
    if (q.upper || q.lower) {
      auto high = q.upper ? number<int32_t>(q.upper, where) : std::nullopt;
      auto low = q.lower ? number<int32_t>(q.lower, where) : std::nullopt;
      if (!high || !low || *low != -*high || *high < 0) return unsupported("its sum is clamped unevenly");
      s.limit = *high;
    }
    return s;
  }

  /// Scales by channel. Where the input is padded the bias is a table by the classes of positions, which is
  /// one bias and a zero point that taps outside may read: that zero point is found, and verified for
  /// every position and channel.
  Status readScales(const Requantization &q) {
    for (int64_t c = 0; c < r.out.channels; ++c) {
      PLANISH_ASSIGN(Scale s, scaleAt(q, channel(c)));
      r.scales.push_back(s);
    }
    if (!d.init || constantOf(d.init) == 0) return {};
    if (constantOf(d.init)) return unsupported("its sum begins with a number");
    const Load *init = as<Load>(d.init);
    if (!init) return unsupported("its bias is no constant");
    std::vector<int64_t> rows, columns; // one position of each class
    std::vector<std::vector<int32_t>> bias;
    for (int64_t oh : positions(r.height))
      for (int64_t ow : positions(r.width)) {
        std::vector<int32_t> at;
        for (int64_t c = 0; c < r.out.channels; ++c) {
          Substitution where = channel(c);
          if (heightOut) where[heightOut] = imm(oh);
          if (widthOut) where[widthOut] = imm(ow);
          auto b = element<int32_t>(*init, where);
          if (!b) return unsupported("its bias is no constant of a channel and position");
          at.push_back(*b);
        }
        rows.push_back(oh), columns.push_back(ow), bias.push_back(std::move(at));
      }
    for (int32_t zero = 0; zero < 256; ++zero)
      if (auto whole = wholeBias(zero, rows, columns, bias)) {
        r.padValue = zero;
        for (size_t c = 0; c < r.scales.size(); ++c)
          r.scales[c].bias = int32_t(uint32_t(r.scales[c].bias) + uint32_t((*whole)[c]));
        return {};
      }
    return unsupported("its bias differs by position in a way that no zero point explains");
  }

  /// Output positions whose windows reach outside, and one of the others.
  static std::vector<int64_t> positions(const Window &w) {
    std::vector<int64_t> r;
    bool inner = false;
    for (int64_t o = 0; o < w.out; ++o) {
      int64_t first = o * w.stride - w.pad;
      bool inside = first >= 0 && first + w.span() <= w.in;
      if (!inside || !inner) r.push_back(o);
      inner |= inside;
    }
    return r;
  }

  /// The bias of a window whose taps are all inside, where taps outside would read `zero`; nothing where the
  /// positions disagree.
  std::optional<std::vector<int32_t>> wholeBias(int32_t zero, const std::vector<int64_t> &rows,
                                                const std::vector<int64_t> &columns,
                                                const std::vector<std::vector<int32_t>> &bias) const {
    std::vector<int32_t> whole;
    int64_t perGroup = r.sum == Sum::Dense ? r.in.channels / r.groups : 1;
    auto inside = [](const Window &w, int64_t o, int64_t k) {
      int64_t i = o * w.stride + k * w.dilation - w.pad;
      return i >= 0 && i < w.in;
    };
    for (size_t c = 0; c < r.scales.size(); ++c) {
      std::vector<int64_t> ofTap(size_t(r.height.kernel * r.width.kernel), 1);
      if (r.sum == Sum::Dense)
        for (size_t t = 0; t < ofTap.size(); ++t) {
          ofTap[t] = 0;
          for (int64_t i = 0; i < perGroup; ++i)
            ofTap[t] += r.weights[(c * ofTap.size() + t) * size_t(perGroup) + size_t(i)];
        }
      for (size_t n = 0; n < rows.size(); ++n) {
        int64_t outside = 0;
        for (int64_t kh = 0; kh < r.height.kernel; ++kh)
          for (int64_t kw = 0; kw < r.width.kernel; ++kw)
            if (!inside(r.height, rows[n], kh) || !inside(r.width, columns[n], kw))
              outside += ofTap[size_t(kh * r.width.kernel + kw)];
        auto b = int32_t(uint32_t(bias[n][c]) - uint32_t(int64_t(zero) * outside));
        if (n == 0) whole.push_back(b);
        else if (whole.back() != b) return std::nullopt;
      }
    }
    return whole;
  }
};

} // namespace

Result<Layer> layerOf(const Program &definitions, const Launch &launch) {
  return Reader(definitions, launch).read();
}

} // namespace planish::codegen::fpga
