// Matrix products with batch broadcasting.
#include "Quantization.h"
#include "Rows.h"
#include "Sorting.h"

namespace planish::ops {

namespace {

Types inferMatmul(InferContext &c) {
  PLANISH_TRY(wantOperands(c, 2, 2));
  constexpr DTypes codes = bit(DType::u8) | bit(DType::i8);
  PLANISH_TRY(wantType(c, 0, kFloats | kLongs | codes));
  bool isCodes = (bit(c.in(0).dtype) & codes) != 0;
  PLANISH_TRY(isCodes ? wantType(c, 1, codes | bit(DType::i32)) : wantSameType(c, 0, 1));
  PLANISH_TRY(wantRank(c, 0, 2));
  PLANISH_TRY(wantRank(c, 1, 2));
  const Shape &a = c.in(0).shape, &b = c.in(1).shape;
  const Dim &depth = a.back(), &rows = b[b.size() - 2];
  if (depth != rows && (depth.isConstant() || rows.isConstant()))
    return badInput("cannot multiply " + textOf(c.in(0)) + " by " + textOf(c.in(1)));
  PLANISH_ASSIGN(Shape out, broadcastShape(c, Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2)));
  out.push_back(a[a.size() - 2]);
  out.push_back(b.back());
  return oneOutput({isCodes ? DType::i32 : c.in(0).dtype, std::move(out), {}, {}});
}

Compute computeMatmul(const OpView &v) {
  const Shape &out = v.outType.shape, &a = v.inTypes[0].shape;
  Compute c;
  c.name = "matmul";
  for (size_t d = 0; d + 2 < out.size(); ++d) c.space.push_back(axis("b" + std::to_string(d), out[d]));
  Exprs batch = usesOf(c.space);
  Iter m = axis("m", out[out.size() - 2]), n = axis("n", out.back()), k = axis("k", a.back());
  c.space.push_back(m), c.space.push_back(n);
  c.reduce = {k};
  auto element = [&](int input, const Expr &row, const Expr &column) {
    Exprs at = batch;
    at.push_back(row), at.push_back(column);
    Exprs from = graph::broadcastIndices(v, input, at);
    from[from.size() - 2] = row, from.back() = column;
    return cast(v.outType.dtype, load(v.in[size_t(input)], from));
  };
  c.lhs = element(0, use(m.var), use(k.var));
  c.rhs = element(1, use(k.var), use(n.var));
  c.out = v.out;
  c.outIndices = usesOf(c.space);
  return reduced(std::move(c), Combine::Sum, v.outType.dtype);
}

/// A vector counts as a row on the left and as a column on the right.
std::vector<ValueId> importMatmul(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  Shape sa = i.type(a).shape, sb = i.type(b).shape;
  if (sa.empty() || sb.empty()) i.fail("a scalar cannot be multiplied as a matrix");
  if (i.error()) return one(a);
  if (sa.size() == 1) a = reshaped(i, a, {Dim(1), sa[0]});
  if (sb.size() == 1) b = reshaped(i, b, {sb[0], Dim(1)});
  ValueId r = i.append(kMatmul, {}, {a, b});
  if (i.error()) return one(r);
  Shape out = i.type(r).shape;
  if (sb.size() == 1) out.pop_back();
  if (sa.size() == 1) out.erase(out.end() - (sb.size() == 1 ? 1 : 2));
  return one(reshaped(i, r, out));
}

/// alpha * A' B' + beta * C.
std::vector<ValueId> importGemm(Importer &i) {
  ValueId a = i.in(0), b = i.in(1);
  if (i.type(a).rank() != 2 || i.type(b).rank() != 2)
    i.fail("operands are " + textOf(i.type(a)) + " and " + textOf(i.type(b)) + ", expected rank 2");
  if (i.error()) return one(a);
  double alpha = i.floatAttr("alpha", 1), beta = i.floatAttr("beta", 1);
  if (i.intAttr("transA", 0)) a = transposed(i, a, {1, 0});
  if (i.intAttr("transB", 0)) b = transposed(i, b, {1, 0});
  ValueId r = i.append(kMatmul, {}, {a, b});
  if (alpha != 1) r = apply(i, Binary::Mul, r, alpha);
  if (!i.has(2) || beta == 0) return one(r);
  ValueId c = i.in(2);
  return one(apply(i, Binary::Add, r, beta == 1 ? c : apply(i, Binary::Mul, c, beta)));
}

// ---- determinants --------------------------------------------------------------------------------

/// The second result is working memory: the matrix while it becomes triangular.
Types inferDet(InferContext &c) {
  PLANISH_TRY(wantType(c, 0, kFloats));
  PLANISH_TRY(wantRank(c, 0, 2));
  const Shape &x = c.in(0).shape;
  PLANISH_TRY(sameDim(c, x[x.size() - 2], x.back()));
  PLANISH_ASSIGN(std::vector<TensorType> r, oneOutput({DType::f32, Shape(x.begin(), x.end() - 2), {}, {}}));
  r.push_back({DType::f32, {x.back(), x.back()}, {}, {}});
  return r;
}
/// Gauss's elimination; every column's largest element becomes its pivot.
Stmt loopsDet(const graph::LoopsView &v) {
  const Shape &x = v.inTypes[0].shape;
  size_t batch = x.size() - 2;
  Expr n = extentOf(x.back());
  int64_t most = x.back().upper();
  const loop::Buffer &m = v.out[1];
  Cell det("det", DType::f32), pivot("pivot"), factor("factor", DType::f32);
  auto at = [&](const Expr &r, const Expr &c) { return load(m, {r, c}); };
  auto magnitude = [&](const Expr &e) { return loop::call(Intrinsic::Abs, {e}); };
  auto rows = [&](const char *name, const Expr &begin, const std::function<Stmt(const Expr &)> &body) {
    return forEach(name, begin, n, most, body);
  };
  auto eliminate = [&](const Expr &k) {
    Stmt choose = rows("r", k + 1, [&](const Expr &r) {
      return loop::ifThen(lessThan(magnitude(at(pivot.get(), k)), magnitude(at(r, k))), pivot.set(r));
    });
    Stmt swap = rows("c", k, [&](const Expr &c) {
      return loop::block({factor.set(at(k, c)), loop::store(m, {k, c}, at(pivot.get(), c)),
                          loop::store(m, {pivot.get(), c}, factor.get())});
    });
    Stmt exchange =
        loop::ifThen(lessThan(k, pivot.get()), loop::block({swap, det.set(det.get() * loop::fimm(-1))}));
    Stmt reduce = rows("r", k + 1, [&](const Expr &r) {
      return loop::block(
          {factor.set(binary(BinaryOp::Div, at(r, k), at(k, k))), rows("c", k, [&](const Expr &c) {
             return loop::store(m, {r, c}, at(r, c) - factor.get() * at(k, c));
           })});
    });
    Expr isZero = binary(BinaryOp::Eq, at(k, k), loop::fimm(0));
    return loop::block({pivot.set(k), choose, exchange, det.set(det.get() * at(k, k)),
                        loop::ifThen(negation(isZero), reduce)});
  };
  Exprs index;
  std::function<Stmt()> over = [&]() -> Stmt {
    if (index.size() < batch) {
      const Dim &size = x[index.size()];
      return forEach("b" + std::to_string(index.size()), imm(0), extentOf(size), size.upper(),
                     [&](const Expr &b) {
                       index.push_back(b);
                       Stmt s = over();
                       index.pop_back();
                       return s;
                     });
    }
    Stmt copy = rows("r", imm(0), [&](const Expr &r) {
      return rows("c", imm(0), [&](const Expr &c) {
        Exprs from = index;
        from.push_back(r), from.push_back(c);
        return loop::store(m, {r, c}, load(v.in[0], from));
      });
    });
    return loop::block({copy, det.set(loop::fimm(1)), rows("k", imm(0), eliminate),
                        loop::store(v.out[0], index, det.get())});
  };
  return det.around({pivot.around({factor.around({over()})})});
}
const OpDef kDet = {.name = "det",
                    .summary = "determinant of the last two dimensions; the second result is working memory",
                    .operands = "x",
                    .layout = LayoutRule::RowMajor,
                    .infer = inferDet,
                    .loops = loopsDet};
std::vector<ValueId> importDet(Importer &i) {
  std::vector<ValueId> r = i.appendAll(kDet, {}, {i.in(0)}, 2);
  return one(r[0]);
}

} // namespace

const OpDef kMatmul = {.name = "matmul",
                       .summary =
                           "matrix product of the last two dimensions, the others broadcast; of codes in i32",
                       .operands = "a, b",
                       .cls = OpClass::Contraction,
                       .layout = LayoutRule::RowMajor,
                       .infer = inferMatmul,
                       .compute = computeMatmul,
                       .integer = integerMatmul};

Family matmulFamily() {
  return {{&kMatmul, &kDet}, {{"MatMul", 1, importMatmul}, {"Gemm", 1, importGemm}, {"Det", 11, importDet}}};
}

} // namespace planish::ops
