// Errors a user can cause. A function that can fail on user input returns Result<T> or Status; what
// cannot happen unless the compiler itself is wrong is a PLANISH_CHECK (Check.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace planish {

/// What kind of thing went wrong; each kind has one exit code in every tool.
enum class ErrorKind : uint8_t {
  Failed,       // 1: the work itself failed
  Usage,        // 2: a flag or its value
  Unsupported,  // 3: operator, opset or target feature that Planish does not have
  BadInput,     // 4: a model or other input file
  Mismatch,     // 5: a comparison or verification failed
};

/// The exit code of an error kind (the CLI contract).
int exitCode(ErrorKind kind);

/// One complaint: what is wrong and with what; the text names the file, node, attribute or flag,
/// says what was expected and, where there is one, what to do.
struct Diagnostic {
  ErrorKind kind = ErrorKind::Failed;
  std::string text;

  /// The same complaint with "where: " before it.
  Diagnostic in(const std::string &where) const { return {kind, where + ": " + text}; }
};

inline Diagnostic failed(std::string text) { return {ErrorKind::Failed, std::move(text)}; }
inline Diagnostic usage(std::string text) { return {ErrorKind::Usage, std::move(text)}; }
inline Diagnostic unsupported(std::string text) { return {ErrorKind::Unsupported, std::move(text)}; }
inline Diagnostic badInput(std::string text) { return {ErrorKind::BadInput, std::move(text)}; }

/// A value, or the reason there is none.
template <class T> class [[nodiscard]] Result {
public:
  Result(T value) : held(std::move(value)) {}
  Result(Diagnostic error) : problem(std::move(error)) {}

  explicit operator bool() const { return held.has_value(); }
  T &operator*() & { return *held; }
  const T &operator*() const & { return *held; }
  T &&operator*() && { return std::move(*held); }
  T *operator->() { return &*held; }
  const T *operator->() const { return &*held; }
  const Diagnostic &error() const { return problem; }

private:
  std::optional<T> held;
  Diagnostic problem;
};

/// Success, or the reason of the failure.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Diagnostic error) : problem(std::move(error)) {}

  explicit operator bool() const { return !problem; }
  const Diagnostic &error() const { return *problem; }

private:
  std::optional<Diagnostic> problem;
};

} // namespace planish

/// Leaves the enclosing function with the error of `expr` (a Status or a Result) if it has one.
#define PLANISH_TRY(expr)                                                                                    \
  do {                                                                                                       \
    if (auto &&planishTried = (expr); !planishTried) return planishTried.error();                            \
  } while (false)

#define PLANISH_JOIN2(a, b) a##b
#define PLANISH_JOIN(a, b) PLANISH_JOIN2(a, b)

/// `PLANISH_ASSIGN(auto x, f());` declares x from a Result, or leaves with its error.
#define PLANISH_ASSIGN(declaration, expr)                                                                    \
  auto PLANISH_JOIN(planishResult, __LINE__) = (expr);                                                       \
  if (!PLANISH_JOIN(planishResult, __LINE__)) return PLANISH_JOIN(planishResult, __LINE__).error();          \
  declaration = *std::move(PLANISH_JOIN(planishResult, __LINE__))
