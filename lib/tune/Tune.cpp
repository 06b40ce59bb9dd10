// The tuner: which kernels a model has, what share of its time each takes, and which to work on next.
#include "planish/tune/Tune.h"

#include "Append.h"
#include "Bench.h"
#include "KernelSearch.h"

#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"
#include "planish/support/Hash.h"
#include "planish/support/Parallel.h"
#include "planish/support/Text.h"
#include "planish/support/Version.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <set>

namespace planish::tune {

using lower::Computation;
using lower::ScheduledFunction;
using schedule::TuningDatabase;

namespace {

/// Single-threaded times say nothing of the division among threads.
constexpr std::string_view kLeftAlone = "parallel";
/// Candidates between two decisions which kernel is worth the next ones.
constexpr int kSlice = 8;
/// The chance that a candidate is worth its time fades with those that were not.
constexpr double kHope = 0.94;

class Timer {
public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

private:
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

std::string aboutOf(const loop::Compute &c) {
  auto text = [](const loop::Buffer &b) {
    return std::string(nameOf(b->dtype)) + "[" +
           joined(
               b->shape, [](const loop::Expr &e) { return std::to_string(loop::rangeOf(e).hi); }, ",") +
           "]";
  };
  std::string r = c.name;
  for (size_t i = 0; i + 1 < c.params.size(); ++i) r += " " + text(c.params[i]);
  return r + " -> " + text(c.params.back());
}

/// One kernel of the model.
struct Kernel {
  Computation computation;
  ScheduledFunction made;  // with the template's own choice
  codegen::Jit::Kernel code = nullptr;
  std::set<uint64_t> known;  // the loops of every candidate so far
  std::unique_ptr<KernelSearch> search;
  KernelResult result;
  const TuningDatabase::Entry *recorded = nullptr;
  double secondsPerCandidate = 0.05;  // a guess before the first

  bool open() const { return code && !search->exhausted(); }
  double worth() const {
    return result.share * std::pow(kHope, double(search->fruitless())) / secondsPerCandidate;
  }
};

uint64_t loopsOf(const ScheduledFunction &made) {
  std::string text = loop::print(made.function);
  for (const auto &p : made.packings) text += std::to_string(p.param) + loop::print(p.function);
  return hash64(text);
}

/// A kernel in this process.
class Compiled : public Subject {
public:
  Compiled(Kernel &k, const Target &target, WeightPool &weights)
      : k(k), target(target), jit(target), bench(k.computation.compute, weights),
        plain(bench.ready(k.made, k.code)), wanted(bench.run(plain)) {}

  Sampler baseline() override {
    return [this] { return bench.time(plain); };
  }

  std::vector<Candidate> prepare(const std::vector<Config> &configs) override {
    std::vector<Candidate> r(configs.size());
    std::vector<ScheduledFunction> made(configs.size());
    std::vector<Result<codegen::Jit::Kernel>> code(configs.size(), Result<codegen::Jit::Kernel>(nullptr));
    inParallel(configs.size(), [&](size_t i) {
      // A candidate that the compiler cannot make is one less, not the end of the tuning.
      try {
        made[i] = lower::scheduledFunction(k.computation.compute, target, configs[i]);
        uint64_t loops = loopsOf(made[i]);
        {
          std::lock_guard lock(knowing);
          r[i].duplicate = !k.known.insert(loops).second;
        }
        if (!r[i].duplicate) code[i] = compiled(made[i], jit);
      } catch (const InternalError &e) { code[i] = failed(e.what()); }
    });
    for (size_t i = 0; i < configs.size(); ++i) {
      if (r[i].duplicate) continue;
      if (!code[i]) {
        r[i].wrong = code[i].error().text;
        continue;
      }
      Bench::Code ready = bench.ready(made[i], *code[i]);
      r[i].wrong = bench.difference(wanted, bench.run(ready));
      r[i].sample = [this, ready] { return bench.time(ready); };
    }
    return r;
  }

private:
  Kernel &k;
  const Target &target;
  codegen::Jit jit;
  Bench bench;
  Bench::Code plain;
  std::vector<std::byte> wanted;
  std::mutex knowing;
};

class Tuner {
public:
  Tuner(const Options &options, const Target &target, const TuningDatabase &db, DatabaseWriter &writer,
        std::string machine)
      : options(options), target(target), db(db), writer(writer), machine(std::move(machine)), jit(target) {}

