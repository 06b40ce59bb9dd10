// The result of a sum of products in blocks of rows x columns, one for each group of work-items. What the
// contraction templates for groups share.
#pragma once

#include "Roles.h"

namespace planish::schedule {

class Blocks {
public:
  Blocks(const Kernel &k, const Roles &r, int64_t rowsOfBlock, int64_t columnsOfBlock);

  Digits shared, rows, columns;
  Expr row0, column0; // where the block begins

  /// The shared axes' values in this block.
  loop::Substitution here() const;
  /// Stores one result: the sum with what it starts at, and the epilogue.
  loop::Stmt result(const Expr &row, const Expr &column, Expr sum) const;
  /// All groups, of which each does `body`.
  loop::Function function(std::vector<loop::Buffer> params, loop::Stmt body) const;

private:
  const loop::Compute &def;
  int64_t rowsOfBlock, columnsOfBlock;
  Expr rowBlocks, columnBlocks, groups;
  Var group, row, column;
};

/// The steps of a group that brings slices to one half of its memory while it multiplies what is in the
/// other: `clear` begins an item, `bring` fetches its part of a step's slices to half step % 2.
loop::Stmt inTwoHalves(int64_t items, const Expr &steps,
                       const std::function<loop::Stmt(const Expr &item)> &clear,
                       const std::function<loop::Stmt(const Expr &item, const Expr &step)> &bring,
                       const std::function<loop::Stmt(const Expr &item, const Expr &half)> &multiply);

} // namespace planish::schedule
