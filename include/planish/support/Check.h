// Contradictions inside the compiler. A failed check is a bug of Planish, never of its user's files.
#pragma once

#include <stdexcept>
#include <string>

namespace planish {

/// Thrown by PLANISH_CHECK; only the tools' main functions catch it (exit code 70).
class InternalError : public std::logic_error {
public:
  using std::logic_error::logic_error;
};

[[noreturn]] inline void internalError(const char *file, int line, const std::string &text) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": " + text);
}

} // namespace planish

#define PLANISH_CHECK(condition, text)                                                                       \
  do {                                                                                                       \
    if (!(condition)) ::planish::internalError(__FILE_NAME__, __LINE__, (text));                             \
  } while (false)
