// Tensors of a model file as constants.
#pragma once

#include "planish/graph/Import.h"
#include "planish/onnx/Import.h"

#include <onnx-ml.pb.h>

#include <filesystem>
#include <set>
#include <string>

namespace planish::onnx {

/// What importing a file needs to know and collects on the way.
struct FileContext {
  std::filesystem::path folder;      // external data is only read below it
  std::set<std::string> narrowed;    // names of ONNX element types that compute as f32
  Limits limits = {};
  int64_t constantBytes = 0, nodes = 0;  // so far
  int depth = 0;                         // of bodies and functions that are open
};

/// The element type that computes for an ONNX one; `what` names the value in the error.
Result<DType> elementType(int onnxType, const std::string &what, FileContext &file);

/// How a graph input or output of the ONNX type lies in memory, where its values are computed as `computes`.
DType portType(int onnxType, DType computes);

/// Sizes checked against the data, halves and doubles converted, external data read.
Result<graph::ConstantTensor> constantOf(const ::onnx::TensorProto &tensor, const std::string &what,
                                         FileContext &file);

/// Bytes of external data, from a regular file inside the model's folder. Follows no symbolic link.
Result<std::vector<std::byte>> externalData(const ::onnx::TensorProto &tensor, int64_t bytes,
                                            const std::string &what, const FileContext &file);

} // namespace planish::onnx
