#include "Metadata.h"

#include "planish/codegen/Llvm.h"
#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <planish/abi.h>

#include <bit>
#include <map>

namespace planish::artifact {

using loop::Program;

Symbols symbolsOf(const Program &p) { return {p.name + "_model", p.name + "_host", p.name + "_weights"}; }

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

/// Writes constants of the structures in abi.h as LLVM text; every literal says its own type, fields
/// stand in the order of the header and LLVM lays them out naturally, as C does.
class Writer {
public:
  std::string module;

  static std::string i32(int64_t v) { return "i32 " + std::to_string(v); }
  static std::string i64(uint64_t v) { return "i64 " + std::to_string(v); }
  static std::string f64(double v) {
    static const char digits[] = "0123456789ABCDEF";
    auto bits = std::bit_cast<uint64_t>(v);
    std::string hex(16, '0');
    for (int i = 15; i >= 0; --i, bits >>= 4) hex[size_t(i)] = digits[bits & 15];
    return "double 0x" + hex;
  }
  static std::string pointer(const std::string &symbol) { return "ptr @" + symbol; }

  /// A pointer to the text, each distinct one stored once.
  std::string text(const std::string &value) {
    auto [it, fresh] = texts.try_emplace(value, "t" + std::to_string(texts.size()));
    if (fresh) {
      std::string escaped;
      for (unsigned char c : value) {
        static const char digits[] = "0123456789ABCDEF";
        if (c >= 32 && c < 127 && c != '"' && c != '\\') escaped += char(c);
        else escaped += std::string("\\") + digits[c >> 4] + digits[c & 15];
      }
      module += "@" + it->second + " = private unnamed_addr constant [" + std::to_string(value.size() + 1) +
                " x i8] c\"" + escaped + "\\00\"\n";
    }
    return pointer(it->second);
  }

  /// "{ i32, ptr }" of "i32 1", "ptr @x".
  static std::string typeOf(const std::string &literal) {
    return literal[0] == '{' || literal[0] == '[' ? literal.substr(0, closing(literal) + 1)
                                                  : literal.substr(0, literal.find(' '));
  }
  static std::string structure(const std::vector<std::string> &fields) {
    return "{ " + joined(fields, typeOf) + " } { " + joined(fields, [](const std::string &f) { return f; }) +
           " }";
  }
  static std::string array(const std::vector<std::string> &elements) {
    return "[" + std::to_string(elements.size()) + " x " + typeOf(elements[0]) + "] [ " +
           joined(elements, [](const std::string &e) { return e; }) + " ]";
  }
  /// A pointer to an array of structures of one type, null where it is empty.
  std::string table(const std::string &name, const std::vector<std::string> &elements) {
    if (elements.empty()) return "ptr null";
    module += "@" + name + " = private constant " + array(elements) + "\n";
    return pointer(name);
  }

private:
  std::map<std::string, std::string> texts;

  static size_t closing(const std::string &s) {
    char open = s[0], close = open == '{' ? '}' : ']';
    int depth = 0;
    for (size_t i = 0; i < s.size(); ++i) {
      depth += s[i] == open;
      depth -= s[i] == close;
      if (!depth) return i;
    }
    return s.size() - 1;
  }
};

class ModelWriter {
public:
  ModelWriter(const Program &program, const Target &target) : p(program), target(target) {}

