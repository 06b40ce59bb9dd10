// Text to loop IR; the grammar is in Text.h. Nothing is folded: the text means the tree it shows.
#include "Names.h"
#include "planish/loop/Text.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace planish::loop {

namespace {

constexpr int kMaxDepth = 256;  // of nested statements and parentheses
constexpr int kMaxChain = 4000;    // operators of one rank in a row
constexpr int kMaxLanes = 1 << 16;

struct OperatorRow {
  std::string_view text;
  BinaryOp op;
  int rank;
};
constexpr std::array<OperatorRow, 14> kOperators{{
    {"or", BinaryOp::Or, 0},
    {"xor", BinaryOp::Xor, 0},
    {"and", BinaryOp::And, 1},
    {"<", BinaryOp::Lt, 2},
    {"<=", BinaryOp::Le, 2},
    {"==", BinaryOp::Eq, 2},
    {"+", BinaryOp::Add, 3},
    {"-", BinaryOp::Sub, 3},
    {"*", BinaryOp::Mul, 4},
    {"/", BinaryOp::Div, 4},
    {"div", BinaryOp::FloorDiv, 4},
    {"mod", BinaryOp::FloorMod, 4},
    {"shl", BinaryOp::Shl, 4},
    {"shr", BinaryOp::Shr, 4},
}};
constexpr int kComparisonRank = 2;  // the result is a b1

std::optional<int64_t> integerOf(std::string_view digits) {
  int64_t v = 0;
  auto end = digits.data() + digits.size();
  auto [rest, problem] = std::from_chars(digits.data(), end, v);
  return rest == end && problem == std::errc() ? std::optional(v) : std::nullopt;
}
std::optional<int> positive(std::string_view digits) {
  auto v = integerOf(digits);
  return v && *v >= 1 && *v <= kMaxLanes ? std::optional(int(*v)) : std::nullopt;
}

std::optional<Type> typeNamed(std::string_view name) {
  size_t x = name.find('x');
  auto dtype = dtypeNamed(name.substr(0, x));
  if (!dtype || !isComputed(*dtype)) return std::nullopt;
  if (x == std::string_view::npos) return Type{*dtype, 1};
  auto lanes = positive(name.substr(x + 1));
  return lanes ? std::optional(Type{*dtype, *lanes}) : std::nullopt;
}

std::optional<Intrinsic> intrinsicNamed(std::string_view name) {
  for (int i = 0; i <= int(Intrinsic::Prefetch); ++i)
    if (nameOf(Intrinsic(i)) == name) return Intrinsic(i);
  return std::nullopt;
}

class Parser {
public:
  explicit Parser(std::string_view text) : lex(text) {}

  Result<std::vector<FunctionRef>> functions() {
    std::vector<FunctionRef> r;
    while (lex.peek().kind != TokenKind::End) {
      PLANISH_ASSIGN(Function f, function());
      for (auto &known : r)
        if (known->name == f.name) return badInput("function '@" + f.name + "' is defined twice");
      r.push_back(std::make_shared<const Function>(std::move(f)));
      callees = r;
    }
    return r;
  }

private:
  struct Scoped {
    explicit Scoped(Parser &p) : parser(p), vars(p.vars), buffers(p.buffers) {}
    ~Scoped() { parser.vars = vars, parser.buffers = buffers; }
    Parser &parser;
    std::map<std::string, Var> vars;
    std::map<std::string, Buffer> buffers;
  };
  struct Deeper {
    explicit Deeper(int &depth) : depth(++depth) {}
    ~Deeper() { --depth; }
    int &depth;
  };

  Diagnostic at(const std::string &text) const {
    const Token &t = lex.peek();
    return badInput("line " + std::to_string(t.line) + ", column " + std::to_string(t.column) + ": " + text);
  }

  // ---- functions ---------------------------------------------------------------------------------

