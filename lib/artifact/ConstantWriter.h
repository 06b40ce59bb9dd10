// Constant C structures as LLVM text.
#pragma once

#include "planish/support/Text.h"

#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace planish::artifact {

/// Writes constants of the structures in abi.h as LLVM text; every literal says its own type, fields
/// stand in the order of the header and LLVM lays them out naturally, as C does.
class ConstantWriter {
public:
  std::string module;

  static std::string i32(int64_t v) { return "i32 " + std::to_string(v); }
  static std::string i64(uint64_t v) { return "i64 " + std::to_string(v); }
  static std::string f64(double v) {
    static const char digits[] = "0123456789ABCDEF";
    auto bits = std::bit_cast<uint64_t>(v);
    std::string hex(16, '0');
    for (int i = 15; i >= 0; --i, bits >>= 4) hex[size_t(i)] = digits[bits & 15];
    return "double 0x" + hex;
  }
  static std::string pointer(const std::string &symbol) { return "ptr @" + symbol; }

  /// A pointer to the text, each distinct one stored once.
  std::string text(const std::string &value) {
    auto [it, fresh] = texts.try_emplace(value, "t" + std::to_string(texts.size()));
    if (fresh) {
      std::string escaped;
      for (unsigned char c : value) {
        static const char digits[] = "0123456789ABCDEF";
        if (c >= 32 && c < 127 && c != '"' && c != '\\') escaped += char(c);
        else escaped += std::string("\\") + digits[c >> 4] + digits[c & 15];
      }
      module += "@" + it->second + " = private unnamed_addr constant [" + std::to_string(value.size() + 1) +
                " x i8] c\"" + escaped + "\\00\"\n";
    }
    return pointer(it->second);
  }

  /// "{ i32, ptr }" of "i32 1", "ptr @x".
  static std::string typeOf(const std::string &literal) {
    return literal[0] == '{' || literal[0] == '[' ? literal.substr(0, closing(literal) + 1)
                                                  : literal.substr(0, literal.find(' '));
  }
  static std::string structure(const std::vector<std::string> &fields) {
    return "{ " + joined(fields, typeOf) + " } { " + joined(fields, [](const std::string &f) { return f; }) +
           " }";
  }
  static std::string array(const std::vector<std::string> &elements) {
    return "[" + std::to_string(elements.size()) + " x " + typeOf(elements[0]) + "] [ " +
           joined(elements, [](const std::string &e) { return e; }) + " ]";
  }
  /// A pointer to an array of structures of one type, null where it is empty.
  std::string table(const std::string &name, const std::vector<std::string> &elements) {
    if (elements.empty()) return "ptr null";
    module += "@" + name + " = private constant " + array(elements) + "\n";
    return pointer(name);
  }

private:
  std::map<std::string, std::string> texts;

  static size_t closing(const std::string &s) {
    char open = s[0], close = open == '{' ? '}' : ']';
    int depth = 0;
    for (size_t i = 0; i < s.size(); ++i) {
      depth += s[i] == open;
      depth -= s[i] == close;
      if (!depth) return i;
    }
    return s.size() - 1;
  }
};

} // namespace planish::artifact
