#include "Measure.h"

#include "Loops.h"
#include "Team.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <set>

namespace planish::peak {
namespace {

using run::Machine;
using run::MemoryLevel;

constexpr int kRounds = 7;
constexpr int64_t kRoundsPerPiece = 4000;   // of arithmetic: some ten microseconds
constexpr double kBytesPerPiece = 1 << 20;  // of memory: the same
constexpr double kLargestCacheSet = 8 << 20;
constexpr double kLeastMemorySet = 256 << 20, kMostMemorySet = 1 << 30;
/// Arrays that begin at equal places of a page get in each other's way.
constexpr int64_t kSkew = 5 * kBlock;

struct InstructionSet {
  const Loops &loops;
  bool (*usable)();
  bool (*hasDot)();
};
const InstructionSet kInstructionSets[] = {
    {kSse42, [] { return __builtin_cpu_supports("sse4.2") != 0; }, [] { return false; }},
    {kAvx2, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); },
     [] { return __builtin_cpu_supports("avxvnni") != 0; }},
    {kAvx512,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
     },
     [] { return __builtin_cpu_supports("avx512vnni") != 0; }},
};

/// One figure of the machine: how to measure it once, and what it was in each round.
struct Figure {
  std::function<Result<double>(double seconds)> once;
  std::function<void(Machine &, const std::vector<double> &sorted)> note;
  std::vector<double> values;
};

double median(const std::vector<double> &sorted) { return sorted[sorted.size() / 2]; }

/// One, two, four ... and all.
std::vector<int> threadCounts(int cores) {
  std::vector<int> counts;
  for (int n = 1; n < cores; n *= 2) counts.push_back(n);
  counts.push_back(cores);
  return counts;
}

template <class T> std::optional<T> firstIn(const std::string &path) {
  std::ifstream file(path);
  T value;
  return file >> value ? std::optional(value) : std::nullopt;
}

/// How many of `cores` a list such as "0-3,8" names.
int countIn(const std::string &list, const std::vector<int> &cores) {
  int count = 0;
  const char *at = list.c_str();
  while (*at) {
    char *end = nullptr;
    const long low = std::strtol(at, &end, 10);
    if (end == at) break;
    long high = low;
    if (*end == '-') high = std::strtol(end + 1, &end, 10);
    for (int core : cores) count += core >= low && core <= high;
    at = *end == ',' ? end + 1 : end;
  }
  return count;
}

/// The data caches of the first core as the system lists them, the fastest first, and memory.
std::vector<MemoryLevel> memoryLevels(const std::vector<int> &cores) {
  std::vector<MemoryLevel> levels;
  const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cores[0]) + "/cache/index";
  for (int index = 0;; ++index) {
    const std::string at = folder + std::to_string(index) + "/";
    const auto size = firstIn<std::string>(at + "size");
    const auto type = firstIn<std::string>(at + "type");
    const auto level = firstIn<int>(at + "level");
    if (!size || !type || !level) break;
    if (*type == "Instruction") continue;
    MemoryLevel cache;
    cache.name = "L" + std::to_string(*level);
    cache.bytes = std::atof(size->c_str()) * (size->ends_with('K')   ? 1 << 10
                                              : size->ends_with('M') ? 1 << 20
                                                                     : 1);
    cache.sharedBy = std::max(1, countIn(firstIn<std::string>(at + "shared_cpu_list").value_or(""), cores));
    if (cache.bytes > 0) levels.push_back(cache);
  }
  std::ranges::sort(levels, {}, &MemoryLevel::bytes);
  levels.push_back({"memory", 0, static_cast<int>(cores.size()), {}});
  return levels;
}

double availableBytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  return kMostMemorySet;
}

