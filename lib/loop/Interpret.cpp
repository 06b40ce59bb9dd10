// Statements of the interpreter.
#include "planish/loop/Interpret.h"

#include "Evaluate.h"
#include "planish/loop/Text.h"
#include "planish/loop/Verify.h"
#include "planish/support/Check.h"

#include <cstring>

namespace planish::loop {

namespace {

constexpr std::byte kPoison{0xff};  // what a fresh allocation holds: NaN, -1

class Step {
public:
  virtual ~Step() = default;
  virtual void run(Frame &) const = 0;
};
using StepRef = std::shared_ptr<const Step>;

template <class Fn> class Closure final : public Step {
public:
  explicit Closure(Fn fn) : fn(std::move(fn)) {}
  void run(Frame &s) const override { fn(s); }

private:
  Fn fn;
};
template <class Fn> StepRef step(Fn fn) { return std::make_shared<Closure<Fn>>(std::move(fn)); }

void write(std::byte *to, DType dtype, Slot64 v) {
  switch (byteSize(dtype)) {
  case 1: *to = std::byte(v.i); return;
  case 2: {
    auto narrow = uint16_t(v.i);
    std::memcpy(to, &narrow, sizeof narrow);
    return;
  }
  case 4:
    if (isFloat(dtype)) {
      auto narrow = float(v.f);
      std::memcpy(to, &narrow, sizeof narrow);
    } else {
      auto narrow = int32_t(v.i);
      std::memcpy(to, &narrow, sizeof narrow);
    }
    return;
  default: std::memcpy(to, &v, sizeof v);
  }
}

/// The sizes and strides of a buffer, evaluated where it becomes known.
struct PlaceSizes {
  std::vector<NodeRef> shape, strides;

  void evaluate(Frame &s, Place &p) const {
    p.shape.clear(), p.strides.clear();
    for (auto &n : shape) p.shape.push_back(n->i(s, 0));
    for (auto &n : strides) p.strides.push_back(n->i(s, 0));
  }
};

/// The offset of the last element, -1 where there is none.
int64_t lastOffset(const Place &p) {
  int64_t last = 0;
  for (size_t d = 0; d < p.shape.size(); ++d) {
    if (p.shape[d] <= 0) return -1;
    last += (p.shape[d] - 1) * p.strides[d];
  }
  return last;
}

/// A function compiled to steps.
class Runnable {
public:
  explicit Runnable(const Function &f) : function(f) {
    for (auto &v : f.scalars) scalars.push_back(compiler.slotOf(v));
    for (auto &b : f.params) {
      params.push_back(compiler.placeOf(b));
      sizes.push_back(sizesOf(*b));
    }
    body = compile(f.body);
  }

  /// `extents[i]`: the last offset in elements that parameter i may have, if known.
  void run(const std::vector<std::byte *> &memory, const std::vector<int64_t> &values,
           const std::vector<int64_t> &extents = {}) const {
    Frame s = compiler.frame();
    for (size_t i = 0; i < values.size(); ++i) bind(s, function.scalars[i], scalars[i], values[i]);
    for (size_t i = 0; i < memory.size(); ++i) {
      Place &p = s.places[size_t(params[i])];
      p.base = memory[i];
      sizes[i].evaluate(s, p);
      if (!extents.empty() && lastOffset(p) > extents[i])
        throw RunError{"'%" + function.params[i]->name + "' of @" + function.name +
                       " is larger than its argument"};
    }
    body->run(s);
  }

private:
  static void bind(Frame &s, const Var &v, int slot, int64_t value) {
    if (value < v->lower || value > v->upper)
      throw RunError{"'" + v->name + "' = " + std::to_string(value) + " is outside of its declared bounds " +
                     std::to_string(v->lower) + ".." + std::to_string(v->upper)};
    s.slots[size_t(slot)].i = value;
  }

  PlaceSizes sizesOf(const BufferNode &b) {
    PlaceSizes r;
    for (auto &e : b.shape) r.shape.push_back(compiler.compile(e));
    for (auto &e : b.strides) r.strides.push_back(compiler.compile(e));
    return r;
  }

  StepRef compile(const Stmt &s) {
    return match(
        s, [&](const For &f) { return forStep(f); },
        [&](const While &w) {
          return step([cond = compiler.compile(w.cond), body = compile(w.body)](Frame &s) {
            while (cond->i(s, 0)) body->run(s);
          });
        },
        [&](const Store &t) { return storeStep(t); }, [&](const Alloc &a) { return allocStep(a); },
        [&](const If &i) {
          return step([cond = compiler.compile(i.cond), then = compile(i.then)](Frame &s) {
            if (cond->i(s, 0)) then->run(s);
          });
        },
        [&](const Let &l) { return letStep(l); },
        [&](const Block &b) {
          std::vector<StepRef> steps;
          for (auto &x : b.stmts) steps.push_back(compile(x));
          return step([steps](Frame &s) {
            for (auto &x : steps) x->run(s);
          });
        },
        [&](const Eval &) { return step([](Frame &) {}); }, [&](const Launch &l) { return launchStep(l); });
  }

