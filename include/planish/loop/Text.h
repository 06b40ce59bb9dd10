// Loop IR as text that parses back: parse(print(f)) is equivalent to f, and prints the same.
#pragma once

#include "planish/loop/IR.h"
#include "planish/support/Result.h"

#include <string>
#include <string_view>
#include <vector>

namespace planish::loop {

std::string print(const Expr &e);
std::string print(const Stmt &s);
std::string print(const Function &f);
/// Several functions; a launch may name any that comes before it.
std::string print(const std::vector<FunctionRef> &functions);
Result<std::vector<FunctionRef>> parse(std::string_view text);

} // namespace planish::loop
