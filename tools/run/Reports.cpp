#include "Reports.h"

#include "planish/support/Hash.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace planish::run {
namespace {

/// A strided view as a dense array.
Array denseCopy(const planish_view &view) {
  Array array;
  array.dtype = view.dtype;
  array.shape.assign(view.dims, view.dims + view.rank);
  const size_t size = planish_dtype_bytes(view.dtype);
  array.bytes.resize(static_cast<size_t>(array.elements()) * size);
  std::vector<int64_t> index(array.shape.size(), 0);
  int64_t from = 0;
  for (size_t to = 0; to < array.bytes.size(); to += size) {
    std::memcpy(array.bytes.data() + to,
                static_cast<const std::byte *>(view.data) + from * static_cast<int64_t>(size), size);
    for (size_t d = index.size(); d-- > 0;) {
      from += view.strides[d];
      if (++index[d] < array.shape[d]) break;
      from -= view.strides[d] * array.shape[d];
      index[d] = 0;
    }
  }
  return array;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

} // namespace

double quantile(std::vector<int64_t> times, double q) {
  const auto at =
      times.begin() + static_cast<std::ptrdiff_t>(std::llround(q * static_cast<double>(times.size() - 1)));
  std::nth_element(times.begin(), at, times.end());
  return static_cast<double>(*at);
}

std::string digestOf(const Array &array) { return sha256(array.bytes).substr(0, 16); }

std::string digestLine(const std::string &name, const Array &array) {
  return name + " " + dtypeName(array.dtype) + " " + shapeText(array.shape) + " " + digestOf(array);
}

Result<std::vector<std::string>> outputDigests(const Session &session) {
  std::vector<std::string> lines;
  for (uint32_t i = 0; i < session.model.n_outputs; ++i) {
    PLANISH_ASSIGN(const Array array, session.output(i));
    lines.push_back(digestLine(session.model.outputs[i].name, array));
  }
  return lines;
}

Result<std::vector<std::string>> layerDigests(Session &session) {
  const planish_model &model = session.model;
  std::vector<std::string> lines(model.n_values);
  const auto take = [&](const planish_instance *instance, int32_t launch) {
    for (uint32_t v = 0; v < model.n_values; ++v) {
      planish_view view;
      if (model.values[v].launch != launch || planish_get_value(instance, v, &view) != PLANISH_OK) continue;
      lines[v] = digestLine(view.name, denseCopy(view));
    }
  };
  session.observer = [&](const planish_instance *instance, uint32_t launch) {
    take(instance, static_cast<int32_t>(launch));
  };
  const auto time = session.run();
  session.observer = nullptr;
  if (!time) return time.error();
  take(session.handle(), -1);
  std::erase_if(lines, [](const std::string &line) { return line.empty(); }); // never launched in this run
  return lines;
}

Comparison compare(const std::string &name, const Array &got, const Array &want, const Tolerance &tolerance) {
  Comparison r;
  r.name = name;
  if (got.shape != want.shape) {
    r.problem = "shape is " + shapeText(got.shape) + ", the reference has " + shapeText(want.shape);
    return r;
  }
  const std::vector<double> g = asDoubles(got), w = asDoubles(want);
  size_t nans = 0, worst = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    if (std::isnan(g[i]) || std::isnan(w[i])) {
      ++nans;
      continue;
    }
    if (std::isfinite(w[i])) r.maxReference = std::max(r.maxReference, std::abs(w[i]));
    const double error = g[i] == w[i] ? 0 : std::abs(g[i] - w[i]);
    if (error > r.maxError) {
      r.maxError = error;
      worst = i;
    }
  }
  const double allowed = tolerance.absolute + tolerance.relative * r.maxReference;
  if (nans) {
    r.problem = std::to_string(nans) + " of " + std::to_string(g.size()) + " elements are NaN";
  } else if (r.maxError > allowed) {
    r.problem = "error " + number(r.maxError) + " at element " + std::to_string(worst) + " (" +
                number(g[worst]) + " for " + number(w[worst]) + ") exceeds " + number(allowed);
  }
  return r;
}

Result<Latencies> benchmark(Session &session, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto secondsSince = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const auto warmUp = Clock::now();
  do PLANISH_TRY(session.run());
  while (secondsSince(warmUp) < seconds / 10);
  std::vector<int64_t> times;
  double total = 0;
  const auto begin = Clock::now();
  do {
    PLANISH_ASSIGN(const int64_t time, session.run());
    times.push_back(time);
    total = secondsSince(begin);
  } while (times.size() < 5 || total < seconds);
  return Latencies{static_cast<int>(times.size()), quantile(times, 0.5) * 1e-6, quantile(times, 0) * 1e-6,
                   quantile(times, 0.9) * 1e-6, static_cast<double>(times.size()) / total};
}

} // namespace planish::run
