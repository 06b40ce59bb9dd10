// The host function: loop IR around calls of the runtime's planish_launch_v1.
#include "Emitter.h"
#include "Machine.h"

#include "planish/support/Check.h"

#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>
#include <map>

namespace planish::codegen {
namespace {

using namespace loop;
using llvm::Value;

/// The fields of planish_frame, all of them pointers, in order.
enum FrameField : unsigned {
  Inputs,
  Outputs,
  Arena,
  Weights,
  InputDims,
  OutputDims,
  Symbols,
  Instance,
  FieldCount
};

class HostEmitter {
public:
  HostEmitter(llvm::Module &m, const Program &p, const std::string &symbol, const Target &target,
              const LaunchStyle &launchStyle)
      : module(m), program(p), style(launchStyle), ctx(m.getContext()),
        pointer(llvm::PointerType::get(ctx, 0)), function(makeFunction(symbol)),
        entry(llvm::BasicBlock::Create(ctx, "entry", function)), emitter(entry, target), b(emitter.b),
        offsets(constantOffsets(p)) {}

  void run() {
    for (unsigned i = 0; i < FieldCount; ++i)
      fields[i] = b.CreateLoad(pointer, b.CreateConstGEP1_32(pointer, function->getArg(0), i));
    failure = b.CreateAlloca(b.getInt32Ty(), nullptr, "failure");
    b.CreateStore(b.getInt32(0), failure);
    PLANISH_CHECK(program.slots.size() == program.host.params.size(), "every host parameter has one slot");
    PLANISH_CHECK(program.host.scalars.empty(), "the host function has no scalar parameters");
    for (size_t i = 0; i < program.slots.size(); ++i) bind(program.host.params[i], program.slots[i]);
    makeArrays();
    emitter.launch = [this](const Launch &l) { launch(l); };
    emitter.body(program.host.body);
    b.CreateRet(b.CreateLoad(b.getInt32Ty(), failure));
  }

private:
  llvm::Module &module;
  const Program &program;
  const LaunchStyle &style;
  llvm::LLVMContext &ctx;
  llvm::Type *pointer;
  llvm::Function *function;
  llvm::BasicBlock *entry;
  Emitter emitter;
  llvm::IRBuilder<> &b;
  std::vector<int64_t> offsets;
  std::array<Value *, FieldCount> fields;
  std::map<std::pair<Region, int64_t>, Value *> userPointers;
  Value *failure = nullptr;                      // the place of the result
  Value *buffers = nullptr, *scalars = nullptr;  // arrays of the current launch, reused by all
  unsigned launches = 0;

  llvm::Function *makeFunction(const std::string &symbol) {
    auto *type = llvm::FunctionType::get(llvm::Type::getInt32Ty(ctx), {pointer}, false);
    auto *f = llvm::Function::Create(type, llvm::Function::ExternalLinkage, symbol, module);
    f->addFnAttr(llvm::Attribute::NoUnwind);
    return f;
  }

  Value *userPointer(FrameField field, const Slot &s) {
    Value *&p = userPointers[{s.region, s.index}];
    if (!p) p = b.CreateLoad(pointer, b.CreateConstGEP1_64(pointer, fields[field], uint64_t(s.index)));
    return p;
  }
  Value *base(const Slot &s) {
    auto at = [&](FrameField field, int64_t bytes) {
      return bytes ? b.CreateGEP(b.getInt8Ty(), fields[field], b.getInt64(uint64_t(bytes))) : fields[field];
    };
    switch (s.region) {
    case Region::Input: return userPointer(Inputs, s);
    case Region::Output: return userPointer(Outputs, s);
    case Region::Arena: return at(Arena, s.index);
    case Region::Constant: return at(Weights, offsets.at(size_t(s.index)));
    case Region::InputDims: return fields[InputDims];
    case Region::OutputDims: return fields[OutputDims];
    case Region::Failure: return failure;
    }
    PLANISH_CHECK(false, "a slot in no region");
  }
  void bind(const Buffer &buffer, const Slot &s) {
    Value *p = base(s);
    auto constant = s.offset ? constantOf(s.offset) : 0;
    if (constant)
      emitter.bind(buffer,
                   b.CreateGEP(b.getInt8Ty(), p, b.getInt64(uint64_t(*constant * byteSize(buffer->dtype)))));
    else emitter.bind(buffer, p, s.offset);
  }

  void makeArrays() {
    size_t mostBuffers = 0, mostScalars = 0;
    walk(program.host.body, [&](const Stmt &s) {
      auto *l = as<Launch>(s);
      if (!l) return;
      mostBuffers = std::max(mostBuffers, l->buffers.size());
      mostScalars = std::max(mostScalars, l->scalars.size());
    });
    llvm::IRBuilder<> top(entry, entry->begin());
    buffers = top.CreateAlloca(pointer, top.getInt64(mostBuffers), "buffers");
    scalars = top.CreateAlloca(top.getInt64Ty(), top.getInt64(mostScalars), "scalars");
  }

  void launch(const Launch &l) {
    for (size_t i = 0; i < l.buffers.size(); ++i)
      b.CreateStore(emitter.baseOf(l.buffers[i]), b.CreateConstGEP1_64(pointer, buffers, i));
    for (size_t i = 0; i < l.scalars.size(); ++i)
      b.CreateStore(emitter.expr(l.scalars[i]), b.CreateConstGEP1_64(b.getInt64Ty(), scalars, i));
    auto *none = b.getVoidTy();
    auto *i64 = b.getInt64Ty();
    auto kernel = module.getOrInsertFunction(
        l.kernel->name + style.suffix,
        llvm::FunctionType::get(none, {pointer, pointer, pointer, i64, i64}, false));
    // Linked into the same library, so its address needs no table.
    llvm::cast<llvm::Function>(kernel.getCallee())->setDSOLocal(true);
    auto run = module.getOrInsertFunction(
        style.function,
        llvm::FunctionType::get(none, {pointer, b.getInt32Ty(), pointer, pointer, pointer, i64}, false));
    llvm::cast<llvm::Function>(run.getCallee())->setDSOLocal(true);
    b.CreateCall(run, {fields[Instance], b.getInt32(launches++), kernel.getCallee(), buffers, scalars,
                       emitter.expr(l.tasks)});
  }
};

} // namespace

Result<std::string> emitHost(const Program &program, const std::string &symbol, const Target &target,
                             Form form, const LaunchStyle &style) {
  PLANISH_ASSIGN(auto machine, targetMachine(target));
  llvm::LLVMContext ctx;
  llvm::Module module("host", ctx);
  module.setTargetTriple(machine->getTargetTriple().str());
  HostEmitter(module, program, symbol, target, style).run();
  prepareModule(module, *machine, target);
  optimize(module, *machine);
  return generate(module, *machine, form);
}

} // namespace planish::codegen
