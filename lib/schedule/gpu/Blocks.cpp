#include "Blocks.h"

namespace planish::schedule {

using namespace loop;

Blocks::Blocks(const Kernel &k, const Roles &r, int64_t rowsOfBlock, int64_t columnsOfBlock)
    : shared(k, r.shared), rows(k, r.rows), columns(k, r.columns), def(k.compute()), rowsOfBlock(rowsOfBlock),
      columnsOfBlock(columnsOfBlock), rowBlocks(ceilDiv(rows.count, rowsOfBlock)),
      columnBlocks(ceilDiv(columns.count, columnsOfBlock)), groups(shared.count * rowBlocks * columnBlocks),
      group(counterTo("group", groups)), row(counterTo("row", rows.count)),
      column(counterTo("column", columns.count)) {
  row0 = use(row), column0 = use(column);
}

Substitution Blocks::here() const {
  Substitution at;
  shared.add(floorDiv(use(group), rowBlocks * columnBlocks), at);
  return at;
}

Stmt Blocks::result(const Expr &atRow, const Expr &atColumn, Expr sum) const {
  Substitution at = here();
  rows.add(atRow, at), columns.add(atColumn, at);
  if (def.init) sum = substitute(def.init, at) + sum;
  std::vector<Expr> indices;
  for (const Expr &i : def.outIndices) indices.push_back(substitute(i, at));
  at[def.sum] = sum;
  return store(def.out, indices, substitute(def.value, at));
}

Function Blocks::function(std::vector<Buffer> params, Stmt body) const {
  body = makeStmt(Let{column, floorMod(use(group), columnBlocks) * columnsOfBlock, body});
  body = makeStmt(Let{row, floorMod(floorDiv(use(group), columnBlocks), rowBlocks) * rowsOfBlock, body});
  return {def.name, std::move(params), def.scalars,
          loop::loop(group, imm(0), groups, LoopKind::Parallel, body)};
}

Stmt inTwoHalves(int64_t items, const Expr &steps, const std::function<Stmt(const Expr &)> &clear,
                 const std::function<Stmt(const Expr &, const Expr &)> &bring,
                 const std::function<Stmt(const Expr &, const Expr &)> &multiply) {
  Var step = counterTo("step", steps);
  Stmt begin = eachItem(items, [&](const Expr &item) { return block({clear(item), bring(item, imm(0))}); });
  Stmt next = eachItem(items, [&](const Expr &item) {
    return block({ifThen(lessThan(use(step) + 1, steps), bring(item, use(step) + 1)),
                  multiply(item, floorMod(use(step), imm(2)))});
  });
  return block({begin, loop::loop(step, imm(0), steps, LoopKind::Serial, next)});
}

} // namespace planish::schedule
