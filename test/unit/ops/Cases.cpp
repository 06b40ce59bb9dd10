#include "Cases.h"

#include "planish/graph/Text.h"
#include "planish/support/Text.h"

#include <cstring>
#include <ostream>
#include <random>

namespace planish::ops::test {

std::ostream &operator<<(std::ostream &out, const Case &c) { return out << c.op << " {" << c.attrs << "}"; }

int64_t sizeOf(const Index &shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}
Index unravel(int64_t position, const Index &shape) {
  Index r(shape.size());
  for (size_t d = shape.size(); d-- > 0; position /= shape[d]) r[d] = position % shape[d];
  return r;
}
Index aligned(const Numbers &operand, const Index &at) {
  Index r(at.end() - long(operand.shape.size()), at.end());
  for (size_t d = 0; d < r.size(); ++d)
    if (operand.shape[d] == 1) r[d] = 0;
  return r;
}

Numbers random(Index shape, double low, double high, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> values{float(low), float(high)};
  Numbers r{DType::f32, shape, {}};
  for (int64_t i = 0; i < sizeOf(shape); ++i) r.values.push_back(values(engine));
  return r;
}
Numbers numbers(DType dtype, Index shape, std::vector<double> values) {
  return {dtype, std::move(shape), std::move(values)};
}

namespace {

template <class T> void put(std::vector<std::byte> &bytes, const std::vector<double> &values) {
  for (double v : values) {
    T t = T(v);
    auto *p = reinterpret_cast<const std::byte *>(&t);
    bytes.insert(bytes.end(), p, p + sizeof(T));
  }
}
template <class T> std::vector<double> take(const std::vector<std::byte> &bytes) {
  std::vector<double> r(bytes.size() / sizeof(T));
  for (size_t i = 0; i < r.size(); ++i) {
    T t;
    std::memcpy(&t, bytes.data() + i * sizeof(T), sizeof(T));
    r[i] = double(t);
  }
  return r;
}

graph::Tensor tensorOf(const Numbers &n) {
  std::vector<std::byte> bytes;
  switch (n.dtype) {
  case DType::f32: put<float>(bytes, n.values); break;
  case DType::i64: put<int64_t>(bytes, n.values); break;
  case DType::i32: put<int32_t>(bytes, n.values); break;
  case DType::i8: put<int8_t>(bytes, n.values); break;
  case DType::u16: put<uint16_t>(bytes, n.values); break;
  case DType::i16: put<int16_t>(bytes, n.values); break;
  case DType::u32: put<uint32_t>(bytes, n.values); break;
  case DType::u64: put<uint64_t>(bytes, n.values); break;
  case DType::f64: put<double>(bytes, n.values); break;
  case DType::f16:  // the bits
  case DType::bf16: put<uint16_t>(bytes, n.values); break;
  default: put<uint8_t>(bytes, n.values); break;
  }
  return {n.dtype, n.shape, std::make_shared<const std::vector<std::byte>>(std::move(bytes))};
}
Numbers numbersOf(const graph::Tensor &t) {
  switch (t.dtype) {
  case DType::f32: return {t.dtype, t.shape, take<float>(*t.data)};
  case DType::i64: return {t.dtype, t.shape, take<int64_t>(*t.data)};
  case DType::i32: return {t.dtype, t.shape, take<int32_t>(*t.data)};
  case DType::i8: return {t.dtype, t.shape, take<int8_t>(*t.data)};
  case DType::u16: return {t.dtype, t.shape, take<uint16_t>(*t.data)};
  case DType::i16: return {t.dtype, t.shape, take<int16_t>(*t.data)};
  case DType::u32: return {t.dtype, t.shape, take<uint32_t>(*t.data)};
  case DType::u64: return {t.dtype, t.shape, take<uint64_t>(*t.data)};
  case DType::f64: return {t.dtype, t.shape, take<double>(*t.data)};
  case DType::f16:
  case DType::bf16: return {t.dtype, t.shape, take<uint16_t>(*t.data)};
  default: return {t.dtype, t.shape, take<uint8_t>(*t.data)};
  }
}
std::string typeText(DType dtype, const Index &shape) {
  return std::string(nameOf(dtype)) + "[" +
         joined(shape, [](int64_t d) { return std::to_string(d); }, ",") + "]";
}

} // namespace

Numbers resultOf(DType dtype, Index shape) { return {dtype, std::move(shape), {}}; }

Result<graph::Graph> graphOf(const Case &c) {
  std::string params, operands;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    std::string name = "%x" + std::to_string(i), comma = i ? ", " : "";
    params += comma + name + ": " + typeText(c.inputs[i].dtype, c.inputs[i].shape);
    operands += comma + name;
  }
  std::string attrs = c.attrs.empty() ? "" : " {" + c.attrs + "}", results;
  size_t position = 0;
  for (int k = 0; k <= int(c.more.size()); ++k) {
    bool own = k == c.result;
    const Numbers *other = own ? nullptr : &c.more[position++];
    results += (k ? ", %y" : "%y") + std::to_string(k) + ": " +
               (own ? typeText(c.dtype, c.shape) : typeText(other->dtype, other->shape));
  }
  return graph::parse("graph @test(" + params + ") {\n  " + results + " = " + c.op + "(" + operands + ")" +
                          attrs + "\n  return %y" + std::to_string(c.result) + "\n}\n",
                      allOps());
}

Result<Numbers> evaluated(const Case &c) {
  PLANISH_ASSIGN(graph::Graph g, graphOf(c));
  std::vector<graph::Tensor> inputs;
  for (const Numbers &n : c.inputs) inputs.push_back(tensorOf(n));
  PLANISH_ASSIGN(std::vector<graph::Tensor> outputs, graph::evaluate(g, inputs));
  return numbersOf(outputs.at(0));
}

} // namespace planish::ops::test