/// Floats that one of `threads` threads works on to measure a level: half its share of a cache, and of memory
/// so much that the caches hold little of it.
int64_t floatsOf(const std::vector<MemoryLevel> &levels, size_t at, int threads) {
  const MemoryLevel &level = levels[at];
  double bytes = 0;
  if (level.bytes > 0) {
    bytes = std::min(level.bytes / std::min(level.sharedBy, threads) / 2, kLargestCacheSet);
  } else {
    const double cache = at > 0 ? levels[at - 1].capacity(level.sharedBy) : 0;
    const double all = std::clamp(2 * cache, kLeastMemorySet, kMostMemorySet);
    bytes = std::min(all, availableBytes() / 4) / threads;
  }
  return std::max<int64_t>(static_cast<int64_t>(bytes / sizeof(float)) / kBlock, 3) * kBlock;
}

struct Free {
  void operator()(float *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<float[], Free>;

/// Memory of `count` floats, each written once: memory that was never written is one page of zeros.
Result<Memory> makeMemory(int64_t count) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(float);
  Memory memory(static_cast<float *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
  if (!memory) return failed("no memory to measure with: " + std::to_string(bytes) + " bytes");
  std::fill_n(memory.get(), count, 1.0F);
  return memory;
}

/// Walks over `count` floats, round and round, in chunks that take no time to begin.
class Sweep {
public:
  explicit Sweep(int64_t count) : count(count) {}
  /// Calls chunk(begin, size) until a piece is done; the floats passed.
  template <class F> double piece(F chunk) {
    constexpr int64_t kChunk = 256 * kBlock;
    double passed = 0;
    while (passed * sizeof(float) < kBytesPerPiece) {
      const int64_t size = std::min(kChunk, count - at);
      chunk(at, size);
      at = at + size == count ? 0 : at + size;
      passed += static_cast<double>(size);
    }
    return passed;
  }

private:
  int64_t count, at = 0;
};

Piece readPiece(const Loops &loops, const float *from, int64_t count) {
  return [=, sweep = Sweep(count)]() mutable {
    return sweep.piece([&](int64_t at, int64_t n) { loops.read(from + at, n); }) * sizeof(float);
  };
}

/// Three arrays that together have no more than `count` floats.
Piece triadPiece(const Loops &loops, float *memory, int64_t count) {
  const int64_t each = std::max<int64_t>((count - 2 * kSkew) / 3 / kBlock, 1) * kBlock;
  float *to = memory, *a = memory + each + kSkew, *b = a + each + kSkew;
  return [=, sweep = Sweep(each)]() mutable {
    return sweep.piece([&](int64_t at, int64_t n) { loops.triad(to + at, a + at, b + at, n); }) * 3 *
           sizeof(float);
  };
}

/// Collects what there is to measure.
class Plan {
public:
  explicit Plan(std::vector<int> cores) : cores(std::move(cores)) {}
  /// Figures of one kind; from those that use little memory to those that use much.
  std::vector<std::vector<Figure>> groups;

  void addCompute() {
    groups.emplace_back();
    for (const InstructionSet &set : kInstructionSets) {
      if (!set.usable()) continue;
      widest = &set.loops;
      addCompute(set.loops, "f32", set.loops.multiplyAdd);
      if (set.loops.dot && set.hasDot()) addCompute(set.loops, "u8s8", set.loops.dot);
    }
  }

  Status addMemory(Machine &machine) {
    machine.levels = memoryLevels(cores);
    int64_t most = 0;
    for (size_t level = 0; level < machine.levels.size(); ++level)
      for (int threads : threadCounts(count()))
        most = std::max(most, (floatsOf(machine.levels, level, threads) + 2 * kSkew) * threads);
    PLANISH_ASSIGN(memory, makeMemory(most));
    for (size_t level = 0; level < machine.levels.size(); ++level) {
      groups.emplace_back();
      for (int threads : threadCounts(count())) {
        const size_t row = machine.levels[level].bandwidth.size();
        machine.levels[level].bandwidth.push_back({threads, 0, 0});
        const int64_t floats = floatsOf(machine.levels, level, threads);
        std::vector<Piece> reads, triads;
        for (int t = 0; t < threads; ++t) {
          float *part = memory.get() + t * (floats + 2 * kSkew);
          reads.push_back(readPiece(*widest, part, floats));
          triads.push_back(triadPiece(*widest, part, floats));
        }
        add(std::move(reads),
            [=](Machine &m, auto &v) { m.levels[level].bandwidth[row].read = median(v) / 1e9; });
        add(std::move(triads),
            [=](Machine &m, auto &v) { m.levels[level].bandwidth[row].triad = median(v) / 1e9; });
      }
    }
    return {};
  }

  /// From the first core to the second, third, fifth ... and last.
  void addRoundTrips() {
    groups.emplace_back();
    std::set<int> others;
    for (int threads : threadCounts(count() - 1)) others.insert(threads);
    for (int other : others) {
      if (other < 1 || other >= count()) continue;
      const int first = cores[0], second = cores[static_cast<size_t>(other)];
      groups.back().push_back({[=](double seconds) { return roundTrip(first, second, seconds); },
                               [=](Machine &m, const std::vector<double> &v) {
                                 m.roundTrips.push_back({first, second, median(v), v.front(), v.back()});
                               },
                               {}});
    }
  }

  double figures() const {
    size_t all = 0;
    for (const std::vector<Figure> &group : groups) all += group.size();
    return static_cast<double>(all);
  }

private:
  std::vector<int> cores;
  const Loops *widest = nullptr;
  Memory memory;

  int count() const { return static_cast<int>(cores.size()); }

  void addCompute(const Loops &loops, const char *type, double (*work)(int64_t)) {
    for (int threads : threadCounts(count())) {
      std::vector<Piece> pieces(static_cast<size_t>(threads), [=] { return work(kRoundsPerPiece); });
      add(std::move(pieces), [=, isa = loops.isa](Machine &m, auto &v) {
        m.compute.push_back({isa, type, threads, median(v) / 1e9});
      });
    }
  }
  void add(std::vector<Piece> pieces,
           std::function<void(Machine &, const std::vector<double> &sorted)> note) {
    auto once = [this, pieces = std::move(pieces)](double seconds) {
      return rateOf(std::span(cores).first(pieces.size()), pieces, seconds);
    };
    groups.back().push_back({std::move(once), std::move(note), {}});
  }
};

/// A moment of each figure per round: a disturbance falls on one round of many figures. Leaves the values
/// sorted.
Status measureGroup(std::vector<Figure> &group, double moment) {
  for (int round = 0; round < kRounds; ++round)
    for (Figure &figure : group) {
      PLANISH_ASSIGN(const double value, figure.once(moment));
      figure.values.push_back(value);
    }
  for (Figure &figure : group) std::sort(figure.values.begin(), figure.values.end());
  return {};
}

} // namespace

Result<Machine> measure(double seconds, const std::function<void(int group, int groups)> &progress) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<int> cores = usableCores();
  Machine machine;
  machine.cpu = run::thisCpu();
  machine.cores = static_cast<int>(cores.size());
  Plan plan(cores);
  plan.addRoundTrips();
  plan.addCompute();
  if (plan.groups.back().empty())
    return unsupported("this CPU has none of the instruction sets that are measured");
  PLANISH_TRY(plan.addMemory(machine));
  const double prepared = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double moment = std::max(seconds - prepared, seconds / 2) / (kRounds * plan.figures());
  // Large memory first: some virtual machines make pages dear that were not used for a second.
  const auto groups = static_cast<int>(plan.groups.size());
  for (int g = groups; g-- > 0;) {
    progress(groups - g, groups);
    PLANISH_TRY(measureGroup(plan.groups[static_cast<size_t>(g)], moment));
  }
  for (std::vector<Figure> &group : plan.groups)
    for (Figure &figure : group) figure.note(machine, figure.values);
  return machine;
}

} // namespace planish::peak