  std::string write(const std::string &buildId) {
    Symbols s = symbolsOf(p);
    std::vector<std::string> inputs, outputs, launches, values;
    for (const loop::Port &port : p.inputs) inputs.push_back(tensor(port));
    for (const loop::Port &port : p.outputs) outputs.push_back(tensor(port));
    for (const loop::LaunchInfo &l : p.launches)
      launches.push_back(
          Writer::structure({w.text(l.kernel),
                             w.text(l.config.empty() ? std::string(l.templateName)
                                                     : std::string(l.templateName) + " " + l.config),
                             w.text(joined(l.nodes, [](const std::string &n) { return n; })),
                             Writer::f64(l.flops), Writer::f64(l.bytes)}));
    std::vector<int64_t> offsets = loop::constantOffsets(p);
    for (const loop::Materialised &v : p.values) values.push_back(value(v, offsets));
    std::vector<std::string> symbols, failures;
    for (const std::string &f : p.failures) failures.push_back(w.text(f));
    for (const Var &v : symbolList)
      symbols.push_back(Writer::structure(
          {w.text(v->name), Writer::i64(uint64_t(v->lower)), Writer::i64(uint64_t(v->upper))}));

    uint64_t weights = offsets.empty() ? 0 : uint64_t(offsets.back()) + p.constants.back().bytes->size();
    w.module += "@" PLANISH_API_SYMBOL " = external hidden constant i8\n@" + s.host +
                " = external hidden global i8\n@" + s.weights + " = external hidden constant i8\n";
    std::string model = Writer::structure({Writer::i32(PLANISH_ABI),
                                           Writer::i32(architectureOf(target)),
                                           Writer::i64(target.requiredIsa),
                                           w.text(p.name),
                                           w.text(target.name),
                                           w.text(buildId),
                                           Writer::pointer(PLANISH_API_SYMBOL),
                                           Writer::pointer(s.host),
                                           weights ? Writer::pointer(s.weights) : "ptr null",
                                           Writer::i64(weights),
                                           Writer::i64(uint64_t(p.arenaBytes)),
                                           Writer::i64(uint64_t(p.scratchBytes)),
                                           w.table("inputs", inputs),
                                           w.table("outputs", outputs),
                                           w.table("symbols", symbols),
                                           w.table("launches", launches),
                                           w.table("values", values),
                                           w.table("failures", failures),
                                           Writer::i32(int64_t(p.inputs.size())),
                                           Writer::i32(int64_t(p.outputs.size())),
                                           Writer::i32(int64_t(symbolList.size())),
                                           Writer::i32(int64_t(p.launches.size())),
                                           Writer::i32(int64_t(values.size())),
                                           Writer::i32(int64_t(failures.size()))});
    return w.module + "@" + s.model + " = constant " + model + ", align 8\n";
  }

private:
  const Program &p;
  const Target &target;
  Writer w;
  std::vector<Var> symbolList;

  std::string dimensions(const Shape &shape) {
    std::vector<std::string> dims;
    for (size_t d = 0; d < PLANISH_MAX_RANK; ++d) {
      if (d >= shape.size()) {
        dims.push_back(Writer::structure({Writer::i64(0), Writer::i64(0), Writer::i32(-1), Writer::i32(0)}));
        continue;
      }
      int64_t symbol = -1;
      if (!shape[d].isConstant()) {
        auto it = std::find(symbolList.begin(), symbolList.end(), shape[d].symbol());
        symbol = it - symbolList.begin();
        if (it == symbolList.end()) symbolList.push_back(shape[d].symbol());
      }
      dims.push_back(
          Writer::structure({Writer::i64(uint64_t(shape[d].lower())), Writer::i64(uint64_t(shape[d].upper())),
                             Writer::i32(symbol), Writer::i32(0)}));
    }
    return Writer::array(dims);
  }
  std::string tensor(const loop::Port &port) {
    uint64_t bytes = uint64_t(byteSize(port.type.dtype));
    for (const Dim &d : port.type.shape) bytes *= uint64_t(d.upper());
    return Writer::structure({w.text(port.name), Writer::i32(dtypeOf(port.type.dtype)),
                              Writer::i32(port.type.rank()), dimensions(port.type.shape),
                              Writer::i64(bytes)});
  }
  std::string value(const loop::Materialised &v, const std::vector<int64_t> &constants) {
    const loop::Slot &slot = p.slots[size_t(v.param)];
    const loop::BufferNode &b = *p.host.params[size_t(v.param)];
    std::vector<std::string> strides;
    for (size_t d = 0; d < PLANISH_MAX_RANK; ++d)
      strides.push_back(Writer::i64(d < b.strides.size() ? uint64_t(*loop::constantOf(b.strides[d])) : 0));
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
    return Writer::structure({w.text(v.name), Writer::i32(dtypeOf(v.type.dtype)), Writer::i32(v.type.rank()),
                              dimensions(v.type.shape), Writer::array(strides), Writer::i32(region),
                              Writer::i32(index), Writer::i64(uint64_t(offset)), Writer::i32(v.launch),
                              Writer::i32(0)});
  }
};

} // namespace

Result<std::string> modelObject(const Program &program, const Target &target, const std::string &buildId) {
  return codegen::compileText(ModelWriter(program, target).write(buildId), target);
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
