// Owners of what FFmpeg's libraries hand out, and their error texts.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace planish::stream {

struct FFmpegFree {
  void operator()(AVCodecContext *context) const { avcodec_free_context(&context); }
  void operator()(AVFrame *frame) const { av_frame_free(&frame); }
  void operator()(AVPacket *packet) const { av_packet_free(&packet); }
  void operator()(SwsContext *context) const { sws_freeContext(context); }
};
template <class T> using FFmpegPtr = std::unique_ptr<T, FFmpegFree>;

inline std::string ffmpegError(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

} // namespace planish::stream
