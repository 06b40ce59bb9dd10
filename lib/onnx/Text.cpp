#include "Text.h"

namespace planish::onnx {

std::string shown(std::string_view name) {
  constexpr size_t kLongest = 120;
  std::string r = "'";
  for (char c : name.substr(0, kLongest)) r += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return r + (name.size() > kLongest ? "...'" : "'");
}

std::string identifier(std::string_view name) {
  auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  auto isLetter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  std::string r;
  for (char c : name.substr(0, 60)) r += isLetter(c) || isDigit(c) ? c : '_';
  if (r.empty() || isDigit(r[0])) r.insert(r.begin(), '_');
  return r;
}

} // namespace planish::onnx
