#include "DeviceObject.h"

#include "ConstantWriter.h"
#include "Metadata.h"

#include <planish/abi.h>

namespace planish::artifact {

namespace {

constexpr std::string_view kSuffix = "_launch";

std::string described(ConstantWriter &w, const codegen::DeviceKernel &k, size_t index) {
  const loop::Function &f = *k.function;
  std::vector<std::string> params;
  for (const codegen::DeviceParam &p : k.params)
    params.push_back(
        ConstantWriter::structure({ConstantWriter::i64(uint64_t(p.bytes)), ConstantWriter::i32(p.element),
                                   ConstantWriter::i32(p.written)}));
  if (k.onHost) w.module += "declare hidden void @" + f.name + "(ptr, ptr, ptr, i64, i64)\n";
  return ConstantWriter::structure(
      {w.text(f.name), k.onHost ? ConstantWriter::pointer(f.name) : "ptr null",
       w.table(f.name + "_params", params), ConstantWriter::i32(int64_t(params.size())),
       ConstantWriter::i32(int64_t(f.scalars.size())), ConstantWriter::i32(k.group),
       ConstantWriter::i32(k.taskIsGroup), ConstantWriter::i32(int64_t(index)), ConstantWriter::i32(0)});
}

} // namespace

codegen::LaunchStyle deviceLaunches() { return {PLANISH_OPENCL_LAUNCH_SYMBOL, std::string(kSuffix)}; }

Result<std::string> deviceObject(const loop::Program &program, const codegen::DeviceProgram &device,
                                 const Target &host) {
  ConstantWriter w;
  std::vector<std::string> kernels;
  for (size_t i = 0; i < device.kernels.size(); ++i) {
    std::string symbol = device.kernels[i].function->name + std::string(kSuffix);
    std::string value = described(w, device.kernels[i], i);
    w.module += "@" + symbol + " = hidden constant " + value + ", align 8\n";
    kernels.push_back(ConstantWriter::pointer(symbol));
  }
  std::string own = symbolsOf(program).device, shared = own + "_shared";
  w.module += "@" PLANISH_OPENCL_HOOKS_SYMBOL " = external hidden constant i8\n@" + shared +
              " = internal global ptr null\n";
  std::string table = w.table(own + "_kernels", kernels);
  std::string value = ConstantWriter::structure(
      {ConstantWriter::pointer(PLANISH_OPENCL_HOOKS_SYMBOL), ConstantWriter::pointer(shared),
       w.text(device.source), ConstantWriter::i64(device.source.size()), table,
       ConstantWriter::i32(int64_t(kernels.size())), ConstantWriter::i32(0)});
  w.module += "@" + own + " = hidden constant " + value + ", align 8\n";
  return codegen::compileText(w.module, host);
}

} // namespace planish::artifact
