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
  r.push_back(mapped("not", "", a, b1, [](double x) { return double(!x); }));
  Numbers odd = numbers(f32, {4}, {kNan, kInfinity, -kInfinity, 1});
  r.push_back(mapped("is_nan", "", odd, b1, [](double x) { return double(std::isnan(x)); }));
  r.push_back(
      mapped("is_inf", "alpha=1.0, beta=1.0", odd, b1, [](double x) { return double(std::isinf(x)); }));
  r.push_back(
      mapped("is_inf", "alpha=0.0, beta=1.0", odd, b1, [](double x) { return double(x == kInfinity); }));
}

void addConversions(std::vector<Case> &r) {
  using enum DType;
  Numbers x = numbers(f32, {5}, {-2.7, -0.2, 0, 1.9, 300});
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
