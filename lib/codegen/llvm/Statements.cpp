#include "Emitter.h"

#include "planish/support/Check.h"

namespace planish::codegen {

using namespace loop;
using llvm::Value;

Emitter::Emitter(llvm::BasicBlock *entryBlock, const Target &t)
    : b(entryBlock), ctx(entryBlock->getContext()), entry(entryBlock), target(t) {}

void Emitter::bind(const Buffer &buffer, Value *base, Expr extra) {
  bases.push_back({buffer.get(), base});
  if (extra && !(constantOf(extra) == 0)) extras[buffer.get()] = std::move(extra);
}

void Emitter::bind(const Var &var, Value *value) {
  vars[var.get()] = value;
  levels[var.get()] = 0;
}

void Emitter::tasks(Value *begin, Value *end) { taskBegin = begin, taskEnd = end; }

void Emitter::scratch(Value *base, ScratchPlan plan) {
  scratchBase = base;
  scratchPlan = std::move(plan);
}

void Emitter::body(const Stmt &s) {
  const std::vector<Stream> &all = streams(s);
  for (auto &[buffer, base] : bases) introduce(buffer, base, all);
  stmt(s);
}

llvm::BasicBlock *Emitter::block(const llvm::Twine &name) {
  return llvm::BasicBlock::Create(ctx, name, b.GetInsertBlock()->getParent());
}

void Emitter::stmt(const Stmt &s) {
  values.clear();
  match(
      s, [&](const For &f) { forLoop(f); }, [&](const While &w) { whileLoop(w); },
      [&](const Store &t) { store(t); }, [&](const Alloc &a) { alloc(a); }, [&](const If &i) { branch(i); },
      [&](const Let &l) { let(l); },
      [&](const Block &bl) {
        std::span<const Stmt> rest = bl.stmts;
        while (!rest.empty()) {
          size_t done = storeTogether(rest);
          if (!done) done = storeCodes(rest);
          if (!done) stmt(rest[done++]);
          rest = rest.subspan(done);
        }
      },
      [&](const Eval &v) { prefetch(v.call); },
      [&](const Launch &l) {
        PLANISH_CHECK(launch, "a launch outside the host function");
        launch(l);
      });
  values.clear();
}

void Emitter::forLoop(const For &f) {
  const VarNode *v = f.var.get();
  Value *begin = expr(f.begin), *end = expr(f.end);
  if (f.kind == LoopKind::Parallel && taskBegin) {
    begin = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, begin, taskBegin);
    end = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, taskEnd);
  }
  ranges[f.var] = {rangeOf(f.begin, ranges).lo, rangeOf(f.end, ranges).hi - 1};
  scope.push_back(v);
  levels[v] = int(scope.size());
  const std::vector<Stream> &all = streams(f.body);
  std::vector<Value *> steps;
  std::vector<Pointer> moved = carried(v, all, steps);
  for (size_t i = 0; i < moved.size(); ++i)
    moved[i].value = step(moved[i].value, b.CreateMul(begin, steps[i]));

  auto *before = b.GetInsertBlock(), *body = block(v->name), *done = block(v->name + ".end");
  auto *lo = llvm::dyn_cast<llvm::ConstantInt>(begin), *hi = llvm::dyn_cast<llvm::ConstantInt>(end);
  if (lo && hi && lo->getSExtValue() < hi->getSExtValue()) b.CreateBr(body);
  else b.CreateCondBr(b.CreateICmpSLT(begin, end), body, done);

  b.SetInsertPoint(body);
  values.clear();
  auto *i = b.CreatePHI(b.getInt64Ty(), 2, v->name);
  i->addIncoming(begin, before);
  vars[v] = i;
  size_t mark = pointers.size();
  std::vector<llvm::PHINode *> phis;
  for (Pointer &p : moved) {
    phis.push_back(b.CreatePHI(p.value->getType(), 2, p.buffer->name + "." + v->name));
    phis.back()->addIncoming(p.value, before);
    p.value = phis.back();
    pointers.push_back(p);
  }
  addRest(v, all);
  stmt(f.body);
  pointers.resize(mark);
  levels.erase(v);
  scope.pop_back();

  auto *latch = b.GetInsertBlock();
  for (size_t k = 0; k < phis.size(); ++k) phis[k]->addIncoming(step(phis[k], steps[k]), latch);
  Value *next = b.CreateAdd(i, b.getInt64(1), "", true, true);
  i->addIncoming(next, latch);
  b.CreateCondBr(b.CreateICmpSLT(next, end), body, done);
  b.SetInsertPoint(done);
}

