#include "Kernels.h"

#include "Sharing.h"

#include "planish/graph/Evaluate.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/schedule/Packing.h"
#include "planish/schedule/Template.h"
#include "planish/support/Check.h"
#include "planish/support/Hash.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

namespace planish::lower {

using loop::Buffer;
using loop::Compute;
using loop::Expr;

namespace {

std::vector<Expr> extents(const Shape &shape) {
  std::vector<Expr> r;
  for (const Dim &d : shape) r.push_back(loop::extentOf(d));
  return r;
}

double upperProduct(const std::vector<loop::Iter> &iters) {
  double r = 1;
  for (const loop::Iter &i : iters) r *= double(std::max<int64_t>(loop::rangeOf(i.extent).hi, 0));
  return r;
}
double flopsOf(const Compute &c) {
  double points = upperProduct(c.space);
  return c.reduce.empty() ? points : points * upperProduct(c.reduce) * (c.rhs ? 2 : 1);
}

/// A value that is one of an operand's, or a constant.
bool isMoved(const Expr &e) {
  if (const auto *s = loop::as<loop::Select>(e)) return isMoved(s->a) && isMoved(s->b);
  return loop::as<loop::Load>(e) || loop::constantOf(e) || loop::as<loop::FloatImm>(e);
}

double upperElements(const Buffer &b) {
  double n = 1;
  for (const Expr &d : b->shape) n *= double(std::max<int64_t>(loop::rangeOf(d).hi, 0));
  return n;
}

/// A copy or a change of layout: the result's elements are the operands', and no more than those have.
bool copies(const Compute &c) {
  if (c.lhs || !isMoved(c.value)) return false;
  double read = 0;
  for (const Buffer &b : c.params)
    if (b != c.out) read += upperElements(b);
  return upperElements(c.out) <= read;
}

Compute copyOf(const Buffer &from, const Buffer &to) {
  Compute c;
  c.name = "copy";
  for (size_t d = 0; d < to->shape.size(); ++d) {
    Var i = loop::var("i" + std::to_string(d));
    c.space.push_back({i, to->shape[d]});
    c.outIndices.push_back(loop::use(i));
  }
  c.out = to;
  c.value = loop::load(from, c.outIndices);
  loop::collectParams(c);
  return c;
}

/// The value of a constant of one element.
std::optional<double> soleElement(const graph::Value &v) {
  if (!v.isConstant() || v.data->size() != size_t(byteSize(v.type.dtype))) return std::nullopt;
  const std::byte *p = v.data->data();
  auto as = [&]<class T>(T value) {
    std::memcpy(&value, p, sizeof value);
    return double(value);
  };
  switch (v.type.dtype) {
  case DType::f32: return as(float());
  case DType::f64: return as(double());
  case DType::i32: return as(int32_t());
  case DType::u8: return as(uint8_t());
  case DType::b1: return as(uint8_t());
  case DType::i8: return as(int8_t());
  case DType::u16: return as(uint16_t());
  case DType::i16: return as(int16_t());
  case DType::u32: return as(uint32_t());
  case DType::f16:
  case DType::bf16: break;
  case DType::i64:
  case DType::u64: break;  // a double does not hold them all
  }
  return std::nullopt;
}

/// Loads of constants of one element become immediates.
void inlineSoleElements(Compute &c, const std::map<const loop::BufferNode *, double> &values) {
  if (values.empty()) return;
  auto immediate = [&](const Expr &x) {
    const auto *l = loop::as<loop::Load>(x);
    if (!l || l->mask) return x;
    auto it = values.find(l->buffer.get());
    return it == values.end() ? x : loop::constant(it->second, x->type);
  };
  for (Expr *e : {&c.init, &c.lhs, &c.rhs, &c.value})
    if (*e) *e = loop::rewrite(*e, immediate);
  c.params.clear();
  c.scalars.clear();
  loop::collectParams(c);
}

/// Parallel loops run as serial ones, in one task.
loop::Function withoutTasks(const loop::Function &f) {
  loop::Function r = f;
  r.body = loop::rewrite(f.body, [](const loop::Stmt &s) {
    const auto *l = loop::as<loop::For>(s);
    if (!l || l->kind != loop::LoopKind::Parallel) return s;
    return loop::loop(l->var, l->begin, l->end, loop::LoopKind::Serial, l->body);
  });
  return r;
}

/// What the target's code may contain. In strict form that is what all targets have, or what has the same
/// bits: an instruction that scales by powers of two rounds as the product with the power does.
loop::Legal legalOn(const Target &t) { return {t.fma && !t.strict, t.fma}; }

} // namespace

loop::LaunchInfo infoOf(const LoweredStep &step) {
  loop::LaunchInfo r = step.info;
  r.config = joined(
      step.config, [](const auto &knob) { return knob.first + "=" + std::to_string(knob.second); }, " ");
  return r;
}

StepCompute computeOf(const Step &step, const graph::Graph &g, const Storage &storage) {
  // Operands in the same place are one parameter: the buffers of a function never alias.
  StepCompute r;
  auto bufferFor = [&](const Operand &o, const std::string &name) {
    for (auto &[other, b] : r.operands)
      if (other.type.shape == o.type.shape && samePlace(other.place, o.place, o.type.shape)) return b;
    loop::Scope scope =
        storage.roots[size_t(o.place.root)].constant ? loop::Scope::Constant : loop::Scope::Global;
    Buffer b = loop::buffer(name, o.type.dtype, extents(o.type.shape), o.place.view.strides, scope);
    r.operands.push_back({o, b});
    return b;
  };
  std::vector<Buffer> in, out;
  std::map<const loop::BufferNode *, double> sole;
  for (size_t i = 0; i < step.in.size(); ++i) {
    in.push_back(step.in[i] ? bufferFor(*step.in[i], "x" + std::to_string(i)) : nullptr);
    if (!step.in[i]) continue;
    const graph::Value *constant = storage.roots[size_t(step.in[i]->place.root)].constant;
    if (auto value = constant ? soleElement(*constant) : std::nullopt) sole[in.back().get()] = *value;
  }
  for (const Operand &o : step.out)
    out.push_back(bufferFor(o, "y" + (step.out.size() > 1 ? std::to_string(out.size()) : "")));
  if (!step.copy && g[step.node].op->loops) {
    r.definition = graph::loopsOf(g[step.node], g, in, out);
    return r;
  }
  r.compute = step.copy ? copyOf(in[0], out[0]) : graph::computeOf(g[step.node], g, in, out[0]);
  inlineSoleElements(r.compute, sole);
  r.definition = loop::definition(r.compute);
  return r;
}

ScheduledFunction scheduledFunction(Compute compute, const Target &target, const schedule::Config &config,
                                    bool strict) {
  schedule::Scheduled made = schedule::schedule(std::move(compute), target, config, strict);
  loop::Function f = std::move(made.lowered.function);
  CoreParts parts = coreParts(f);
  f = loop::legalize(loop::unroll(loop::vectorize(f)), legalOn(target));
  return {std::move(f),      std::move(made.lowered.packings),
          made.templateName, std::move(made.config),
          std::move(parts),  made.nanoseconds};
}

Result<LoweredStep> KernelSet::lower(const graph::Graph &g, const Step &step) {
  StepCompute made = computeOf(step, g, storage);
  const loop::Function definition = made.definition;
  const auto operands = made.operands;
  LoweredStep r;
  const std::vector<Buffer> &params = definition.params;
  if (made.compute.out) {
    r.info.flops = flopsOf(made.compute);
    r.info.copies = copies(made.compute);
  }
  PLANISH_ASSIGN(const Shared *s, shared(std::move(made)));
  r.kernel = s->function;
  r.parts = s->parts;
  r.nanoseconds = s->nanoseconds;
  loop::Substitution symbols;  // the kernel's, which may be those of an earlier step
  for (size_t i = 0; i < s->scalars.size(); ++i) symbols[s->scalars[i]] = loop::use(definition.scalars[i]);
  r.tasks = loop::substitute(s->tasks, symbols);
  for (const Var &v : s->function->scalars) r.scalars.push_back(symbols.at(v));
  for (size_t i = 0; i < params.size(); ++i) {
    auto it = std::ranges::find(operands, params[i], [](auto &o) { return o.second; });
    PLANISH_CHECK(it != operands.end(), "a kernel parameter that is no operand");
    const Operand &o = it->first;
    Argument a;
    a.parameter = s->function->params[i];
    if (storage.roots[size_t(o.place.root)].constant) {
      auto packing = s->packings.find(int(i));
      bindConstant(a, o, packing == s->packings.end() ? nullptr : &packing->second);
      r.info.bytes += double(constants[size_t(a.constant)].bytes->size());
    } else {
      a.operand = o;
      double elements = 1;
      for (const Dim &d : o.type.shape) elements *= double(d.upper());
      r.info.bytes += elements * byteSize(o.type.dtype);
    }
    r.arguments.push_back(std::move(a));
  }
  r.info.kernel = r.kernel->name;
  r.info.templateName = s->templateName;
  r.info.serial = s->templateName == schedule::templates().back().name;
  r.config = s->config;
  r.info.key = s->key;
  r.info.tuned = s->tuned;
  r.info.imperative = s->imperative;
  if (!g.nodes().empty()) r.info.nodes = g[step.node].loc.onnxNodes;  // else a branch's constant, copied
  return r;
}

namespace {

/// The function's text with its scalars by number, so that equal computations on different symbols of equal
/// bounds have equal texts.
std::string keyOf(const loop::Function &f) {
  std::map<std::string, std::string, std::less<>> numbers;
  for (const Var &v : f.scalars) numbers[v->name] = "#" + std::to_string(numbers.size());
  std::string text = loop::print(f), r;
  auto inName = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && inName(text[end])) ++end;
    bool isBuffer = i > 0 && (text[i - 1] == '%' || text[i - 1] == '@');
    auto number = isBuffer ? numbers.end() : numbers.find(std::string_view(text).substr(i, end - i));
    if (number != numbers.end()) r += number->second;
    else r.append(text, i, std::max(end, i + 1) - i);
    i = std::max(end, i + 1);
  }
  return r;
}

} // namespace

