#include "FFmpeg.h"
#include "Video.h"

#include <algorithm>
#include <cmath>

namespace planish::stream {
namespace {

constexpr int kRateScale = 1000;
constexpr double kLeastRate = 1, kLargestRate = 240;

struct CloseOutput {
  void operator()(AVFormatContext *context) const {
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
};

class Mp4Writer final : public VideoWriter {
public:
  explicit Mp4Writer(std::string path) : path(std::move(path)) {}
  Status open(int width, int height, double rate);
  Status add(const run::Pixels &picture) override;
  Status finish() override;

private:
  Status openEncoder(int width, int height, double rate);
  Status encode(const AVFrame *frame);
  Diagnostic cannot(int code) const { return failed("cannot write '" + path + "': " + ffmpegError(code)); }

  std::string path;
  std::unique_ptr<AVFormatContext, CloseOutput> format;
  AVStream *stream = nullptr;
  FFmpegPtr<AVCodecContext> encoder;
  FFmpegPtr<AVFrame> frame{av_frame_alloc()};
  FFmpegPtr<AVPacket> packet{av_packet_alloc()};
  FFmpegPtr<SwsContext> scaler;
  int sourceWidth = 0, sourceHeight = 0;
};

Status Mp4Writer::openEncoder(int width, int height, double rate) {
  int code = AVERROR_ENCODER_NOT_FOUND;
  for (const char *name : {"libx264", "mpeg4"}) {
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec) continue;
    encoder.reset(avcodec_alloc_context3(codec));
    encoder->width = width;
    encoder->height = height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->time_base = {kRateScale, static_cast<int>(std::lround(rate * kRateScale))};
    encoder->framerate = av_inv_q(encoder->time_base);
    encoder->thread_count = 1; // encoding must not run beside the network, whose time is measured
    encoder->color_range = AVCOL_RANGE_MPEG;
    encoder->colorspace = AVCOL_SPC_SMPTE170M;
    if (format->oformat->flags & AVFMT_GLOBALHEADER) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(encoder->priv_data, "preset", "veryfast", 0); // of libx264; others do not know these
    av_opt_set(encoder->priv_data, "crf", "23", 0);
    encoder->flags |= codec->id == AV_CODEC_ID_MPEG4 ? AV_CODEC_FLAG_QSCALE : 0;
    encoder->global_quality = codec->id == AV_CODEC_ID_MPEG4 ? 4 * FF_QP2LAMBDA : 0;
    code = avcodec_open2(encoder.get(), codec, nullptr);
    if (code >= 0) return {};
  }
  return cannot(code);
}

Status Mp4Writer::open(int width, int height, double rate) {
  av_log_set_level(AV_LOG_QUIET); // what it would print comes back as errors
  AVFormatContext *context = nullptr;
  if (const int code = avformat_alloc_output_context2(&context, nullptr, "mp4", path.c_str()); code < 0)
    return cannot(code);
  format.reset(context);
  sourceWidth = width;
  sourceHeight = height;
  PLANISH_TRY(openEncoder(std::max(width & ~1, 2), std::max(height & ~1, 2),
                          std::clamp(rate, kLeastRate, kLargestRate)));
  stream = avformat_new_stream(context, nullptr);
  if (!stream) return cannot(AVERROR(ENOMEM));
  stream->time_base = encoder->time_base;
  avcodec_parameters_from_context(stream->codecpar, encoder.get());
  frame->format = encoder->pix_fmt;
  frame->width = encoder->width;
  frame->height = encoder->height;
  frame->pts = 0;
  if (const int code = av_frame_get_buffer(frame.get(), 0); code < 0) return cannot(code);
  if (const int code = avio_open(&context->pb, path.c_str(), AVIO_FLAG_WRITE); code < 0) return cannot(code);
  AVDictionary *muxing = nullptr;
  av_dict_set(&muxing, "movflags", "+faststart", 0); // the index first: browsers play it while it loads
  const int code = avformat_write_header(context, &muxing);
  av_dict_free(&muxing);
  if (code < 0) return cannot(code);
  // Odd sizes: the last column or row is not read, the rest keeps its pixels.
  scaler.reset(sws_getContext(encoder->width, encoder->height, AV_PIX_FMT_RGB24, encoder->width,
                              encoder->height, encoder->pix_fmt, SWS_BILINEAR, nullptr, nullptr, nullptr));
  if (!scaler) return cannot(AVERROR(ENOMEM));
  return {};
}

Status Mp4Writer::add(const run::Pixels &picture) {
  if (picture.width != sourceWidth || picture.height != sourceHeight || sourceWidth < 2 || sourceHeight < 2)
    return failed("cannot write '" + path + "': a picture of " + std::to_string(picture.width) + "x" +
                  std::to_string(picture.height) + " in a video of " + std::to_string(sourceWidth) + "x" +
                  std::to_string(sourceHeight));
  if (const int code = av_frame_make_writable(frame.get()); code < 0) return cannot(code);
  const uint8_t *const from[] = {picture.data.data()};
  const int strides[] = {picture.width * 3};
  sws_scale(scaler.get(), from, strides, 0, encoder->height, frame->data, frame->linesize);
  const Status status = encode(frame.get());
  ++frame->pts;
  return status;
}

/// Writes what the encoder has ready; a null frame asks for all the rest.
Status Mp4Writer::encode(const AVFrame *input) {
  int code = avcodec_send_frame(encoder.get(), input);
  while (code >= 0) {
    code = avcodec_receive_packet(encoder.get(), packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return {};
    if (code < 0) break;
    packet->duration = 1;
    av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
    packet->stream_index = stream->index;
    code = av_interleaved_write_frame(format.get(), packet.get());
  }
  return cannot(code);
}

Status Mp4Writer::finish() {
  PLANISH_TRY(encode(nullptr));
  if (const int code = av_write_trailer(format.get()); code < 0) return cannot(code);
  if (const int code = avio_closep(&format->pb); code < 0) return cannot(code);
  return {};
}

} // namespace

Result<std::unique_ptr<VideoWriter>> createVideo(const std::string &path, int width, int height,
                                                 double rate) {
  auto writer = std::make_unique<Mp4Writer>(path);
  PLANISH_TRY(writer->open(width, height, rate));
  return std::unique_ptr<VideoWriter>(std::move(writer));
}

} // namespace planish::stream
