// Sums of products as products of matrices: which axes are rows, columns and depth, and axes as digits of one
// number. What the templates for groups of work-items share.
#pragma once

#include "../Internal.h"

#include "planish/loop/Rewrite.h"

namespace planish::schedule {

/// The axes of sum(left * right) by what they index. Left is the operand whose axes lie farther apart in the
/// output.
struct Roles {
  bool swapped = false; // left is the computation's rhs
  std::vector<Axis> rows, columns; // of left only, of right only
  std::vector<Axis> shared; // of both or none: batch, groups of channels
  std::vector<Axis> depth; // the reduction; neighbours in left's memory last
};

/// Nothing for other computations, and where rows or columns are so few that a block would be mostly empty.
std::optional<Roles> rolesOf(const Kernel &k);

/// The product of the axes' extents at the bound of the symbols.
double elementsOf(const Kernel &k, const std::vector<Axis> &axes);

/// Axes as the digits of one number, the last one the lowest.
class Digits {
public:
  /// `unit` neighbours of the last axis, which divide it, are one digit: numbers count those.
  Digits(const Kernel &k, std::vector<Axis> list, int64_t unit = 1);
  /// The axes' values at `number`; `within` its unit.
  void add(const Expr &number, loop::Substitution &to, const Expr &within = {}) const;
  Expr count; // of all numbers

private:
  std::vector<Axis> axes;
  std::vector<Expr> extents;
  int64_t unit;
};

/// A loop over what each item of a group does.
loop::Stmt eachItem(int64_t items, const std::function<loop::Stmt(const Expr &item)> &body);
/// A loop from 0 to n.
loop::Stmt loopTo(const char *name, int64_t n, loop::LoopKind kind,
                  const std::function<loop::Stmt(const Expr &)> &body);
/// A variable that counts to `n`, at most.
Var counterTo(const char *name, const Expr &n);

} // namespace planish::schedule
