// reduction.gpu: few sums of many terms, as means of planes, rows of a softmax, products of a matrix and a
// vector. A group makes one result: each item combines every n-th term, then one item combines what they
// found.
#include "Internal.h"

namespace planish::schedule {
namespace {

using namespace loop;

constexpr int64_t kTermsPerItem = 4; // below this the last step costs more than the groups save

bool matches(const Kernel &k, const Target &t) {
  if (t.groupItems < 2 || t.localBytes == 0 || !k.reduces()) return false;
  double terms = 1;
  for (const Axis &a : k.reduceAxes()) terms *= double(k.upperExtent(a));
  return terms >= double(kTermsPerItem * t.groupItems);
}

Kernel::Lowered build(const Kernel &k, const Config &, const Target &t) {
  const Compute &def = k.compute();
  std::vector<Axis> space = k.spaceAxes(), reduce = k.reduceAxes();
  int64_t items = t.groupItems;
  auto digits = [&](const std::vector<Axis> &axes, Expr rest, Substitution &to) {
    for (size_t i = axes.size(); i-- > 0;) {
      to[axes[i]] = i == 0 ? rest : floorMod(rest, k.extent(axes[i]));
      rest = floorDiv(rest, k.extent(axes[i]));
    }
  };
  auto count = [&](const std::vector<Axis> &axes) {
    Expr n = imm(1);
    for (const Axis &a : axes) n = n * k.extent(a);
    return n;
  };
  auto counter = [](const char *name, const Expr &n) {
    return var(name, {}, 0, std::max<int64_t>(rangeOf(n).hi - 1, 0));
  };
  auto each = [&](const std::function<Stmt(const Expr &)> &body) {
    Var item = var("item", {}, 0, items - 1);
    return loop::loop(item, imm(0), imm(items), LoopKind::Parallel, body(use(item)));
  };
  Expr groups = count(space), terms = count(reduce), rounds = ceilDiv(terms, items);
  Var group = counter("group", groups), round = counter("round", rounds);
  Buffer parts = buffer("parts", def.accumulator, std::vector<int64_t>{items}, {}, Scope::Scratch);
  Substitution at;
  digits(space, use(group), at);

  Stmt gather = each([&](const Expr &item) {
    Expr term = use(round) * items + item, current = load(parts, {item});
    Substitution here = at;
    digits(reduce, term, here);
    Expr lhs = substitute(def.lhs, here), rhs = def.rhs ? substitute(def.rhs, here) : Expr();
    Stmt add = store(parts, {item}, combined(def, current, lhs, rhs));
    for (size_t i = def.where.size(); i-- > 0;)
      add = ifThen(lessEqual(imm(0), substitute(def.where[i], here)), add);
    add = ifThen(lessThan(term, terms), add);
    return block({store(parts, {item}, neutral(def.combine, def.accumulator)),
                  loop::loop(round, imm(0), rounds, LoopKind::Serial, add)});
  });
  Stmt finish = each([&](const Expr &item) {
    Buffer acc = buffer("acc", def.accumulator, std::vector<int64_t>{1}, {}, Scope::Register);
    Var part = var("part", {}, 0, items - 1);
    Expr current = load(acc, {imm(0)});
    Compute sums = def; // of terms that are parts
    sums.rhs = {};
    Stmt merge = loop::loop(part, imm(0), imm(items), LoopKind::Serial,
                            store(acc, {imm(0)}, combined(sums, current, load(parts, {use(part)}), {})));
    Substitution here = at;
    here[def.sum] = current;
    std::vector<Expr> indices;
    for (const Expr &i : def.outIndices) indices.push_back(substitute(i, at));
    Expr init = def.init ? substitute(def.init, at) : neutral(def.combine, def.accumulator);
    Stmt all =
        block({store(acc, {imm(0)}, init), merge, store(def.out, indices, substitute(def.value, here))});
    return ifThen(lessThan(item, imm(1)), makeStmt(Alloc{acc, all}));
  });
  Stmt body = makeStmt(Alloc{parts, block({gather, finish})});
  return {{def.name, def.params, def.scalars, loop::loop(group, imm(0), groups, LoopKind::Parallel, body)},
          {}};
}

std::vector<Knob> space(const Kernel &, const Target &) { return {}; }
Config defaults(const Kernel &, const Target &) { return {}; }

} // namespace

const Template kGroupReduction = {.name = "reduction.gpu",
                                  .matches = matches,
                                  .space = space,
                                  .defaults = defaults,
                                  .apply = nullptr,
                                  .build = build,
                                  .reassociates = true};

} // namespace planish::schedule
