#include "Metadata.h"

#include "ConstantWriter.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <planish/abi.h>

#include <algorithm>

namespace planish::artifact {

using loop::Program;

Symbols symbolsOf(const Program &p) {
  return {p.name + "_model", p.name + "_host", p.name + "_weights", p.name + "_device"};
}

namespace {

planish_dtype dtypeOf(DType t) {
  switch (t) {
  case DType::b1: return PLANISH_BOOL;
  case DType::u8: return PLANISH_U8;
  case DType::i8: return PLANISH_I8;
  case DType::i32: return PLANISH_I32;
  case DType::i64: return PLANISH_I64;
  case DType::f32: return PLANISH_F32;
  case DType::u16: return PLANISH_U16;
  case DType::i16: return PLANISH_I16;
  case DType::u32: return PLANISH_U32;
  case DType::u64: return PLANISH_U64;
  case DType::f16: return PLANISH_F16;
  case DType::bf16: return PLANISH_BF16;
  case DType::f64: return PLANISH_F64;
  }
  return PLANISH_F32;
}

planish_architecture architectureOf(const Target &t) {
  switch (t.architecture) {
  case Architecture::X86_64: return PLANISH_ARCH_X86_64;
  case Architecture::Arm64: return PLANISH_ARCH_ARM64;
  case Architecture::Arm32: return PLANISH_ARCH_ARM32;
  }
  return PLANISH_ARCH_ANY;
}

class ModelWriter {
public:
  ModelWriter(const Program &program, const Target &target, const std::string &targetName)
      : p(program), target(target), targetName(targetName) {}

  std::string write(const std::string &buildId, bool hasDevice, std::span<const GoldenOutput> golden) {
    Symbols s = symbolsOf(p);
    std::vector<std::string> inputs, outputs, launches, values;
    for (const loop::Port &port : p.inputs) inputs.push_back(tensor(port));
    for (const loop::Port &port : p.outputs) outputs.push_back(tensor(port));
    for (const loop::LaunchInfo &l : p.launches)
      launches.push_back(
          ConstantWriter::structure({w.text(l.kernel),
                                     w.text(l.config.empty() ? std::string(l.templateName)
                                                             : std::string(l.templateName) + " " + l.config),
                                     w.text(joined(l.nodes, [](const std::string &n) { return n; })),
                                     ConstantWriter::f64(l.flops), ConstantWriter::f64(l.bytes)}));
    std::vector<int64_t> offsets = loop::constantOffsets(p);
    for (const loop::Materialised &v : p.values) values.push_back(value(v, offsets));
    std::vector<std::string> symbols, failures;
    for (const std::string &f : p.failures) failures.push_back(w.text(f));
    for (const Var &v : symbolList)
      symbols.push_back(ConstantWriter::structure({w.text(v->name), ConstantWriter::i64(uint64_t(v->lower)),
                                                   ConstantWriter::i64(uint64_t(v->upper))}));

    uint64_t weights = offsets.empty() ? 0 : uint64_t(offsets.back()) + p.constants.back().bytes->size();
    w.module += "@" PLANISH_API_SYMBOL " = external hidden constant i8\n@" + s.host +
                " = external hidden global i8\n@" + s.weights + " = external hidden constant i8\n";
    std::string device = "ptr null";
    if (hasDevice) {
      device = ConstantWriter::pointer(s.device);
      w.module += "@" + s.device + " = external hidden constant i8\n";
    }
    std::vector<std::string> digests;
    for (const GoldenOutput &output : golden) digests.push_back(ConstantWriter::i64(output.digest));
    std::string model = ConstantWriter::structure({ConstantWriter::i32(PLANISH_ABI),
                                                   ConstantWriter::i32(architectureOf(target)),
                                                   ConstantWriter::i64(target.requiredIsa),
                                                   w.text(p.name),
                                                   w.text(targetName),
                                                   w.text(buildId),
                                                   ConstantWriter::pointer(PLANISH_API_SYMBOL),
                                                   ConstantWriter::pointer(s.host),
                                                   weights ? ConstantWriter::pointer(s.weights) : "ptr null",
                                                   ConstantWriter::i64(weights),
                                                   ConstantWriter::i64(uint64_t(p.arenaBytes)),
                                                   ConstantWriter::i64(uint64_t(p.scratchBytes)),
                                                   w.table("inputs", inputs),
                                                   w.table("outputs", outputs),
                                                   w.table("symbols", symbols),
                                                   w.table("launches", launches),
                                                   w.table("values", values),
                                                   w.table("failures", failures),
                                                   ConstantWriter::i32(int64_t(p.inputs.size())),
                                                   ConstantWriter::i32(int64_t(p.outputs.size())),
                                                   ConstantWriter::i32(int64_t(symbolList.size())),
                                                   ConstantWriter::i32(int64_t(p.launches.size())),
                                                   ConstantWriter::i32(int64_t(values.size())),
                                                   ConstantWriter::i32(int64_t(failures.size())),
                                                   device,
                                                   w.table("golden", digests)});
    return w.module + "@" + s.model + " = constant " + model + ", align 8\n";
  }

private:
  const Program &p;
  const Target &target;
  const std::string &targetName;
  ConstantWriter w;
  std::vector<Var> symbolList;

