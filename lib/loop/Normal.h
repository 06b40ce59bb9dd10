// The polynomial normal form of scalar i64 arithmetic (Affine.cpp); used by the builder of binary
// operators and by simplify.
#pragma once

#include "planish/loop/Rewrite.h"

namespace planish::loop {

Expr normalSum(const Expr &a, const Expr &b, int64_t sign);  // a + sign*b
Expr normalProduct(const Expr &a, const Expr &b);
/// a div b and a mod b: multiples of b leave the division exactly, common factors cancel, and what
/// the ranges of `env` and the declared bounds decide is decided. Empty where nothing changes.
Expr normalDivision(const Expr &a, const Expr &b, const Ranges &env);
Expr normalModulo(const Expr &a, const Expr &b, const Ranges &env);
/// a - b where it is a constant.
std::optional<int64_t> constantDifference(const Expr &a, const Expr &b);
/// As affine(), but x mod d stays one factor.
Affine polynomial(const Expr &e);

} // namespace planish::loop
