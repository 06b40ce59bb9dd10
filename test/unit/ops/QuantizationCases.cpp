// Codes of real numbers and back.
#include "Cases.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

std::vector<Case> quantizationCases() {
  using enum DType;
  Numbers x = random({2, 3, 4}, -40, 40, 1), scale = numbers(f32, {3, 1}, {0.25, 0.5, 0.125});
  Numbers zero = numbers(i8, {3, 1}, {-3, 0, 7}), codes = numbers(i8, {2, 3}, {-128, -1, 0, 1, 100, 127});
  Numbers sums = numbers(i32, {2, 3}, {-1000, -10, 0, 7, 90, 100000}),
          step = numbers(f32, {3}, {0.25, 0.5, 0.125});
  Numbers table{u8, {256}, {}}, tables{u8, {3, 256}, {}};
  for (int k = 0; k < 256; ++k) table.values.push_back((k * 7 + 3) % 256);
  for (int k = 0; k < 768; ++k) tables.values.push_back((k * 5 + k / 256) % 256);
  return {{"quantize",
           "",
           {x, scale, zero},
           i8,
           {2, 3, 4},
           [](const Inputs &t, const Index &at) {
             double code = std::nearbyint(t[0].at(at) / t[1].at({at[1], 0})) + t[2].at({at[1], 0});
             return std::clamp(code, -128.0, 127.0);
           }},
          {"dequantize",
           "",
           {codes, numbers(f32, {}, {0.5}), numbers(i8, {}, {-2})},
           f32,
           {2, 3},
           [](const Inputs &t, const Index &at) { return (t[0].at(at) + 2) * 0.5; }},
          {"requantize",
           "zero=10, least=5, most=200",
           {sums, step},
           u8,
           {2, 3},
           [](const Inputs &t, const Index &at) {
             return std::clamp(std::nearbyint(t[0].at(at) * t[1].at({at[1]})) + 10, 5.0, 200.0);
           }},
          {"requantize",
           "zero=10",
           {numbers(f32, {6}, {-1e30, -11, -0.5, 0.5, 3.25, 1e30})},
           u8,
           {6},
           [](const Inputs &t, const Index &at) {
             return std::clamp(std::nearbyint(t[0].at(at)) + 10, 0.0, 255.0);
           }},
          {"piecewise",
           "per_unit=2.0, first=-3",
           {random({64}, -20, 20, 2), random({32}, -1, 1, 3), random({32}, -1, 1, 4), random({32}, -1, 1, 5)},
           f32,
           {64},
           [](const Inputs &t, const Index &at) {
             double x = t[0].at(at);
             auto piece = int64_t(std::clamp(std::nearbyint(2 * x) + 3, 0.0, 31.0));
             return (t[3].at({piece}) * x + t[2].at({piece})) * x + t[1].at({piece});
           }},
          {"piecewise",
           "per_unit=0.5, first=2",
           {random({64}, -20, 100, 2), random({32}, -1, 1, 3), random({32}, -1, 1, 4)},
           f32,
           {64},
           [](const Inputs &t, const Index &at) {
             auto piece = int64_t(std::clamp(std::nearbyint(t[0].at(at) / 2) - 2, 0.0, 31.0));
             return t[2].at({piece}) * t[0].at(at) + t[1].at({piece});
           }},
          {"lookup",
           "",
           {numbers(u8, {4}, {0, 1, 128, 255}), table},
           u8,
           {4},
           [](const Inputs &t, const Index &at) { return t[1].at({int64_t(t[0].at(at))}); }},
          {"lookup",
           "axis=1",
           {numbers(u8, {2, 3}, {0, 1, 128, 255, 0, 7}), tables},
           u8,
           {2, 3},
           [](const Inputs &t, const Index &at) { return t[1].at({at[1], int64_t(t[0].at(at))}); }},
          {"resize",
           "sizes=[6], scales=[0.0], roi=[], mode=linear, coordinates=half_pixel",
           {numbers(u8, {3}, {0, 100, 255})},
           i32,
           {6},
           [](const Inputs &t, const Index &at) {
             // Units of 2^-11; positions are quarters of elements.
             double place = std::clamp((double(at[0]) + 0.5) / 2 - 0.5, 0.0, 2.0), low = std::floor(place);
             double next = t[0].at({std::min<int64_t>(int64_t(low) + 1, 2)});
             return 2048 * (t[0].at({int64_t(low)}) * (1 - (place - low)) + next * (place - low));
           }}};
}

} // namespace planish::ops::test
