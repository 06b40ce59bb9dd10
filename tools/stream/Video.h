// Videos through FFmpeg's libraries; in a build without them every call is refused as Unsupported.
#pragma once

#include "Source.h"

namespace planish::stream {

bool hasVideo();

/// Any video FFmpeg reads. A file that ends before it should, or cannot be decoded further, is an error
/// (BadInput) that tells after how many frames.
Result<std::unique_ptr<Source>> openVideo(const std::string &path);

/// A video being written.
class VideoWriter {
public:
  virtual ~VideoWriter() = default;
  /// All pictures have the size given when it was opened, and three channels.
  virtual Status add(const run::Pixels &picture) = 0;
  /// Completes the file; nothing may be added afterwards.
  virtual Status finish() = 0;
};

/// An MP4 (H.264 where FFmpeg has an encoder, else MPEG-4). Odd sizes lose their last column or row.
Result<std::unique_ptr<VideoWriter>> createVideo(const std::string &path, int width, int height, double rate);

} // namespace planish::stream
