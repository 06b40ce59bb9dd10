#include "Machine.h"

#include "planish/support/Check.h"

#include <llvm/AsmParser/Parser.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/SourceMgr.h>

namespace planish::codegen {

Result<std::string> compileText(const std::string &llvmText, const Target &target) {
  PLANISH_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, targetMachine(target));
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(llvmText, problem, context);
  PLANISH_CHECK(module,
                "LLVM text: " + problem.getMessage().str() + " in " + problem.getLineContents().str());
  prepareModule(*module, *machine, target);
  return generate(*module, *machine, Form::Object);
}

} // namespace planish::codegen
