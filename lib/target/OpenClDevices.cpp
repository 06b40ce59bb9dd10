#include "OpenClDevices.h"

#include <array>
#include <cstdint>
#include <dlfcn.h>

namespace planish {

bool onlyOpenClCpus() {
  // From the OpenCL 1.2 specification, sections 4.1 and 4.2; no header and no library of it is needed.
  using GetPlatforms = int32_t (*)(uint32_t, void **, uint32_t *);
  using GetDevices = int32_t (*)(void *, uint64_t, uint32_t, void **, uint32_t *);
  constexpr uint64_t kCpu = 1 << 1, kAll = 0xFFFFFFFF;
  void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  auto platforms = reinterpret_cast<GetPlatforms>(dlsym(library, "clGetPlatformIDs"));
  auto devices = reinterpret_cast<GetDevices>(dlsym(library, "clGetDeviceIDs"));
  std::array<void *, 16> ids{};
  uint32_t n = 0, cpus = 0, all = 0;
  if (!platforms || !devices || platforms(uint32_t(ids.size()), ids.data(), &n) != 0) n = 0;
  for (uint32_t i = 0; i < n && i < ids.size(); ++i) {
    uint32_t here = 0;
    if (devices(ids[i], kAll, 0, nullptr, &here) == 0) all += here;
    here = 0;
    if (devices(ids[i], kCpu, 0, nullptr, &here) == 0) cpus += here;
  }
  // The library stays: some drivers do not survive being unloaded.
  return all > 0 && cpus == all;
}

} // namespace planish
