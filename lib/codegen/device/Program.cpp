#include "planish/codegen/Device.h"

#include "planish/codegen/CLike.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/support/Check.h"
#include "planish/support/Text.h"

#include <algorithm>
#include <map>
#include <set>

namespace planish::codegen {
namespace {

using namespace loop;

struct Language {
  DeviceKind device;
  const CDialect &dialect;
  std::string_view name, extension;
  std::string_view about; // a line of comment; empty: none
};

const Language &languageOf(DeviceKind kind) {
  static const Language languages[] = {
      {DeviceKind::OpenCl, kOpenCl12, "OpenCL C 1.2", ".cl",
       "A buffer is the device's memory and, in elements, where in it the buffer begins."},
      {DeviceKind::Cuda, kCuda, "CUDA C++", ".cu",
       "nvcc -fmad=false compiles it for a device, g++ with a header cuda_on_cpu.h for a CPU."},
  };
  for (const Language &l : languages)
    if (l.device == kind) return l;
  PLANISH_CHECK(false, "a device without a language");
}

std::vector<DeviceParam> paramsOf(const Function &f) {
  std::set<const BufferNode *> written;
  walk(f.body, [&](const Stmt &s) {
    if (auto *t = as<Store>(s)) written.insert(t->buffer.get());
  });
  std::vector<DeviceParam> r;
  for (const Buffer &b : f.params) {
    int64_t last = 0;
    bool empty = false;
    for (size_t d = 0; d < b->shape.size(); ++d) {
      int64_t n = rangeOf(b->shape[d]).hi;
      empty |= n <= 0;
      last += std::max<int64_t>(n - 1, 0) * std::max<int64_t>(rangeOf(b->strides[d]).hi, 0);
    }
    int64_t element = byteSize(b->dtype);
    r.push_back({empty ? 0 : (last + 1) * element, element, written.contains(b.get())});
  }
  return r;
}

/// "x0: f32[1,8,8,8]", as in loop IR.
std::string shapeText(const Buffer &b) {
  return b->name + ": " + std::string(nameOf(b->dtype)) + "[" +
         joined(b->shape, [](const Expr &e) { return print(e); }, ",") + "]";
}

/// Text for a line of comment: printable ASCII that does not end in the line's continuation.
std::string commentText(std::string text) {
  for (char &c : text)
    if (c < ' ' || c > '~' || c == '\\') c = '?';
  return text;
}

std::vector<std::string> aboutKernel(const Function &f, const std::vector<const LaunchInfo *> &launches) {
  constexpr size_t kNamed = 8;  // launches
  std::vector<std::string> r;
  for (size_t i = 0; i < std::min(launches.size(), kNamed); ++i)
    r.push_back(joined(launches[i]->nodes, [](const std::string &n) { return n; }, " + "));
  if (launches.size() > kNamed) r.push_back("and " + std::to_string(launches.size() - kNamed) + " more");
  r.push_back(joined(f.params, shapeText));
  if (!launches.empty()) r.push_back(std::string(launches[0]->templateName) + " " + launches[0]->config);
  for (std::string &line : r) line = commentText(line);
  std::erase(r, "");
  return r;
}

} // namespace

Result<DeviceProgram> deviceProgram(const Program &program, const Target &target, DeviceKind kind) {
  std::map<std::string, std::vector<const LaunchInfo *>> launches;
  for (const LaunchInfo &l : program.launches) launches[l.kernel].push_back(&l);
  const Language &language = languageOf(kind);
  DeviceProgram r;
  r.extension = language.extension;
  std::vector<KernelText> texts;
  for (const FunctionRef &f : program.kernels) {
    const auto &own = launches[f->name];
    DeviceKernel k{f, std::ranges::any_of(own, &LaunchInfo::imperative), paramsOf(*f), target.groupItems};
    for (const For *items : groupLoops(*f)) k.group = *constantOf(items->end), k.taskIsGroup = true;
    if (!k.onHost) texts.push_back({f, aboutKernel(*f, own), k.group});
    r.kernels.push_back(std::move(k));
  }
  PLANISH_ASSIGN(std::string kernels, printKernels(texts, language.dialect));
  r.source = "// " + program.name + " for " + target.name + ", " + std::string(language.name) + ": " +
             std::to_string(texts.size()) + " kernels.\n// " + std::string(language.about) + "\n" + kernels;
  return r;
}

} // namespace planish::codegen