  Result<Function> function() {
    vars.clear(), buffers.clear(), knownVars.clear(), knownBuffers.clear(), unbounded.clear();
    Function f;
    PLANISH_TRY(lex.expect("func"));
    PLANISH_TRY(lex.expect("@"));
    PLANISH_ASSIGN(f.name, lex.name());
    PLANISH_TRY(lex.expect("("));
    // Sizes of buffers mention the scalars, which stand behind them.
    Lexer start = lex;
    int open = 1;
    while (open && lex.peek().kind != TokenKind::End && !(open == 1 && lex.at(";"))) {
      if (lex.at("(")) ++open;
      if (lex.at(")")) --open;
      if (open) lex.next();
    }
    std::vector<std::string> later;
    if (lex.accept(";")) do {
        if (lex.accept("let")) {
          PLANISH_ASSIGN(std::string name, laterSize());
          later.push_back(name);
          continue;
        }
        PLANISH_ASSIGN(Var v, scalar());
        f.scalars.push_back(v);
      } while (lex.accept(","));
    PLANISH_TRY(lex.expect(")"));
    Lexer body = lex;
    lex = start;
    if (!lex.at(")") && !lex.at(";")) do {
        PLANISH_ASSIGN(Buffer b, buffer());
        if (buffers.size() == f.params.size()) return at("two parameters are called '%" + b->name + "'");
        f.params.push_back(b);
      } while (lex.accept(","));
    if (!lex.at(")") && !lex.at(";")) return lex.error("',', ';' or ')'");
    lex = body;
    for (const std::string &name : later) vars.erase(name);
    PLANISH_ASSIGN(f.body, braced());
    setImpliedBounds(f.body);
    return f;
  }

  /// A variable that sizes of parameters mention and that the body binds.
  Result<std::string> laterSize() {
    PLANISH_ASSIGN(std::string name, lex.name());
    if (vars.contains(name)) return at("two scalars are called '" + name + "'");
    PLANISH_ASSIGN(auto bounds, within());
    bind(name, {}, bounds);
    return name;
  }

  Result<Var> scalar() {
    PLANISH_ASSIGN(std::string name, lex.name());
    PLANISH_TRY(lex.expect(":"));
    PLANISH_TRY(lex.expect("i64"));
    Range bounds{INT32_MIN, INT32_MAX};
    if (lex.at("in")) { PLANISH_ASSIGN(bounds, interval("in")); }
    if (vars.contains(name)) return at("two scalars are called '" + name + "'");
    return vars[name] = std::make_shared<VarNode>(VarNode{name, {}, bounds.lo, bounds.hi});
  }

  /// keyword lo ".." hi
  Result<Range> interval(std::string_view keyword) {
    Range r{};
    PLANISH_TRY(lex.expect(keyword));
    PLANISH_ASSIGN(r.lo, signedInteger());
    PLANISH_TRY(lex.expect(".."));
    PLANISH_ASSIGN(r.hi, signedInteger());
    if (r.lo > r.hi)
      return at("the interval " + std::to_string(r.lo) + ".." + std::to_string(r.hi) + " is empty");
    return r;
  }

  Result<int64_t> signedInteger() {
    std::string sign = lex.accept("-") ? "-" : "";
    auto v = integerOf(sign + lex.peek().text);
    if (lex.peek().kind != TokenKind::Integer || !v) return lex.error("an integer of 64 bits");
    lex.next();
    return *v;
  }

  Result<std::vector<Expr>> sizes(std::string_view open, std::string_view close) {
    PLANISH_TRY(lex.expect(open));
    std::vector<Expr> r;
    if (!lex.at(close)) do {
        PLANISH_ASSIGN(Expr e, scalarIndex("a size"));
        r.push_back(e);
      } while (lex.accept(","));
    PLANISH_TRY(lex.expect(close));
    return r;
  }

  Result<Buffer> buffer() {
    BufferNode b;
    PLANISH_TRY(lex.expect("%"));
    PLANISH_ASSIGN(b.name, lex.name());
    PLANISH_TRY(lex.expect(":"));
    PLANISH_ASSIGN(std::string type, lex.name());
    auto dtype = dtypeNamed(type);
    if (!dtype || !isComputed(*dtype))
      return at("'" + type + "' is not an element type (b1, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64)");
    b.dtype = *dtype;
    PLANISH_ASSIGN(b.shape, sizes("[", "]"));
    b.strides = denseStrides(b.shape);
    if (lex.accept("strides")) {
      PLANISH_ASSIGN(b.strides, sizes("(", ")"));
      if (b.strides.size() != b.shape.size())
        return at("'%" + b.name + "' has another number of strides than sizes");
    }
    if (lex.accept("constant")) b.scope = Scope::Constant;
    else if (lex.accept("packed")) b.scope = Scope::Packed;
    else if (lex.accept("register")) b.scope = Scope::Register;
    else if (lex.accept("scratch")) b.scope = Scope::Scratch;
    return declared(b);
  }

  /// The buffer an earlier equal declaration made, or a new one.
  Buffer declared(const BufferNode &b) {
    auto same = [](const std::vector<Expr> &x, const std::vector<Expr> &y) {
      return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                        [](const Expr &p, const Expr &q) { return equal(p, q); });
    };
    Buffer &known = knownBuffers[b.name];
    if (!known || buffers.contains(b.name) || known->dtype != b.dtype || known->scope != b.scope ||
        !same(known->shape, b.shape) || !same(known->strides, b.strides))
      known = std::make_shared<const BufferNode>(b);
    return buffers[b.name] = known;
  }

