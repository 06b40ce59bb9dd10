#include "Profile.h"

#include "Reports.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

namespace planish::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kLeastRuns = 5;

/// How the runtime's metadata says it: a template, then its knobs.
struct Schedule {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> knobs;
};
Schedule scheduleOf(const planish_launch_info &info) {
  Schedule schedule;
  std::string_view rest = info.schedule;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string word(rest.substr(0, end));
    const size_t equals = word.find('=');
    if (schedule.name.empty()) schedule.name = word;
    else if (equals != std::string::npos)
      schedule.knobs.emplace_back(word.substr(0, equals), std::atoll(word.c_str() + equals + 1));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return schedule;
}

std::vector<std::string> nodesOf(const planish_launch_info &info) {
  std::vector<std::string> nodes;
  constexpr std::string_view kBetween = ", ";
  for (std::string_view rest = info.nodes; !rest.empty();) {
    const size_t end = std::min(rest.find(kBetween), rest.size());
    nodes.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + kBetween.size(), rest.size()));
  }
  return nodes;
}

/// 1e9 per second of `amount` per launch.
double rateOf(const LaunchProfile &launch, double amount) {
  return launch.median > 0 ? amount * static_cast<double>(launch.count) / launch.median * 1e-3 : 0;
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

std::string format(const char *pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

/// Columns as wide as their widest cell; numbers are aligned to the right.
std::string aligned(const std::vector<std::vector<std::string>> &rows, size_t numbers) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto &row : rows)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string text;
  for (const auto &row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - row[c].size(), ' ');
      if (c > 0) line += "  ";
      line += c < numbers ? space + row[c] : row[c] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::vector<std::string> rowOf(const Profile &profile, const LaunchProfile &launch) {
  const planish_launch_info &info = profile.model->launches[launch.index];
  const std::vector<std::string> nodes = nodesOf(info);
  std::vector<std::string> row = {
      format("%.1f", launch.median), format("%.1f%%", percent(launch.median, profile.median)),
      format("%.1f", rateOf(launch, info.flops)), format("%.1f", rateOf(launch, info.bytes))};
  if (!profile.machineFile.empty()) {
    row.push_back(format("%.1f%%", launch.percentOfPeak()));
    row.push_back(launch.roofline->bound);
  }
  row.emplace_back(info.name);
  row.emplace_back(info.schedule);
  row.push_back(nodes.empty() ? ""
                              : nodes[0] + (nodes.size() > 1 ? " +" + std::to_string(nodes.size() - 1) : ""));
  return row;
}

Json knobsOf(const Schedule &schedule) {
  Json knobs = Json::object();
  for (const auto &[name, value] : schedule.knobs) knobs[name] = value;
  return knobs;
}

/// What a launch is, for the JSON and for the trace.
Json describe(const planish_launch_info &info) {
  const Schedule schedule = scheduleOf(info);
  return {{"kernel", info.name},    {"template", schedule.name}, {"knobs", knobsOf(schedule)},
          {"nodes", nodesOf(info)}, {"flops", info.flops},       {"bytes", info.bytes}};
}

} // namespace

double Profile::launched() const {
  return std::accumulate(launches.begin(), launches.end(), 0.0,
                         [](double sum, const LaunchProfile &l) { return sum + l.median; });
}

double Profile::atPeak() const {
  return std::accumulate(launches.begin(), launches.end(), 0.0, [](double sum, const LaunchProfile &l) {
    return sum + (l.roofline ? l.roofline->microseconds : 0);
  });
}

std::map<std::string, double> Profile::byBound() const {
  std::map<std::string, double> times;
  for (const LaunchProfile &launch : launches)
    if (launch.roofline) times[launch.roofline->bound] += launch.median;
  return times;
}

std::string isaOf(const planish_model &model) {
  const auto has = [&](int bit) { return model.features >> bit & 1; };
  if (model.architecture != PLANISH_ARCH_X86_64) return "sse4.2";
  if (has(PLANISH_X86_AVX512F)) return "avx512";
  return has(PLANISH_X86_AVX2) && has(PLANISH_X86_FMA) ? "avx2" : "sse4.2";
}

