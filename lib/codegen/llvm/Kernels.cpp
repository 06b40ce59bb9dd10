// Kernels as functions with the runtime's signature.
#include "Kernels.h"
#include "Emitter.h"
#include "Machine.h"

#include <llvm/IR/Module.h>

namespace planish::codegen {

/// The buffers and scalars arrive in arrays; an inner function takes them one by one, since only
/// parameters can promise that they do not alias.
void emitKernel(llvm::Module &module, const loop::Function &f, const Target &target) {
  llvm::LLVMContext &ctx = module.getContext();
  auto *pointer = llvm::PointerType::get(ctx, 0);
  llvm::Type *i64 = llvm::Type::getInt64Ty(ctx), *none = llvm::Type::getVoidTy(ctx);
  std::vector<llvm::Type *> types(f.params.size(), pointer);
  types.insert(types.end(), f.scalars.size(), i64);
  types.insert(types.end(), {pointer, i64, i64});
  auto *inner = llvm::Function::Create(llvm::FunctionType::get(none, types, false),
                                       llvm::Function::InternalLinkage, f.name + ".body", module);
  inner->addFnAttr(llvm::Attribute::NoInline);
  inner->addFnAttr(llvm::Attribute::NoUnwind);

  Emitter emitter(llvm::BasicBlock::Create(ctx, "entry", inner), target);
  unsigned arg = 0;
  for (const loop::Buffer &p : f.params) {
    inner->addParamAttr(arg, llvm::Attribute::NoAlias);
    inner->getArg(arg)->setName(p->name);
    emitter.bind(p, inner->getArg(arg++));
  }
  for (const Var &v : f.scalars) {
    inner->getArg(arg)->setName(v->name);
    emitter.bind(v, inner->getArg(arg++));
  }
  inner->addParamAttr(arg, llvm::Attribute::NoAlias);
  emitter.scratch(inner->getArg(arg), loop::planScratch(f));
  emitter.tasks(inner->getArg(arg + 1), inner->getArg(arg + 2));
  emitter.body(f.body);
  emitter.b.CreateRetVoid();

  auto *outer =
      llvm::Function::Create(llvm::FunctionType::get(none, {pointer, pointer, pointer, i64, i64}, false),
                             llvm::Function::ExternalLinkage, f.name, module);
  outer->addFnAttr(llvm::Attribute::NoUnwind);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(ctx, "entry", outer));
  std::vector<llvm::Value *> args;
  for (size_t i = 0; i < f.params.size(); ++i)
    args.push_back(b.CreateLoad(pointer, b.CreateConstGEP1_64(pointer, outer->getArg(0), i)));
  for (size_t i = 0; i < f.scalars.size(); ++i)
    args.push_back(b.CreateLoad(i64, b.CreateConstGEP1_64(i64, outer->getArg(1), i)));
  args.insert(args.end(), {outer->getArg(2), outer->getArg(3), outer->getArg(4)});
  b.CreateCall(inner, args);
  b.CreateRetVoid();
}

Result<std::string> emitKernels(std::span<const loop::FunctionRef> kernels, const Target &target, Form form) {
  PLANISH_ASSIGN(auto machine, targetMachine(target));
  llvm::LLVMContext ctx;
  llvm::Module module("kernels", ctx);
  module.setTargetTriple(machine->getTargetTriple().str());
  for (const loop::FunctionRef &f : kernels) emitKernel(module, *f, target);
  prepareModule(module, *machine, target);
  optimize(module, *machine);
  return generate(module, *machine, form);
}

} // namespace planish::codegen
