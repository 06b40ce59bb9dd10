// Loop IR: immutable trees of expressions and statements over typed, strided, scoped buffers.
//
// Meaning. A function means what it means when every loop runs serially, in order. LoopKind only
// asserts that other orders give the same, so the interpreter ignores it and any schedule can be
// checked against the unscheduled function. Integer division is floor division; index arithmetic
// (i64) does not overflow; other integer arithmetic wraps; max(a, b) is a > b ? a : b and min(a, b)
// is a < b ? a : b; float arithmetic is IEEE with one rounding per node: nothing is contracted, a
// fused multiply-add is written as one. A lane whose mask is false neither reads (its value is 0)
// nor writes. The buffers of one function never alias. Vars and buffers are identified by address.
//
// Sizes, strides, loop bounds and launch grids are expressions over the function's scalar
// parameters, so one function serves every size within the bounds of its symbols.
#pragma once

#include "planish/ir/Types.h"
#include "planish/support/Overloaded.h"

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace planish::loop {

/// Handle to an immutable node; a default-made one means "absent".
template <class N> class Ref {
public:
  Ref() = default;
  explicit Ref(std::shared_ptr<const N> node) : ptr(std::move(node)) {}
  const N *operator->() const { return ptr.get(); }
  const N &operator*() const { return *ptr; }
  const N *get() const { return ptr.get(); }
  explicit operator bool() const { return bool(ptr); }

private:
  std::shared_ptr<const N> ptr;
};

struct ExprNode;
struct StmtNode;
using Expr = Ref<ExprNode>;
using Stmt = Ref<StmtNode>;

enum class Scope : uint8_t {
  Global,    // memory that a caller gives
  Constant,  // the same, never written
  Packed,    // a constant in the order a kernel reads it, padded with zeros, so never masked
  Register,  // small, constant shape, lives inside the function
  Scratch,   // the same, but large: in memory that the caller gives to each thread
};

/// A view of memory: element (i, j, ...) lives at base + i*strides[0] + j*strides[1] + ... elements.
/// A concat target, a channel slice and an NHWC map are the same buffer with other strides.
struct BufferNode {
  std::string name;
  DType dtype = DType::f32;  // one that is computed
  std::vector<Expr> shape, strides;  // in elements
  Scope scope = Scope::Global;
};
using Buffer = std::shared_ptr<const BufferNode>;

/// And, Or and Xor are of bits; of booleans they are the logical ones. Shl and Shr move bits by b places,
/// signed numbers keep their sign; where b is not in [0, bits), nothing but the sign is left.
enum class BinaryOp : uint8_t {
  Add,
  Sub,
  Mul,
  Div,
  FloorDiv,
  FloorMod,
  Min,
  Max,
  Lt,
  Le,
  Eq,
  And,
  Or,
  Xor,
  Shl,
  Shr
};

/// The closed set of functions. Rows of a table (Intrinsics in IR.cpp) give name and arity.
enum class Intrinsic : uint8_t {
  Fma,       // f32: a*b + c, one rounding
  Dot4,      // i32: c + sum of 4 products u8*s8, or s8*s8; the operands have four lanes per lane of c
  Round,     // f32 or f64 to the nearest integer, ties to even
  Floor,     // f32, f64
  Ceil,      // f32, f64
  Sqrt,      // f32, f64; correctly rounded
  Abs,       // f32, f64, i32, i64
  Scale2,    // p * 2^n, n an integral f32 in [-126, 127]; one rounding, NaN where p is NaN
  Bits,      // f32 as the i32 of the same bits
  FromBits,  // i32 as the f32 of the same bits
  Exp,       // the following are legalized to the ones above before code is made
  Log,
  Tanh,
  Erf,
  Sin,
  Cos,
  Prefetch,  // effect only, inside Eval: the argument is a Load of which just the address counts
};

struct IntImm {
  int64_t value;
};
struct FloatImm {
  double value;  // of an f32 a float's value
};
struct VarRef {
  Var var;
};
struct Binary {
  BinaryOp op;
  Expr a, b;
};
struct Select {
  Expr cond, a, b;  // both sides are evaluated; guard loads with masks
};
struct Cast {
  Expr value;  // to ExprNode::type; float to integer truncates toward zero and saturates, NaN gives 0;
              // integer to integer wraps; to b1 is value != 0; f64 to f32 rounds to nearest, ties to even
};
struct Load {
  Buffer buffer;
  std::vector<Expr> indices; // one per dimension; scalars, or vectors of equal lanes mixed with scalars
  Expr mask; // absent: all lanes
};
struct Call {
  Intrinsic fn;
  std::vector<Expr> args;
};
struct Ramp {
  Expr base; // i64; of a vector base every lane becomes lanes / base lanes consecutive ones
  int64_t stride; // lane l is base + l*stride; lanes from ExprNode::type
};
struct Broadcast {
  Expr value; // the value (scalar or vector) repeated up to ExprNode::type's lanes
};

struct ExprNode {
  Type type;
  std::variant<IntImm, FloatImm, VarRef, Binary, Select, Cast, Load, Call, Ramp, Broadcast> node;
};

enum class LoopKind : uint8_t {
  Serial,
  Parallel, // a call of the function runs a contiguous range of its iterations (the task range)
  Vectorized, // constant trip count; becomes vector lanes
  Unrolled, // constant bounds; becomes copies
};

struct For {
  Var var;
  Expr begin, end; // var in [begin, end)
  LoopKind kind;
  Stmt body;
};
struct While {
  Expr cond; // host function only
  Stmt body;
};
struct Store {
  Buffer buffer;
  std::vector<Expr> indices;
  Expr value, mask;
};
struct Alloc {
  Buffer buffer;
  Stmt body;
};
struct If {
  Expr cond;
  Stmt then;
};
struct Let {
  Var var;
  Expr value;
  Stmt body;
};
struct Block {
  std::vector<Stmt> stmts;
};
struct Eval {
  Expr call;
};

struct Function;
using FunctionRef = std::shared_ptr<const Function>;

/// Host function only: runs all tasks of a kernel. Buffers and scalars bind its parameters in order.
struct Launch {
  FunctionRef kernel;
  std::vector<Buffer> buffers;
  std::vector<Expr> scalars;
  Expr tasks; // iterations of the kernel's parallel loop; 1 where it has none
};

struct StmtNode {
  std::variant<For, While, Store, Alloc, If, Let, Block, Eval, Launch> node;
};

/// A kernel, a packing, or the host function of a program.
struct Function {
  std::string name;
  std::vector<Buffer> params;
  std::vector<Var> scalars; // i64: symbols that shapes, strides and bounds mention
  Stmt body;
};

template <class N, class... Fs> auto match(const N &n, Fs... fs) { // exhaustive
  return std::visit(Overloaded{std::move(fs)...}, n->node);
}
template <class T> const T *as(const Expr &e) { return e ? std::get_if<T>(&e->node) : nullptr; }
template <class T> const T *as(const Stmt &s) { return s ? std::get_if<T>(&s->node) : nullptr; }

// ---- building ------------------------------------------------------------------------------------
// The builders fold constants and keep scalar i64 arithmetic in affine normal form, so equal index
// expressions are structurally equal and no separate index simplifier is needed.

Expr makeExpr(Type type, decltype(ExprNode::node) node);
Stmt makeStmt(decltype(StmtNode::node) node);
Var var(std::string name, Type type = {}, int64_t lower = INT32_MIN, int64_t upper = INT32_MAX);
Buffer buffer(std::string name, DType dtype, std::vector<Expr> shape, std::vector<Expr> strides = {},
              Scope scope = Scope::Global); // no strides: dense, last dimension innermost
Buffer buffer(std::string name, DType dtype, const std::vector<int64_t> &shape,
              const std::vector<int64_t> &strides = {}, Scope scope = Scope::Global);

Expr imm(int64_t value, Type type = {});
Expr fimm(double value, int lanes = 1); // of f32
Expr constant(double value, Type type); // an immediate of any type
Expr use(const Var &v);
Expr extentOf(const Dim &d); // an immediate, or the use of the symbol
Expr binary(BinaryOp op, const Expr &a, const Expr &b);
Expr call(Intrinsic fn, std::vector<Expr> args);
Expr cast(DType dtype, const Expr &e);
Expr load(const Buffer &b, std::vector<Expr> indices, Expr mask = {});
Expr select(const Expr &cond, const Expr &a, const Expr &b);
Expr ramp(const Expr &base, int64_t stride, int lanes);
Expr broadcast(const Expr &value, int times);
Stmt loop(const Var &v, Expr begin, Expr end, LoopKind kind, Stmt body);
Stmt store(const Buffer &b, std::vector<Expr> indices, Expr value, Expr mask = {});
Stmt block(std::vector<Stmt> stmts);
Stmt ifThen(const Expr &cond, const Stmt &then); // folds a constant condition

inline Expr operator+(const Expr &a, const Expr &b) { return binary(BinaryOp::Add, a, b); }
inline Expr operator-(const Expr &a, const Expr &b) { return binary(BinaryOp::Sub, a, b); }
inline Expr operator*(const Expr &a, const Expr &b) { return binary(BinaryOp::Mul, a, b); }
inline Expr operator+(const Expr &a, int64_t b) { return a + imm(b); }
inline Expr operator-(const Expr &a, int64_t b) { return a - imm(b); }
inline Expr operator*(const Expr &a, int64_t b) { return a * imm(b); }
inline Expr floorDiv(const Expr &a, const Expr &b) { return binary(BinaryOp::FloorDiv, a, b); }
inline Expr floorMod(const Expr &a, const Expr &b) { return binary(BinaryOp::FloorMod, a, b); }
inline Expr ceilDiv(const Expr &a, int64_t b) { return floorDiv(a + imm(b - 1), imm(b)); }
inline Expr min(const Expr &a, const Expr &b) { return binary(BinaryOp::Min, a, b); }
inline Expr max(const Expr &a, const Expr &b) { return binary(BinaryOp::Max, a, b); }
inline Expr lessThan(const Expr &a, const Expr &b) { return binary(BinaryOp::Lt, a, b); }
inline Expr lessEqual(const Expr &a, const Expr &b) { return binary(BinaryOp::Le, a, b); }
inline Expr conjunction(const Expr &a, const Expr &b) {
  return !a ? b : !b ? a : binary(BinaryOp::And, a, b);
}

/// 1.5 * 2^23. fma(x, y, kRounder) is the integer nearest to x*y (|x*y| < 2^22, ties to even) in the low
/// bits of a float: bits(fma(x, y, kRounder)) - kRounderBits. It is never taken apart: one rounding is what
/// it is for.
inline constexpr double kRounder = 12582912.0;
inline constexpr int64_t kRounderBits = 0x4B400000;

/// The value of an integer immediate, if it is one.
std::optional<int64_t> constantOf(const Expr &e);
/// True if every dimension and stride of the buffer is constant.
bool hasConstantShape(const BufferNode &b);
/// The constant dimensions (or strides); a check fails where one is not constant.
std::vector<int64_t> constantsOf(const std::vector<Expr> &exprs);

/// Strides of a buffer without gaps, last dimension innermost.
std::vector<Expr> denseStrides(const std::vector<Expr> &shape);

std::string_view nameOf(Intrinsic fn);
size_t arityOf(Intrinsic fn);
/// The type of a call of `fn` with as many arguments as it takes.
Type typeOf(Intrinsic fn, const std::vector<Expr> &args);
std::string_view nameOf(BinaryOp op);

} // namespace planish::loop
