// Loop IR -> LLVM IR for one function body. Statements.cpp walks statements and forms pointers,
// Memory.cpp loads and stores, Codes.cpp stores 8-bit codes, Expressions.cpp and Intrinsics.cpp compute.
//
// Addressing. LLVM's loop strength reduction is off, so pointers are formed here. Every access has
// one address: base + constant + sum of (bytes * term). A term belongs to the innermost loop or let
// variable it mentions. Drop the constant: accesses of a buffer with the same terms are one
// *stream*. A stream's pointer is built along the loop nest: outside all loops it is the base plus
// what the scalar parameters add; at a loop whose variable occurs linearly with coefficient c, the
// loop carries it in a phi that starts at outer pointer + begin*c and grows by c per iteration, where
// c is a constant or a value computed at the loop's entry; a term that is not linear in the variable
// is added once per iteration, at its top; at a loop the stream does not mention, the outer pointer is
// used as it is. Streams that agree on all terms added so far share their pointer, so pointers form a
// tree that branches only where terms differ. A pointer that accesses use directly starts at the
// smallest of their constants, so displacements are never negative (AArch64 has none).
// A term that reads memory or might trap is added at the access itself, behind its guards.
#pragma once

#include "Access.h"

#include "planish/loop/Passes.h"
#include "planish/target/Target.h"

#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

namespace planish::codegen {

class Emitter {
public:
  /// Emits at the end of `entry`, where allocas go as well.
  Emitter(llvm::BasicBlock *entry, const Target &target);

  /// A buffer whose memory starts at `base`, plus `extra` elements (may be absent).
  void bind(const loop::Buffer &buffer, llvm::Value *base, loop::Expr extra = {});
  /// A scalar parameter.
  void bind(const Var &var, llvm::Value *value);
  /// Where scratch buffers lie; without it there may be none.
  void scratch(llvm::Value *base, loop::ScratchPlan plan);
  /// The iterations of parallel loops that this call runs; without it they run whole.
  void tasks(llvm::Value *begin, llvm::Value *end);

  void body(const loop::Stmt &s);

  llvm::IRBuilder<> b;
  llvm::Value *expr(const loop::Expr &e);
  /// The address of the buffer's element (0, ..., 0).
  llvm::Value *baseOf(const loop::Buffer &buffer);
  /// Emits a launch; set by the host function only.
  std::function<void(const loop::Launch &)> launch;

private:
  using Terms = std::vector<std::pair<int, int64_t>>;
  struct Stream {
    const loop::BufferNode *buffer;
    Terms terms;     // those that may be computed early
    int64_t lowest;  // the smallest constant of its accesses, in elements
  };
  struct Pointer {
    const loop::BufferNode *buffer;
    Terms added;          // what `value` already contains
    llvm::Value *value;
    int64_t bias;         // bytes already added
  };
  struct Parts {          // a stream's terms that belong to one variable
    Terms outer, linear, rest;
  };

  // Statements.cpp
  void stmt(const loop::Stmt &s);
  void forLoop(const loop::For &f);
  void whileLoop(const loop::While &w);
  void branch(const loop::If &i);
  void let(const loop::Let &l);
  llvm::Value *placeOf(const loop::BufferNode &buffer);
  void alloc(const loop::Alloc &a);
  void prefetch(const loop::Expr &e);
  llvm::BasicBlock *block(const llvm::Twine &name);

  // Pointers.cpp
  const std::vector<Stream> &streams(const loop::Stmt &s);
  const Access &accessOf(const void *node, const loop::Buffer &buffer, const std::vector<loop::Expr> &indices,
                         int lanes);
  int levelOf(int term) const;
  Parts partsOf(const Stream &s, const VarNode *v) const;
  const Pointer *find(const loop::BufferNode *buffer, const Terms &added) const;
  void introduce(const loop::BufferNode *buffer, llvm::Value *base, const std::vector<Stream> &all);
  std::vector<Pointer> carried(const VarNode *v, const std::vector<Stream> &all,
                               std::vector<llvm::Value *> &steps);
  void addRest(const VarNode *v, const std::vector<Stream> &all);
  void settle(Pointer &p, const std::vector<Stream> &all);
  llvm::Value *bytesOf(const Terms &terms, const loop::BufferNode &buffer, const VarNode *without = nullptr);
  llvm::Value *step(llvm::Value *pointer, llvm::Value *bytes);
  llvm::Value *address(const Access &a);

