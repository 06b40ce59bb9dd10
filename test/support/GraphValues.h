// Seeded inputs for graphs, and comparison of what two graphs compute.
#pragma once

#include "planish/graph/Evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

namespace planish::test {

/// Small numbers for every input; symbols take sizes within their bounds.
inline std::vector<graph::Tensor> randomInputs(const graph::Graph &g, unsigned seed) {
  std::mt19937 random(seed);
  std::map<Var, int64_t> sizes;
  std::vector<graph::Tensor> r;
  for (graph::ValueId v : g.inputs()) {
    const TensorType &type = g.type(v);
    graph::Tensor t{type.dtype, {}, nullptr};
    int64_t count = 1;
    for (const Dim &d : type.shape) {
      int64_t size = d.lower() + int64_t(random() % uint64_t(d.upper() - d.lower() + 1));
      t.shape.push_back(d.isConstant() ? size : sizes.emplace(d.symbol(), size).first->second);
      count *= t.shape.back();
    }
    auto bytes = std::make_shared<std::vector<std::byte>>(size_t(count) * size_t(byteSize(type.dtype)));
    for (int64_t i = 0; i < count; ++i) {
      auto put = [&]<class T>(T value) {
        std::memcpy(bytes->data() + size_t(i) * sizeof(T), &value, sizeof(T));
      };
      int32_t number = int32_t(random() % 2001) - 1000;
      switch (type.dtype) {
      case DType::b1: put(uint8_t(number & 1)); break;
      case DType::u8: put(uint8_t(number)); break;
      case DType::i8: put(int8_t(number)); break;
      case DType::i32: put(int32_t(number % 10)); break;
      case DType::i64: put(int64_t(number % 10)); break;
      case DType::f32: put(float(number) / 500.0f); break;
      case DType::u16: put(uint16_t(number)); break;
      case DType::i16: put(int16_t(number)); break;
      case DType::u32: put(uint32_t(number)); break;
      case DType::u64: put(uint64_t(number)); break;
      case DType::f16:
      case DType::bf16: put(uint16_t(number & 0xbfff)); break;  // no infinity
      case DType::f64: put(double(number) / 500.0); break;
      }
    }
    t.data = std::move(bytes);
    r.push_back(std::move(t));
  }
  return r;
}

/// "" where both graphs give the same outputs on seeded inputs; floats may differ by `tolerance` of the
/// largest value of the output, and count as equal where both are not finite.
inline std::string differenceOf(const graph::Graph &a, const graph::Graph &b, unsigned seed,
                                double tolerance) {
  std::vector<graph::Tensor> inputs = randomInputs(a, seed);
  auto x = graph::evaluate(a, inputs), y = graph::evaluate(b, inputs);
  if (!x || !y) return !x ? "before: " + x.error().text : "after: " + y.error().text;
  if (x->size() != y->size()) return "another number of outputs";
  for (size_t i = 0; i < x->size(); ++i) {
    const graph::Tensor &p = (*x)[i], &q = (*y)[i];
    std::string where = "output " + std::to_string(i);
    if (p.dtype != q.dtype || p.shape != q.shape) return where + " has another type";
    if (*p.data == *q.data) continue;
    if (p.dtype != DType::f32) return where + " differs";
    auto *u = reinterpret_cast<const float *>(p.data->data()),
         *v = reinterpret_cast<const float *>(q.data->data());
    size_t count = p.data->size() / sizeof(float);
    double largest = 0;
    for (size_t k = 0; k < count; ++k)
      if (std::isfinite(u[k])) largest = std::max(largest, std::abs(double(u[k])));
    for (size_t k = 0; k < count; ++k) {
      if (!std::isfinite(u[k]) && !std::isfinite(v[k])) continue;
      if (!(std::abs(double(u[k]) - double(v[k])) <= tolerance * largest))
        return where + " at " + std::to_string(k) + ": " + std::to_string(u[k]) + " and " +
               std::to_string(v[k]);
    }
  }
  return "";
}

} // namespace planish::test
