#include "Machine.h"

#include "planish/support/Check.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Vectorize/LoadStoreVectorizer.h>

#include <mutex>

namespace planish::codegen {
namespace {

void setUpLlvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    auto &options = llvm::cl::getRegisteredOptions();
    auto found = options.find("disable-lsr");
    PLANISH_CHECK(found != options.end(), "LLVM has no option disable-lsr");
    // As the initial value: the linker, in the same process, resets all options to theirs.
    static_cast<llvm::cl::opt<bool> *>(found->second)->setInitialValue(true);
  });
}

std::string featureText(const Target &target) {
  std::string r;
  for (const std::string &f : target.features) r += (r.empty() ? "" : ",") + f;
  return r;
}

struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;

  explicit Analyses(llvm::PassBuilder &builder) {
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(callGraph);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, callGraph, modules);
  }
};

} // namespace

Result<std::unique_ptr<llvm::TargetMachine>> targetMachine(const Target &target) {
  setUpLlvm();
  std::string triple = target.triple.empty() ? llvm::sys::getDefaultTargetTriple() : target.triple;
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return unsupported("target " + target.name + ": LLVM does not know the triple '" + triple + "'");
  std::unique_ptr<llvm::MCSubtargetInfo> plain(found->createMCSubtargetInfo(triple, "", ""));
  if (!target.cpu.empty() && !plain->isCPUStringValid(target.cpu))
    return unsupported("target " + target.name + ": LLVM does not know the CPU '" + target.cpu + "' of " +
                       triple);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(triple, target.cpu, featureText(target), options, llvm::Reloc::PIC_,
                                 std::nullopt, llvm::CodeGenOptLevel::Default));
  if (!machine) return unsupported("target " + target.name + ": LLVM makes no code for '" + triple + "'");
  return machine;
}

void prepareModule(llvm::Module &module, const llvm::TargetMachine &machine, const Target &target) {
  module.setDataLayout(machine.createDataLayout());
  module.setTargetTriple(machine.getTargetTriple().str());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::Function &f : module) {
    if (f.isDeclaration()) continue;
    f.addFnAttr("target-cpu", machine.getTargetCPU());
    f.addFnAttr("target-features", machine.getTargetFeatureString());
    f.addFnAttr("prefer-vector-width", std::to_string(8 * target.vectorBytes));
  }
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  Analyses analyses(builder);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::SimplifyCFGPass());
  if (machine.getTargetTriple().isAArch64()) {
    // Neighbouring operands of multiply-adds as one vector, of which they take lanes.
    passes.addPass(llvm::LoadStoreVectorizerPass());
    passes.addPass(llvm::EarlyCSEPass());
  }
  llvm::ModulePassManager all;
  all.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
  all.run(module, analyses.modules);
}

void optimizeFully(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  Analyses analyses(builder);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, analyses.modules);
}

Result<std::string> generate(llvm::Module &module, llvm::TargetMachine &machine, Form form) {
  std::string broken;
  llvm::raw_string_ostream complaints(broken);
  PLANISH_CHECK(!llvm::verifyModule(module, &complaints), "invalid LLVM IR: " + broken);
  if (form == Form::LlvmText) {
    std::string text;
    llvm::raw_string_ostream(text) << module;
    return text;
  }
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  auto kind = form == Form::Object ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, kind))
    return unsupported("LLVM cannot write this kind of file for " + machine.getTargetTriple().str());
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

} // namespace planish::codegen
