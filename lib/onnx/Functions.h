// Functions of a model: operators that the file itself defines by other nodes.
#pragma once

#include "Model.h"

#include <string_view>
#include <utility>

namespace planish::onnx {

/// The functions of a model by domain and name. The model must outlive it.
class Functions {
public:
  /// Errors: two functions of one name; one that calls itself, also by way of others; calls too deep.
  static Result<Functions> of(const ::onnx::ModelProto &model);

  /// The function a node calls, if it calls one.
  const ::onnx::FunctionProto *called(const ::onnx::NodeProto &node) const;

private:
  std::map<std::pair<std::string, std::string>, const ::onnx::FunctionProto *> all;
};

/// The body of a call as a graph: attributes that refer to the call's have its values, or the function's
/// defaults; the others are absent.
::onnx::GraphProto bodyOf(const ::onnx::FunctionProto &function, const ::onnx::NodeProto &call);

} // namespace planish::onnx
