#include "Cases.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

namespace {

using Unary = double (*)(double);
using Binary = double (*)(double, double);
constexpr double kInfinity = std::numeric_limits<double>::infinity(),
                 kNan = std::numeric_limits<double>::quiet_NaN();

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }
double elu(double x, double alpha) { return x < 0 ? alpha * std::expm1(x) : x; }
double clamp01(double x) { return std::clamp(x, 0.0, 1.0); }

struct UnaryRow {
  const char *op, *attrs;
  double low, high;
  Unary reference;
};
const UnaryRow kUnary[] = {
    {"relu", "", -3, 3, [](double x) { return std::max(x, 0.0); }},
    {"neg", "", -3, 3, [](double x) { return -x; }},
    {"abs", "", -3, 3, [](double x) { return std::abs(x); }},
    {"sign", "", -3, 3, [](double x) { return double((x > 0) - (x < 0)); }},
    {"exp", "", -10, 10, [](double x) { return std::exp(x); }},
    {"log", "", 0.01, 20, [](double x) { return std::log(x); }},
    {"sqrt", "", 0, 20, [](double x) { return std::sqrt(x); }},
    {"reciprocal", "", 0.1, 5, [](double x) { return 1 / x; }},
    {"tanh", "", -4, 4, [](double x) { return std::tanh(x); }},
    {"erf", "", -4, 4, [](double x) { return std::erf(x); }},
    {"sin", "", -9, 9, [](double x) { return std::sin(x); }},
    {"cos", "", -9, 9, [](double x) { return std::cos(x); }},
    {"tan", "", -1.4, 1.4, [](double x) { return std::tan(x); }},
    {"asin", "", -1, 1, [](double x) { return std::asin(x); }},
    {"acos", "", -1, 1, [](double x) { return std::acos(x); }},
    {"atan", "", -20, 20, [](double x) { return std::atan(x); }},
    {"sinh", "", -5, 5, [](double x) { return std::sinh(x); }},
    {"cosh", "", -5, 5, [](double x) { return std::cosh(x); }},
    {"asinh", "", -20, 20, [](double x) { return std::asinh(x); }},
    {"acosh", "", 1, 20, [](double x) { return std::acosh(x); }},
    {"atanh", "", -0.99, 0.99, [](double x) { return std::atanh(x); }},
    {"floor", "", -5, 5, [](double x) { return std::floor(x); }},
    {"ceil", "", -5, 5, [](double x) { return std::ceil(x); }},
    {"round", "", -5, 5, [](double x) { return std::nearbyint(x); }},
    {"sigmoid", "", -9, 9, sigmoid},
    {"silu", "", -9, 9, [](double x) { return x * sigmoid(x); }},
    {"softplus", "", -9, 9, softplus},
    {"softsign", "", -9, 9, [](double x) { return x / (1 + std::abs(x)); }},
    {"hard_swish", "", -5, 5, [](double x) { return x * clamp01(x / 6 + 0.5); }},
    {"mish", "", -5, 5, [](double x) { return x * std::tanh(softplus(x)); }},
    {"gelu", "", -4, 4, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
    {"gelu_tanh", "", -4, 4,
     [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
    {"leaky_relu", "alpha=0.1", -3, 3, [](double x) { return x < 0 ? 0.1 * x : x; }},
    {"elu", "alpha=1.5", -3, 3, [](double x) { return elu(x, 1.5); }},
    {"selu", "alpha=1.6, beta=1.1", -3, 3, [](double x) { return 1.1 * elu(x, 1.6); }},
    {"celu", "alpha=2.0", -3, 3,
     [](double x) { return std::max(0.0, x) + std::min(0.0, 2 * std::expm1(x / 2)); }},
    {"thresholded_relu", "alpha=0.7", -3, 3, [](double x) { return x > 0.7 ? x : 0; }},
    {"hard_sigmoid", "alpha=0.2, beta=0.5", -5, 5, [](double x) { return clamp01(0.2 * x + 0.5); }},
    {"swish", "alpha=1.7", -5, 5, [](double x) { return x * sigmoid(1.7 * x); }},
    {"shrink", "alpha=0.5, beta=0.25", -2, 2,
     [](double x) { return x < -0.5  ? x + 0.25
                           : x > 0.5 ? x - 0.25
                                     : 0; }},
    {"clip", "alpha=-1.0, beta=2.0", -5, 5, [](double x) { return std::clamp(x, -1.0, 2.0); }},
};

struct BinaryRow {
  const char *op;
  double low, high;
  bool boolean;
  Binary reference;
};
const BinaryRow kBinary[] = {
    {"add", -3, 3, false, [](double a, double b) { return a + b; }},
    {"sub", -3, 3, false, [](double a, double b) { return a - b; }},
    {"mul", -3, 3, false, [](double a, double b) { return a * b; }},
    {"div", 0.5, 3, false, [](double a, double b) { return a / b; }},
    {"mod", 0.5, 3, false, [](double a, double b) { return a - std::floor(a / b) * b; }},
    {"fmod", 0.5, 3, false, [](double a, double b) { return std::fmod(a, b); }},
    {"min", -3, 3, false, [](double a, double b) { return std::min(a, b); }},
    {"max", -3, 3, false, [](double a, double b) { return std::max(a, b); }},
    {"pow", 0.1, 3, false, [](double a, double b) { return std::pow(a, b); }},
    {"less", -3, 3, true, [](double a, double b) { return double(a < b); }},
    {"less_equal", -3, 3, true, [](double a, double b) { return double(a <= b); }},
    {"equal", -3, 3, true, [](double a, double b) { return double(a == b); }},
    {"prelu", -3, 3, false, [](double a, double b) { return a < 0 ? a * b : a; }},
};

Case mapped(std::string op, std::string attrs, Numbers x, DType out, Unary f, double tolerance = 1e-5) {
  Index shape = x.shape;
  return {std::move(op),  std::move(attrs),
          {std::move(x)}, out,
          shape,          [f](const Inputs &in, const Index &at) { return f(in[0].at(at)); },
          tolerance};
}
Case paired(std::string op, Numbers a, Numbers b, DType out, Index shape, Binary f) {
  return {std::move(op),
          "",
          {std::move(a), std::move(b)},
          out,
          std::move(shape),
          [f](const Inputs &in, const Index &at) {
            return f(in[0].at(aligned(in[0], at)), in[1].at(aligned(in[1], at)));
          }};
}

void addIntegerCases(std::vector<Case> &r) {
  using enum DType;
  Numbers a = numbers(i32, {4}, {7, -7, 7, -7}), b = numbers(i32, {4}, {2, 2, -2, -2});
  r.push_back(paired("div", a, b, i32, {4}, [](double x, double y) { return std::trunc(x / y); }));
  r.push_back(paired("mod", a, b, i32, {4}, [](double x, double y) { return x - std::floor(x / y) * y; }));
  r.push_back(paired("fmod", a, b, i32, {4}, [](double x, double y) { return std::fmod(x, y); }));
  r.push_back(paired("div", numbers(i64, {2}, {5, -5}), numbers(i64, {1}, {0}), i64, {2},
                     [](double x, double) { return x; }));
  r.push_back(mapped("abs", "", numbers(i8, {3}, {-5, 0, 5}), i8, [](double x) { return std::abs(x); }));
  r.push_back(
      mapped("relu", "", numbers(i32, {3}, {-5, 0, 5}), i32, [](double x) { return std::max(x, 0.0); }));
  r.push_back(mapped("clip", "alpha=-1.0, beta=3.0", numbers(i8, {4}, {-5, 0, 2, 5}), i8,
                     [](double x) { return std::clamp(x, -1.0, 3.0); }));
}

void addBooleanCases(std::vector<Case> &r) {
  using enum DType;
  Numbers a = numbers(b1, {4}, {0, 0, 1, 1}), b = numbers(b1, {4}, {0, 1, 0, 1});
  r.push_back(paired("and", a, b, b1, {4}, [](double x, double y) { return double(x && y); }));
  r.push_back(paired("or", a, b, b1, {4}, [](double x, double y) { return double(x || y); }));
  r.push_back(paired("xor", a, b, b1, {4}, [](double x, double y) { return double(x != y); }));
  Numbers p = numbers(u16, {4}, {12, 65535, 0, 6}), q = numbers(u16, {4}, {10, 1, 7, 16});
  r.push_back(paired("bit_and", p, q, u16, {4}, [](double x, double y) { return double(int(x) & int(y)); }));
  r.push_back(paired("bit_or", p, q, u16, {4}, [](double x, double y) { return double(int(x) | int(y)); }));
  r.push_back(paired("bit_xor", p, q, u16, {4}, [](double x, double y) { return double(int(x) ^ int(y)); }));
  r.push_back(paired("shift_left", p, q, u16, {4}, [](double x, double y) {
    return y > 15 ? 0.0 : double(uint16_t(unsigned(x) << int(y)));
  }));
  Numbers s = numbers(i8, {4}, {-128, 127, -1, 64}), by = numbers(i8, {4}, {3, 2, 100, -1});
  r.push_back(paired("shift_right", s, by, i8, {4}, [](double x, double y) {
    return y < 0 || y > 7 ? (x < 0 ? -1.0 : 0.0) : double(int(x) >> int(y));
  }));
  r.push_back(mapped("not", "", a, b1, [](double x) { return double(!x); }));
  Numbers odd = numbers(f32, {4}, {kNan, kInfinity, -kInfinity, 1});
  r.push_back(mapped("is_nan", "", odd, b1, [](double x) { return double(std::isnan(x)); }));
  r.push_back(
      mapped("is_inf", "alpha=1.0, beta=1.0", odd, b1, [](double x) { return double(std::isinf(x)); }));
  r.push_back(
      mapped("is_inf", "alpha=0.0, beta=1.0", odd, b1, [](double x) { return double(x == kInfinity); }));
}

/// Conversions between f32 and the bits of a short type.
void addShortFloats(std::vector<Case> &r, DType type, const std::vector<std::pair<double, double>> &rounded,
                    const std::vector<std::pair<double, double>> &exact) {
  const std::string to = "to=" + std::string(nameOf(type));
  auto add = [&](const std::string &attributes, DType from, DType into, bool back, const auto &pairs) {
    std::vector<double> given, wanted;
    for (auto [number, bits] : pairs)
      given.push_back(back ? bits : number), wanted.push_back(back ? number : bits);
    const int64_t count = int64_t(given.size());
    r.push_back({"cast",
                 attributes,
                 {numbers(from, {count}, given)},
                 into,
                 {count},
                 [wanted](const Inputs &, const Index &at) { return wanted[size_t(at[0])]; }});
  };
  add(to, DType::f32, type, false, rounded);
  add(to, DType::f32, type, false, exact);
  add("to=f32", type, DType::f32, true, exact);
}

void addConversions(std::vector<Case> &r) {
  // Ties go to even; beyond the largest is infinity; the smallest halves are subnormal.
  addShortFloats(r, DType::f16,
                 {{65519, 0x7bff},
                  {65520, 0x7c00},
                  {0x1p-25, 0},
                  {0x3p-25, 2},
                  {0x1.002p0, 0x3c00},
                  {0x1.006p0, 0x3c02},
                  {0.1, 0x2e66},
                  {0x1p-14 - 0x1p-25, 0x0400},
                  {kNan, 0x7e00}},
                 {{0, 0},
                  {1, 0x3c00},
                  {-2, 0xc000},
                  {65504, 0x7bff},
                  {0x1p-24, 1},
                  {-0x3p-24, 0x8003},
                  {0x1p-14, 0x0400},
                  {kInfinity, 0x7c00},
                  {-kInfinity, 0xfc00}});
  addShortFloats(r, DType::bf16, {{0x1.01p0, 0x3f80}, {0x1.03p0, 0x3f82}, {3.4e38, 0x7f80}, {kNan, 0x7fc0}},
                 {{0, 0}, {1, 0x3f80}, {-0.5, 0xbf00}, {0x1.fep127, 0x7f7f}, {-kInfinity, 0xff80}});
  r.push_back(mapped("cast", "to=f32",
                     numbers(DType::f64, {6}, {0.1, 1e300, -1e-300, kInfinity, 0x1.fffffffp0, -3}),
                     DType::f32, [](double v) { return std::abs(v) < 1e-40 ? 0.0 : double(float(v)); }));
  using enum DType;
  Numbers x = numbers(f32, {5}, {-2.7, -0.2, 0, 1.9, 300});
  r.push_back(mapped("bit_cast", "to=i32", numbers(f32, {2}, {1, -2}), i32,
                     [](double v) { return v > 0 ? double(0x3f800000) : double(int32_t(0xc0000000)); }));
  r.push_back(mapped("cast", "to=f64", x, f64, [](double v) { return double(float(v)); }));
  r.push_back(mapped("cast", "to=u32", x, u32, [](double v) { return std::max(std::trunc(v), 0.0); }));
  r.push_back(mapped("cast", "to=i32", x, i32, [](double v) { return std::trunc(v); }));
  r.push_back(mapped("cast", "to=b1", x, b1, [](double v) { return double(v != 0); }));
  r.push_back(mapped("cast", "to=u8", x, u8, [](double v) { return std::clamp(std::trunc(v), 0.0, 255.0); }));
  r.push_back(mapped("cast", "to=f32", numbers(b1, {2}, {0, 1}), f32, [](double v) { return v; }));
  r.push_back(mapped("copy", "", x, f32, [](double v) { return v; }));
  r.push_back({"where",
               "",
               {numbers(b1, {2, 1}, {1, 0}), random({3}, 0, 1, 1), random({2, 3}, 1, 2, 2)},
               f32,
               {2, 3},
               [](const Inputs &in, const Index &at) {
                 return in[0].at({at[0], 0}) != 0 ? in[1].at({at[1]}) : in[2].at(at);
               }});
}

} // namespace

std::vector<Case> elementwiseCases() {
  std::vector<Case> r;
  for (const UnaryRow &u : kUnary)
    r.push_back(mapped(u.op, u.attrs, random({3, 17}, u.low, u.high, 7), DType::f32, u.reference));
  for (const BinaryRow &b : kBinary) {
    DType out = b.boolean ? DType::b1 : DType::f32;
    r.push_back(paired(b.op, random({2, 3, 4}, b.low, b.high, 1), random({3, 1}, b.low, b.high, 2), out,
                       {2, 3, 4}, b.reference));
    r.push_back(paired(b.op, random({1, 4}, b.low, b.high, 3), random({2, 3, 1}, b.low, b.high, 4), out,
                       {2, 3, 4}, b.reference));
  }
  r.push_back(paired("pow", numbers(DType::f32, {6}, {-2, -2, 0, 0, -2, 4}),
                     numbers(DType::f32, {6}, {3, 2, 0, 2, 0.5, -1}), DType::f32, {6},
                     [](double a, double b) { return std::pow(a, b); }));
  addIntegerCases(r);
  addBooleanCases(r);
  addConversions(r);
  return r;
}

} // namespace planish::ops::test