  /// Binds `name`; without bounds in the text they are set when the whole function is known.
  Var bind(const std::string &name, Type type, std::optional<Range> bounds) {
    std::shared_ptr<VarNode> &known = knownVars[name];
    bool same = known && !vars.contains(name) && known->type == type &&
                bool(bounds) == !unbounded.contains(known) &&
                (!bounds || (known->lower == bounds->lo && known->upper == bounds->hi));
    if (!same) {
      known = std::make_shared<VarNode>(VarNode{name, type});
      if (bounds) known->lower = bounds->lo, known->upper = bounds->hi;
      else unbounded.insert(known);
    }
    return vars[name] = known;
  }

  /// A variable's implied bounds may depend on those of others: repeated until nothing changes.
  void setImpliedBounds(const Stmt &body) {
    constexpr int kRounds = 8;
    for (int round = 0; round < kRounds; ++round) {
      auto implied = impliedBounds(body);
      bool changed = false;
      for (auto &v : unbounded) {
        auto it = implied.find(v);
        if (it == implied.end() || isFloat(v->type.dtype)) continue;
        changed |= v->lower != it->second.lo || v->upper != it->second.hi;
        v->lower = it->second.lo, v->upper = it->second.hi;
      }
      if (!changed) return;
    }
  }

  // ---- statements --------------------------------------------------------------------------------

  Result<Stmt> braced() {
    Scoped scope(*this);
    PLANISH_TRY(lex.expect("{"));
    PLANISH_ASSIGN(Stmt s, statements());
    PLANISH_TRY(lex.expect("}"));
    return s;
  }

  Result<Stmt> statements() {
    Deeper deeper(depth);
    if (depth > kMaxDepth) return at("statements are nested too deeply");
    std::vector<Stmt> r;
    while (!lex.at("}")) {
      PLANISH_ASSIGN(Stmt s, statement());
      r.push_back(std::move(s));
    }
    return r.size() == 1 ? r[0] : makeStmt(Block{std::move(r)});
  }

  Result<Stmt> statement() {
    if (lex.at("%")) return storeStmt();
    if (lex.accept("for")) return forStmt();
    if (lex.accept("let")) return letStmt();
    if (lex.accept("launch")) return launchStmt();
    if (lex.accept("while")) {
      PLANISH_ASSIGN(Expr cond, expr());
      PLANISH_ASSIGN(Stmt body, braced());
      return makeStmt(While{cond, body});
    }
    if (lex.accept("if")) {
      PLANISH_ASSIGN(Expr cond, expr());
      PLANISH_ASSIGN(Stmt body, braced());
      return makeStmt(If{cond, body});
    }
    if (lex.accept("alloc")) {
      Scoped scope(*this);
      PLANISH_ASSIGN(Buffer b, buffer());
      PLANISH_ASSIGN(Stmt body, braced());
      return makeStmt(Alloc{b, body});
    }
    if (lex.accept("eval")) {
      PLANISH_ASSIGN(Expr e, expr());
      return makeStmt(Eval{e});
    }
    return lex.error("a statement");
  }

  Result<Stmt> storeStmt() {
    PLANISH_ASSIGN(Load to, access());
    PLANISH_TRY(lex.expect("="));
    PLANISH_ASSIGN(Expr value, expr());
    return makeStmt(Store{to.buffer, std::move(to.indices), value, to.mask});
  }

  Result<Stmt> forStmt() {
    Scoped scope(*this);
    Deeper deeper(depth);
    if (depth > kMaxDepth) return at("loops are nested too deeply");
    For f{};
    if (lex.accept("parallel")) f.kind = LoopKind::Parallel;
    else if (lex.accept("vectorized")) f.kind = LoopKind::Vectorized;
    else if (lex.accept("unrolled")) f.kind = LoopKind::Unrolled;
    PLANISH_ASSIGN(std::string name, lex.name());
    PLANISH_TRY(lex.expect("in"));
    PLANISH_ASSIGN(f.begin, scalarIndex("a loop bound"));
    PLANISH_TRY(lex.expect(".."));
    PLANISH_ASSIGN(f.end, scalarIndex("a loop bound"));
    PLANISH_ASSIGN(auto bounds, within());
    f.var = bind(name, {}, bounds);
    if (lex.accept(",")) {
      PLANISH_ASSIGN(f.body, forStmt());
    } else {
      PLANISH_ASSIGN(f.body, braced());
    }
    return makeStmt(std::move(f));
  }

