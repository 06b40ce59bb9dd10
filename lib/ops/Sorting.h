// Sorted selections as loops: the first elements of an order, kept in a heap whose root is the last of them.
#pragma once

#include "Common.h"

namespace planish::ops {

using loop::LoopKind;
using loop::Stmt;

/// A variable of a loops body: a register that statements read and write.
class Cell {
public:
  explicit Cell(const std::string &name, DType dtype = DType::i64)
      : buffer(loop::buffer(name, dtype, Ints{1}, {}, loop::Scope::Register)) {}
  Expr get() const { return load(buffer, {imm(0)}); }
  Stmt set(const Expr &value) const { return loop::store(buffer, {imm(0)}, value); }
  Stmt add(int64_t n) const { return set(get() + n); }
  /// The statements for which the cell exists.
  Stmt around(std::vector<Stmt> body) const {
    return loop::makeStmt(loop::Alloc{buffer, loop::block(std::move(body))});
  }

private:
  loop::Buffer buffer;
};

/// for name in [begin, end), at most `bound` of them.
Stmt forEach(const std::string &name, const Expr &begin, const Expr &end, int64_t bound,
             const std::function<Stmt(const Expr &)> &body, LoopKind kind = LoopKind::Serial);
Stmt whileTrue(const Expr &condition, Stmt body);

/// Positions of elements (i64) at places 0, 1, ... of some buffer, and their order.
struct Positions {
  std::function<Expr(const Expr &place)> get;
  std::function<Stmt(const Expr &place, const Expr &position)> set;
  std::function<Expr(const Expr &a, const Expr &b)> before; // of two positions; a total order
};

/// Fills places [0, count) with the first `count` of the positions [0, size) in order. `wanted` (may be
/// absent) says which positions count; then `found` receives how many there are, at most `count`.
Stmt sortedSelection(const Positions &p, const Expr &size, int64_t sizeBound, const Expr &count,
                     int64_t countBound, const std::function<Expr(const Expr &)> &wanted = {},
                     const Cell *found = nullptr);

} // namespace planish::ops
