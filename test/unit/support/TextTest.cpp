#include "planish/support/Text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace planish {
namespace {

std::vector<std::string> tokens(std::string_view text) {
  std::vector<std::string> r;
  for (Lexer lex(text); lex.peek().kind != TokenKind::End;) r.push_back(lex.next().text);
  return r;
}

TEST(Lexer, SplitsNamesNumbersAndSymbols) {
  using List = std::vector<std::string>;
  EXPECT_EQ(tokens("%x.1[a-1, -2] // rest\n= 3.5e-2"),
            (List{"%", "x.1", "[", "a", "-", "1", ",", "-2", "]", "=", "3.5e-2"}));
  EXPECT_EQ(tokens("0..n..-3 a..b"), (List{"0", "..", "n", "..", "-3", "a", "..", "b"}));
  EXPECT_EQ(tokens("-inf nan <= == -> <"), (List{"-inf", "nan", "<=", "==", "->", "<"}));
  EXPECT_EQ(tokens("(a) - 1 ] -1"), (List{"(", "a", ")", "-", "1", "]", "-", "1"}));
  EXPECT_EQ(tokens(""), List{});
}

TEST(Lexer, ReadsTypedValues) {
  Lexer lex("name 12 -7 2.5 \"a\\\"b\\\\\\n\" ;");
  EXPECT_EQ(*lex.name(), "name");
  EXPECT_EQ(*lex.integer(), 12);
  EXPECT_TRUE(lex.accept("-"));
  EXPECT_EQ(*lex.integer(), 7);
  EXPECT_EQ(*lex.number(), 2.5);
  EXPECT_EQ(*lex.string(), "a\"b\\\n");
  EXPECT_TRUE(lex.expect(";"));
  EXPECT_FALSE(lex.expect(";"));
  Lexer large("99999999999999999999");
  EXPECT_FALSE(large.integer());
}

TEST(Lexer, ErrorsNameThePlace) {
  Lexer lex("a\n  ]");
  lex.next();
  EXPECT_EQ(lex.name().error().text, "line 2, column 3: expected a name, found ']'");
  lex.next();
  EXPECT_EQ(lex.error("more").text, "line 2, column 4: expected more, found the end");
}

TEST(Lexer, CopiesAreBookmarks) {
  Lexer lex("a b");
  Lexer mark = lex;
  lex.next();
  EXPECT_EQ(lex.peek().text, "b");
  EXPECT_EQ(mark.peek().text, "a");
}

TEST(Lexer, EndsOnUnfinishedText) {
  EXPECT_EQ(tokens("\"open").size(), 1u);
  EXPECT_EQ(tokens("\"open\\").size(), 1u);
  EXPECT_EQ(tokens("-").size(), 1u);
  EXPECT_EQ(tokens("1e").size(), 2u);
}

TEST(Text, FloatsReadBackAsTheSameBits) {
  std::mt19937 rng(11);
  for (int i = 0; i < 20000; ++i) {
    uint32_t bits = rng();
    float v;
    std::memcpy(&v, &bits, sizeof v);
    if (std::isnan(v)) continue;
    Lexer lex(textOf(v));
    EXPECT_EQ(lex.peek().kind, TokenKind::Float) << textOf(v);
    auto back = lex.number();
    ASSERT_TRUE(back) << textOf(v);
    ASSERT_EQ(float(*back), v) << textOf(v) << " (seed 11)";
    ASSERT_EQ(lex.peek().kind, TokenKind::End) << textOf(v);
  }
  EXPECT_EQ(textOf(1.0f), "1.0");
  EXPECT_EQ(textOf(-0.0f), "-0.0");
  EXPECT_EQ(textOf(NAN), "nan");
  EXPECT_EQ(textOf(-INFINITY), "-inf");
}

TEST(Text, QuotedReadsBack) {
  for (std::string s : {"", "plain", "a\"b", "back\\slash", "two\nlines"}) {
    std::string q = planish::quoted(s);
    EXPECT_EQ(*Lexer(q).string(), s);
  }
}

} // namespace
} // namespace planish
