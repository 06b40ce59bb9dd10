// What several passes ask of a node through its row.
#pragma once

#include "planish/graph/OpDef.h"
#include "planish/loop/Rewrite.h"

#include <optional>

namespace planish::transform {

using graph::Graph;
using graph::kAbsent;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

/// The node's types as its row's questions want them; buffers of the logical shapes, dense.
graph::OpView opView(const Graph &g, const Node &node);

/// What a node of one result computes, over the buffers of `opView`.
struct Meaning {
  graph::OpView view;
  loop::Compute compute;
};
std::optional<Meaning> meaningOf(const Graph &g, const Node &node);

/// The operand that an expression reads in place, or -1. A masked read counts only where `selected`: where a
/// select chooses among reads.
int operandRead(const Meaning &m, const loop::Expr &e, bool selected = false);

/// Which arithmetic of its f32 operands a node is: operands `a` and `b`, both read in place or broadcast.
struct Pair {
  loop::BinaryOp op;
  size_t a, b;
};
std::optional<Pair> pairOf(const Graph &g, const Node &node);

/// A node of one operand that can be a view of it.
bool isRenaming(const Node &node);
/// A node whose operands are parts of its result's memory.
bool isJoin(const Node &node);
/// Where the result of the first of a chain of renamings lies, each the reader of the next one's result, if
/// the last one's operand is dense.
std::optional<graph::View> throughChain(const Graph &g, const std::vector<NodeId> &chain,
                                        const TensorType &from);

/// An expression with the axes of one iteration at their only value.
loop::Expr withoutUnitAxes(const loop::Compute &c, const loop::Expr &e);

/// Equal element by element and in where they start.
bool equal(const graph::View &a, const graph::View &b, const Shape &shape);

/// The order of dimensions in memory, outermost first, that strides over a shape amount to; empty where
/// that is the order as written. Dimensions of size 1 lie anywhere, so they do not count.
Layout orderOf(const graph::View &view, const Shape &shape);

/// The layout without the freedom of dimensions of size 1.
Layout normalized(const Layout &layout, const Shape &shape);

} // namespace planish::transform
