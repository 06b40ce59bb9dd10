// What detect-stream leaves behind: JSON lines, annotated pictures, an animation.
#pragma once

#include "Decode.h"
#include "Source.h"
#include "Video.h"

#include <cstdio>
#include <fstream>
#include <optional>

namespace planish::stream {

/// {"frame": 0, "file": "a.jpg", "time": 0.04, "width": 640, "height": 480, "detections": [{"box": [x0, y0,
/// x1, y1], "class": 2, "label": "car", "score": 0.9}]}, without a line end. Boxes to hundredths of a pixel;
/// "time" (seconds) in videos only.
std::string jsonLine(int64_t index, const SourceFrame &frame, std::span<const Detection> boxes,
                     const FrameSpec &spec);

/// Writes .png or, for any other ending, JPEG.
Status writePicture(const std::string &path, const run::Pixels &picture);

struct OutputOptions {
  double rate = 10;     ///< pictures per second of an animation whose source has none
  int every = 0;        ///< of a video, every n-th annotated frame also becomes a picture; 0: none
  int zoom = 1; ///< annotated pictures are so many times larger, so that labels on small ones can be read
  bool animate = true;
};

/// A folder: detections.jsonl; pictures under their own names; of a video or a folder annotated.mp4, of a
/// video frame-000000.jpg and so on.
class OutputFolder {
public:
  /// Makes the folder. Usage where that is the source's own, whose pictures would be overwritten.
  static Result<std::unique_ptr<OutputFolder>> open(const std::string &path, const std::string &sourcePath,
                                                    const Source &source, const OutputOptions &options);

  /// Writes the frame's line, draws its boxes and writes the annotated picture.
  Status add(int64_t index, const SourceFrame &frame, std::span<const Detection> boxes,
             const FrameSpec &spec);
  Status finish();
  /// What the user should know, e.g. why there is no animation.
  const std::string &note() const { return noteText; }

private:
  Status animate(const run::Pixels &picture);

  std::string path;
  std::ofstream lines;
  SourceKind kind = SourceKind::Picture;
  OutputOptions options;
  std::unique_ptr<VideoWriter> animation;
  int animationWidth = 0, animationHeight = 0;
  std::string noteText;
};

} // namespace planish::stream
