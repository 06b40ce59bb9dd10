#include "Video.h"

namespace planish::stream {
namespace {

Diagnostic absent(const std::string &path) {
  return unsupported("'" + path +
                     "': this build has no videos: install libavformat-dev libavcodec-dev libavutil-dev "
                     "libswscale-dev and configure again, or give a folder of pictures");
}

} // namespace

bool hasVideo() { return false; }

Result<std::unique_ptr<Source>> openVideo(const std::string &path) { return absent(path); }

Result<std::unique_ptr<VideoWriter>> createVideo(const std::string &path, int, int, double) {
  return absent(path);
}

} // namespace planish::stream
