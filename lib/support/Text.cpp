#include "planish/support/Text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace planish {

namespace {

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

template <class F> std::string shortest(F value) {
  if (std::isnan(value)) return std::signbit(value) ? "-nan" : "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string r(buffer.data(), end);
  return r.find_first_of(".e") == std::string::npos ? r + ".0" : r;
}

} // namespace

Lexer::Lexer(std::string_view source) : rest(source) { advance(); }

Token Lexer::next() {
  Token t = current;
  advance();
  return t;
}

void Lexer::advance() {
  bool operandBefore = current.kind == TokenKind::Name || current.kind == TokenKind::Integer ||
                       current.kind == TokenKind::Float || current.text == ")" || current.text == "]";
  auto take = [&](size_t n) {
    for (char c : rest.substr(0, n)) {
      ++column;
      if (c == '\n') ++line, column = 1;
    }
    rest.remove_prefix(n);
  };
  while (!rest.empty()) {
    if (rest.starts_with("//")) take(std::min(rest.find('\n'), rest.size()));
    else if (rest[0] == ' ' || rest[0] == '\n' || rest[0] == '\t' || rest[0] == '\r') take(1);
    else break;
  }
  current = {TokenKind::End, "", line, column};
  if (rest.empty()) return;

  size_t n = 1;
  size_t sign = rest[0] == '-' && !operandBefore && rest.size() > 1 ? 1 : 0;
  if (sign && rest.substr(1, 3) == "inf") {
    current.kind = TokenKind::Float, n = 4;
  } else if (sign && rest.substr(1, 3) == "nan") {
    current.kind = TokenKind::Float, n = 4;
  } else if (isDigit(rest[sign])) {
    current.kind = TokenKind::Integer;
    n = sign;
    auto digits = [&] {
      while (n < rest.size() && isDigit(rest[n])) ++n;
    };
    digits();
    if (n + 1 < rest.size() && rest[n] == '.' && isDigit(rest[n + 1]))
      current.kind = TokenKind::Float, ++n, digits();
    if (n + 1 < rest.size() && (rest[n] == 'e' || rest[n] == 'E')) {
      size_t s = rest[n + 1] == '-' || rest[n + 1] == '+' ? 2 : 1;
      if (n + s < rest.size() && isDigit(rest[n + s])) current.kind = TokenKind::Float, n += s, digits();
    }
  } else if (isNameStart(rest[0])) {
    current.kind = TokenKind::Name;
    while (n < rest.size() && (isNameStart(rest[n]) || isDigit(rest[n]) ||
                               (rest[n] == '.' && n + 1 < rest.size() && rest[n + 1] != '.')))
      ++n;
    if (std::string_view word = rest.substr(0, n); word == "inf" || word == "nan")
      current.kind = TokenKind::Float;
  } else if (rest[0] == '"') {
    current.kind = TokenKind::String;
    while (n < rest.size() && rest[n] != '"') {
      if (rest[n] == '\\' && n + 1 < rest.size()) {
        ++n;
        current.text += rest[n] == 'n' ? '\n' : rest[n];
      } else {
        current.text += rest[n];
      }
      ++n;
    }
    take(std::min(n + 1, rest.size()));
    return;
  } else {
    current.kind = TokenKind::Symbol;
    for (std::string_view two : {"..", "->", "<=", "=="})
      if (rest.starts_with(two)) n = 2;
  }
  current.text = rest.substr(0, n);
  take(n);
}

bool Lexer::at(std::string_view s) const {
  return (current.kind == TokenKind::Symbol || current.kind == TokenKind::Name) && current.text == s;
}
bool Lexer::accept(std::string_view s) {
  if (!at(s)) return false;
  advance();
  return true;
}
Status Lexer::expect(std::string_view s) {
  if (accept(s)) return {};
  return error("'" + std::string(s) + "'");
}
Result<std::string> Lexer::name() {
  if (current.kind != TokenKind::Name) return error("a name");
  return next().text;
}
Result<std::string> Lexer::string() {
  if (current.kind != TokenKind::String) return error("a string");
  return next().text;
}
Result<int64_t> Lexer::integer() {
  int64_t v = 0;
  const char *end = current.text.data() + current.text.size();
  auto [rest, problem] = std::from_chars(current.text.data(), end, v);
  if (current.kind != TokenKind::Integer || rest != end || problem != std::errc())
    return error("an integer of 64 bits");
  advance();
  return v;
}
Result<double> Lexer::number() {
  if (current.kind != TokenKind::Integer && current.kind != TokenKind::Float) return error("a number");
  std::string text = next().text;
  bool minus = text[0] == '-';
  std::string_view body = std::string_view(text).substr(minus);
  double v = 0;
  if (body == "nan") v = std::numeric_limits<double>::quiet_NaN();
  else std::from_chars(body.data(), body.data() + body.size(), v);
  return minus ? -v : v;
}

Diagnostic Lexer::error(std::string_view expected) const {
  return badInput("line " + std::to_string(current.line) + ", column " + std::to_string(current.column) +
                  ": expected " + std::string(expected) + ", found " +
                  (current.kind == TokenKind::End ? "the end" : "'" + current.text + "'"));
}

std::string textOf(float value) { return shortest(value); }
std::string textOf(double value) { return shortest(value); }

std::string quoted(std::string_view text) {
  std::string r = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') r += '\\';
    if (c == '\n') r += "\\n";
    else r += c;
  }
  return r + "\"";
}

} // namespace planish
