#include "Output.h"

#include "Draw.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>

namespace planish::stream {
namespace {

namespace fs = std::filesystem;

constexpr const char *kAnimation = "annotated.mp4";

double rounded(float value, double steps) { return std::round(static_cast<double>(value) * steps) / steps; }

std::string frameName(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof(name), "frame-%06lld.jpg", static_cast<long long>(index));
  return name;
}

} // namespace

std::string jsonLine(int64_t index, const SourceFrame &frame, std::span<const Detection> boxes,
                     const FrameSpec &spec) {
  constexpr double kPixelSteps = 100, kScoreSteps = 1e6, kTimeSteps = 1e6;
  nlohmann::ordered_json line;
  line["frame"] = index;
  line["file"] = frame.file;
  if (frame.seconds >= 0) line["time"] = std::round(frame.seconds * kTimeSteps) / kTimeSteps;
  line["width"] = frame.pixels.width;
  line["height"] = frame.pixels.height;
  line["detections"] = nlohmann::ordered_json::array();
  for (const Detection &box : boxes) {
    nlohmann::ordered_json entry;
    for (const float v : {box.x0, box.y0, box.x1, box.y1}) entry["box"].push_back(rounded(v, kPixelSteps));
    entry["class"] = box.classId;
    entry["label"] = spec.labelOf(box.classId);
    entry["score"] = rounded(box.score, kScoreSteps);
    line["detections"].push_back(std::move(entry));
  }
  // File names and label files may hold any bytes.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::unique_ptr<OutputFolder>> OutputFolder::open(const std::string &path,
                                                         const std::string &sourcePath, const Source &source,
                                                         const OutputOptions &options) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (!fs::is_directory(path))
    return failed("cannot make folder '" + path + "'" + (ec ? ": " + ec.message() : ""));
  const fs::path sourceFolder =
      source.kind() == SourceKind::Folder ? fs::path(sourcePath) : fs::absolute(sourcePath).parent_path();
  if (fs::equivalent(path, sourceFolder, ec))
    return usage("--output '" + path +
                 "' is where the source lies, whose files would be overwritten; give another "
                 "folder");
  std::unique_ptr<OutputFolder> folder(new OutputFolder);
  folder->path = path;
  folder->kind = source.kind();
  folder->options = options;
  if (source.rate() > 0) folder->options.rate = source.rate();
  if (folder->kind == SourceKind::Picture) folder->options.animate = false;
  if (folder->options.animate && !hasVideo()) {
    folder->options.animate = false;
    folder->noteText = "no animation: this build has no videos";
  }
  folder->lines.open(path + "/detections.jsonl", std::ios::binary);
  if (!folder->lines) return failed("cannot write '" + path + "/detections.jsonl'");
  return folder;
}

Status OutputFolder::add(int64_t index, const SourceFrame &frame, std::span<const Detection> boxes,
                         const FrameSpec &spec) {
  lines << jsonLine(index, frame, boxes, spec) << "\n";
  if (!lines.flush()) return failed("cannot write '" + path + "/detections.jsonl'");
  const bool isVideo = kind == SourceKind::Video;
  const bool asPicture = !isVideo || (options.every > 0 && index % options.every == 0);
  if (!asPicture && !options.animate) return {};

  run::Pixels picture = enlarged(frame.pixels, options.zoom);
  std::vector<Detection> zoomed(boxes.begin(), boxes.end());
  const auto zoom = static_cast<float>(options.zoom);
  for (Detection &box : zoomed)
    box = {box.x0 * zoom, box.y0 * zoom, box.x1 * zoom, box.y1 * zoom, box.classId, box.score};
  drawDetections(picture, zoomed, spec);
  if (asPicture) PLANISH_TRY(writePicture(path + "/" + (isVideo ? frameName(index) : frame.file), picture));
  return options.animate ? animate(picture) : Status();
}

Status OutputFolder::animate(const run::Pixels &picture) {
  if (!animation) {
    PLANISH_ASSIGN(animation,
                   createVideo(path + "/" + kAnimation, picture.width, picture.height, options.rate));
    animationWidth = picture.width;
    animationHeight = picture.height;
  }
  if (picture.width == animationWidth && picture.height == animationHeight) return animation->add(picture);
  noteText = "no animation: the pictures differ in size";
  options.animate = false;
  animation.reset();
  std::error_code ec;
  fs::remove(path + "/" + kAnimation, ec);
  return {};
}

Status OutputFolder::finish() { return animation ? animation->finish() : Status(); }

} // namespace planish::stream
