// Definitions of symbols as text: scalar expressions over symbols, fully parenthesised.
#pragma once

#include "planish/loop/IR.h"
#include "planish/support/Text.h"

#include <functional>
#include <span>
#include <string>

namespace planish::graph {

/// `name` as it is where it reads back as one token, else in quotes.
std::string nameText(std::string_view name);
/// A name or a quoted one.
Result<std::string> parseName(Lexer &lexer);

using SymbolLookup = std::function<Result<Var>(const std::string &name)>;

std::string textOf(const loop::Expr &e);
Result<loop::Expr> parseExpr(Lexer &lexer, const SymbolLookup &lookup);

} // namespace planish::graph
