// Walking, substituting and comparing loop IR, and the affine view of index expressions.
#pragma once

#include "planish/loop/IR.h"

#include <functional>
#include <map>

namespace planish::loop {

using Substitution = std::map<Var, Expr>;
Expr substitute(const Expr &e, const Substitution &map);
Stmt substitute(const Stmt &s, const Substitution &map);

using ExprFn = std::function<Expr(const Expr &)>;
using StmtFn = std::function<Stmt(const Stmt &)>;
Expr rewrite(const Expr &e, const ExprFn &post); // bottom-up, rebuilt by the builders
Stmt rewrite(const Stmt &s, const StmtFn &post,
             const ExprFn &expr = {}); // statements; expr on every expression

void walk(const Expr &e, const std::function<void(const Expr &)> &fn); // the expression and all below
void walk(const Stmt &s, const std::function<void(const Stmt &)> &fn); // the statement and all below
/// Every load and store below `s` in order of appearance (masks and indices included).
void walkAccesses(const Stmt &s, const std::function<void(const Buffer &, const std::vector<Expr> &)> &fn);
/// Every expression that stands directly in a statement below `s`.
void walkExprs(const Stmt &s, const std::function<void(const Expr &)> &fn);

bool dependsOn(const Expr &e, const Var &v);
/// The variables that a buffer's sizes and strides mention, in order of appearance.
std::vector<Var> sizeVars(const BufferNode &b);
/// Those of a function's parameters that no scalar is and a let of the body binds: a host function
/// computes sizes of the buffers it is given.
std::vector<Var> laterSizes(const Function &f);
/// The variables that a function mentions, in its parameters' sizes and its body, and does not bind: what
/// its scalars must be.
std::vector<Var> freeVariables(const Function &f);
/// Structural equality; variables and buffers by address.
bool equal(const Expr &a, const Expr &b);
/// Structural equality of functions up to the names and addresses of variables and buffers that
/// correspond by position.
bool equivalent(const Function &a, const Function &b);

/// An integer expression as constant + sum of coefficient * product of factors. A factor is a
/// variable or an expression that is not polynomial (min, max, floordiv, load ...). x mod d is seen
/// as x - d*(x div d), so that the address of a fused axis cancels exactly when the strides allow.
struct Affine {
  struct Term {
    std::vector<Expr> factors; // never empty
    int64_t coefficient;
  };
  std::vector<Term> terms;
  int64_t constant = 0;

  void add(const Affine &other, int64_t factor = 1);
  Affine times(const Affine &other) const;
  /// What `v` is multiplied by (terms linear in v, v removed); null-free, zero if v does not occur.
  Affine coefficientOf(const Var &v) const;
  /// All terms but those: *this is coefficientOf(v)*v + without(v). It still depends on v where v stands
  /// inside a factor, as in v div 2.
  Affine without(const Var &v) const;
  bool isConstant() const { return terms.empty(); }
};
Affine affine(const Expr &e);
Expr toExpr(const Affine &a);
bool equal(const Affine &a, const Affine &b);
/// The element offset of an access (of lane 0) from the buffer's base.
Affine elementOffset(const BufferNode &b, const std::vector<Expr> &indices);

struct Range {
  int64_t lo, hi; // inclusive
};
using Ranges = std::map<Var, Range>;
/// Bounds of an integer expression; variables outside `env` have their declared bounds.
Range rangeOf(const Expr &e, const Ranges &env = {});
/// Decides min, max, comparisons and selects that the ranges decide.
Expr simplify(const Expr &e, const Ranges &env);

} // namespace planish::loop
