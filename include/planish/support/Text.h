// Text shared by both IRs: a lexer with line numbers, and numbers that read back as the same bits.
#pragma once

#include "planish/support/Result.h"

#include <string>
#include <string_view>

namespace planish {

enum class TokenKind : uint8_t {
  End,
  Name,     // letter or _, then letters, digits, _ and .
  Integer,  // digits, with a leading - where no operand stands before it
  Float,    // has a point, an exponent, or is inf / nan behind a sign or not
  String,   // "..." with \" \\ \n escapes; text without the quotes
  Symbol, // one of %name-free punctuation: ( ) [ ] { } < > = , : ; . @ # % ! ? + - * / & | and .. -> <= ==
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string text;
  int line = 1, column = 1;
};

/// Reads tokens; `//` comments run to the end of the line. Copying a Lexer is a bookmark.
class Lexer {
public:
  explicit Lexer(std::string_view source);
  const Token &peek() const { return current; }
  Token next();

  bool at(std::string_view symbolOrName) const;
  bool accept(std::string_view symbolOrName);
  Status expect(std::string_view symbolOrName);
  Result<std::string> name();
  Result<int64_t> integer();
  Result<double> number();
  Result<std::string> string();

  /// "line 3, column 7: expected ..., found ...".
  Diagnostic error(std::string_view expected) const;

private:
  void advance();
  std::string_view rest;
  int line = 1, column = 1;
  Token current;
};

/// The shortest decimal text that reads back as the same float (or double); always looks like a float.
std::string textOf(float value);
std::string textOf(double value);

/// `text` in quotes, escaped so that the Lexer reads it back.
std::string quoted(std::string_view text);

/// The elements of `list`, each through `text`, with ", " between them.
template <class List, class Text>
std::string joined(const List &list, Text text, std::string_view between = ", ") {
  std::string r;
  bool first = true;
  for (const auto &e : list) {
    if (!first) r += between;
    first = false;
    r += text(e);
  }
  return r;
}

} // namespace planish