  Result<Stmt> letStmt() {
    Let l;
    PLANISH_ASSIGN(std::string name, lex.name());
    PLANISH_TRY(lex.expect("="));
    PLANISH_ASSIGN(l.value, expr());
    PLANISH_ASSIGN(auto bounds, within());
    Scoped scope(*this);
    l.var = bind(name, l.value->type, bounds);
    if (lex.at("{")) {
      PLANISH_ASSIGN(l.body, braced());
    } else {
      PLANISH_ASSIGN(l.body, statements());
    }
    return makeStmt(std::move(l));
  }

  Result<std::optional<Range>> within() {
    if (!lex.at("within")) return std::optional<Range>();
    PLANISH_ASSIGN(Range r, interval("within"));
    return std::optional(r);
  }

  Result<Stmt> launchStmt() {
    Launch l;
    PLANISH_TRY(lex.expect("@"));
    PLANISH_ASSIGN(std::string name, lex.name());
    for (auto &f : callees)
      if (f->name == name) l.kernel = f;
    if (!l.kernel) return at("no function '@" + name + "' stands before this launch");
    PLANISH_TRY(lex.expect("("));
    if (!lex.at(")") && !lex.at(";")) do {
        PLANISH_ASSIGN(Buffer b, bufferUse());
        l.buffers.push_back(b);
      } while (lex.accept(","));
    if (lex.accept(";")) { PLANISH_ASSIGN(l.scalars, exprs()); }
    PLANISH_TRY(lex.expect(")"));
    PLANISH_TRY(lex.expect("tasks"));
    PLANISH_ASSIGN(l.tasks, expr());
    return makeStmt(std::move(l));
  }

  // ---- expressions -------------------------------------------------------------------------------

  Result<Buffer> bufferUse() {
    PLANISH_TRY(lex.expect("%"));
    PLANISH_ASSIGN(std::string name, lex.name());
    auto it = buffers.find(name);
    if (it == buffers.end()) return at("no buffer '%" + name + "' is in scope");
    return it->second;
  }

  /// A load, or the place of a store.
  Result<Load> access() {
    Load l;
    PLANISH_ASSIGN(l.buffer, bufferUse());
    PLANISH_TRY(lex.expect("["));
    if (!lex.at("]") && !lex.at("where")) { PLANISH_ASSIGN(l.indices, exprs()); }
    if (lex.accept("where")) { PLANISH_ASSIGN(l.mask, expr()); }
    PLANISH_TRY(lex.expect("]"));
    if (l.indices.size() != l.buffer->shape.size())
      return at("'%" + l.buffer->name + "' has " + std::to_string(l.buffer->shape.size()) +
                " dimensions, not " + std::to_string(l.indices.size()));
    return l;
  }

  Result<std::vector<Expr>> exprs() {
    std::vector<Expr> r;
    do {
      PLANISH_ASSIGN(Expr e, expr());
      r.push_back(e);
    } while (lex.accept(","));
    return r;
  }

  Result<Expr> scalarIndex(const std::string &what) {
    PLANISH_ASSIGN(Expr e, binaryExpr(0));
    if (e->type != Type{}) return at(what + " is an i64, one lane wide");
    return e;
  }

  Result<Expr> expr() {
    Deeper deeper(depth);
    if (depth > kMaxDepth) return at("expressions are nested too deeply");
    PLANISH_ASSIGN(Expr e, binaryExpr(0));
    if (!lex.accept(":")) return e;
    PLANISH_ASSIGN(int64_t lanes, signedInteger());
    int64_t stride = 1;
    if (lex.accept(":")) { PLANISH_ASSIGN(stride, signedInteger()); }
    if (e->type.dtype != DType::i64) return at("the base of a ramp is an i64");
    if (lanes < 1 || lanes * e->type.lanes > kMaxLanes) return at("a ramp has 1 to 65536 lanes");
    return makeExpr({DType::i64, int(lanes) * e->type.lanes}, Ramp{e, stride});
  }

  /// Precedence climbing: operators of at least `rank`.
  Result<Expr> binaryExpr(int rank) {
    PLANISH_ASSIGN(Expr left, primary());
    for (int length = 0;; ++length) {
      auto row = std::find_if(kOperators.begin(), kOperators.end(),
                              [&](const OperatorRow &r) { return r.rank >= rank && lex.at(r.text); });
      if (row == kOperators.end()) return left;
      if (length == kMaxChain) return at("the expression is too long");
      lex.next();
      PLANISH_ASSIGN(Expr right, binaryExpr(row->rank + 1));
      PLANISH_TRY(combine(*row, left, right));
    }
  }

