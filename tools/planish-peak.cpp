// planish-peak: what this machine can do at best, as a table and as the machine file.
#include "peak/Measure.h"
#include "run/Main.h"

#include "planish/support/Version.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <unistd.h>

namespace planish::peak {
namespace {

struct Options {
  std::string output;
  double seconds = 10;
  bool json = false;
};

std::string sizeText(double bytes) {
  const bool mega = bytes >= 1 << 20;
  return std::to_string(static_cast<int64_t>(bytes / (mega ? 1 << 20 : 1 << 10))) + (mega ? " MiB" : " KiB");
}

/// A row of the table: what, its unit, and a figure per number of threads.
void printRow(const std::string &what, const std::string &unit, const std::vector<double> &figures) {
  std::printf("%-22s %-8s", what.c_str(), unit.c_str());
  for (double figure : figures) std::printf(" %9.1f", figure);
  std::printf("\n");
}

void printTable(const run::Machine &machine) {
  std::printf("%s, %d core%s\n", machine.cpu.c_str(), machine.cores, machine.cores == 1 ? "" : "s");
  std::printf("%-31s", "threads");
  for (const run::Bandwidth &b : machine.levels.front().bandwidth) std::printf(" %9d", b.threads);
  std::printf("\n");
  for (size_t i = 0; i < machine.compute.size();) {
    const run::ComputePeak &first = machine.compute[i];
    std::vector<double> rates;
    for (; i < machine.compute.size() && machine.compute[i].isa == first.isa &&
           machine.compute[i].type == first.type;
         ++i)
      rates.push_back(machine.compute[i].rate);
    printRow(first.type + " " + first.isa, first.type == "f32" ? "GFLOP/s" : "GOP/s", rates);
  }
  for (const run::MemoryLevel &level : machine.levels) {
    std::vector<double> reads, triads;
    for (const run::Bandwidth &b : level.bandwidth) {
      reads.push_back(b.read);
      triads.push_back(b.triad);
    }
    const std::string what = level.name + (level.bytes > 0 ? " " + sizeText(level.bytes) : "");
    printRow(what + " read", "GB/s", reads);
    printRow(what + " triad", "GB/s", triads);
  }
  for (const run::RoundTrip &trip : machine.roundTrips)
    std::printf("core %d to %d and back     ns        %9.1f  (%.1f to %.1f)\n", trip.first, trip.second,
                trip.nanoseconds, trip.least, trip.most);
}

Status write(const std::string &path, const std::string &text) {
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, error);
  std::ofstream file(path, std::ios::binary);
  file << text << "\n";
  if (!file.flush()) return failed("cannot write '" + path + "': " + std::generic_category().message(errno));
  return {};
}

Status measureMachine(Options options) {
  if (options.output.empty()) options.output = run::defaultMachineFile();
  if (options.output.empty())
    return usage("there is no home folder for the machine file: name it with --output");
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto progress = [&](int group, int groups) {
    if (terminal) std::fprintf(stderr, "\rmeasuring, %d of %d", group, groups);
  };
  PLANISH_ASSIGN(const run::Machine machine, measure(options.seconds, progress));
  if (terminal) std::fprintf(stderr, "\r\33[K");
  const std::string text = run::jsonOf(machine).dump(1);
  if (options.json) std::printf("%s\n", text.c_str());
  else printTable(machine);
  if (std::fflush(stdout) != 0) return failed("cannot write to stdout");
  PLANISH_TRY(write(options.output, text));
  std::fprintf(stderr, "planish-peak: wrote %s\n", options.output.c_str());
  return {};
}

void declare(CLI::App &app, Options &options) {
  app.add_option("-o,--output", options.output,
                 "The machine file to write (default: planish/machine.json in $XDG_CACHE_HOME or ~/.cache)")
      ->type_name("FILE");
  app.add_option("--seconds", options.seconds, "How long to measure, about")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options.json, "Print the machine file instead of the table");
  app.set_version_flag("--version", std::string("planish-peak ") + kVersion);
}

} // namespace
} // namespace planish::peak

int main(int argc, char **argv) {
  using namespace planish;
  CLI::App app{
      "Measures what this machine can do at best: f32 multiply-adds per second for each instruction set,\n"
      "u8 x s8 products, bandwidth of each cache and of memory, for one thread up to all cores, and the\n"
      "time from core to core. Writes the machine file that run-model --profile is held against.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 unknown CPU, 70 internal error.",
      "planish-peak"};
  peak::Options options;
  peak::declare(app, options);
  return run::toolMain(app, argc, argv, [&] { return run::exitOf(peak::measureMachine(options)); });
}
