#include "FFmpeg.h"
#include "Video.h"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace planish::stream {
namespace {

constexpr size_t kRowAlignment = 64;

struct CloseInput {
  void operator()(AVFormatContext *context) const { avformat_close_input(&context); }
};

class VideoReader final : public Source {
public:
  static Result<std::unique_ptr<Source>> open(const std::string &path);
  Result<bool> next(SourceFrame &frame) override;
  SourceKind kind() const override { return SourceKind::Video; }
  double rate() const override { return av_q2d(av_guess_frame_rate(format.get(), stream, nullptr)); }

private:
  Result<bool> receive();
  Status sendPacket();
  Status convert(SourceFrame &frame);
  bool isCutOff() const;
  Diagnostic stopped(const std::string &why) const {
    return badInput("'" + path + "' stops after frame " + std::to_string(frames) +
                    (expectedFrames() > 0 ? " of " + std::to_string(expectedFrames()) : std::string()) +
                    ": " + why);
  }
  int64_t expectedFrames() const { return stream->nb_frames; }

  std::string path;
  std::unique_ptr<AVFormatContext, CloseInput> format;
  AVStream *stream = nullptr;
  FFmpegPtr<AVCodecContext> decoder;
  FFmpegPtr<AVFrame> picture{av_frame_alloc()};
  FFmpegPtr<AVPacket> packet{av_packet_alloc()};
  FFmpegPtr<SwsContext> scaler;
  std::vector<uint8_t> roomy;
  int64_t frames = 0, packets = 0;
  bool draining = false, ended = false;
  std::string damage; ///< why packets ended early
};

Result<std::unique_ptr<Source>> VideoReader::open(const std::string &path) {
  av_log_set_level(AV_LOG_QUIET); // what it would print comes back as errors
  auto reader = std::make_unique<VideoReader>();
  reader->path = path;
  AVFormatContext *context = nullptr;
  const auto unreadable = [&](int code) {
    return badInput("'" + path +
                    "' is neither a picture (.png, .jpg) nor a video that can be read: " + ffmpegError(code));
  };
  if (const int code = avformat_open_input(&context, path.c_str(), nullptr, nullptr); code < 0)
    return unreadable(code);
  reader->format.reset(context);
  if (const int code = avformat_find_stream_info(context, nullptr); code < 0) return unreadable(code);
  const AVCodec *codec = nullptr;
  const int index = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index == AVERROR_DECODER_NOT_FOUND)
    return unsupported("'" + path + "': no decoder for this kind of video");
  if (index < 0) return badInput("'" + path + "' has no video in it");
  reader->stream = context->streams[index];
  reader->decoder.reset(avcodec_alloc_context3(codec));
  avcodec_parameters_to_context(reader->decoder.get(), reader->stream->codecpar);
  reader->decoder->thread_count = 1; // decoding must not run beside the network, whose time is measured
  reader->decoder->err_recognition = AV_EF_CRCCHECK;
  if (const int code = avcodec_open2(reader->decoder.get(), codec, nullptr); code < 0)
    return unreadable(code);
  return std::unique_ptr<Source>(std::move(reader));
}

/// Whether the file ends before what its own index or header says.
bool VideoReader::isCutOff() const {
  const int64_t size = avio_size(format->pb);
  const int entries = avformat_index_get_entries_count(stream);
  for (int i = 0; size > 0 && i < entries; ++i) {
    const AVIndexEntry *entry = avformat_index_get_entry(stream, i);
    if (entry->pos + entry->size > size) return true;
  }
  // An edit list of an MP4 may leave out frames that the header counts; those have a full index.
  return entries < expectedFrames() && packets < expectedFrames();
}

Status VideoReader::sendPacket() {
  int code = 0;
  do {
    av_packet_unref(packet.get());
    code = av_read_frame(format.get(), packet.get());
  } while (code >= 0 && packet->stream_index != stream->index);
  const bool corrupt = code >= 0 && (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
  if (code < 0 || corrupt) {
    if (corrupt || code != AVERROR_EOF || isCutOff()) damage = "the file is cut off or damaged";
    draining = true;
    code = avcodec_send_packet(decoder.get(), nullptr);
  } else {
    ++packets;
    code = avcodec_send_packet(decoder.get(), packet.get());
  }
  if (code < 0) return stopped(ffmpegError(code));
  return {};
}

/// Decodes into `picture`; false at the end.
Result<bool> VideoReader::receive() {
  while (true) {
    const int code = avcodec_receive_frame(decoder.get(), picture.get());
    if (code >= 0) return true;
    if (code == AVERROR_EOF) return false;
    if (code != AVERROR(EAGAIN)) return stopped(ffmpegError(code));
    PLANISH_TRY(sendPacket());
  }
}

Status VideoReader::convert(SourceFrame &frame) {
  const int width = picture->width, height = picture->height;
  const auto pixelFormat = static_cast<AVPixelFormat>(picture->format);
  scaler.reset(sws_getCachedContext(scaler.release(), width, height, pixelFormat, width, height,
                                    AV_PIX_FMT_RGB24, SWS_BILINEAR, nullptr, nullptr, nullptr));
  if (!scaler) return unsupported("'" + path + "': its pixel format cannot be converted to RGB");
  const int space = picture->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : picture->colorspace;
  sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(space), picture->color_range == AVCOL_RANGE_JPEG,
                           sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  // The converter's vector stores may overrun a row: it gets rows with room, which are then moved together.
  const size_t row = static_cast<size_t>(width) * 3, roomyRow = (row / kRowAlignment + 2) * kRowAlignment;
  roomy.resize(roomyRow * static_cast<size_t>(height));
  uint8_t *const to[] = {roomy.data()};
  const int strides[] = {static_cast<int>(roomyRow)};
  sws_scale(scaler.get(), picture->data, picture->linesize, 0, height, to, strides);
  frame.pixels.width = width;
  frame.pixels.height = height;
  frame.pixels.channels = 3;
  frame.pixels.data.resize(row * static_cast<size_t>(height));
  for (size_t y = 0; y < static_cast<size_t>(height); ++y)
    std::copy_n(roomy.data() + y * roomyRow, row, frame.pixels.data.data() + y * row);
  return {};
}

Result<bool> VideoReader::next(SourceFrame &frame) {
  if (ended) return false;
  auto got = receive();
  ended = !got || !*got;
  if (!got) return got;
  if (ended) {
    if (!damage.empty()) return stopped(damage);
    if (frames == 0) return badInput("'" + path + "' has no frames");
    return false;
  }
  if (Status status = convert(frame); !status) {
    ended = true;
    return status.error();
  }
  ++frames;
  frame.file = std::filesystem::path(path).filename().string();
  const int64_t time = picture->best_effort_timestamp;
  const int64_t begin = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
  frame.seconds = time == AV_NOPTS_VALUE ? -1 : static_cast<double>(time - begin) * av_q2d(stream->time_base);
  return true;
}

} // namespace

bool hasVideo() { return true; }

Result<std::unique_ptr<Source>> openVideo(const std::string &path) { return VideoReader::open(path); }

} // namespace planish::stream
