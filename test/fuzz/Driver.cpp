// Feeds a fuzz target without libFuzzer: the files of a folder, then random changes of them.
//
//     fuzz_onnx SEEDS [SECONDS [RANDOM_SEED [FINDING]]]
//
// Prints the number of executions. On a crash, an error of the target or an input that takes more than ten
// seconds the input goes to the file FINDING, and the process ends by a signal.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

constexpr unsigned kSecondsPerInput = 10;
constexpr size_t kMostBytes = 1 << 16;

const std::string *current = nullptr;
const char *findingPath = "finding";

extern "C" void keepFinding(int signal) {
  const int file = open(findingPath, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (current && file >= 0 && write(file, current->data(), current->size()) >= 0) close(file);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string &input) {
  current = &input;
  alarm(kSecondsPerInput);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.data()), input.size());
}

class Mutator {
public:
  Mutator(const std::vector<std::string> &inputs, unsigned seed) : seeds(inputs), random(seed) {}

  std::string next() {
    std::string r = seeds[below(seeds.size())];
    for (size_t n = 1 + below(4); n > 0; --n) change(r);
    if (r.size() > kMostBytes) r.resize(kMostBytes);
    return r;
  }

private:
  size_t below(size_t n) { return n ? random() % n : 0; }

  void change(std::string &s) {
    const size_t at = below(s.size() + 1), length = std::min(below(32), s.size() - at);
    const std::string &other = seeds[below(seeds.size())];
    const size_t from = below(other.size() + 1);
    switch (below(7)) {
    case 0:
      if (at < s.size()) s[at] = char(s[at] ^ (1 << below(8)));
      return;
    case 1:
      if (at < s.size()) s[at] = char(below(256));
      return;
    case 2: s.erase(at, length); return;
    case 3: s.insert(at, s.substr(at, length)); return;
    case 4: s.insert(at, other.substr(from, below(64))); return;
    case 5: s.replace(at, length, other.substr(from, length)); return;
    default: {
      static const std::string kNumbers[] = {"0",
                                             "-1",
                                             "4294967296",
                                             "9223372036854775807",
                                             "1e999",
                                             "nan",
                                             "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                             "\x80\x80\x01"};
      s.replace(at, std::min<size_t>(length, 2), kNumbers[below(std::size(kNumbers))]);
    }
    }
  }

  const std::vector<std::string> &seeds;
  std::mt19937 random;
};

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s SEEDS [SECONDS [RANDOM_SEED [FINDING]]]\n", argv[0]);
    return 2;
  }
  const double seconds = argc > 2 ? std::atof(argv[2]) : 5;
  const unsigned seed = argc > 3 ? unsigned(std::atoi(argv[3])) : 1;
  if (argc > 4) findingPath = argv[4];
#if !defined(__SANITIZE_ADDRESS__)
  const rlimit memory{rlim_t(4) << 30, rlim_t(4) << 30};  // what a file claims is not allocated
  setrlimit(RLIMIT_AS, &memory);
#endif
  static char handlerStack[1 << 16];  // for where the usual one has run out
  const stack_t stack{.ss_sp = handlerStack, .ss_flags = 0, .ss_size = sizeof handlerStack};
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = keepFinding;
  action.sa_flags = SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) sigaction(signal, &action, nullptr);

  std::vector<std::string> seeds;
  for (const auto &entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::ranges::sort(seeds);
  if (seeds.empty()) seeds.emplace_back();

  long executions = 0;
  for (const std::string &input : seeds) run(input), ++executions;
  Mutator mutator(seeds, seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (; std::chrono::steady_clock::now() < end; ++executions) run(mutator.next());
  alarm(0);
  std::printf("%ld executions\n", executions);
  return 0;
}