Result<Profile> profile(Session &session, double seconds) {
  using Clock = std::chrono::steady_clock;
  const planish_model &model = session.model;
  std::vector<std::vector<int64_t>> times(model.n_launches);
  std::vector<int64_t> totals, gaps, sums(model.n_launches), counts(model.n_launches);
  PLANISH_TRY(session.run()); // warm-up
  const auto begin = Clock::now();
  do {
    PLANISH_ASSIGN(const int64_t total, session.run());
    std::fill(sums.begin(), sums.end(), 0);
    std::fill(counts.begin(), counts.end(), 0);
    for (const Launch &launch : session.launches) {
      sums[launch.index] += launch.end - launch.begin;
      ++counts[launch.index];
    }
    for (size_t i = 0; i < sums.size(); ++i) times[i].push_back(sums[i]);
    totals.push_back(total);
    gaps.push_back(total - std::accumulate(sums.begin(), sums.end(), int64_t{0}));
  } while (totals.size() < kLeastRuns ||
           std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  Profile result;
  result.model = &model;
  result.threads = session.threads();
  result.runs = static_cast<int>(totals.size());
  result.median = quantile(totals, 0.5) * 1e-3;
  result.between = quantile(gaps, 0.5) * 1e-3;
  result.lastRun = session.launches;
  for (uint32_t i = 0; i < model.n_launches; ++i)
    result.launches.push_back(
        {i, counts[i], quantile(times[i], 0.5) * 1e-3, quantile(times[i], 0) * 1e-3, {}});
  return result;
}

Status compareWithPeak(Profile &profile, const Machine &machine, const std::string &file) {
  const std::string isa = isaOf(*profile.model);
  const auto threads = static_cast<int>(profile.threads);
  const std::optional<double> peak = machine.computePeak(isa, "f32", threads);
  if (!peak)
    return badInput("'" + file + "' has no f32 peak for '" + isa + "', which model '" + profile.model->name +
                    "' uses; planish-peak measures this machine");
  for (LaunchProfile &launch : profile.launches) {
    const planish_launch_info &info = profile.model->launches[launch.index];
    const MemoryLevel &level = machine.levelOf(info.bytes, threads);
    const double compute = info.flops / *peak, memory = info.bytes / level.bandwidthOf(threads).triad;
    const double each = std::max(compute, memory) * 1e-3; // 1e9 per second are 1e3 per microsecond
    launch.roofline = {compute >= memory ? isa : level.name, each * static_cast<double>(launch.count)};
  }
  profile.machineFile = file;
  return {};
}

std::string tableOf(const Profile &profile) {
  const bool peaks = !profile.machineFile.empty();
  std::vector<const LaunchProfile *> order;
  for (const LaunchProfile &launch : profile.launches) order.push_back(&launch);
  std::ranges::sort(order, [](const LaunchProfile *a, const LaunchProfile *b) {
    return a->median != b->median ? a->median > b->median : a->index < b->index;
  });
  std::vector<std::vector<std::string>> rows = {{"us", "share", "GFLOP/s", "GB/s"}};
  if (peaks) rows[0].insert(rows[0].end(), {"of peak", "bound"});
  const size_t numbers = peaks ? 5 : 4;
  rows[0].insert(rows[0].end(), {"kernel", "schedule", "nodes"});
  for (const LaunchProfile *launch : order) rows.push_back(rowOf(profile, *launch));
  std::string text = aligned(rows, numbers);
  text += format("%.1f us", profile.median) + ", " + format("%.1f us", profile.between) +
          " of them between launches; median of " + std::to_string(profile.runs) + " runs, threads " +
          std::to_string(profile.threads) + "\n";
  if (!peaks) return text;
  text += "bound by";
  const char *separator = " ";
  for (const auto &[bound, time] : profile.byBound()) {
    text += separator + bound + " " + format("%.1f%%", percent(time, profile.median));
    separator = ", ";
  }
  return text + "; at the machine's peak " + format("%.1f us", profile.atPeak()) + ", which is " +
         format("%.1f%%", percent(profile.atPeak(), profile.median)) + "\n";
}

Json jsonOf(const Profile &profile) {
  const planish_model &model = *profile.model;
  const bool peaks = !profile.machineFile.empty();
  Json launches = Json::array();
  for (const LaunchProfile &launch : profile.launches) {
    const planish_launch_info &info = model.launches[launch.index];
    Json row = {{"index", launch.index}, {"count", launch.count}};
    row.update(describe(info));
    row["median_us"] = launch.median;
    row["min_us"] = launch.least;
    row["percent_of_time"] = percent(launch.median, profile.median);
    row["gflops_per_s"] = rateOf(launch, info.flops);
    row["gbytes_per_s"] = rateOf(launch, info.bytes);
    if (peaks) {
      row["bound"] = launch.roofline->bound;
      row["peak_us"] = launch.roofline->microseconds;
      row["percent_of_peak"] = launch.percentOfPeak();
    }
    launches.push_back(std::move(row));
  }
  Json result = {{"model", model.name},
                 {"target", model.target},
                 {"build_id", model.build_id},
                 {"threads", profile.threads},
                 {"runs", profile.runs},
                 {"median_us", profile.median},
                 {"between_launches_us", profile.between}};
  if (peaks) {
    Json bounds = Json::object();
    for (const auto &[bound, time] : profile.byBound())
      bounds[bound] = {{"us", time}, {"percent_of_time", percent(time, profile.median)}};
    result["machine"] = profile.machineFile;
    result["peak_us"] = profile.atPeak();
    result["percent_of_peak"] = percent(profile.atPeak(), profile.median);
    result["bounds"] = std::move(bounds);
  }
  result["launches"] = std::move(launches);
  return result;
}

Json traceOf(const Profile &profile) {
  Json events = Json::array();
  for (const Launch &launch : profile.lastRun) {
    const LaunchProfile &about = profile.launches[launch.index];
    const planish_launch_info &info = profile.model->launches[launch.index];
    Json arguments = describe(info);
    if (about.roofline) {
      arguments["bound"] = about.roofline->bound;
      arguments["percent_of_peak"] = about.percentOfPeak();
    }
    events.push_back({{"name", info.nodes[0] ? info.nodes : info.name},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"ts", static_cast<double>(launch.begin) * 1e-3},
                      {"dur", static_cast<double>(launch.end - launch.begin) * 1e-3},
                      {"args", std::move(arguments)}});
  }
  return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
}

} // namespace planish::run
