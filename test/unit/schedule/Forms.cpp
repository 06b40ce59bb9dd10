#include "Forms.h"

#include "planish/loop/Interpret.h"
#include "planish/loop/Passes.h"
#include "planish/loop/Verify.h"
#include "planish/schedule/Packing.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace planish::schedule::test {

using namespace loop;

namespace {

std::string interpreted(const Function &f, const std::vector<void *> &params,
                        const std::vector<int64_t> &scalars) {
  if (Status s = verify(f); !s) return "verify: " + s.error().text;
  Status s = interpret(f, params, scalars);
  return s ? "" : s.error().text;
}

double largest(const std::vector<std::byte> &floats) {
  double r = 0;
  for (size_t i = 0; i + 4 <= floats.size(); i += 4) {
    float x;
    std::memcpy(&x, &floats[i], 4);
    if (std::isfinite(x)) r = std::max(r, std::fabs(double(x)));
  }
  return r;
}

/// Where two outputs differ; gaps between rows must be untouched. What is not exact may be off by rounding:
/// of the value, or of the largest one where sums are formed out of others.
enum class Equality { Exact, Rounded, RoundedSums };
std::string difference(const std::vector<std::byte> &want, const std::vector<std::byte> &got, DType dtype,
                       Equality equality) {
  if (want == got) return "";
  double size = equality == Equality::RoundedSums ? largest(want) : 0;
  for (size_t i = 0; i + size_t(byteSize(dtype)) <= want.size(); i += size_t(byteSize(dtype))) {
    if (std::memcmp(&want[i], &got[i], size_t(byteSize(dtype))) == 0) continue;
    std::string at = "element " + std::to_string(i / size_t(byteSize(dtype)));
    if (dtype != DType::f32)
      return at + " is " + std::to_string(int(got[i])) + ", not " + std::to_string(int(want[i]));
    float a, b;
    std::memcpy(&a, &want[i], 4);
    std::memcpy(&b, &got[i], 4);
    double allowed = equality == Equality::Exact ? 0 : 1e-5 * (1 + size + std::fabs(double(a)));
    if (!(std::fabs(double(a) - double(b)) <= allowed))
      return at + " is " + std::to_string(b) + ", not " + std::to_string(a);
  }
  return "";
}

} // namespace

Target randomTarget(Random &r) {
  Target t;
  t.vectorBytes = int(r.pick({16, 32, 64}));
  t.registers = t.vectorBytes == 64 ? 32 : 16;
  t.dot4 = r.chance(60);
  t.maskedMemory = t.vectorBytes == 64;
  t.cores = int(r.pick({1, 2, 4}));
  if (!r.chance(30)) return t;
  t.device = DeviceKind::OpenCl;
  t.vectorBytes = 16;
  t.dot4 = t.maskedMemory = false;
  t.groupItems = r.pick({16, 64});
  t.localBytes = 32 << 10;
  if (!r.chance(50)) return t;
  t.device = DeviceKind::Cuda;
  t.groupItems = 128;
  t.warpItems = 32;
  t.byteMatrices = true;
  return t;
}

Config randomConfig(const Compute &c, const Target &t, Random &r) {
  Config config;
  Kernel k(c);
  for (const Knob &knob : templateFor(k, t).space(k, t))
    config[std::string(knob.name)] = knob.choices[size_t(r.below(int64_t(knob.choices.size())))];
  return config;
}

std::string textOf(const Config &c) {
  std::string s;
  for (const auto &[name, value] : c) s += name + "=" + std::to_string(value) + " ";
  return s;
}

std::string compareForms(const Case &c, const Target &t, const Config &config, uint64_t seed,
                         const Runner &machine) {
  const Compute &compute = c.compute;
  Memory original(compute.params, compute.scalars, c.scalars, seed);
  size_t out = compute.params.size() - 1;
  Memory defined = original;
  if (std::string s = interpreted(definition(compute), defined.pointers(), c.scalars); !s.empty())
    return "definition: " + s;

  Scheduled made = schedule(compute, t, config);
  std::string where = std::string(made.templateName) + " ";
  std::vector<std::vector<std::byte>> packed(compute.params.size());
  Equality equality = c.exact ? Equality::Exact : Equality::Rounded;
  for (const Kernel::Packing &p : made.lowered.packings) {
    std::vector<std::byte> slow(size_t(packedBytes(p))), &fast = packed[size_t(p.param)], prepared;
    fast.assign(slow.size(), std::byte(77));
    const void *from = original.pointers()[size_t(p.param)], *read = from;
    if (p.prepare) {
      equality = Equality::RoundedSums;
      size_t elements = 1;
      for (int64_t n : constantsOf(p.function.params[0]->shape)) elements *= size_t(n);
      prepared.resize(elements * size_t(byteSize(p.function.params[0]->dtype)));
      p.prepare(from, prepared.data());
      read = prepared.data();
    }
    if (std::string s = interpreted(p.function, {const_cast<void *>(read), slow.data()}, {}); !s.empty())
      return where + "packing: " + s;
    runPacking(p, from, fast.data());
    if (slow != fast)
      return where + "packing of parameter " + std::to_string(p.param) + " differs from its definition";
  }
  auto check = [&](const std::string &form, const Runner &run, const Function &f) -> std::string {
    Memory m = original;
    std::vector<void *> params = m.pointers();
    for (size_t i = 0; i < packed.size(); ++i)
      if (!packed[i].empty()) params[i] = packed[i].data();
    std::string s = run(f, params, c.scalars);
    if (s.empty()) s = difference(defined.bytes(out), m.bytes(out), compute.out->dtype, equality);
    return s.empty() ? s : where + form + ": " + s;
  };
  const Function &loops = made.lowered.function;
  if (std::string s = check("scheduled", interpreted, loops); !s.empty()) return s;
  Function vectors = vectorize(loops);
  if (std::string s = check("vectorized", interpreted, vectors); !s.empty()) return s;
  Function final = legalize(unroll(vectors), {.fma = t.fma});
  if (std::string s = check("legalized", interpreted, final); !s.empty()) return s;
  return machine ? check("machine code", machine, final) : "";
}

uint64_t fromEnvironment(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

} // namespace planish::schedule::test