  Result<Summary> run(std::vector<Computation> computations) {
    PLANISH_TRY(prepare(std::move(computations)));
    profile();
    while (!over()) {
      auto next =
          std::ranges::max_element(kernels, {}, [](const Kernel &k) { return k.open() ? k.worth() : -1; });
      if (next == kernels.end() || !next->open()) break;
      PLANISH_TRY(slice(*next));
    }
    PLANISH_TRY(recordDefaults());
    Summary r{{}, total(), stopped};
    for (Kernel &k : kernels) r.kernels.push_back(std::move(k.result));
    return r;
  }

private:
  const Options &options;
  const Target &target;
  const TuningDatabase &db;
  DatabaseWriter &writer;
  std::string machine;
  Timer timer;
  codegen::Jit jit;  // of the untuned kernels
  std::vector<Kernel> kernels;
  std::unique_ptr<WeightPool> weights;
  bool stopped = false;

  bool over() const { return stopped || timer.seconds() >= options.seconds; }

  Status prepare(std::vector<Computation> computations) {
    int64_t constantBytes = 0;
    for (Computation &c : computations) {
      for (const loop::Buffer &b : c.compute.params)
        if (b->scope == loop::Scope::Constant) {
          int64_t bytes = byteSize(b->dtype) * c.launches;
          for (const loop::Expr &d : b->shape) bytes *= loop::rangeOf(d).hi;
          constantBytes += bytes;
        }
      PLANISH_TRY(add(std::move(c)));
    }
    weights = std::make_unique<WeightPool>(constantBytes);
    std::vector<Status> done(kernels.size());
    inParallel(kernels.size(), [&](size_t i) {
      if (Bench::operandBytes(kernels[i].computation.compute) > Bench::kMostBytes) return;
      auto code = compiled(kernels[i].made, jit);
      if (code) kernels[i].code = *code;
      else done[i] = code.error();
    });
    for (const Status &s : done) PLANISH_TRY(s);
    return {};
  }

  Status add(Computation c) {
    Kernel k;
    KernelResult &r = k.result;
    r.key = schedule::keyOf(c.compute);
    r.about = aboutOf(c.compute);
    r.nodes = c.nodes;
    r.launches = c.launches;
    k.made = lower::scheduledFunction(c.compute, target);
    k.known.insert(loopsOf(k.made));
    r.templateName = k.made.templateName;
    r.defaults = r.best = k.made.config;
    schedule::Kernel axes(c.compute);
    const schedule::Template &row = schedule::templateFor(axes, target);
    std::vector<Knob> space = row.space(axes, target);
    std::erase_if(space, [](const Knob &knob) { return knob.name == kLeftAlone; });
    std::vector<Config> first;
    if ((k.recorded = db.find(r.key, target.name))) {
      PLANISH_ASSIGN(Config knobs, schedule::knobsFor(c.compute, target, *k.recorded));
      Config config = r.defaults;
      for (const auto &[name, value] : knobs) config[name] = value;
      if (config != r.defaults) first.push_back(std::move(config));
    }
    Search search(std::move(space), r.defaults, row.model ? row.model(axes, target) : schedule::CostModel());
    k.search = std::make_unique<KernelSearch>(std::move(search), r.defaults, std::move(first));
    k.computation = std::move(c);
    kernels.push_back(std::move(k));
    return {};
  }

  /// What share of the model's time each kernel takes.
  void profile() {
    double sum = 0;
    for (Kernel &k : kernels) {
      if (!k.code) continue;
      Compiled subject(k, target, *weights);
      Sampler sample = subject.baseline();
      k.result.defaultNs = 1e9 * std::min({sample(), sample(), sample()});
      k.result.bestNs = k.result.defaultNs;
      k.result.share = k.result.defaultNs * double(k.result.launches);
      sum += k.result.share;
      report();
      if (over()) break;
    }
    for (Kernel &k : kernels) k.result.share /= std::max(sum, 1.0);
  }

