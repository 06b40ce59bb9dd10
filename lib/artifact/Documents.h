// The texts next to a library: C header, manifest, report. All deterministic.
#pragma once

#include "planish/artifact/Artifact.h"

#include <span>
#include <string>
#include <vector>

namespace planish::artifact {

/// The runtime that goes into models for a target, as LLVM bitcode.
std::span<const unsigned char> runtimeOf(const Target &target);
/// Hash of everything the build depends on: program text, constants, target, compiler version.
std::string buildIdOf(const loop::Program &program, const Target &target, const Provenance &provenance);
std::string headerOf(const loop::Program &program);
std::string manifestOf(const loop::Program &program, const Target &target, const Provenance &provenance,
                       const std::string &buildId, const Files &files);
/// The files that a manifest lists, without folders; none where the text is no manifest.
std::vector<std::string> filesOfManifest(const std::string &text);
std::string reportOf(const loop::Program &program, const Target &target, const Provenance &provenance,
                     const Files &files);

} // namespace planish::artifact
