// The OpenCL devices of this machine.
#pragma once

namespace planish {

/// Whether this machine has OpenCL devices, all of them CPUs. Loads the system's OpenCL library, if there is
/// one.
bool onlyOpenClCpus();

} // namespace planish
