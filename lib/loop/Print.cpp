// Loop IR to text; the grammar is in Text.h.
#include "Names.h"
#include "planish/loop/Program.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Text.h"

#include <array>

namespace planish::loop {

namespace {

/// Precedence: a child of lower rank than its place is put in parentheses.
enum Rank : int { kRamp, kOr, kAnd, kCompare, kSum, kProduct, kPrimary };
constexpr std::array kRanks{kSum,     kSum,     kProduct, kProduct, kProduct, kProduct, kPrimary, kPrimary,
                            kCompare, kCompare, kCompare, kAnd,     kOr,      kOr,      kProduct, kProduct};
static_assert(kRanks.size() == size_t(BinaryOp::Shr) + 1);

constexpr std::array<std::string_view, 5> kScopes{"", " constant", " packed", " register", " scratch"};
constexpr std::array<std::string_view, 4> kKinds{"", "parallel ", "vectorized ", "unrolled "};

std::string textOf(Type t) {
  std::string r(nameOf(t.dtype));
  return t.lanes == 1 ? r : r + "x" + std::to_string(t.lanes);
}

class Printer {
public:
  explicit Printer(const Stmt &s = {}) {
    if (s) implied = impliedBounds(s);
  }

  std::string expr(const Expr &e) { return text(e, kRamp); }

  std::string buffer(const Buffer &b) {
    auto sizes = [&](const std::vector<Expr> &v) {
      return joined(v, [&](const Expr &e) { return expr(e); }, ",");
    };
    std::string r =
        "%" + names.of(b) + ": " + std::string(planish::nameOf(b->dtype)) + "[" + sizes(b->shape) + "]";
    auto dense = denseStrides(b->shape);
    bool isDense = true;
    for (size_t i = 0; i < dense.size(); ++i) isDense &= equal(dense[i], b->strides[i]);
    if (!isDense) r += " strides(" + sizes(b->strides) + ")";
    return r.append(kScopes[size_t(b->scope)]);
  }

  void stmt(const Stmt &s, const std::string &pad, bool last = true) {
    match(
        s, [&](const For &f) { nest(f, pad); },
        [&](const While &w) { braced(pad + "while " + expr(w.cond), w.body, pad); },
        [&](const Store &t) {
          out += pad + access(t.buffer, t.indices, t.mask);
          out += " = " + expr(t.value) + "\n";
        },
        [&](const Alloc &a) { braced(pad + "alloc " + buffer(a.buffer), a.body, pad); },
        [&](const If &i) { braced(pad + "if " + expr(i.cond), i.then, pad); },
        [&](const Let &l) {
          std::string value = expr(l.value);
          std::string head = pad + "let " + names.of(l.var) + " = " + value + within(l.var);
          if (!last) return braced(head, l.body, pad);
          out += head + "\n";
          stmt(l.body, pad);
        },
        [&](const Block &b) {
          for (size_t i = 0; i < b.stmts.size(); ++i) stmt(b.stmts[i], pad, last && i + 1 == b.stmts.size());
        },
        [&](const Eval &v) { out += pad + "eval " + expr(v.call) + "\n"; },
        [&](const Launch &l) {
          out += pad + "launch @" + readableName(l.kernel->name) + "(";
          out += joined(l.buffers, [&](const Buffer &b) { return "%" + names.of(b); });
          if (!l.scalars.empty()) out += "; " + list(l.scalars);
          out += ") tasks " + expr(l.tasks) + "\n";
        });
  }

  void function(const Function &f) {
    for (auto &v : f.scalars) names.of(v);
    out += "func @" + readableName(f.name) + "(";
    out += joined(f.params, [&](const Buffer &b) { return buffer(b); });
    std::string scalars = joined(f.scalars, [&](const Var &v) { return scalar(v); });
    for (const Var &v : laterSizes(f))
      scalars += (scalars.empty() ? "let " : ", let ") + names.of(v) + within(v);
    if (!scalars.empty()) out += "; " + scalars;
    out += ") {\n";
    stmt(f.body, "  ");
    out += "}\n";
  }

  std::string out;

private:
  std::string list(const std::vector<Expr> &v) {
    return joined(v, [&](const Expr &e) { return expr(e); });
  }

  std::string access(const Buffer &b, const std::vector<Expr> &indices, const Expr &mask) {
    std::string r = "%" + names.of(b) + "[" + list(indices);
    if (mask) r += std::string(indices.empty() ? "" : " ") + "where " + expr(mask);
    return r + "]";
  }

  static std::string interval(int64_t lo, int64_t hi) {
    return std::to_string(lo) + ".." + std::to_string(hi);
  }

  std::string scalar(const Var &v) {
    std::string r = names.of(v) + ": " + textOf(v->type);
    if (v->lower == INT32_MIN && v->upper == INT32_MAX) return r;
    return r + " in " + interval(v->lower, v->upper);
  }