void Emitter::whileLoop(const While &w) {
  auto *head = block("while"), *body = block("while.body"), *done = block("while.end");
  b.CreateBr(head);
  b.SetInsertPoint(head);
  b.CreateCondBr(expr(w.cond), body, done);
  b.SetInsertPoint(body);
  stmt(w.body);
  b.CreateBr(head);
  b.SetInsertPoint(done);
}

void Emitter::branch(const If &i) {
  auto *then = block("then"), *done = block("endif");
  b.CreateCondBr(expr(i.cond), then, done);
  b.SetInsertPoint(then);
  stmt(i.then);
  b.CreateBr(done);
  b.SetInsertPoint(done);
}

/// A let is a loop that runs once: its variable may occur in addresses.
void Emitter::let(const Let &l) {
  const VarNode *v = l.var.get();
  Value *value = vars[v] = expr(l.value);
  if (l.var->type == Type{}) ranges[l.var] = rangeOf(l.value, ranges);
  scope.push_back(v);
  levels[v] = int(scope.size());
  const std::vector<Stream> &all = streams(l.body);
  size_t mark = pointers.size();
  std::vector<Value *> steps;
  std::vector<Pointer> moved = carried(v, all, steps);
  for (size_t k = 0; k < moved.size(); ++k) {
    moved[k].value = step(moved[k].value, b.CreateMul(value, steps[k]));
    pointers.push_back(moved[k]);
  }
  addRest(v, all);
  stmt(l.body);
  pointers.resize(mark);
  levels.erase(v);
  scope.pop_back();
}

Value *Emitter::placeOf(const BufferNode &buffer) {
  if (buffer.scope == Scope::Scratch) {
    PLANISH_CHECK(scratchBase, "scratch memory outside of a kernel: " + buffer.name);
    return step(scratchBase, b.getInt64(uint64_t(scratchPlan.offsets.at(&buffer))));
  }
  int64_t bytes = byteSize(buffer.dtype);
  for (int64_t d : constantsOf(buffer.shape)) bytes *= d;
  // A masked access of a register buffer reads whole vectors and keeps what the mask says.
  bytes += target.vectorBytes;
  llvm::IRBuilder<> top(entry, entry->begin());
  auto *slot = top.CreateAlloca(llvm::ArrayType::get(b.getInt8Ty(), uint64_t(bytes)), nullptr, buffer.name);
  slot->setAlignment(llvm::Align(64));
  return slot;
}

void Emitter::alloc(const Alloc &a) {
  const BufferNode &buffer = *a.buffer;
  Value *slot = placeOf(buffer);
  size_t mark = pointers.size();
  introduce(&buffer, slot, streams(a.body));
  bases.push_back({&buffer, slot});
  stmt(a.body);
  bases.pop_back();
  pointers.resize(mark);
}

void Emitter::prefetch(const Expr &e) {
  auto *c = as<Call>(e);
  PLANISH_CHECK(c && c->fn == Intrinsic::Prefetch, "only a prefetch stands alone");
  auto *l = as<Load>(c->args[0]);
  Value *p = address(accessOf(l, l->buffer, l->indices, c->args[0]->type.lanes));
  b.CreateIntrinsic(llvm::Intrinsic::prefetch, {p->getType()},
                    {p, b.getInt32(0), b.getInt32(2), b.getInt32(1)});
}

} // namespace planish::codegen
