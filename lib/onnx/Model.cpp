#include "Model.h"

#include "Text.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <fstream>

namespace planish::onnx {

namespace {

constexpr int64_t kMaxFileBytes = (int64_t(1) << 31) - 1;  // protobuf's own limit
constexpr int kNesting = 100;
constexpr int kMaxTensors = 1 << 20;
constexpr int kOldestOpset = 1, kNewestOpset = 28;

Result<std::string> bytesOf(const std::string &path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return badInput(path + ": no such file");
  if (!std::filesystem::is_regular_file(path, error)) return badInput(path + ": is not a file");
  auto size = std::filesystem::file_size(path, error);
  if (error) return badInput(path + ": " + error.message());
  if (size == 0) return badInput(path + ": is empty");
  if (int64_t(size) > kMaxFileBytes)
    return badInput(path + ": is larger than 2 GiB; keep its weights as external data");
  std::ifstream in(path, std::ios::binary);
  std::string bytes(size_t(size), '\0');
  if (!in.read(bytes.data(), std::streamsize(size))) return badInput(path + ": cannot be read");
  return bytes;
}

} // namespace

Result<::onnx::ModelProto> readModel(const std::string &path) {
  PLANISH_ASSIGN(std::string bytes, bytesOf(path));
  google::protobuf::LogSilencer quiet;
  google::protobuf::io::ArrayInputStream stream(bytes.data(), int(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(kNesting);
  ::onnx::ModelProto model;
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return badInput(path + ": is not an ONNX model, or is cut off or nested too deeply");
  if (!model.has_graph() || model.graph().output_size() == 0 || model.opset_import_size() == 0)
    return badInput(path + ": is not an ONNX model (no graph with outputs, or no opset)");
  if (model.graph().initializer_size() > kMaxTensors) return badInput(path + ": has more than 2^20 tensors");
  return model;
}

std::string nameOf(const ::onnx::NodeProto &node) {
  if (!node.name().empty()) return node.name();
  return node.op_type() + ":" + (node.output_size() ? node.output(0) : "");
}
std::string shownNode(const ::onnx::NodeProto &node) {
  return "node " + shown(nameOf(node)) + " (" + shown(node.op_type()) + ")";
}
std::string domainOf(const ::onnx::NodeProto &node) {
  return node.domain() == "ai.onnx" ? "" : node.domain();
}

Result<Opsets> opsetsOf(const OpsetImports &imports) {
  Opsets r;
  for (const auto &entry : imports) {
    bool standard = entry.domain().empty() || entry.domain() == "ai.onnx";
    if (standard && (entry.version() < kOldestOpset || entry.version() > kNewestOpset))
      return unsupported("opset " + std::to_string(entry.version()) + "; supported are " +
                         std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset));
    r[standard ? "" : entry.domain()] = int(std::clamp<int64_t>(entry.version(), 0, INT32_MAX));
  }
  return r;
}

} // namespace planish::onnx
