// Loop IR as text that parses back: parse(print(f)) is equivalent to f, and prints the same.
//
//   functions = { "func" "@"name "(" [buffer {"," buffer}] [";" scalar {"," scalar}] ")" body }
//   buffer    = "%"name ":" dtype "[" sizes "]" ["strides" "(" sizes ")"] [scope]
//   scope     = "constant" | "packed" | "register" | "scratch"
//   scalar    = name ":" "i64" ["in" lo ".." hi]                    both ends inclusive
//             | "let" name [within]                                 mentioned by sizes, bound in the body
//   body      = "{" {stmt} "}"
//   stmt      = "for" axis {"," axis} body                          a perfect nest on one line
//             | "while" expr body | "if" expr body | "alloc" buffer body
//             | "let" name "=" expr [within] [body]                 without a body: up to the closing brace
//             | access "=" expr | "eval" expr
//             | "launch" "@"name "(" [buffers] [";" exprs] ")" "tasks" expr
//   axis      = ["parallel"|"vectorized"|"unrolled"] name "in" expr ".." expr [within]    end exclusive
//   within    = "within" lo ".." hi                                 a variable's declared bounds, inclusive
//   access    = "%"name "[" [exprs] ["where" expr] "]"              "where": the mask
//   expr      = operators, loosest first: base":"lanes[":"stride], or xor, and, < <= ==, + -, * / div mod shl
//   shr primary   = number [type] | name | "(" expr ")" | access | type "(" expr ")" (a cast)
//             | "select" "(" cond, a, b ")" | "min" | "max" | intrinsic "(" exprs ")"
//             | "splat"times "(" expr ")"
//   type      = dtype ["x"lanes]
//
// An integer without a type is i64, a number with a point, an exponent, inf or nan is f32. Where no
// "within" is given, a loop variable is bounded by the ranges of its ends and a let by that of its value.
// A name that binds again what an earlier binding of equal type and bounds bound means the same object.
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
