// Runs a network on samples and notes which numbers its values take: where quantization starts from.
#pragma once

#include "planish/quant/Profile.h"
#include "planish/tune/Observe.h"

namespace planish::tune {

struct Calibration {
  quant::Calibrator calibrator = quant::Calibrator::Mse; // noted in the profile
  bool tables = false; // see quant::Profile
};

/// The profile of a graph that driver::graphToProfile gave. Failed where there are no samples, BadInput where
/// one does not fit or a value is not finite.
Result<quant::Profile> calibrate(const graph::Graph &g, Samples &samples, const Calibration &how);

} // namespace planish::tune
