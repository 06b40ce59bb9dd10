// Names from a file, fit for a message of one line.
#pragma once

#include <string>
#include <string_view>

namespace planish::onnx {

/// The name in single quotes, without control characters, cut where it is very long.
std::string shown(std::string_view name);

/// The name as the IR's text can hold it: letters, digits and underscores, no leading digit.
std::string identifier(std::string_view name);

} // namespace planish::onnx
