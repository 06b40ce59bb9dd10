// A board's driver (planish/fpga.h) that runs the engine's source on this machine:
//
//   g++ -O2 -shared -fPIC -DENGINE='"net_engine.cpp"' -I runtime/include emulation.cpp -o emulation.so
//
// -DEMULATED_THREADS -DFIFO_DEPTH=1 runs its stages as threads with bounded streams between them;
// -DEMULATED_CHANNELS is for OpenCL with channels. If PLANISH_EMULATION_LOG names a file, every call appends
// the rows that it ran.
#ifndef WATCHDOG_SECONDS
#define WATCHDOG_SECONDS 20
#endif
#ifdef EMULATED_CHANNELS
#include "channels.h"
#elif defined(EMULATED_THREADS)
#include <thread>
#include <vector>
#define STAGES_BEGIN std::vector<std::thread> stages;
#define STAGE(call) stages.emplace_back([&] { call; });
#define STAGES_END                                                                                           \
  for (std::thread & stage : stages) stage.join();
#endif

#include ENGINE

#include <planish/fpga.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace {

struct Instance {
  const planish_fpga_engine *engine;
  unsigned char *activations;
  uint64_t bytes;
};

std::mutex running; // the engine's own memory is one, as on a board

int opened(const planish_fpga_engine *engine, unsigned char *activations, uint64_t bytes, void **state,
           char *error) {
  if (engine->version != PLANISH_FPGA_VERSION || engine->columns != COLUMNS) {
    std::snprintf(error, PLANISH_FPGA_ERROR_BYTES, "the engine's source is of another version");
    return 1;
  }
  *state = new (std::nothrow) Instance{engine, activations, bytes};
  return *state ? 0 : 1;
}

void log(uint32_t first, uint32_t count) {
  const char *path = std::getenv("PLANISH_EMULATION_LOG");
  if (!path) return;
  if (std::FILE *f = std::fopen(path, "a")) {
    std::fprintf(f, "%u %u\n", first, count);
    std::fclose(f);
  }
}

#ifdef EMULATED_CHANNELS
/// What the host does for a layer: all kernels at the same time, each one work-item.
void runLayer(const planish_fpga_engine &e, unsigned char *activations, int first, int count) {
  auto *memory = reinterpret_cast<word *>(activations);
  std::thread kernels[] = {
      std::thread([&] { dispatch(e.table, first, count); }),
      std::thread([&] { load(memory, count); }),
      std::thread([&] { window(count); }),
      std::thread([&] { fetch_weights(e.table, reinterpret_cast<const beat *>(e.weights), first, count); }),
      std::thread([&] { multiply(count); }),
      std::thread([&] { fetch_scales(reinterpret_cast<const scale *>(e.scales), count); }),
      std::thread([&] { fetch_other(memory, count); }),
      std::thread([&] { requantize(count); }),
      std::thread([&] { store(memory, count); })};
  for (std::thread &kernel : kernels) kernel.join();
}
#endif

int run(void *state, uint32_t first, uint32_t count, char *) {
  const std::lock_guard<std::mutex> lock(running);
  const Instance &i = *static_cast<Instance *>(state);
  const planish_fpga_engine &e = *i.engine;
  log(first, count);
#ifdef EMULATED_CHANNELS
  for (uint32_t done = 0; done < count;) {
    const int rows = e.table[(first + done) * COLUMNS + ROWS];
    runLayer(e, i.activations, int(first + done), rows);
    done += uint32_t(rows);
  }
#else
  const std::size_t words = (i.bytes + 64) / SIMD;
  auto *memory = reinterpret_cast<memory_word *>(i.activations);
  auto *weights = reinterpret_cast<memory_beat *>(const_cast<unsigned char *>(e.weights));
  const hls::burst_maxi<memory_word> activations(memory, words), residual(memory, words),
      results(memory, words);
  planish_engine(e.table, activations, e.table, hls::burst_maxi<memory_beat>(weights, e.weights_bytes / BEAT),
                 reinterpret_cast<const scale *>(e.scales), residual, results, int(first), int(count));
#endif
  return 0;
}

void closed(void *state) { delete static_cast<Instance *>(state); }

} // namespace

extern "C" __attribute__((visibility("default")))
const planish_fpga_board planish_fpga_driver = {PLANISH_FPGA_VERSION, 0, opened, run, closed};