  /// A few candidates of one kernel.
  Status slice(Kernel &k) {
    KernelSearch &search = *k.search;
    Status written;
    double begin = timer.seconds();
    int count = 0;
    {
      Compiled subject(k, target, *weights);
      int64_t faster = search.candidates().faster;
      search.tryMore(subject, kSlice, [&] {
        ++count;
        k.result.candidates = search.candidates();
        k.result.complaint = search.complaint();
        if (search.candidates().faster > faster) {
          faster = search.candidates().faster;
          improve(k);
          written = record(k);
        }
        report();
        return bool(written) && !over();
      });
    }
    if (count) k.secondsPerCandidate = (timer.seconds() - begin) / count;
    k.result.exhausted = search.exhausted();
    return written;
  }

  static void improve(Kernel &k) {
    const Outcome &o = k.search->outcome();
    k.result.best = k.search->best();
    k.result.defaultNs = o.baselineSeconds * 1e9;
    k.result.bestNs = o.candidateSeconds * 1e9;
    k.result.low = o.ratio.low;
    k.result.high = o.ratio.high;
  }

  /// Appends what is known of a kernel, unless the database says it already.
  Status record(const Kernel &k) {
    const KernelResult &r = k.result;
    schedule::TuningRecord line{r.key, target.name, r.templateName, {},      r.defaultNs, r.bestNs,
                                r.low, r.high,      r.about,        machine, kVersion};
    if (k.search->improved()) {
      line.knobs = r.best;
      line.templateName = schedule::templateFor(schedule::Kernel(k.computation.compute), target, r.best).name;
    }
    if (auto left = line.knobs.find(kLeftAlone); left != line.knobs.end()) line.knobs.erase(left);
    if (k.recorded && k.recorded->record.knobs == line.knobs) return {};
    return writer.append(line);
  }

  /// That nothing is faster is a result, too.
  Status recordDefaults() {
    if (stopped) return {};
    for (const Kernel &k : kernels)
      if (!k.search->improved() && k.result.candidates.timed() > 0) PLANISH_TRY(record(k));
    return {};
  }

  Progress total() const {
    Progress p{timer.seconds(), int64_t(kernels.size()), 0, {}, 0};
    for (const Kernel &k : kernels) {
      const Candidates &c = k.result.candidates;
      p.candidates.faster += c.faster;
      p.candidates.slower += c.slower;
      p.candidates.unconfirmed += c.unconfirmed;
      p.candidates.wrong += c.wrong;
      p.candidates.duplicates += c.duplicates;
      if (!k.search->improved()) continue;
      ++p.improved;
      p.gain += k.result.share * (1 - k.search->outcome().ratio.median);
    }
    return p;
  }
  void report() {
    if (options.progress && !options.progress(total())) stopped = true;
  }
};

/// This machine, if it runs the target's code.
Result<Target> hostFor(const Target &target) {
  PLANISH_ASSIGN(Target host, parseTarget("cpu"));
  if (target.device != DeviceKind::Cpu || target.triple != host.triple ||
      (target.requiredIsa & ~host.requiredIsa))
    return unsupported("target '" + target.name + "' cannot be tuned on this machine, which is " + host.name);
  return host;
}

} // namespace

Result<Summary> tune(const Options &options) {
  if (!(options.seconds > 0))
    return usage("the time to tune is " + textOf(options.seconds) + " s; give more than 0");
  PLANISH_ASSIGN(Target target, parseTarget(options.compile.target));
  PLANISH_ASSIGN(Target host, hostFor(target));
  PLANISH_ASSIGN(std::vector<Computation> computations, driver::computationsOf(options.compile));
  PLANISH_ASSIGN(DatabaseWriter writer, DatabaseWriter::open(options.database));
  PLANISH_ASSIGN(TuningDatabase db, TuningDatabase::read(options.database));
  return Tuner(options, target, db, writer, host.name).run(std::move(computations));
}

} // namespace planish::tune
