#include "Printer.h"
#include "../Operands.h"

#include "OwnRegisters.h"
#include "Scalarize.h"

#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <cmath>

namespace planish::codegen {
namespace {

using namespace loop;

bool isLeaf(const Expr &e) { return as<IntImm>(e) || as<FloatImm>(e) || as<VarRef>(e); }

constexpr int64_t kFew = 8; // iterations of a loop that dialects may unroll

std::string floatText(double value, DType t) {
  if (std::isnan(value)) return "PL_NAN";
  if (std::isinf(value)) return value < 0 ? "(-PL_INFINITY)" : "PL_INFINITY";
  std::string r = t == DType::f64 ? planish::textOf(value) : planish::textOf(float(value)) + "f";
  return r[0] == '-' ? "(" + r + ")" : r;
}

std::string integerText(int64_t value, DType t) {
  if (value == INT64_MIN) return "(-9223372036854775807 - 1)";
  if (t == DType::i32 && value == INT32_MIN) return "(-2147483647 - 1)";
  std::string r = std::to_string(value);
  return value < 0 ? "(" + r + ")" : r;
}

/// All lanes are neighbours in memory, and all are read.
bool contiguous(const Load &l) {
  int ramps = 0;
  for (size_t d = 0; d < l.indices.size(); ++d) {
    const Expr &i = l.indices[d];
    if (i->type.lanes == 1) continue;
    auto *r = as<Ramp>(i);
    if (!r || r->stride != 1 || r->base->type.lanes > 1 || constantOf(l.buffer->strides[d]) != 1)
      return false;
    ++ramps;
  }
  return ramps == 1 && !l.mask;
}

std::vector<Expr> firstLane(const std::vector<Expr> &indices) {
  std::vector<Expr> r;
  for (const Expr &i : indices) r.push_back(as<Ramp>(i) ? as<Ramp>(i)->base : i);
  return r;
}

} // namespace

std::string Printer::fresh(const std::string &name) {
  std::string base;
  for (char c : name) base += isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (base.empty() || isdigit(static_cast<unsigned char>(base[0]))) base = "v" + base;
  std::string r = base;
  auto taken = [&] {
    return used.contains(r) || std::ranges::find(dialect.reserved, r) != dialect.reserved.end();
  };
  for (int n = 1; taken(); ++n) r = base + "_" + std::to_string(n);
  used.insert(r);
  return r;
}

void Printer::line(const std::string &text) { out += std::string(size_t(2 * depth), ' ') + text + "\n"; }

void Printer::bind(const Buffer &buffer, std::string pointer, Expr extra) {
  buffers[buffer.get()] = {std::move(pointer), extra && constantOf(extra) == 0 ? Expr() : std::move(extra)};
}

std::string Printer::typeName(Type t) const {
  if (t.lanes == 1) return t.dtype == DType::b1 ? "int" : std::string(scalarType(t.dtype));
  return std::string(dialect.vectorPrefix) + std::string(vectorElement(t.dtype)) + std::to_string(t.lanes);
}

void Printer::kernel(const Function &f, int64_t group) {
  std::set<const BufferNode *> written;
  walk(f.body, [&](const Stmt &s) {
    if (auto *t = as<Store>(s)) written.insert(t->buffer.get());
  });
  parallelIsTask = true;
  used.insert(f.name);
  std::vector<std::string> params, scalars;
  for (const Buffer &p : f.params) {
    std::string type =
        std::string(written.contains(p.get()) ? "" : "const ") + std::string(scalarType(p->dtype));
    std::string name = fresh(p->name);
    params.push_back(std::string(dialect.memory) + type + " *" + std::string(dialect.restrict) + " " + name);
    buffers[p.get()] = {std::move(name), {}};
  }
  for (const Var &v : f.scalars) scalars.push_back("int64_t " + (vars[v.get()] = fresh(v->name)));
  auto same = [](const std::string &s) { return s; };
  if (dialect.arrays) {
    line(std::string(dialect.kernel) + " " + f.name +
         "(void *const *buffers, const int64_t *scalars, void *scratch, int64_t begin, int64_t end) {");
    ++depth;
    for (size_t i = 0; i < params.size(); ++i) line(params[i] + " = buffers[" + std::to_string(i) + "];");
    for (size_t i = 0; i < scalars.size(); ++i) line(scalars[i] + " = scalars[" + std::to_string(i) + "];");
    std::string mentioned = "(void)buffers, (void)scalars, (void)scratch, (void)begin, (void)end";
    scratch = planScratch(f);
    for (const Buffer &p : f.params) mentioned += ", (void)" + buffers[p.get()].pointer;
    for (const Var &v : f.scalars) mentioned += ", (void)" + vars[v.get()];
    line(mentioned + ";");
  } else {
    std::vector<std::string> list, moves;
    for (size_t i = 0; i < params.size(); ++i) {
      if (!dialect.offsets) {
        list.push_back(params[i]);
        continue;
      }
      const std::string &pointer = buffers[f.params[i].get()].pointer, at = fresh(pointer + "_at");
      list.insert(list.end(), {params[i], "int64_t " + at});
      moves.push_back(pointer + " += " + at + ";");
    }
    list.insert(list.end(), scalars.begin(), scalars.end());
    std::string attributes(dialect.groupOf);
    attributes.replace(attributes.find('#'), 1, std::to_string(group));
    line(std::string(dialect.kernel) + attributes + " " + f.name + "(" + joined(list, same) + ") {");
    ++depth;
    for (const std::string &m : moves) line(m);
    groups = !groupLoops(f).empty();
    if (groups && dialect.warps) copyTo = copyTargets(f);
    if (groups) sharedMemory(f);
    else line("const int64_t begin = " + std::string(dialect.task) + ", end = begin + 1;");
  }
  body(scalarize(groups ? withOwnRegisters(f) : f.body, [this](const Stmt &s) { return native(s); }));
  --depth;
  line("}");
}

void Printer::body(const Stmt &s) { stmt(s); }

/// Scratch buffers of the group; languages want them at the kernel's begin.
void Printer::sharedMemory(const Function &f) {
  std::set<const For *> inner = groupLoops(f);
  walk(f.body, [&](const Stmt &s) {
    auto *a = as<Alloc>(s);
    if (!a || a->buffer->scope != Scope::Scratch) return;
    int64_t count = 1;
    for (int64_t d : constantsOf(a->buffer->shape)) count *= d;
    std::string name = fresh(a->buffer->name);
    line(std::string(dialect.shared) + std::string(dialect.align) +
         std::string(scalarType(a->buffer->dtype)) + " " + name + "[" + std::to_string(count) + "];");
    buffers[a->buffer.get()] = {name, {}};
  });
}

/// The loop over the groups: a group runs one iteration. No loop in the text: barriers inside one whose
/// bounds are the group's number are more than some compilers bear (PoCL 3.1).
void Printer::group(const For &f) {
  PLANISH_CHECK(constantOf(f.begin) == 0, "groups count from 0");
  line("{");
  scoped([&] {
    std::string i = vars[f.var.get()] = fresh(f.var->name);
    line("const int64_t " + i + " = " + std::string(dialect.group) + ";");
    insideTask = true;
    stmt(f.body);
    insideTask = false;
  });
}

/// A loop over the items of a group: each runs its own iteration, and all wait for each other where they have
/// shared memory.
void Printer::items(const For &f) {
  bool shares = false, copies = false;
  walkAccesses(f.body,
               [&](const Buffer &b, const std::vector<Expr> &) { shares |= b->scope == Scope::Scratch; });
  walk(f.body, [&](const Stmt &s) {
    if (auto *t = as<Store>(s)) copies |= isCopy(*t);
  });
  line("{");
  scoped([&] {
    std::string i = vars[f.var.get()] = fresh(f.var->name);
    line("const int64_t " + i + " = " + std::string(dialect.item) + ";");
    itemsLoop = &f;
    stmt(f.body);
    itemsLoop = nullptr;
  });
  if (copies) line("pl_copy_wait();");
  if (shares) line(std::string(dialect.barrier));
}

void Printer::scoped(const std::function<void()> &body) {
  auto names = used;
  ++depth;
  body();
  --depth;
  line("}");
  used = std::move(names);
}

void Printer::stmt(const Stmt &s) {
  shared.clear();
  match(
      s, [&](const For &f) { forLoop(f); },
      [&](const While &w) {
        line("while (" + text(w.cond) + ") {");
        scoped([&] { stmt(w.body); });
      },
      [&](const Store &t) { store(t); },
      [&](const Alloc &a) {
        if (groups && a.buffer->scope == Scope::Scratch) return stmt(a.body);
        int64_t count = 1;
        for (int64_t d : constantsOf(a.buffer->shape)) count *= d;
        line("{");
        scoped([&] {
          std::string name = fresh(a.buffer->name);
          std::string element(scalarType(a.buffer->dtype));
          if (auto at = scratch.offsets.find(a.buffer.get()); at != scratch.offsets.end())
            line(element + " *" + name + " = (" + element + " *)((char *)scratch + " +
                 std::to_string(at->second) + ");");
          else
            line(std::string(dialect.align) + element + " " + name + "[" +
                 std::to_string(std::max<int64_t>(count, 1)) + "];");
          buffers[a.buffer.get()] = {name, {}};
          stmt(a.body);
        });
      },
      [&](const If &i) {
        line("if (" + text(i.cond) + ") {");
        scoped([&] { stmt(i.then); });
      },
      [&](const Let &l) {
        line("{");
        scoped([&] {
          share(l.value);
          std::string value = text(l.value), name = vars[l.var.get()] = fresh(l.var->name);
          line("const " + typeName(l.var->type) + " " + name + " = " + value + ";");
          stmt(l.body);
        });
      },
      [&](const Block &b) {
        for (const Stmt &x : b.stmts) stmt(x);
      },
      [&](const Eval &) {},
      [&](const Launch &l) {
        PLANISH_CHECK(launch, "a launch outside the host function");
        launch(l);
      });
  shared.clear();
}

void Printer::forLoop(const For &f) {
  bool isTask = f.kind == LoopKind::Parallel && parallelIsTask && !insideTask;
  if (dialect.warps && itemsLoop && multiplied(f)) return;
  if (f.kind == LoopKind::Parallel && groups) return insideTask ? items(f) : group(f);
  std::string begin = text(f.begin), end = text(f.end);
  if (isTask) begin = "pl_max_i64(" + begin + ", begin)", end = "pl_min_i64(" + end + ", end)";
  auto names = used;
  std::string i = fresh(f.var->name), last = fresh(i + "_end");
  auto first = constantOf(f.begin), behind = constantOf(f.end);
  bool few = !isTask && first && behind && *behind - *first <= kFew;
  line(std::string(few ? dialect.unroll : "") + "for (int64_t " + i + " = " + begin + ", " + last + " = " +
       end + "; " + i + " < " + last + "; ++" + i + ") {");
  vars[f.var.get()] = i;
  bool outside = insideTask;
  insideTask |= isTask;
  scoped([&] { stmt(f.body); });
  insideTask = outside;
  used = std::move(names);
}

void Printer::store(const Store &s) {
  line("{");
  scoped([&] {
    share(s.value), share(s.mask);
    if (isCopy(s)) return line(copied(s));
    const std::string &p = buffers.at(s.buffer.get()).pointer;
    std::string at = offset(*s.buffer, s.indices);
    int lanes = s.value->type.lanes;
    std::string guard = s.mask ? "if (" + text(s.mask) + ") " : "";
    if (lanes > 1)
      line("vstore" + std::to_string(lanes) + alignment(*s.buffer, s.indices, lanes) + "(" + text(s.value) +
           ", 0, " + p + " + " + at + ");");
    else line(guard + p + "[" + at + "] = " + text(s.value) + ";");
  });
}

/// Gives the nodes below `e` that occur more than once a name each, so that text does not grow with
/// the number of paths.
void Printer::share(const Expr &e) {
  if (!e) return;
  std::unordered_map<const ExprNode *, int> uses;
  std::vector<Expr> order; // operands first
  std::function<void(const Expr &)> count = [&](const Expr &x) {
    if (!x || isLeaf(x) || ++uses[x.get()] > 1) return;
    if (auto *l = as<Load>(x)) count(l->mask); // indices are printed as one normal form of their own
    else if (!as<Ramp>(x)) eachOperand(x, count);
    order.push_back(x);
  };
  count(e);
  for (const Expr &x : order) {
    if (uses[x.get()] < 2 || as<Ramp>(x) || shared.contains(x.get()) || !hasLanes(x->type.lanes)) continue;
    std::string value = text(x), name = fresh("t");
    line("const " + typeName(x->type) + " " + name + " = " + value + ";");
    shared[x.get()] = name;
  }
}

std::string Printer::text(const Expr &e) {
  auto it = shared.find(e.get());
  return it != shared.end() ? it->second : made(e);
}

std::string Printer::made(const Expr &e) {
  Type t = e->type;
  return match(
      e,
      [&](const IntImm &k) {
        if (isFloat(t.dtype)) return floatText(double(k.value), t.dtype);
        std::string value = integerText(k.value, t.dtype);
        return t.lanes == 1 ? value : "(" + typeName(t) + ")(" + value + ")";
      },
      [&](const FloatImm &k) {
        std::string value = floatText(k.value, t.dtype);
        return t.lanes == 1 ? value : "(" + typeName(t) + ")(" + value + ")";
      },
      [&](const VarRef &v) { return vars.at(v.var.get()); }, [&](const Binary &x) { return binary(x, t); },
      [&](const Select &s) {
        std::string c = text(s.cond), x = text(s.a), y = text(s.b);
        if (s.cond->type.lanes > 1) return "select(" + y + ", " + x + ", " + c + ")";
        return "(" + c + " ? " + x + " : " + y + ")";
      },
      [&](const Cast &c) { return converted(c, t); }, [&](const Load &l) { return loaded(l, t); },
      [&](const Call &c) { return called(c, t); },
      [&](const Ramp &) -> std::string { PLANISH_CHECK(false, "a vector of indices in scalar text"); },
      [&](const Broadcast &x) { return "(" + typeName(t) + ")(" + text(x.value) + ")"; });
}

std::string Printer::suffix(int lanes) const {
  return lanes == 1 || dialect.overloads ? "" : "x" + std::to_string(lanes);
}

std::string Printer::binary(const Binary &x, Type t) {
  std::string p = text(x.a), q = text(x.b);
  DType dtype = x.a->type.dtype;
  std::string name(nameOf(dtype));
  auto infix = [&](const char *op) { return "(" + p + " " + op + " " + q + ")"; };
  auto helper = [&](const char *fn) {
    return std::string("pl_") + fn + "_" + name + suffix(t.lanes) + "(" + p + ", " + q + ")";
  };
  auto arithmetic = [&](const char *op) -> std::string {
    if (t.lanes > 1 || isFloat(dtype) || byteSize(dtype) == 8) return infix(op);
    std::string type(scalarType(dtype));
    if (byteSize(dtype) == 1) return "(" + type + ")" + infix(op);
    return "(" + type + ")((uint32_t)" + p + " " + op + " (uint32_t)" + q + ")";
  };
  auto shifts = [&] { // as C does
    auto by = constantOf(as<Broadcast>(x.b) ? as<Broadcast>(x.b)->value : x.b);
    return isUnsigned(dtype) && by && *by >= 0 && *by < 8 * byteSize(dtype);
  };
  switch (x.op) {
  case BinaryOp::Add: return arithmetic("+");
  case BinaryOp::Sub: return arithmetic("-");
  case BinaryOp::Mul: return arithmetic("*");
  case BinaryOp::Div: return infix("/");
  case BinaryOp::FloorDiv: return helper("floordiv");
  case BinaryOp::FloorMod: return helper("floormod");
  case BinaryOp::Min: return helper("min");
  case BinaryOp::Max: return helper("max");
  case BinaryOp::Lt: return infix("<");
  case BinaryOp::Le: return infix("<=");
  case BinaryOp::Eq: return infix("==");
  case BinaryOp::And: return infix("&");
  case BinaryOp::Or: return infix("|");
  case BinaryOp::Xor: return infix("^");
  case BinaryOp::Shl: return shifts() ? "(" + typeName(t) + ")" + infix("<<") : helper("shl");
  case BinaryOp::Shr: return shifts() ? infix(">>") : helper("shr");
  }
  PLANISH_CHECK(false, "an operator without text");
}

std::string Printer::converted(const Cast &c, Type t) {
  std::string v = text(c.value);
  DType from = c.value->type.dtype;
  if (t.lanes > 1) {
    std::string name = "convert_" + typeName(t);
    return name + (isFloat(from) && !isFloat(t.dtype) ? "_sat_rtz(" : "(") + v + ")";
  }
  if (t.dtype == DType::b1) return "(" + v + " != 0)";
  if (isFloat(from) && !isFloat(t.dtype))
    return "pl_" + std::string(nameOf(t.dtype)) + "_of_" + std::string(nameOf(from)) + "(" + v + ")";
  return "(" + std::string(scalarType(t.dtype)) + ")" + v;
}

std::string Printer::called(const Call &c, Type t) {
  auto args = [&] { return "(" + joined(c.args, [&](const Expr &a) { return text(a); }) + ")"; };
  const std::string wide = t.dtype == DType::f64 ? "_f64" : "";
  switch (c.fn) {
  case Intrinsic::Dot4: return dotted(c, t);
  case Intrinsic::Fma: return "pl_fma" + args();
  case Intrinsic::Round: return "pl_round" + wide + args();
  case Intrinsic::Floor: return "pl_floor" + wide + args();
  case Intrinsic::Ceil: return "pl_ceil" + wide + args();
  case Intrinsic::Sqrt: return "pl_sqrt" + wide + args();
  case Intrinsic::Abs: return "pl_abs_" + std::string(nameOf(t.dtype)) + suffix(t.lanes) + args();
  case Intrinsic::Scale2: return "pl_scale2" + suffix(t.lanes) + args();
  case Intrinsic::Bits: return "pl_bits" + suffix(t.lanes) + args();
  case Intrinsic::FromBits: return "pl_from_bits" + suffix(t.lanes) + args();
  default: PLANISH_CHECK(false, "intrinsic " + std::string(nameOf(c.fn)) + " needs legalization");
  }
}

std::string Printer::loaded(const Load &l, Type t) {
  const std::string &p = buffers.at(l.buffer.get()).pointer;
  std::string at = offset(*l.buffer, l.indices);
  if (t.lanes > 1)
    return "vload" + std::to_string(t.lanes) + alignment(*l.buffer, l.indices, t.lanes) + "(0, " + p + " + " +
           at + ")";
  std::string value = p + "[" + at + "]";
  if (l.mask) return "(" + text(l.mask) + " ? " + value + " : 0)";
  return value;
}

/// A dot product of vectors: four bytes of memory by the packed ones of every lane.
std::string Printer::dotted(const Call &c, Type t) {
  const Load &w = *as<Load>(c.args[1]);
  std::string lanes = std::to_string(t.lanes), p = buffers.at(w.buffer.get()).pointer;
  std::string words = "vload" + lanes + "(0, (" + std::string(dialect.memory) + "const int *)(" + p + " + " +
                      offset(*w.buffer, w.indices) + "))";
  return "pl_dot4_x" + lanes + "(" + text(as<Broadcast>(c.args[0])->value) + ", " + words + ", " +
         text(c.args[2]) + ")";
}

std::string Printer::offset(const BufferNode &b, const std::vector<Expr> &indices) {
  Affine a = elementOffset(b, firstLane(indices));
  if (const Expr &extra = buffers.at(&b).extra) a.add(affine(extra));
  return text(toExpr(a));
}

std::string Printer::alignment(const BufferNode &b, const std::vector<Expr> &indices, int lanes) const {
  bool own = b.scope == Scope::Register || b.scope == Scope::Scratch;
  if (dialect.align.empty() || !own) return "";
  Affine at = elementOffset(b, firstLane(indices));
  bool multiple = at.constant % lanes == 0;
  for (const Affine::Term &t : at.terms) multiple &= t.coefficient % lanes == 0;
  return multiple ? "_aligned" : "";
}

std::string Printer::address(const Buffer &buffer) {
  const Place &p = buffers.at(buffer.get());
  return p.extra ? "(" + p.pointer + " + " + text(p.extra) + ")" : p.pointer;
}

/// The dialect's vector types express the store as it is, or the let and all statements it is for.
bool Printer::native(const Stmt &s) {
  if (auto *t = as<Store>(s)) return nativeStore(*t);
  bool all = true;
  auto added = nativeVars;
  walk(s, [&](const Stmt &x) {
    if (auto *l = as<Let>(x)) {
      int lanes = l->var->type.lanes;
      bool has = std::ranges::find(dialect.lanes, lanes) != dialect.lanes.end();
      if (lanes > 1) all &= has && l->var->type.dtype != DType::b1 && nativeValue(l->value, lanes);
      if (lanes > 1) nativeVars.insert(l->var.get());
    }
    if (auto *t = as<Store>(x)) all &= t->value->type.lanes == 1 ? nativeValue(t->value, 1) : nativeStore(*t);
  });
  if (!all) nativeVars = std::move(added);
  return all;
}

bool Printer::hasLanes(int lanes) const {
  return lanes == 1 || std::ranges::find(dialect.lanes, lanes) != dialect.lanes.end();
}

bool Printer::nativeDot(const Call &c, int lanes) const {
  auto *four = as<Broadcast>(c.args[0]);
  auto *w = as<Load>(c.args[1]);
  // Packed bytes begin at a multiple of four, so that they can be read as words.
  return four && four->value->type.lanes == 4 && as<Load>(four->value) && nativeValue(four->value, 4) && w &&
         w->buffer->scope == Scope::Packed && contiguous(*w) && nativeValue(c.args[2], lanes);
}

bool Printer::isCopy(const Store &s) const {
  auto *l = as<Load>(s.value);
  if (!l || s.mask || !copyTo.contains(s.buffer.get()) || l->buffer->dtype != s.buffer->dtype) return false;
  bool memory = l->buffer->scope != Scope::Scratch && l->buffer->scope != Scope::Register;
  int64_t bytes = s.value->type.lanes * byteSize(s.buffer->dtype);
  auto *all = l->mask ? as<Broadcast>(l->mask) : nullptr;
  bool together = !l->mask || l->mask->type.lanes == 1 || (all && all->value->type.lanes == 1);
  bool one = s.value->type.lanes == 1;
  return memory && together && (bytes == 4 || bytes == 8 || bytes == 16) &&
         (one || (contiguous({l->buffer, l->indices, {}}) && contiguous({s.buffer, s.indices, {}})));
}

std::string Printer::copied(const Store &s) {
  const Load &l = *as<Load>(s.value);
  auto *all = l.mask ? as<Broadcast>(l.mask) : nullptr;
  std::string there = all ? text(all->value) : l.mask ? text(l.mask) : "true";
  return "pl_copy<" + std::to_string(s.value->type.lanes) + ">(" + buffers.at(s.buffer.get()).pointer +
         " + " + offset(*s.buffer, s.indices) + ", " + buffers.at(l.buffer.get()).pointer + " + " +
         offset(*l.buffer, l.indices) + ", " + there + ");";
}

bool Printer::multiplied(const For &f) {
  auto m = warpProduct(f, itemsLoop->var, *constantOf(itemsLoop->end));
  if (!m) return false;
  auto place = [&](const Buffer &b, const Expr &at) {
    return buffers.at(b.get()).pointer + " + " + text(at);
  };
  line("pl_mma(" + place(m->accumulator, m->accumulatorAt) + ", " + place(m->a, m->aAt) + ", " +
       std::to_string(m->aPitch) + ", " + place(m->b, m->bAt) + ", " + std::to_string(m->bPitch) + ");");
  return true;
}

bool Printer::nativeStore(const Store &s) const {
  if (isCopy(s)) return true;
  int lanes = s.value->type.lanes;
  if (lanes == 1 || std::ranges::find(dialect.lanes, lanes) == dialect.lanes.end() || s.mask) return false;
  Expr target = makeExpr(s.value->type, Load{s.buffer, s.indices, {}});
  return nativeValue(target, lanes) && nativeValue(s.value, lanes);
}

bool Printer::nativeValue(const Expr &e, int lanes) const {
  auto go = [&](const Expr &x) { return nativeValue(x, lanes); };
  if (e->type.lanes == 1) {
    bool vector = false; // a scalar of four-lane operands
    eachNode(e, [&](const Expr &x) { vector |= x->type.lanes > 1; });
    return !vector;
  }
  DType t = e->type.dtype;
  if (e->type.lanes != lanes || t == DType::i64) return false;
  bool word = t == DType::f32 || t == DType::i32;
  return match(
      e, [&](const IntImm &) { return true; }, [&](const FloatImm &) { return true; },
      [&](const VarRef &v) { return nativeVars.contains(v.var.get()); },
      [&](const Binary &x) {
        bool index = x.op == BinaryOp::FloorDiv || x.op == BinaryOp::FloorMod;
        DType of = x.a->type.dtype;
        bool words = of == DType::f32 || of == DType::i32 || (of == DType::b1 && t == DType::b1);
        return words && !index && x.a->type.lanes == lanes && x.b->type.lanes == lanes && go(x.a) && go(x.b);
      },
      [&](const Select &s) {
        return word && s.a->type.lanes == lanes && s.b->type.lanes == lanes && go(s.cond) && go(s.a) &&
               go(s.b);
      },
      [&](const Cast &c) { return t != DType::b1 && c.value->type.dtype != DType::b1 && go(c.value); },
      [&](const Load &l) { return contiguous(l) && t != DType::b1; },
      [&](const Call &c) {
        if (c.fn == Intrinsic::Dot4) return nativeDot(c, lanes);
        return word &&
               std::ranges::all_of(c.args, [&](const Expr &a) { return a->type.lanes == lanes && go(a); });
      },
      [&](const Ramp &) { return false; },
      [&](const Broadcast &x) { return x.value->type.lanes == 1 && go(x.value); });
}

} // namespace planish::codegen
