// Addresses as the emitter sees them: an access is a buffer, a sum of interned terms for lane 0, and
// where the other lanes lie relative to it. No LLVM here.
#pragma once

#include "planish/loop/Rewrite.h"

#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace planish::codegen {

/// Sum of coefficient * term, plus a constant; terms by their number in a TermTable, ascending, so
/// equal sums have equal vectors.
struct Offset {
  std::vector<std::pair<int, int64_t>> terms;
  int64_t constant = 0;

  void add(int term, int64_t coefficient);
};

/// Products of factors, each product and factor stored once. A factor is a variable or an expression
/// that is not polynomial.
class TermTable {
public:
  struct Factor {
    loop::Expr expr;
    const VarNode *var = nullptr;           // of a plain variable, else null
    std::vector<const VarNode *> mentions;  // every variable below
    bool early = true; // may be computed before its guards: reads and divides by nothing unknown
  };
  struct Term {
    std::vector<int> factors;
    bool early = true;
  };

  Offset intern(const loop::Affine &a);
  const Term &term(int id) const { return terms[size_t(id)]; }
  const Factor &factor(int id) const { return factors[size_t(id)]; }

private:
  int factorOf(const loop::Expr &e);
  std::vector<Factor> factors;
  std::vector<Term> terms;
  std::unordered_map<const VarNode *, int> variables;
  std::unordered_map<const loop::ExprNode *, int> atoms; // nodes already seen, to skip comparing
  std::vector<loop::Expr> kept; // their owners, so that no address returns
  std::map<std::vector<int>, int> products;
};

/// A part of the lanes' distances that is known only at run time: delta[lane] * value elements.
struct LaneStep {
  loop::Expr value;
  std::vector<int64_t> delta;
};

/// One load, store or prefetch.
struct Access {
  const loop::BufferNode *buffer = nullptr;
  Offset offset; // of lane 0, in elements, without `irregular`
  std::vector<int64_t> lanes; // constant element distance of every lane from lane 0
  std::vector<LaneStep> steps; // run-time strides between lanes
  std::vector<std::pair<loop::Expr, loop::Expr>> irregular; // vector index, stride of its dimension

  bool constantLanes() const { return steps.empty() && irregular.empty(); }
};

/// `extra` elements are added to the offset (the place of a buffer in a larger one); may be absent.
Access analyse(TermTable &table, const loop::BufferNode &buffer, const std::vector<loop::Expr> &indices,
               int lanes, const loop::Expr &extra);

inline constexpr int64_t kTableFloats = 32;
/// The u8 codes by which a vector reads a table of 256 bytes, where that is what the access is.
loop::Expr tableCodes(const Access &a, Type t);
/// The numbers of entries by which a vector reads a table of kTableFloats, where that is what the access is.
loop::Expr tableEntries(const Access &a, Type t);

} // namespace planish::codegen
