// Where pictures come from: one file, a folder of them, a video.
#pragma once

#include "planish/support/Result.h"
#include "run/Pixels.h"

#include <memory>
#include <string>

namespace planish::stream {

enum class SourceKind : uint8_t { Picture, Folder, Video };

struct SourceFrame {
  run::Pixels pixels;   ///< three channels
  std::string file;     ///< name of the picture's file; of a video, the video's
  double seconds = -1;  ///< presentation time in a video, else negative
};

/// A sequence of pictures.
class Source {
public:
  virtual ~Source() = default;

  /// Reads the next picture; false at the end. After an error (BadInput) it can be called again: a folder
  /// goes on with the next picture, a video has ended.
  virtual Result<bool> next(SourceFrame &frame) = 0;
  virtual SourceKind kind() const = 0;
  /// Pictures per second; 0 where they have no rate.
  virtual double rate() const { return 0; }
};

/// A folder's pictures are its .png, .jpg and .jpeg files, by name. A file with another ending is taken for a
/// video. BadInput where there is nothing to read, Unsupported for a video in a build without FFmpeg.
Result<std::unique_ptr<Source>> openSource(const std::string &path);

} // namespace planish::stream