  std::string dimensions(const Shape &shape) {
    std::vector<std::string> dims;
    for (size_t d = 0; d < PLANISH_MAX_RANK; ++d) {
      if (d >= shape.size()) {
        dims.push_back(ConstantWriter::structure({ConstantWriter::i64(0), ConstantWriter::i64(0),
                                                  ConstantWriter::i32(-1), ConstantWriter::i32(0)}));
        continue;
      }
      int64_t symbol = -1;
      if (!shape[d].isConstant()) {
        auto it = std::find(symbolList.begin(), symbolList.end(), shape[d].symbol());
        symbol = it - symbolList.begin();
        if (it == symbolList.end()) symbolList.push_back(shape[d].symbol());
      }
      dims.push_back(ConstantWriter::structure({ConstantWriter::i64(uint64_t(shape[d].lower())),
                                                ConstantWriter::i64(uint64_t(shape[d].upper())),
                                                ConstantWriter::i32(symbol), ConstantWriter::i32(0)}));
    }
    return ConstantWriter::array(dims);
  }
  std::string tensor(const loop::Port &port) {
    uint64_t bytes = uint64_t(byteSize(port.type.dtype));
    for (const Dim &d : port.type.shape) bytes *= uint64_t(d.upper());
    return ConstantWriter::structure({w.text(port.name), ConstantWriter::i32(dtypeOf(port.type.dtype)),
                                      ConstantWriter::i32(port.type.rank()), dimensions(port.type.shape),
                                      ConstantWriter::i64(bytes)});
  }
  std::string value(const loop::Materialised &v, const std::vector<int64_t> &constants) {
    const loop::Slot &slot = p.slots[size_t(v.param)];
    const loop::BufferNode &b = *p.host.params[size_t(v.param)];
    std::vector<std::string> strides;
    for (size_t d = 0; d < PLANISH_MAX_RANK; ++d)
      strides.push_back(
          ConstantWriter::i64(d < b.strides.size() ? uint64_t(*loop::constantOf(b.strides[d])) : 0));
    planish_region region = PLANISH_REGION_ARENA;
    int64_t index = 0, offset = *loop::constantOf(slot.offset) * byteSize(b.dtype);
    switch (slot.region) {
    case loop::Region::Arena: offset += slot.index; break;
    case loop::Region::Constant:
      region = PLANISH_REGION_WEIGHTS, offset += constants[size_t(slot.index)];
      break;
    case loop::Region::Input: region = PLANISH_REGION_INPUT, index = slot.index; break;
    case loop::Region::Output: region = PLANISH_REGION_OUTPUT, index = slot.index; break;
    case loop::Region::InputDims:
    case loop::Region::OutputDims:
    case loop::Region::Failure: PLANISH_CHECK(false, "a table of the host function is no value");
    }
    return ConstantWriter::structure({w.text(v.name), ConstantWriter::i32(dtypeOf(v.type.dtype)),
                                      ConstantWriter::i32(v.type.rank()), dimensions(v.type.shape),
                                      ConstantWriter::array(strides), ConstantWriter::i32(region),
                                      ConstantWriter::i32(index), ConstantWriter::i64(uint64_t(offset)),
                                      ConstantWriter::i32(v.launch), ConstantWriter::i32(0)});
  }
};

} // namespace

Result<std::string> modelObject(const Program &program, const Target &host, const std::string &targetName,
                                const std::string &buildId, bool hasDevice,
                                std::span<const GoldenOutput> golden) {
  return codegen::compileText(ModelWriter(program, host, targetName).write(buildId, hasDevice, golden), host);
}

Result<std::string> queryObject(const Program &program, const Target &target) {
  std::string model = symbolsOf(program).model;
  return codegen::compileText("@" + model +
                                  " = external constant i8\n"
                                  "define ptr @" PLANISH_QUERY_SYMBOL "(i32 %abi) nounwind {\n"
                                  "  %same = icmp eq i32 %abi, " +
                                  std::to_string(PLANISH_ABI) +
                                  "\n"
                                  "  %model = select i1 %same, ptr @" +
                                  model +
                                  ", ptr null\n"
                                  "  ret ptr %model\n}\n",
                              target);
}

} // namespace planish::artifact