  StepRef forStep(const For &f) {
    int slot = compiler.slotOf(f.var);
    return step([v = f.var, slot, begin = compiler.compile(f.begin), end = compiler.compile(f.end),
                 body = compile(f.body)](Frame &s) {
      int64_t from = begin->i(s, 0), to = end->i(s, 0);
      if (from >= to) return;
      bind(s, v, slot, to - 1);
      bind(s, v, slot, from);
      for (int64_t i = from; i < to; ++i) {
        s.slots[size_t(slot)].i = i;
        body->run(s);
      }
    });
  }

  StepRef letStep(const Let &l) {
    int slot = compiler.slotOf(l.var), lanes = l.var->type.lanes;
    NodeRef value = compiler.compile(l.value);
    StepRef body = compile(l.body);
    if (isFloat(l.var->type.dtype))
      return step([slot, lanes, value, body](Frame &s) {
        for (int k = 0; k < lanes; ++k) s.slots[size_t(slot + k)].f = value->f(s, k);
        body->run(s);
      });
    return step([v = l.var, slot, lanes, value, body](Frame &s) {
      for (int k = 0; k < lanes; ++k) bind(s, v, slot + k, value->i(s, k));
      body->run(s);
    });
  }

  /// All lanes are computed before the first is written.
  StepRef storeStep(const Store &t) {
    Access to = compiler.access(t.buffer, t.indices, t.mask);
    NodeRef value = compiler.compile(t.value);
    DType dtype = t.buffer->dtype;
    int lanes = t.value->type.lanes;
    auto lane = [value, floats = isFloat(dtype)](Frame &s, int l) {
      Slot64 v;
      if (floats) v.f = value->f(s, l);
      else v.i = value->i(s, l);
      return v;
    };
    if (lanes == 1)
      return step([to, lane, dtype](Frame &s) {
        if (!to.on(s, 0)) return;
        Slot64 v = lane(s, 0);
        write(to.locate(s, 0), dtype, v);
      });
    return step([to, lane, dtype, lanes](Frame &s) {
      std::vector<Slot64> values;
      std::vector<std::byte *> places;
      for (int l = 0; l < lanes; ++l) {
        places.push_back(to.on(s, l) ? to.locate(s, l) : nullptr);
        values.push_back(lane(s, l));
      }
      for (int l = 0; l < lanes; ++l)
        if (places[size_t(l)]) write(places[size_t(l)], dtype, values[size_t(l)]);
    });
  }

  StepRef allocStep(const Alloc &a) {
    int place = compiler.placeOf(a.buffer);
    auto memory = std::make_shared<std::vector<std::byte>>();
    return step([place, memory, sizes = sizesOf(*a.buffer), bytes = byteSize(a.buffer->dtype),
                 body = compile(a.body)](Frame &s) {
      Place &p = s.places[size_t(place)];
      sizes.evaluate(s, p);
      memory->assign(size_t((lastOffset(p) + 1) * bytes), kPoison);
      p.base = memory->data();
      body->run(s);
    });
  }

  StepRef launchStep(const Launch &l) {
    auto callee = std::make_shared<const Runnable>(*l.kernel);
    std::vector<int> places;
    for (auto &b : l.buffers) places.push_back(compiler.placeOf(b));
    std::vector<NodeRef> scalars;
    for (auto &e : l.scalars) scalars.push_back(compiler.compile(e));
    return step([callee, places, scalars, kernel = l.kernel](Frame &s) {
      std::vector<std::byte *> memory;
      std::vector<int64_t> values, extents;
      for (int p : places) {
        memory.push_back(s.places[size_t(p)].base);
        extents.push_back(lastOffset(s.places[size_t(p)]));
      }
      for (auto &n : scalars) values.push_back(n->i(s, 0));
      callee->run(memory, values, extents);
    });
  }

  const Function &function;
  Compiler compiler;
  std::vector<int> scalars, params;
  std::vector<PlaceSizes> sizes;
  StepRef body;
};

} // namespace

Status interpret(const Function &f, std::span<void *const> params, std::span<const int64_t> scalars) {
  PLANISH_TRY(verify(f));
  if (params.size() != f.params.size() || scalars.size() != f.scalars.size())
    return failed("loop function '@" + f.name + "': " + std::to_string(f.params.size()) + " buffers and " +
                  std::to_string(f.scalars.size()) + " scalars were expected");
  std::vector<std::byte *> memory;
  for (void *p : params) memory.push_back(static_cast<std::byte *>(p));
  try {
    Runnable(f).run(memory, {scalars.begin(), scalars.end()});
  } catch (const RunError &e) { return failed("loop function '@" + f.name + "': " + e.text); }
  return {};
}

} // namespace planish::loop
