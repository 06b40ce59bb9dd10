// Samples of a network's inputs from files: arrays, or pictures with what prepares them.
#pragma once

#include "planish/tune/Observe.h"
#include "run/Array.h"

#include <memory>
#include <string>

namespace planish::samples {

/// What a user gives as samples of the inputs of `g`:
///
///   FILE.npz   an array per input, by name; rows along the first dimension are samples
///   DIR        with .npz files, each one sample: an array per input, of its shape
///   DIR, or a picture   .png and .jpg files by name, prepared as `frame` (a frame.json, docs/frame.md) says;
///   the
///              network has one input, or frame.json names it and it is the only one
///
/// BadInput names the file and what was expected; Usage where pictures come without a frame.json.
Result<std::unique_ptr<tune::Samples>> openSamples(const std::string &path, const std::string &frame,
                                                   const graph::Graph &g);

/// An array per input whose rows are samples; `where` names them in errors.
Result<std::unique_ptr<tune::Samples>> samplesOf(run::NamedArrays arrays, const graph::Graph &g,
                                                 const std::string &where);

/// One sample: an array per input, of its shape; `where` names it in errors.
Result<tune::Sample> sampleOf(const run::NamedArrays &arrays, const graph::Graph &g,
                              const std::string &where);

} // namespace planish::samples
