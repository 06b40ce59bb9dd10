#include "ExprText.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <array>

namespace planish::graph {

namespace {

using loop::BinaryOp;
using loop::Expr;

struct Spelling {
  BinaryOp op;
  std::string_view text;
  bool isFunction = false;  // min(a, b) instead of (a + b)
};
constexpr std::array<Spelling, 13> kBinary{{{BinaryOp::Add, "+"},
                                            {BinaryOp::Sub, "-"},
                                            {BinaryOp::Mul, "*"},
                                            {BinaryOp::Div, "/"},
                                            {BinaryOp::FloorDiv, "div"},
                                            {BinaryOp::FloorMod, "mod"},
                                            {BinaryOp::Min, "min", true},
                                            {BinaryOp::Max, "max", true},
                                            {BinaryOp::Lt, "<"},
                                            {BinaryOp::Le, "<="},
                                            {BinaryOp::Eq, "=="},
                                            {BinaryOp::And, "and"},
                                            {BinaryOp::Or, "or"}}};

/// Functions that a size may be computed with.
constexpr loop::Intrinsic kCalls[] = {loop::Intrinsic::Floor, loop::Intrinsic::Ceil, loop::Intrinsic::Round,
                                      loop::Intrinsic::Sqrt,  loop::Intrinsic::Abs,  loop::Intrinsic::Fma,
                                      loop::Intrinsic::Exp,   loop::Intrinsic::Log};

std::string immediateText(int64_t value, DType dtype) {
  std::string digits = std::to_string(value);
  return dtype == DType::i64 ? digits : std::string(nameOf(dtype)) + "(" + digits + ")";
}

constexpr int kMaxDepth = 256;

/// Recursive descent over the fully parenthesised form.
class ExprParser {
public:
  ExprParser(Lexer &l, const SymbolLookup &find) : lexer(l), lookup(find) {}

  Result<Expr> expr() {
    if (depth > kMaxDepth) return lexer.error("an expression that is nested less deeply");
    ++depth;
    auto r = unnested();
    --depth;
    return r;
  }

private:
  Result<Expr> unnested() {
    switch (lexer.peek().kind) {
    case TokenKind::Integer: {
      PLANISH_ASSIGN(int64_t value, lexer.integer());
      return loop::imm(value);
    }
    case TokenKind::Float: {
      PLANISH_ASSIGN(double value, lexer.number());
      return loop::fimm(value);
    }
    case TokenKind::String: return symbol();
    case TokenKind::Name: return named();
    default: return parenthesised();
    }
  }

  Result<Expr> symbol() {
    Lexer here = lexer;
    PLANISH_ASSIGN(std::string name, parseName(lexer));
    auto found = lookup(name);
    if (!found) return here.error("a symbol that is declared before its use");
    return loop::use(*found);
  }

  Result<Expr> parenthesised() {
    PLANISH_TRY(lexer.expect("("));
    PLANISH_ASSIGN(Expr a, expr());
    for (const Spelling &s : kBinary)
      if (!s.isFunction && lexer.accept(s.text)) {
        PLANISH_ASSIGN(Expr b, expr());
        PLANISH_TRY(lexer.expect(")"));
        return combined(s.op, a, b);
      }
    return lexer.error("an operator");
  }

  static bool isReal(const Expr &e) { return isFloat(e->type.dtype); }
  /// Whether a function takes the arguments: the exact ones are of doubles, too.
  static bool takes(loop::Intrinsic fn, const std::vector<Expr> &args) {
    if (args.size() != loop::arityOf(fn)) return false;
    const bool exact = args.size() == 1 && fn != loop::Intrinsic::Exp && fn != loop::Intrinsic::Log;
    return std::ranges::all_of(
        args, [&](const Expr &e) { return e->type == Type{DType::f32, 1} || (exact && isReal(e)); });
  }

  /// The double in f64(...), where that is a number: as an argument it would be one of f32.
  std::optional<Expr> wideNumber() {
    Lexer ahead = lexer;
    if (!ahead.accept("(") || ahead.peek().kind != TokenKind::Float) return std::nullopt;
    auto value = ahead.number();
    if (!value || !ahead.accept(")")) return std::nullopt;
    lexer = ahead;
    return loop::constant(*value, Type{DType::f64, 1});
  }

