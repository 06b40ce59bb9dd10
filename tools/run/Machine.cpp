#include "Machine.h"

#include "Array.h"
#include "JsonFields.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

namespace planish::run {
namespace {

constexpr int kVersion = 1;
constexpr int kMostThreads = 4096;
constexpr float kLargest = 1e12F;
constexpr float kSmallestRate = 1e-6F; // a rate divides

double rateOf(JsonFields &in, const char *key) { return in.number(key, kSmallestRate, kLargest); }

ComputePeak readCompute(JsonFields in) {
  ComputePeak peak;
  peak.isa = in.text("isa");
  peak.type = in.text("type");
  peak.threads = in.integer("threads", 1, kMostThreads);
  peak.rate = rateOf(in, "giga_per_s");
  in.finish();
  return peak;
}

Bandwidth readBandwidth(JsonFields in) {
  Bandwidth bandwidth;
  bandwidth.threads = in.integer("threads", 1, kMostThreads);
  bandwidth.read = rateOf(in, "read_gbytes_per_s");
  bandwidth.triad = rateOf(in, "triad_gbytes_per_s");
  in.finish();
  return bandwidth;
}

MemoryLevel readLevel(JsonFields in) {
  MemoryLevel level;
  level.name = in.text("name");
  level.bytes = in.integer("bytes", 0, INT_MAX);
  level.sharedBy = in.integer("shared_by", 1, kMostThreads);
  for (const JsonFields &bandwidth : in.objects("bandwidth"))
    level.bandwidth.push_back(readBandwidth(bandwidth));
  if (level.bandwidth.empty()) in.wrong("field \"bandwidth\" is missing");
  in.finish();
  return level;
}

RoundTrip readRoundTrip(JsonFields in) {
  RoundTrip trip;
  trip.first = in.integer("first", 0, INT_MAX);
  trip.second = in.integer("second", 0, INT_MAX);
  trip.nanoseconds = in.number("ns", 0, kLargest);
  trip.least = in.number("least_ns", 0, kLargest);
  trip.most = in.number("most_ns", 0, kLargest);
  in.finish();
  return trip;
}

/// What profiles look up must be there.
void checkWhole(const Machine &machine, JsonFields &top) {
  if (machine.compute.empty()) top.wrong("field \"compute\" is missing");
  bool memory = !machine.levels.empty() && machine.levels.back().bytes == 0;
  for (size_t i = 0; i + 1 < machine.levels.size(); ++i) memory &= machine.levels[i].bytes > 0;
  if (!memory) top.wrongField("levels", "the last level, and no other, is memory, with \"bytes\": 0");
}

/// The last of `entries` whose number of threads is at most `threads`, else the first.
template <class T> const T *atMost(const std::vector<const T *> &entries, int threads) {
  const T *best = nullptr;
  for (const T *entry : entries)
    if (!best || (entry->threads <= threads && (best->threads > threads || entry->threads > best->threads)))
      best = entry;
  return best;
}

} // namespace

double MemoryLevel::capacity(int threads) const {
  if (bytes == 0) return std::numeric_limits<double>::infinity();
  const int places = (threads + sharedBy - 1) / sharedBy;
  return bytes * places;
}

const Bandwidth &MemoryLevel::bandwidthOf(int threads) const {
  std::vector<const Bandwidth *> all;
  for (const Bandwidth &entry : bandwidth) all.push_back(&entry);
  const Bandwidth *found = atMost(all, threads);
  PLANISH_CHECK(found, "a level of memory without bandwidth");
  return *found;
}

std::optional<double> Machine::computePeak(const std::string &isa, const std::string &type,
                                           int threads) const {
  std::vector<const ComputePeak *> all;
  for (const ComputePeak &peak : compute)
    if (peak.isa == isa && peak.type == type) all.push_back(&peak);
  const ComputePeak *found = atMost(all, threads);
  return found ? std::optional(found->rate) : std::nullopt;
}

const MemoryLevel &Machine::levelOf(double bytes, int threads) const {
  return *std::find_if(levels.begin(), levels.end() - 1,
                       [&](const MemoryLevel &level) { return bytes <= level.capacity(threads); });
}

std::string thisCpu() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos && colon + 2 < line.size())
      return line.substr(colon + 2);
  }
  return "unknown";
}

std::string defaultMachineFile() {
  const auto variable = [](const char *name) {
    const char *value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  std::filesystem::path cache = variable("XDG_CACHE_HOME");
  if (!cache.is_absolute()) {
    const std::filesystem::path home = variable("HOME");
    if (!home.is_absolute()) return "";
    cache = home / ".cache";
  }
  return (cache / "planish" / "machine.json").string();
}

Result<Machine> parseMachine(const std::string &text, const std::string &path) {
  PLANISH_ASSIGN(const nlohmann::json document, parseJson(text, path));
  JsonComplaint complaint{path, "docs/profiling.md", {}};
  JsonFields top(&document, "$", complaint);
  Machine machine;
  top.integer("version", kVersion, kVersion);
  machine.cpu = top.text("cpu");
  machine.cores = top.integer("cores", 1, kMostThreads);
  for (const JsonFields &peak : top.objects("compute")) machine.compute.push_back(readCompute(peak));
  for (const JsonFields &level : top.objects("levels")) machine.levels.push_back(readLevel(level));
  if (top.has("round_trips"))
    for (const JsonFields &trip : top.objects("round_trips"))
      machine.roundTrips.push_back(readRoundTrip(trip));
  top.finish();
  checkWhole(machine, top);
  if (complaint.first) return *complaint.first;
  return machine;
}

Result<Machine> readMachine(const std::string &path) {
  PLANISH_ASSIGN(const std::vector<std::byte> bytes, readFile(path));
  return parseMachine(std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()), path);
}

nlohmann::ordered_json jsonOf(const Machine &machine) {
  using Json = nlohmann::ordered_json;
  Json compute = Json::array(), levels = Json::array(), trips = Json::array();
  for (const ComputePeak &peak : machine.compute)
    compute.push_back(
        {{"isa", peak.isa}, {"type", peak.type}, {"threads", peak.threads}, {"giga_per_s", peak.rate}});
  for (const MemoryLevel &level : machine.levels) {
    Json bandwidth = Json::array();
    for (const Bandwidth &entry : level.bandwidth)
      bandwidth.push_back({{"threads", entry.threads},
                           {"read_gbytes_per_s", entry.read},
                           {"triad_gbytes_per_s", entry.triad}});
    levels.push_back({{"name", level.name},
                      {"bytes", static_cast<int64_t>(level.bytes)},
                      {"shared_by", level.sharedBy},
                      {"bandwidth", std::move(bandwidth)}});
  }
  for (const RoundTrip &trip : machine.roundTrips)
    trips.push_back({{"first", trip.first},
                     {"second", trip.second},
                     {"ns", trip.nanoseconds},
                     {"least_ns", trip.least},
                     {"most_ns", trip.most}});
  Json result = {{"version", kVersion},
                 {"cpu", machine.cpu},
                 {"cores", machine.cores},
                 {"compute", std::move(compute)},
                 {"levels", std::move(levels)}};
  if (!trips.empty()) result["round_trips"] = std::move(trips);
  return result;
}

} // namespace planish::run
