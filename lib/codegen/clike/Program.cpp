// Kernels and whole programs as source files.
#include "../Operands.h"
#include "Printer.h"

#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <set>

namespace planish::codegen {
namespace {

using namespace loop;

/// Intrinsics that have no text must have been legalized; what users can reach is checked here.
Status printable(const Function &f) {
  Status status;
  walkExprs(f.body, [&](const Expr &e) {
    eachNode(e, [&](const Expr &x) {
      auto *c = as<Call>(x);
      if (c && c->fn >= Intrinsic::Exp && c->fn != Intrinsic::Prefetch)
        status = failed("kernel " + f.name + ": " + std::string(nameOf(c->fn)) +
                        " must be legalized before printing");
    });
  });
  return status;
}

/// Bytes as a C string: compilers read one about ten times faster than a list of numbers.
void printBytes(const std::vector<std::byte> &bytes, const std::string &name, std::string &out) {
  constexpr char digits[] = "01234567";
  constexpr size_t kPerLine = 64;
  out += "_Alignas(64) static const unsigned char " + name + "[" +
         std::to_string(std::max<size_t>(bytes.size(), 1)) + "] =";
  if (bytes.empty()) out += " \"\"";
  for (size_t i = 0; i < bytes.size(); i += kPerLine) {
    out += "\n\"";
    for (size_t k = i; k < std::min(bytes.size(), i + kPerLine); ++k) {
      unsigned v = unsigned(bytes[k]);
      if (v >= ' ' && v < 127 && v != '"' && v != '\\' && v != '?') {
        out += char(v);
        continue;
      }
      // Three digits always: a shorter escape would swallow a digit that follows.
      out += {'\\', digits[v >> 6], digits[v >> 3 & 7], digits[v & 7]};
    }
    out += '"';
  }
  out += ";\n";
}

class ProgramPrinter {
public:
  explicit ProgramPrinter(const Program &p) : program(p), printer(kC11, out) {}

  std::string run() {
    for (std::string_view part : kC11.prelude) out += part;
    for (const FunctionRef &f : program.kernels) {
      out += "\nstatic ";
      Printer(kC11, out).kernel(*f);
    }
    out += "\n";
    for (size_t i = 0; i < program.constants.size(); ++i)
      printBytes(*program.constants[i].bytes, "constant_" + std::to_string(i), out);
    // Kernels may read a cache line past the plan, never write there.
    out += "_Alignas(64) static unsigned char arena[" + std::to_string(program.arenaBytes + 64) + "];\n";
    if (program.scratchBytes)
      out += "_Alignas(64) static unsigned char scratch[" + std::to_string(program.scratchBytes) + "];\n";
    out += "\nint " + program.name +
           "_run(void *const *inputs, void *const *outputs, const int64_t *input_dims, int64_t *output_dims) "
           "{\n";
    printer.depth = 1;
    printer.line("(void)inputs, (void)outputs, (void)input_dims, (void)output_dims, (void)arena;");
    printer.line("int32_t failure[1] = {0};");
    for (size_t i = 0; i < program.slots.size(); ++i) bind(program.host.params[i], program.slots[i]);
    printer.launch = [this](const Launch &l) { launch(l); };
    printer.body(program.host.body);
    printer.line("return failure[0];");
    out += "}\n";
    return std::move(out);
  }

private:
  const Program &program;
  std::string out;
  Printer printer;

  std::string base(const Slot &s) const {
    std::string index = std::to_string(s.index);
    switch (s.region) {
    case Region::Input: return "inputs[" + index + "]";
    case Region::Output: return "outputs[" + index + "]";
    case Region::Arena: return "(arena + " + index + ")";
    case Region::Constant: return "constant_" + index;
    case Region::InputDims: return "input_dims";
    case Region::OutputDims: return "output_dims";
    case Region::Failure: return "failure";
    }
    PLANISH_CHECK(false, "a slot in no region");
  }
  void bind(const Buffer &buffer, const Slot &s) {
    printer.bind(buffer, "((" + std::string(scalarType(buffer->dtype)) + " *)" + base(s) + ")", s.offset);
  }
  void launch(const Launch &l) {
    std::string args = "0", scalars = "0";
    printer.line("{");
    ++printer.depth;
    auto array = [&](const std::string &type, const std::string &name, const std::string &elements) {
      printer.line(type + name + "[] = {" + elements + "};");
      return name;
    };
    std::string tasks = printer.text(l.tasks);
    std::string values = planish::joined(l.scalars, [&](const Expr &e) { return printer.text(e); });
    std::string pointers =
        planish::joined(l.buffers, [&](const Buffer &p) { return "(void *)" + printer.address(p); });
    if (!l.buffers.empty()) args = array("void *const ", "launch_buffers", pointers);
    if (!l.scalars.empty()) scalars = array("const int64_t ", "launch_scalars", values);
    std::string scratch = program.scratchBytes ? "scratch" : "0";
    printer.line(l.kernel->name + "(" + args + ", " + scalars + ", " + scratch + ", 0, " + tasks + ");");
    --printer.depth;
    printer.line("}");
  }
};

} // namespace

Result<std::string> printKernels(std::span<const KernelText> kernels, const CDialect &dialect) {
  std::string out;
  for (std::string_view part : dialect.prelude) out += part;
  for (const KernelText &k : kernels) {
    PLANISH_TRY(printable(*k.function));
    out += "\n";
    for (const std::string &line : k.about) out += "// " + line + "\n";
    Printer(dialect, out).kernel(*k.function, k.group);
  }
  return out;
}

Result<std::string> printKernels(std::span<const FunctionRef> kernels, const CDialect &dialect) {
  std::vector<KernelText> texts;
  for (const FunctionRef &f : kernels) texts.push_back({f});
  return printKernels(texts, dialect);
}

Result<std::string> printProgram(const Program &program) {
  for (const FunctionRef &f : program.kernels) PLANISH_TRY(printable(*f));
  PLANISH_TRY(printable(program.host));
  return ProgramPrinter(program).run();
}

} // namespace planish::codegen
