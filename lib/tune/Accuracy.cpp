#include "planish/tune/Accuracy.h"

#include "planish/support/ScratchFolder.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>
#include <set>

namespace planish::tune {

namespace {

/// Layers that are given back one by one, the most expensive first.
constexpr size_t kMostGivenBack = 12;

class Search {
public:
  Search(const AccuracyOptions &wanted, Accuracy &found, const ScratchFolder &scratch)
      : options(wanted), r(found), folder(scratch) {}

  Status run() {
    driver::Options real = candidate();
    real.int8.reset();
    PLANISH_ASSIGN(r.real, metricOf(real));
    limit = r.real - (options.bound.relative ? std::abs(r.real) * options.bound.drop : options.bound.drop);
    PLANISH_ASSIGN(r.int8, tryWith(0));
    r.reached = r.int8;
    if (r.int8 >= limit) return {};
    PLANISH_ASSIGN(size_t needed, leastPrefix());
    for (size_t i = 0; i < needed; ++i) r.layers[i].kept = true;
    return giveBack();
  }

private:
  driver::Options candidate() const {
    driver::Options o = options.compile;
    // A path of its own for each: a library that somebody still holds would be found again by its path.
    o.output = folder.name() + "/candidate" + std::to_string(r.evaluations);
    return o;
  }

  Result<double> metricOf(const driver::Options &o) {
    PLANISH_ASSIGN(driver::Artifact built, driver::compile(o));
    ++r.evaluations;
    auto metric = options.evaluate(built.directory);
    std::error_code ignored;
    std::filesystem::remove_all(built.directory, ignored);
    if (metric && !std::isfinite(*metric)) return failed("the metric is no finite number");
    return metric;
  }

  /// The metric with the layers that are kept.
  Result<double> tryKept() {
    driver::Options o = candidate();
    Trial trial;
    for (const Choice &s : r.layers)
      if (s.kept) o.int8->codes.keepFloat.insert(s.layer.node), ++trial.kept;
    PLANISH_ASSIGN(trial.metric, metricOf(o));
    trial.within = trial.metric >= limit;
    if (options.progress) options.progress(trial);
    return trial.metric;
  }
  Result<double> tryWith(size_t first) {
    for (size_t i = 0; i < r.layers.size(); ++i) r.layers[i].kept = i < first;
    return tryKept();
  }

  /// How many of the first layers are enough: twice as many each time, then halves of the gap.
  Result<size_t> leastPrefix() {
    size_t few = 0, enough = 1, all = r.layers.size();
    for (;; enough = std::min(all, enough * 2)) {
      PLANISH_ASSIGN(double metric, tryWith(enough));
      if (metric >= limit) {
        r.reached = metric;
        break;
      }
      if (enough == all)
        return failed("even with all " + std::to_string(all) + " layers in fp32 the metric is " +
                      textOf(metric) + ", the float model's " + textOf(r.real) +
                      "; does it vary from run to run?");
      few = enough;
    }
    while (enough - few > 1) {
      size_t half = few + (enough - few) / 2;
      PLANISH_ASSIGN(double metric, tryWith(half));
      if (metric >= limit) enough = half, r.reached = metric;
      else few = half;
    }
    return enough;
  }

  Status giveBack() {
    std::vector<Choice *> kept;
    for (Choice &s : r.layers)
      if (s.kept) kept.push_back(&s);
    std::ranges::stable_sort(kept, std::greater<>(), [](const Choice *s) { return s->layer.cost; });
    if (kept.size() > kMostGivenBack) kept.resize(kMostGivenBack);
    for (Choice *s : kept) {
      s->kept = false;
      PLANISH_ASSIGN(double metric, tryKept());
      if (metric >= limit) r.reached = metric;
      else s->kept = true;
    }
    return {};
  }

  const AccuracyOptions &options;
  Accuracy &r;
  const ScratchFolder &folder;
  double limit = 0;
};

struct ClosePipe {
  void operator()(FILE *f) const { pclose(f); }
};

/// The last word of a text that is a number.
std::optional<double> lastNumber(const std::string &text) {
  std::optional<double> r;
  for (size_t at = 0; at < text.size();) {
    size_t begin = text.find_first_not_of(" \t\r\n", at);
    if (begin == std::string::npos) break;
    at = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    double value = 0;
    auto [end, error] = std::from_chars(text.data() + begin, text.data() + at, value);
    if (error == std::errc() && end == text.data() + at) r = value;
  }
  return r;
}

/// A word of a shell's command.
std::string shellWord(const std::string &text) {
  std::string r = "'";
  for (char c : text) r += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return r + "'";
}

} // namespace

Result<Bound> boundOf(const std::string &text) {
  Bound r;
  std::string_view number = text;
  if (number.ends_with('%')) number.remove_suffix(1), r.relative = true;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), r.drop);
  if (error != std::errc() || end != number.data() + number.size() || !(r.drop >= 0) ||
      !std::isfinite(r.drop))
    return usage("the largest drop is '" + text +
                 "', expected a number like 0.01, or 1% of the float model's value");
  if (r.relative) r.drop /= 100;
  return r;
}

Result<double> metricOfCommand(const std::string &command, const std::string &directory) {
  std::string line = command + " " + shellWord(directory);
  FILE *pipe = popen(line.c_str(), "r");
  if (!pipe) return failed("cannot run '" + line + "'");
  std::string text;
  std::array<char, 4096> part{};
  while (size_t n = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), n);
  int status = pclose(pipe);
  if (status != 0) return failed("the command '" + line + "' failed");
  auto number = lastNumber(text);
  if (!number) return failed("the command '" + line + "' printed no number");
  return *number;
}

std::string summaryOf(const Accuracy &a) {
  std::vector<std::string> kept;
  for (const Choice &c : a.layers)
    if (c.kept) kept.push_back(c.layer.node);
  auto rounded = [](double v) { return textOf(std::round(v * 1e4) / 1e4); };
  std::string r = "metric " + rounded(a.real) + " in fp32, " + rounded(a.int8) + " in int8, " +
                  rounded(a.reached) + " with " + std::to_string(kept.size()) + " layers in fp32 (" +
                  textOf(std::round(a.cost * 1e3) / 10) + " % of the multiplications)";
  return kept.empty() ? r : r + ": " + joined(kept, [](const std::string &s) { return s; });
}

Result<Accuracy> compileWithin(const AccuracyOptions &options, Samples &samples) {
  if (!options.compile.int8) return usage("a largest drop is for models that become int8");
  PLANISH_ASSIGN(Comparison comparison, compareWithCodes(options.compile, samples));
  Accuracy r;
  for (Sensitivity &s : comparison.contractions) r.layers.push_back({std::move(s), false});
  PLANISH_ASSIGN(ScratchFolder folder, ScratchFolder::make());
  PLANISH_TRY(Search(options, r, folder).run());
  driver::Options last = options.compile;
  for (const Choice &s : r.layers)
    if (s.kept) last.int8->codes.keepFloat.insert(s.layer.node), r.cost += s.layer.cost;
  PLANISH_ASSIGN(r.artifact, driver::compile(last));
  return r;
}

} // namespace planish::tune