  Result<Expr> combined(BinaryOp op, const Expr &a, const Expr &b) {
    if (!(a->type == b->type)) return lexer.error("operands of one type");
    const bool real = isReal(a), logical = a->type.dtype == DType::b1;
    const bool fits = op == BinaryOp::And || op == BinaryOp::Or              ? logical
                      : op == BinaryOp::Div                                  ? real
                      : op == BinaryOp::FloorDiv || op == BinaryOp::FloorMod ? !real && !logical
                                                                             : !logical || op == BinaryOp::Eq;
    if (!fits) return lexer.error("operands of a type that has the operator");
    return loop::binary(op, a, b);
  }

  /// A symbol, or one of min(a, b), select(c, a, b), i32(e), floor(e) ...
  Result<Expr> named() {
    Lexer ahead = lexer;
    std::string name = ahead.next().text;
    if (!ahead.at("(")) return symbol();
    lexer = ahead;
    if (name == nameOf(DType::f64))
      if (auto number = wideNumber()) return *number;
    std::vector<Expr> args;
    PLANISH_TRY(lexer.expect("("));
    do {
      PLANISH_ASSIGN(Expr arg, expr());
      args.push_back(std::move(arg));
    } while (lexer.accept(","));
    PLANISH_TRY(lexer.expect(")"));

    if (auto dtype = dtypeNamed(name); dtype && isComputed(*dtype) && args.size() == 1)
      return loop::cast(*dtype, args[0]);
    if (name == "select" && args.size() == 3 && args[0]->type.dtype == DType::b1 &&
        args[1]->type == args[2]->type)
      return loop::select(args[0], args[1], args[2]);
    for (const Spelling &s : kBinary)
      if (s.isFunction && s.text == name && args.size() == 2) return combined(s.op, args[0], args[1]);
    for (loop::Intrinsic fn : kCalls)
      if (nameOf(fn) == name && takes(fn, args)) return loop::call(fn, std::move(args));
    return lexer.error("a function of such and so many arguments instead of '" + name + "'");
  }

  Lexer &lexer;
  const SymbolLookup &lookup;
  int depth = 0;
};

} // namespace

std::string nameText(std::string_view name) {
  auto isLetter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  bool plain = !name.empty() && isLetter(name[0]) && name != "inf" && name != "nan" && name != "_" &&
               std::ranges::all_of(name, [&](char c) { return isLetter(c) || isDigit(c); });
  return plain ? std::string(name) : quoted(name);
}

Result<std::string> parseName(Lexer &lexer) {
  return lexer.peek().kind == TokenKind::String ? lexer.string() : lexer.name();
}

std::string textOf(const Expr &e) {
  return loop::match(
      e, [&](const loop::IntImm &x) { return immediateText(x.value, e->type.dtype); },
      [&](const loop::FloatImm &x) {
        return e->type.dtype == DType::f64 ? "f64(" + planish::textOf(x.value) + ")"
                                           : planish::textOf(float(x.value));
      },
      [&](const loop::VarRef &x) { return nameText(x.var->name); },
      [&](const loop::Binary &x) {
        auto row = std::ranges::find(kBinary, x.op, &Spelling::op);
        if (row->isFunction) return std::string(row->text) + "(" + textOf(x.a) + ", " + textOf(x.b) + ")";
        return "(" + textOf(x.a) + " " + std::string(row->text) + " " + textOf(x.b) + ")";
      },
      [&](const loop::Select &x) {
        return "select(" + textOf(x.cond) + ", " + textOf(x.a) + ", " + textOf(x.b) + ")";
      },
      [&](const loop::Cast &x) { return std::string(nameOf(e->type.dtype)) + "(" + textOf(x.value) + ")"; },
      [&](const loop::Load &x) {
        return x.buffer->name + "[" + joined(x.indices, [](const Expr &i) { return textOf(i); }) + "]";
      },
      [&](const loop::Call &x) {
        return std::string(nameOf(x.fn)) + "(" + joined(x.args, [](const Expr &a) { return textOf(a); }) +
               ")";
      },
      [&](const auto &) -> std::string { PLANISH_CHECK(false, "a vector expression in a graph"); });
}

Result<Expr> parseExpr(Lexer &lexer, const SymbolLookup &lookup) { return ExprParser(lexer, lookup).expr(); }

} // namespace planish::graph
