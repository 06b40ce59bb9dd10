// detect-stream: a compiled detector on a picture, a folder of pictures or a video.
#include "run/Main.h"
#include "stream/Detector.h"
#include "stream/Output.h"
#include "stream/Summary.h"

#include "planish/support/Version.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <chrono>
#include <iostream>

namespace planish::stream {
namespace {

struct Options {
  std::string source, model, frame, output;
  int threads = 0;
  int64_t limit = 0;
  bool json = false, noAnimation = false;
  OutputOptions folder;
};

void say(const Diagnostic &problem) { std::cerr << "error: " << problem.text << "\n"; }

/// One pass over the source.
class Run {
public:
  Run(const Options &options, const FrameSpec &spec, Source &source, Detector &detector, OutputFolder *folder)
      : options(options), spec(spec), source(source), detector(detector), folder(folder) {}

  /// Detects in all pictures. What cannot be read is reported at once, and the first such problem is the
  /// result in the end; problems of other kinds end the pass.
  Status all();
  const Summary &summary() const { return total; }

private:
  Status one(const SourceFrame &frame, double readTime);
  void progress() const;

  const Options &options;
  const FrameSpec &spec;
  Source &source;
  Detector &detector;
  OutputFolder *folder; ///< or null: lines go to stdout
  Summary total;
  int64_t index = 0;
  const bool terminal = isatty(STDERR_FILENO) == 1;
};

Status Run::all() {
  Status result;
  SourceFrame frame;
  while (options.limit == 0 || index < options.limit) {
    const auto begin = std::chrono::steady_clock::now();
    const Result<bool> got = source.next(frame);
    const std::chrono::duration<double, std::milli> readTime = std::chrono::steady_clock::now() - begin;
    if (!got) {
      say(got.error());
      if (result) result = got.error();
      continue;
    }
    if (!*got) break;
    PLANISH_TRY(one(frame, readTime.count()));
    progress();
  }
  if (terminal && index) std::cerr << "\r\x1b[K";
  if (folder) PLANISH_TRY(folder->finish());
  return result;
}

Status Run::one(const SourceFrame &frame, double readTime) {
  PLANISH_ASSIGN(const std::vector<Detection> boxes, detector.detect(frame.pixels));
  const DetectorTimes &times = detector.times();
  total.add({readTime, times.preprocess, times.network, times.decode}, boxes.size());
  if (folder) {
    PLANISH_TRY(folder->add(index, frame, boxes, spec));
  } else {
    std::cout << jsonLine(index, frame, boxes, spec) << "\n";
  }
  ++index;
  return {};
}

void Run::progress() const {
  if (terminal) std::cerr << "\r" << index << " frames" << std::flush;
}

/// Sets `reported` where the problem it returns has been printed.
Status detectStream(const Options &options, bool &reported) {
  PLANISH_ASSIGN(const FrameSpec spec, readFrame(options.frame));
  PLANISH_ASSIGN(const std::unique_ptr<Detector> detector,
                 Detector::open(options.model, spec, options.threads));
  PLANISH_ASSIGN(const std::unique_ptr<Source> source, openSource(options.source));
  std::unique_ptr<OutputFolder> folder;
  if (!options.output.empty()) {
    OutputOptions wanted = options.folder;
    wanted.animate = !options.noAnimation;
    PLANISH_ASSIGN(folder, OutputFolder::open(options.output, options.source, *source, wanted));
  }
  Run run(options, spec, *source, *detector, folder.get());
  Status status = run.all();
  reported = !status && status.error().kind == ErrorKind::BadInput;
  if (folder && !folder->note().empty()) std::cerr << "note: " << folder->note() << "\n";
  if (status || reported) {
    if (options.json) {
      nlohmann::ordered_json summary = run.summary().json();
      summary["model"] = detector->model().name;
      summary["target"] = detector->model().target;
      summary["threads"] = detector->threads();
      summary["complete"] = static_cast<bool>(status);
      std::cout << nlohmann::ordered_json{{"summary", summary}}.dump() << "\n";
    }
    if (run.summary().frames())
      std::cerr << detector->model().name << " on " << detector->model().target << ", threads "
                << detector->threads() << "\n"
                << run.summary().text();
  }
  if (!std::cout.flush()) return failed("cannot write to stdout");
  return status;
}

void declare(CLI::App &app, Options &options) {
  app.add_option("source", options.source, "A picture (.png, .jpg), a folder of pictures, or a video")
      ->required()
      ->type_name("SOURCE");
  app.add_option("--model", options.model, "Directory made by compile-model")->required()->type_name("DIR");
  app.add_option("--frame", options.frame,
                 "How pictures become the input and outputs become boxes (docs/frame.md)")
      ->required()
      ->type_name("FRAME.json");
  app.add_option(
         "--output", options.output,
         "Write detections.jsonl and annotated pictures here, of a video or folder annotated.mp4 too;\n"
         "without it the JSON lines go to stdout")
      ->type_name("DIR");
  app.add_option("--every", options.folder.every,
                 "Of a video, also write every N-th annotated frame as a picture")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--zoom", options.folder.zoom, "Annotated pictures are N times as large")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 8));
  app.add_option("--rate", options.folder.rate, "Pictures per second of a folder's animation")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 240.0));
  app.add_flag("--no-animation", options.noAnimation, "Do not write annotated.mp4");
  app.add_option("--threads", options.threads, "Threads, the caller's included; 0 takes all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, PLANISH_MAX_THREADS));
  app.add_option("--limit", options.limit, "Stop after N pictures; 0 takes all")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", options.json, "Print the summary as JSON, the last line on stdout");
  app.set_version_flag("--version", std::string("detect-stream ") + kVersion);
}

} // namespace
} // namespace planish::stream

int main(int argc, char **argv) {
  using namespace planish;
  CLI::App app{
      "Runs a compiled detector on pictures or a video: boxes as JSON lines, annotated pictures, latencies.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 unsupported here, 4 bad file (what could be read was used),\n"
      "70 internal error.",
      "detect-stream"};
  stream::Options options;
  stream::declare(app, options);
  return run::toolMain(app, argc, argv, [&] {
    bool reported = false;
    const Status status = stream::detectStream(options, reported);
    if (status) return 0;
    if (!reported) stream::say(status.error());
    return exitCode(status.error().kind);
  });
}