  // Memory.cpp
  llvm::Value *load(const loop::Expr &e, const loop::Load &l);
  void store(const loop::Store &s);
  size_t storeTogether(std::span<const loop::Stmt> stmts);
  llvm::Value *loadLanes(const Access &a, llvm::Type *type, llvm::Value *mask);
  void storeLanes(const Access &a, llvm::Value *value, llvm::Value *mask);
  llvm::Value *interleaved(std::vector<llvm::Value *> parts);
  llvm::Value *loadRows(const Access &a, int rows, llvm::Type *type, llvm::Value *mask);
  llvm::Value *loadScattered(const Access &a, llvm::Type *type);
  llvm::Value *lookedUp(const Access &a, llvm::Value *codes);
  bool isX86() const;
  llvm::Value *shuffled(unsigned shuffle, llvm::Value *table, llvm::Value *codes);
  llvm::Value *permuted(llvm::Value *table, llvm::Value *codes);
  llvm::Value *permutedFloats(const Access &a, llvm::Value *entries);
  llvm::Value *loadStrided(const Access &a, int64_t stride, llvm::Type *type);
  llvm::Value *loadRuns(const Access &a, int run, llvm::Type *type);
  llvm::Value *laneAddresses(const Access &a);
  llvm::Value *safeAddress(llvm::Value *p, llvm::Value *mask);

  // Codes.cpp
  struct Code;
  /// 32 to 16 bits signed, 16 signed to 8 unsigned; both saturate.
  struct Narrowing {
    int lanes;
    unsigned words, bytes;
  };
  std::optional<Code> codeOf(const loop::Expr &value);
  std::vector<Code> groupOf(std::span<const loop::Expr> list);
  const Narrowing *narrowing(int lanes) const;
  size_t storeCodes(std::span<const loop::Stmt> stmts);
  void prepareInner(const std::vector<Code> &group);
  llvm::Value *part(llvm::Value *v, int at, int lanes, int count = 1);
  llvm::Value *narrowed(const std::vector<Code> &group);
  void storeGroup(std::span<const loop::Store *const> group, llvm::Value *codes);

  // Expressions.cpp
  llvm::Type *type(Type t);
  llvm::Type *memoryType(Type t);
  llvm::Value *fitted(llvm::Value *v, int lanes);
  llvm::Value *broadcast(const loop::Broadcast &x, Type t);
  llvm::Value *ramp(const loop::Ramp &r, Type t);
  llvm::Value *binary(const loop::Binary &x, Type t);
  llvm::Value *floatBinary(loop::BinaryOp op, llvm::Value *p, llvm::Value *q);
  llvm::Value *integerBinary(loop::BinaryOp op, llvm::Value *p, llvm::Value *q, bool isSigned);
  llvm::Value *shift(loop::BinaryOp op, llvm::Value *p, llvm::Value *q, bool isSigned);
  llvm::Value *floorDivision(const loop::Binary &x, llvm::Value *p, llvm::Value *q);
  llvm::Value *saturated(llvm::Value *v, Type to);
  llvm::Value *convert(const loop::Cast &c, Type to);

  // Intrinsics.cpp
  llvm::Value *intrinsic(const loop::Call &c, Type t);
  llvm::Value *rounded(llvm::Value *x, llvm::Value *y);
  llvm::Value *fma(llvm::Value *x, llvm::Value *y, llvm::Value *z);
  llvm::Value *scale2(llvm::Value *x, llvm::Value *n, int lanes);
  llvm::Value *integral(unsigned rounding, llvm::Value *x);
  llvm::Value *dot4(llvm::Value *x, llvm::Value *y, llvm::Value *z, int lanes, bool isSigned);
  llvm::Value *dot4Of(llvm::Value *x, llvm::Value *y, llvm::Value *z, int lanes, bool isSigned);
  llvm::Value *armDot4(llvm::Value *x, llvm::Value *y, llvm::Value *z, bool isSigned);

  llvm::LLVMContext &ctx;
  llvm::BasicBlock *entry;
  const Target &target;
  llvm::Value *taskBegin = nullptr, *taskEnd = nullptr, *scratchBase = nullptr;
  loop::ScratchPlan scratchPlan;
  std::vector<const VarNode *> scope; // enclosing loop and let variables, outermost first
  std::unordered_map<const VarNode *, int> levels; // 0: parameters, else 1 + place in `scope`
  std::unordered_map<const VarNode *, llvm::Value *> vars;
  loop::Ranges ranges; // of the variables in scope
  std::vector<Pointer> pointers; // valid in the current scope
  std::unordered_map<const loop::BufferNode *, loop::Expr> extras;
  std::vector<std::pair<const loop::BufferNode *, llvm::Value *>> bases;
  TermTable terms;
  std::unordered_map<const void *, Access> accesses; // by load or store node
  std::unordered_map<const loop::StmtNode *, std::vector<Stream>> memo;
  std::unordered_map<const loop::ExprNode *, llvm::Value *> values; // of the current statement
};

} // namespace planish::codegen
