// A compiled network with its frame.json: pictures in, boxes out.
#pragma once

#include "Decode.h"
#include "Preprocess.h"

#include "run/Session.h"

#include <memory>

namespace planish::stream {

/// How long the parts of one detection took, in milliseconds.
struct DetectorTimes {
  double preprocess = 0, network = 0, decode = 0;
};

/// One network, one thread calling.
class Detector {
public:
  /// Opens a compiled directory and checks that the network takes and gives what the frame.json says
  /// (BadInput where it does not). `threads`: 0 takes all cores.
  static Result<std::unique_ptr<Detector>> open(const std::string &directory, const FrameSpec &spec,
                                                int threads);

  /// Boxes in picture pixels, best first, clipped to the picture; those with nothing left of them are
  /// dropped. `picture` has three channels.
  Result<std::vector<Detection>> detect(const run::Pixels &picture);

  const DetectorTimes &times() const { return lastTimes; } ///< of the last detect()
  const planish_model &model() const { return library.model(); }
  uint32_t threads() const { return session.threads(); }
  int classes() const { return classCount; }

private:
  Detector(run::Library opened, const FrameSpec &spec)
      : library(std::move(opened)), session(library.model()), spec(spec), preprocessor(spec.input) {}
  Status bindInput();
  Result<std::vector<OutputTensor>> outputs() const;

  run::Library library;
  run::Session session;
  FrameSpec spec;
  Preprocessor preprocessor;
  uint32_t input = 0;
  int classCount = 0;
  DetectorTimes lastTimes;
};

/// Boxes of the network's input as boxes of a picture that was placed in it.
void mapToPicture(std::vector<Detection> &boxes, const Placement &placement, int pictureWidth,
                  int pictureHeight);

} // namespace planish::stream
