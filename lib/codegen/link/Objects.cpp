// Objects that are not compiled from loop IR: constant bytes and the runtime.
#include "../llvm/Machine.h"

#include "planish/codegen/Link.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/MCAsmBackend.h>
#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCCodeEmitter.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCExpr.h>
#include <llvm/MC/MCObjectFileInfo.h>
#include <llvm/MC/MCObjectWriter.h>
#include <llvm/MC/MCSectionELF.h>
#include <llvm/MC/MCStreamer.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCSymbol.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/raw_ostream.h>

namespace planish::codegen {

Result<std::string> dataObject(std::span<const std::byte> bytes, const std::string &symbol,
                               const Target &target) {
  PLANISH_ASSIGN(auto machine, targetMachine(target));
  const llvm::Target &llvmTarget = machine->getTarget();
  const llvm::Triple &triple = machine->getTargetTriple();
  const llvm::MCSubtargetInfo &subtarget = *machine->getMCSubtargetInfo();
  llvm::MCContext context(triple, machine->getMCAsmInfo(), machine->getMCRegisterInfo(), &subtarget);
  std::unique_ptr<llvm::MCObjectFileInfo> info(llvmTarget.createMCObjectFileInfo(context, /*PIC=*/true));
  context.setObjectFileInfo(info.get());

  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  std::unique_ptr<llvm::MCAsmBackend> backend(
      llvmTarget.createMCAsmBackend(subtarget, *machine->getMCRegisterInfo(), llvm::MCTargetOptions()));
  std::unique_ptr<llvm::MCObjectWriter> writer = backend->createObjectWriter(stream);
  std::unique_ptr<llvm::MCCodeEmitter> emitter(
      llvmTarget.createMCCodeEmitter(*machine->getMCInstrInfo(), context));
  std::unique_ptr<llvm::MCStreamer> out(llvmTarget.createMCObjectStreamer(
      triple, context, std::move(backend), std::move(writer), std::move(emitter), subtarget));

  out->initSections(/*NoExecStack=*/true, subtarget);
  out->switchSection(
      context.getELFSection(".rodata." + symbol, llvm::ELF::SHT_PROGBITS, llvm::ELF::SHF_ALLOC));
  out->emitValueToAlignment(llvm::Align(64));
  llvm::MCSymbol *name = context.getOrCreateSymbol(symbol);
  out->emitSymbolAttribute(name, llvm::MCSA_Global);
  out->emitSymbolAttribute(name, llvm::MCSA_Hidden);
  out->emitSymbolAttribute(name, llvm::MCSA_ELF_TypeObject);
  out->emitLabel(name);
  out->emitBytes({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  out->emitELFSize(name, llvm::MCConstantExpr::create(int64_t(bytes.size()), context));
  out->finish();
  return std::string(object.begin(), object.end());
}

Result<std::string> compileBitcode(std::span<const unsigned char> bitcode, const Target &target) {
  PLANISH_ASSIGN(auto machine, targetMachine(target));
  llvm::LLVMContext ctx;
  llvm::MemoryBufferRef buffer({reinterpret_cast<const char *>(bitcode.data()), bitcode.size()}, "runtime");
  auto module = llvm::parseBitcodeFile(buffer, ctx);
  if (!module) return failed("the embedded bitcode cannot be read: " + llvm::toString(module.takeError()));
  (*module)->setDataLayout(machine->createDataLayout());
  (*module)->setTargetTriple(machine->getTargetTriple().str());
  machine->Options.FunctionSections = machine->Options.DataSections = true;
  optimizeFully(**module, *machine);
  return generate(**module, *machine, Form::Object);
}

} // namespace planish::codegen