Result<const KernelSet::Shared *> KernelSet::shared(StepCompute step) {
  std::string stem = std::exchange(step.definition.name, "kernel");
  std::string key = keyOf(step.definition);
  if (auto it = byText.find(key); it != byText.end()) return &it->second;

  Shared s;
  s.scalars = step.definition.scalars;
  loop::Function f;
  if (options.mode == Mode::Reference) {
    f = loop::legalize(step.definition, legalOn(target));
    s.templateName = "reference";
  } else if (!step.compute.out) {
    f = loop::legalize(loop::unroll(loop::vectorize(step.definition)), legalOn(target));
    s.templateName = "loops";
    s.imperative = true;
    s.nanoseconds = storeNanoseconds(step.definition);
  } else {
    schedule::Config config;
    step.compute.name = "kernel";
    s.key = schedule::keyOf(step.compute);
    const schedule::TuningDatabase *db = options.tuning;
    if (const auto *entry = db ? db->find(s.key, target.name) : nullptr) {
      PLANISH_ASSIGN(config, schedule::knobsFor(step.compute, target, *entry));
      s.tuned = true;
    }
    if (auto tile = tiles.find(s.key); tile != tiles.end())
      config[std::string(schedule::kTileKnob)] = tile->second;
    ScheduledFunction scheduled = scheduledFunction(std::move(step.compute), target, config, options.strict);
    f = std::move(scheduled.function);
    for (auto &p : scheduled.packings) s.packings[p.param] = std::move(p);
    s.templateName = scheduled.templateName;
    s.config = std::move(scheduled.config);
    s.parts = std::move(scheduled.parts);
    s.nanoseconds = scheduled.nanoseconds;
  }
  if (s.parts.cores[0].empty()) s.parts = coreParts(f);
  f.name = options.name + "_k" + std::to_string(functions.size()) + "_" + stem;
  s.tasks = loop::taskCount(f);
  s.function = std::make_shared<const loop::Function>(std::move(f));
  functions.push_back(s.function);
  return &byText.emplace(std::move(key), std::move(s)).first->second;
}

