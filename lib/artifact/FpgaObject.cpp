#include "FpgaObject.h"

#include "ConstantWriter.h"
#include "Metadata.h"

#include <planish/fpga.h>

#include <map>

namespace planish::artifact {

namespace {

constexpr const char *kLaunch = "planish_fpga_launch_v1", *kHooks = "planish_fpga_hooks_v1";
constexpr std::string_view kSuffix = "_launch";

using Rows = codegen::FpgaProgram::Rows;

/// The engine's rows by kernel.
std::map<std::string, Rows> rowsByKernel(const loop::Program &p, const codegen::FpgaProgram &engine) {
  std::map<std::string, Rows> r;
  for (size_t i = 0; i < engine.launches.size(); ++i)
    if (engine.launches[i]) r[p.launches[i].kernel] = *engine.launches[i];
  return r;
}

} // namespace

codegen::LaunchStyle fpgaLaunches() { return {kLaunch, std::string(kSuffix)}; }

std::vector<loop::FunctionRef> kernelsBesideEngine(const loop::Program &p,
                                                   const codegen::FpgaProgram &engine) {
  std::map<std::string, Rows> rows = rowsByKernel(p, engine);
  std::vector<loop::FunctionRef> r;
  for (const loop::FunctionRef &k : p.kernels)
    if (!rows.contains(k->name)) r.push_back(k);
  return r;
}

Result<std::string> fpgaObject(const loop::Program &p, const codegen::FpgaProgram &engine,
                               const Target &target, const Target &host) {
  ConstantWriter w;
  std::map<std::string, Rows> rows = rowsByKernel(p, engine);
  for (const loop::FunctionRef &k : p.kernels) {
    auto own = rows.find(k->name);
    bool onHost = own == rows.end();
    if (onHost) w.module += "declare hidden void @" + k->name + "(ptr, ptr, ptr, i64, i64)\n";
    std::string value = ConstantWriter::structure({onHost ? ConstantWriter::pointer(k->name) : "ptr null",
                                                   ConstantWriter::i32(onHost ? 0 : own->second.first),
                                                   ConstantWriter::i32(onHost ? 0 : own->second.count)});
    w.module += "@" + k->name + std::string(kSuffix) + " = hidden constant " + value + ", align 8\n";
  }
  std::string own = symbolsOf(p).device;
  w.module += "@" + std::string(kHooks) + " = external hidden constant i8\n@" + own +
              "_shared = internal global ptr null\n";
  auto external = [&](const std::string &symbol, size_t size) {
    if (!size) return std::string("ptr null");
    w.module += "@" + symbol + " = external hidden constant i8\n";
    return ConstantWriter::pointer(symbol);
  };
  std::vector<std::string> table;
  for (int32_t v : engine.table) table.push_back(ConstantWriter::i32(v));
  std::string device = ConstantWriter::structure(
      {ConstantWriter::pointer(kHooks), ConstantWriter::pointer(own + "_shared"), "ptr null",
       ConstantWriter::i64(0), "ptr null", ConstantWriter::i32(0), ConstantWriter::i32(0)});
  std::string program = ConstantWriter::structure(
      {ConstantWriter::i32(PLANISH_FPGA_VERSION), ConstantWriter::i32(engine.columns), w.text(p.name),
       w.text(target.name), w.table(own + "_table", table),
       ConstantWriter::i64(engine.table.size() / uint64_t(engine.columns)),
       external(own + "_weights", engine.weights.size()), ConstantWriter::i64(engine.weights.size()),
       external(own + "_scales", engine.scales.size()), ConstantWriter::i64(engine.scales.size())});
  w.module +=
      "@" + own + " = hidden constant " + ConstantWriter::structure({device, program}) + ", align 8\n";
  return codegen::compileText(w.module, host);
}

} // namespace planish::artifact