  std::string within(const Var &v) const {
    auto it = implied.find(v);
    if ((v->lower == INT32_MIN && v->upper == INT32_MAX) ||
        (it != implied.end() && v->lower == it->second.lo && v->upper == it->second.hi))
      return "";
    return " within " + interval(v->lower, v->upper);
  }

  void braced(const std::string &head, const Stmt &body, const std::string &pad) {
    out += head + " {\n";
    stmt(body, pad + "  ");
    out += pad + "}\n";
  }

  std::string header(const For &f) {
    std::string bounds = expr(f.begin) + ".." + expr(f.end);
    return std::string(kKinds[size_t(f.kind)]) + names.of(f.var) + " in " + bounds + within(f.var);
  }

  /// A perfect nest prints on one line.
  void nest(const For &f, const std::string &pad) {
    std::string head = pad + "for " + header(f);
    const For *inner = &f;
    while (auto *next = as<For>(inner->body)) {
      head += ", " + header(*next);
      inner = next;
    }
    braced(head, inner->body, pad);
  }

  static std::string immediate(const std::string &digits, Type type, Type plain) {
    if (type == plain) return digits;
    bool wordLike = digits.back() == 'f' || digits.back() == 'n';
    return digits + (wordLike ? " " : "") + textOf(type);
  }

  std::string text(const Expr &e, int outer) {
    auto at = [&](int rank, const std::string &r) { return rank < outer ? "(" + r + ")" : r; };
    return match(
        e, [&](const IntImm &k) { return immediate(std::to_string(k.value), e->type, {}); },
        [&](const FloatImm &k) {
          std::string digits =
              e->type.dtype == DType::f64 ? planish::textOf(k.value) : planish::textOf(float(k.value));
          return immediate(digits, e->type, {DType::f32, 1});
        },
        [&](const VarRef &v) { return names.of(v.var); },
        [&](const Binary &b) {
          Rank rank = kRanks[size_t(b.op)];
          std::string name(nameOf(b.op));
          if (rank == kPrimary) return name + "(" + list({b.a, b.b}) + ")";
          // A product of a quotient reads better with parentheses, though it would parse without.
          auto *inner = as<Binary>(b.a);
          bool mixed =
              rank == kProduct && inner && kRanks[size_t(inner->op)] == kProduct && inner->op != b.op;
          std::string space = b.op == BinaryOp::Mul ? "" : " ";
          int left = rank == kCompare || mixed ? rank + 1 : rank;
          return at(rank, text(b.a, left) + space + name + space + text(b.b, rank + 1));
        },
        [&](const Select &s) { return "select(" + list({s.cond, s.a, s.b}) + ")"; },
        [&](const Cast &c) { return textOf(e->type) + "(" + expr(c.value) + ")"; },
        [&](const Load &l) { return access(l.buffer, l.indices, l.mask); },
        [&](const Call &c) { return std::string(nameOf(c.fn)) + "(" + list(c.args) + ")"; },
        [&](const Ramp &r) {
          std::string s = text(r.base, kOr) + ":" + std::to_string(e->type.lanes / r.base->type.lanes);
          return at(kRamp, r.stride == 1 ? s : s + ":" + std::to_string(r.stride));
        },
        [&](const Broadcast &b) {
          return "splat" + std::to_string(e->type.lanes / b.value->type.lanes) + "(" + expr(b.value) + ")";
        });
  }

  Names names;
  std::map<Var, Range> implied;
};

} // namespace

std::string print(const Expr &e) { return e ? Printer().expr(e) : "absent"; }
std::string print(const Stmt &s) {
  Printer p(s);
  if (s) p.stmt(s, "");
  return p.out;
}
std::string print(const Function &f) {
  Printer p(f.body);
  p.function(f);
  return p.out;
}
std::string print(const std::vector<FunctionRef> &functions) {
  return joined(functions, [](const FunctionRef &f) { return print(*f); }, "");
}

std::string print(const Program &p) {
  constexpr std::array<std::string_view, 7> kRegions{"input",     "output",     "arena",  "constant",
                                                     "inputdims", "outputdims", "failure"};
  std::string r = print(p.kernels);
  for (size_t i = 0; i < p.slots.size(); ++i) {
    const Slot &s = p.slots[i];
    r += "// %" + readableName(p.host.params[i]->name) + ": " + std::string(kRegions[size_t(s.region)]) +
         " " + std::to_string(s.index);
    if (s.offset && constantOf(s.offset) != 0) r += " + " + print(s.offset);
    r += "\n";
  }
  r += "// arena: " + std::to_string(p.arenaBytes) + " bytes\n";
  if (p.scratchBytes) r += "// scratch: " + std::to_string(p.scratchBytes) + " bytes for each thread\n";
  return r + print(p.host);
}

} // namespace planish::loop