void KernelSet::keepWhole(const std::set<const loop::Function *> &kernels, std::vector<LoweredStep> &steps) {
  std::map<const loop::Function *, loop::FunctionRef> alone;
  for (loop::FunctionRef &f : functions)
    if (kernels.contains(f.get())) {
      auto made = std::make_shared<const loop::Function>(withoutTasks(*f));
      alone[f.get()] = made;
      f = made;
    }
  for (LoweredStep &s : steps)
    if (auto it = alone.find(s.kernel.get()); it != alone.end()) {
      s.kernel = it->second;
      s.tasks = loop::imm(1);
      if (auto knob = s.config.find("parallel"); knob != s.config.end()) knob->second = 0;
    }
}

void KernelSet::bindConstant(Argument &argument, const Operand &operand,
                             const schedule::Kernel::Packing *packing) {
  // The operand may be a view of the constant: a reshape that was too large to fold.
  const graph::Value &value = *storage.roots[size_t(operand.place.root)].constant;
  argument.offset = loop::imm(0);
  if (!packing) {
    argument.constant = addConstant(value.name, value.data);
    argument.offset = operand.place.view.offset;
    return;
  }
  auto first = loop::constantOf(operand.place.view.offset);
  PLANISH_CHECK(first, "a packed constant that begins at a run-time offset");
  auto packed = std::make_shared<std::vector<std::byte>>(size_t(schedule::packedBytes(*packing)));
  int64_t element = byteSize(packing->function.params[1]->dtype);
  schedule::runPacking(*packing, value.data->data() + *first * element, packed->data());
  if (packing->prepare) {
    ++transformed.launches;
    transformed.bytes += int64_t(packed->size());
    transformed.originalBytes += int64_t(value.data->size());
  }
  argument.constant = addConstant(value.name, std::move(packed));
}

int64_t KernelSet::addConstant(std::string name, graph::Bytes bytes) {
  std::string key = hexOf(hash64(*bytes)) + ":" + std::to_string(bytes->size());
  auto [it, fresh] = constantByHash.try_emplace(key, int64_t(constants.size()));
  if (fresh) constants.push_back({std::move(name), std::move(bytes)});
  return it->second;
}

} // namespace planish::lower