  /// left = left (op) right
  Status combine(const OperatorRow &row, Expr &left, const Expr &right) {
    if (left->type != right->type)
      return at("the operands of '" + std::string(row.text) + "' have different types");
    Type type = row.rank == kComparisonRank ? Type{DType::b1, left->type.lanes} : left->type;
    left = makeExpr(type, Binary{row.op, left, right});
    return {};
  }

  Result<Expr> primary() {
    const Token token = lex.peek();
    if (token.kind == TokenKind::Integer || token.kind == TokenKind::Float || lex.at("-")) return immediate();
    if (lex.accept("(")) {
      PLANISH_ASSIGN(Expr e, expr());
      PLANISH_TRY(lex.expect(")"));
      return e;
    }
    if (lex.at("%")) {
      PLANISH_ASSIGN(Load l, access());
      int lanes = l.mask ? l.mask->type.lanes : 1;
      for (auto &i : l.indices) lanes = std::max(lanes, i->type.lanes);
      Type type{l.buffer->dtype, lanes};
      return makeExpr(type, std::move(l));
    }
    PLANISH_ASSIGN(std::string name, lex.name());
    if (!lex.accept("(")) {
      auto it = vars.find(name);
      if (it == vars.end()) return at("no variable '" + name + "' is in scope");
      return use(it->second);
    }
    PLANISH_ASSIGN(std::vector<Expr> args, exprs());
    PLANISH_TRY(lex.expect(")"));
    return application(name, args);
  }

  Result<Expr> immediate() {
    bool minus = lex.accept("-");
    Token number = lex.peek();
    Type type{number.kind == TokenKind::Float ? DType::f32 : DType::i64, 1};
    int64_t integer = 0;
    double real = 0;
    if (number.kind == TokenKind::Integer) {
      auto value = integerOf((minus ? "-" : "") + number.text);
      if (!value) return lex.error("an integer of 64 bits");
      integer = *value;
      lex.next();
    } else {
      PLANISH_ASSIGN(real, lex.number());
      if (minus) real = -real;
    }
    if (lex.peek().kind == TokenKind::Name)
      if (auto given = typeNamed(lex.peek().text)) {
        if (isFloat(given->dtype) != isFloat(type.dtype))
          return at("a number with a point is a float, one without is an integer");
        type = *given;
        lex.next();
      }
    return isFloat(type.dtype) ? constant(real, type) : imm(integer, type);
  }

  Result<Expr> application(const std::string &name, const std::vector<Expr> &args) {
    auto takes = [&](size_t n) { return args.size() == n; };
    auto wrong = [&] { return at("'" + name + "' does not take these arguments"); };
    if (auto type = typeNamed(name)) {
      if (!takes(1) || args[0]->type.lanes != type->lanes) return wrong();
      return makeExpr(*type, Cast{args[0]});
    }
    if (name == "select") {
      if (!takes(3) || args[1]->type != args[2]->type ||
          args[0]->type != Type{DType::b1, args[1]->type.lanes})
        return wrong();
      return makeExpr(args[1]->type, Select{args[0], args[1], args[2]});
    }
    if (name == "min" || name == "max") {
      if (!takes(2) || args[0]->type != args[1]->type) return wrong();
      return makeExpr(args[0]->type, Binary{name == "min" ? BinaryOp::Min : BinaryOp::Max, args[0], args[1]});
    }
    if (name.starts_with("splat"))
      if (auto times = positive(std::string_view(name).substr(5))) {
        if (!takes(1) || int64_t(*times) * args[0]->type.lanes > kMaxLanes) return wrong();
        return makeExpr({args[0]->type.dtype, *times * args[0]->type.lanes}, Broadcast{args[0]});
      }
    auto fn = intrinsicNamed(name);
    if (!fn) return at("no function '" + name + "'");
    if (!takes(arityOf(*fn))) return wrong();
    return makeExpr(typeOf(*fn, args), Call{*fn, args});
  }

  Lexer lex;
  int depth = 0;
  std::vector<FunctionRef> callees;
  std::map<std::string, Var> vars;         // in scope
  std::map<std::string, Buffer> buffers;   // in scope
  std::map<std::string, std::shared_ptr<VarNode>> knownVars;  // bound last under the name
  std::map<std::string, Buffer> knownBuffers;
  std::set<std::shared_ptr<VarNode>> unbounded;  // bounds not stated
};

} // namespace

Result<std::vector<FunctionRef>> parse(std::string_view text) { return Parser(text).functions(); }

} // namespace planish::loop
