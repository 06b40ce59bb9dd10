// Sums of products as products of matrices: which axes are rows, columns and depth, and axes as digits of one
// number. What the templates for groups of work-items share.
#pragma once

#include "../Internal.h"

#include "planish/loop/Rewrite.h"

#include <initializer_list>

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

/// One operand of the sum, plainly loaded, as lines (rows of left, columns of right) of terms.
class Side {
public:
  Side(const Kernel &k, const Roles &r, bool isLeft);

  /// Its load, below a cast or not; null for other expressions, and masked ones.
  static const loop::Load *loadOf(const Expr &operand);
  const loop::Buffer &memory() const { return from.buffer; }
  /// How many neighbours along the last axis of the depth, or of the lines, are neighbours in memory and
  /// exist together: the first of `units` that divides them, else 1.
  int64_t unitOfDepth(std::initializer_list<int64_t> units) const;
  int64_t unitOfLines(std::initializer_list<int64_t> units) const;
  /// Whether it is a constant that can be brought into the order of lines and terms.
  bool packs() const;
  /// The copy from the operand's buffer to `to`, [lines][terms] or the other way round.
  Kernel::Packing packing(const loop::Buffer &to, bool termsFirst, const std::string &name) const;

  /// Its value, zero where there is none: behind the lines or the terms, and where a guard says so. One zero
  /// is enough, so a guard stands at the operand whose axes it speaks of; at both where it speaks of the
  /// depth alone. `line` and `term` count units of those `Digits`, the others count within a unit; `at` has
  /// the shared axes; every `termsOfStep` terms, if they divide, all exist.
  Expr value(loop::Substitution at, const Digits &lines, const Expr &line, const Expr &lineWithin,
             const Digits &depth, const Expr &term, const Expr &termWithin, int64_t termsOfStep) const;

private:
  const Kernel &k;
  const Roles &r;
  bool isLeft;
  const loop::Load &from;

  const std::vector<Axis> &lines() const { return isLeft ? r.rows : r.columns; }
  bool guards(const Expr &guard) const;
  int64_t unitOf(const Axis &axis, std::initializer_list<int64_t> units) const;
};

/// A loop over what each item of a group does.
loop::Stmt eachItem(int64_t items, const std::function<loop::Stmt(const Expr &item)> &body);
/// A loop from 0 to n.
loop::Stmt loopTo(const char *name, int64_t n, loop::LoopKind kind,
                  const std::function<loop::Stmt(const Expr &)> &body);
/// A variable that counts to `n`, at most.
Var counterTo(const char *name, const Expr &n);

} // namespace planish::schedule
