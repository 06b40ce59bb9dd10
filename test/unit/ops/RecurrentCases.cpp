// Recurrent networks, step by step in double.
#include "Cases.h"

#include <algorithm>
#include <cmath>

namespace planish::ops::test {

namespace {

using enum DType;
constexpr int64_t kTime = 3, kBatch = 2, kHidden = 5, kDirections = 2;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// What a cell makes of its gates: (direction, gates' projected input and product with r, old h, c) -> h, c.
using Step = std::function<void(const Inputs &t, int64_t d, int64_t b, const std::vector<double> &x,
                                std::vector<double> &h, std::vector<double> &c)>;

/// h after `steps` steps of one direction and sequence.
std::vector<double> run(const Inputs &t, int64_t gates, int64_t d, int64_t b, int64_t length, int64_t steps,
                        bool hasCell, const Step &step) {
  std::vector<double> h, c(kHidden);
  for (int64_t j = 0; j < kHidden; ++j) {
    h.push_back(t[2].at({d, b, j}));
    if (hasCell) c[size_t(j)] = t[3].at({d, b, j});
  }
  for (int64_t s = 0; s < steps; ++s) {
    int64_t time = d == 1 ? length - 1 - s : s;
    std::vector<double> x;
    for (int64_t j = 0; j < gates * kHidden; ++j) x.push_back(t[0].at({time, b, d * gates * kHidden + j}));
    step(t, d, b, x, h, c);
  }
  return h;
}
double product(const Inputs &t, int64_t d, const std::vector<double> &h, int64_t column) {
  double r = 0;
  for (int64_t k = 0; k < kHidden; ++k) r += h[size_t(k)] * t[1].at({d, k, column});
  return r;
}

/// Result 0: all outputs; result 1: the last state. The second sequence is shorter by one.
Case recurrent(const std::string &op, const std::string &attrs, int64_t gates, Inputs extra, bool hasCell,
               int result, const Step &step) {
  Inputs inputs{random({kTime, kBatch, kDirections * gates * kHidden}, -1, 1, 1),
                random({kDirections, kHidden, gates * kHidden}, -1, 1, 2),
                random({kDirections, kBatch, kHidden}, -1, 1, 3)};
  inputs.insert(inputs.end(), extra.begin(), extra.end());
  inputs.push_back(numbers(i32, {kBatch}, {kTime, kTime - 1}));
  auto reference = [=](const Inputs &t, const Index &at) {
    int64_t d = at[size_t(1 - result)], b = at[size_t(2 - result)], length = b ? kTime - 1 : kTime;
    int64_t steps = result ? length : d == 1 ? length - at[0] : at[0] + 1;
    if (!result && at[0] >= length) return 0.0;
    return run(t, gates, d, b, length, steps, hasCell, step)[size_t(at.back())];
  };
  Numbers all = resultOf(f32, {kTime, kDirections, kBatch, kHidden}),
          state = resultOf(f32, {kDirections, kBatch, kHidden});
  Inputs more{result ? all : state};
  if (hasCell) more.push_back(state);
  more.push_back(resultOf(f32, {kDirections, kBatch, gates * kHidden}));
  return {op,
          "direction=bidirectional" + attrs,
          inputs,
          f32,
          result ? state.shape : all.shape,
          reference,
          1e-5,
          more,
          result};
}

void lstmStep(const Inputs &t, int64_t d, int64_t, const std::vector<double> &x, std::vector<double> &h,
              std::vector<double> &c) {
  std::vector<double> next(kHidden);
  for (size_t j = 0; j < kHidden; ++j) {
    auto gate = [&](size_t k) { return x[k * kHidden + j] + product(t, d, h, int64_t(k * kHidden + j)); };
    auto peep = [&](int64_t k) { return t[4].at({d, k * kHidden + int64_t(j)}); };
    double old = c[j];
    c[j] = sigmoid(gate(2) + peep(2) * old) * old + sigmoid(gate(0) + peep(0) * old) * std::tanh(gate(3));
    next[j] = sigmoid(gate(1) + peep(1) * c[j]) * std::tanh(c[j]);
  }
  h = next;
}
Step gruStep(bool linearFirst) {
  return [linearFirst](const Inputs &t, int64_t d, int64_t, const std::vector<double> &x,
                       std::vector<double> &h, std::vector<double> &) {
    std::vector<double> next(kHidden), reset(kHidden);
    auto gate = [&](size_t k, size_t j) {
      return x[k * kHidden + j] + product(t, d, h, int64_t(k * kHidden + j));
    };
    for (size_t j = 0; j < kHidden; ++j) reset[j] = sigmoid(gate(1, j)) * h[j];
    for (size_t j = 0; j < kHidden; ++j) {
      int64_t column = int64_t(2 * kHidden + j);
      double state = linearFirst ? sigmoid(gate(1, j)) * (product(t, d, h, column) + t[3].at({d, int64_t(j)}))
                                 : product(t, d, reset, column);
      double z = sigmoid(gate(0, j));
      next[j] = (1 - z) * std::tanh(x[size_t(column)] + state) + z * h[j];
    }
    h = next;
  };
}
void rnnStep(const Inputs &t, int64_t d, int64_t, const std::vector<double> &x, std::vector<double> &h,
             std::vector<double> &) {
  std::vector<double> next(kHidden);
  for (size_t j = 0; j < kHidden; ++j)
    next[j] =
        std::clamp(0.5 * std::clamp(x[j] + product(t, d, h, int64_t(j)), -0.75, 0.75) + 0.25, -10.0, 10.0);
  h = next;
}

} // namespace

std::vector<Case> recurrentCases() {
  Numbers state = random({kDirections, kBatch, kHidden}, -1, 1, 4),
          bias = random({kDirections, kHidden}, -1, 1, 5);
  Numbers peepholes = random({kDirections, 3 * kHidden}, -1, 1, 6);
  std::vector<Case> r;
  for (int result : {0, 1}) {
    r.push_back(recurrent("lstm", "", 4, {state, peepholes}, true, result, lstmStep));
    r.push_back(recurrent("gru", "", 3, {bias}, false, result, gruStep(false)));
    r.push_back(recurrent("gru", ", linear_before_reset=true", 3, {bias}, false, result, gruStep(true)));
    r.push_back(recurrent("rnn", ", f=affine, alpha=[0.5, 0.0, 0.0], beta=[0.25, 0.0, 0.0], clip=0.75", 1, {},
                          false, result, rnnStep));
  }
  return r;
}

} // namespace planish::ops::test
