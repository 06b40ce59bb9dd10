#include "DeviceObject.h"

#include "ConstantWriter.h"
#include "Metadata.h"

#include "planish/artifact/RuntimeBitcode.h"
#include "planish/support/Check.h"

#include <planish/abi.h>

namespace planish::artifact {

namespace {

constexpr std::string_view kSuffix = "_launch";

/// The runtime's part for a kind of device.
struct Runtime {
  DeviceKind device;
  std::string_view launch, hooks; // symbols
  std::span<const unsigned char> bitcode;
};

const Runtime &runtimeOf(DeviceKind device) {
  static const Runtime rows[] = {
      {DeviceKind::OpenCl,
       PLANISH_OPENCL_LAUNCH_SYMBOL,
       PLANISH_OPENCL_HOOKS_SYMBOL,
       {kRuntimeOpenClX86_64, kRuntimeOpenClX86_64Size}},
      {DeviceKind::Cuda,
       PLANISH_CUDA_LAUNCH_SYMBOL,
       PLANISH_CUDA_HOOKS_SYMBOL,
       {kRuntimeCudaX86_64, kRuntimeCudaX86_64Size}},
  };
  for (const Runtime &r : rows)
    if (r.device == device) return r;
  PLANISH_CHECK(false, "a device that the runtime has no part for");
}

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

/// planish_cuda_program of a planish_device_program.
std::string withImages(ConstantWriter &w, const std::string &base,
                       const std::optional<codegen::CudaImages> &images, const Target &target) {
  constexpr size_t kPrefix = std::string_view("sm_").size();
  return ConstantWriter::structure(
      {base, images ? w.text(images->cubin) : "ptr null",
       ConstantWriter::i64(images ? images->cubin.size() : 0), images ? w.text(images->ptx) : "ptr null",
       ConstantWriter::i32(std::stoi(target.cpu.substr(kPrefix))), ConstantWriter::i32(0)});
}

} // namespace

codegen::LaunchStyle deviceLaunches(DeviceKind device) {
  return {std::string(runtimeOf(device).launch), std::string(kSuffix)};
}

std::span<const unsigned char> deviceRuntime(DeviceKind device) { return runtimeOf(device).bitcode; }

Result<std::string> deviceObject(const loop::Program &program, const codegen::DeviceProgram &device,
                                 const std::optional<codegen::CudaImages> &images, const Target &target,
                                 const Target &host) {
  ConstantWriter w;
  std::vector<std::string> kernels;
  for (size_t i = 0; i < device.kernels.size(); ++i) {
    std::string symbol = device.kernels[i].function->name + std::string(kSuffix);
    std::string value = described(w, device.kernels[i], i);
    w.module += "@" + symbol + " = hidden constant " + value + ", align 8\n";
    kernels.push_back(ConstantWriter::pointer(symbol));
  }
  const std::string own = symbolsOf(program).device, shared = own + "_shared";
  const std::string hooks(runtimeOf(target.device).hooks);
  w.module += "@" + hooks + " = external hidden constant i8\n@" + shared + " = internal global ptr null\n";
  std::string table = w.table(own + "_kernels", kernels);
  std::string value =
      ConstantWriter::structure({ConstantWriter::pointer(hooks), ConstantWriter::pointer(shared),
                                 w.text(device.source), ConstantWriter::i64(device.source.size()), table,
                                 ConstantWriter::i32(int64_t(kernels.size())), ConstantWriter::i32(0)});
  if (target.device == DeviceKind::Cuda) value = withImages(w, value, images, target);
  w.module += "@" + own + " = hidden constant " + value + ", align 8\n";
  return codegen::compileText(w.module, host);
}

} // namespace planish::artifact
