#include "planish/quant/Diagnosis.h"

#include "planish/support/Check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace planish::quant {

namespace {

constexpr std::array kCauses{
    CauseRow{Cause::None, "none", "the rounding of 8 bits", Cure::None},
    CauseRow{Cause::ClippedRange, "clipped-range", "values lie beyond the first or the last code",
             Cure::Rescale},
    CauseRow{Cause::CoarseScale, "coarse-scale", "the codes reach far beyond the values, few are used",
             Cure::Rescale},
    CauseRow{Cause::WrongScale, "wrong-scale", "the result is a multiple of what it should be",
             Cure::RequantizeWeights},
    CauseRow{Cause::SharedScale, "shared-scale", "parts of very different ranges are joined under one scale",
             Cure::SplitScale},
    CauseRow{Cause::ActivationTail, "activation-tail",
             "a few large values make the scale coarse for all others", Cure::ClipTail},
    CauseRow{Cause::WideChannel, "wide-channel", "all weights share one scale, which few channels need",
             Cure::RequantizeWeights},
    CauseRow{Cause::WeightSpread, "weight-spread", "all weights share one scale, their channels differ much",
             Cure::RequantizeWeights},
    CauseRow{Cause::Bias, "bias", "a bias does not fit its codes", Cure::FloatBias},
};

/// A cause is named where its cure is expected to halve the noise (3 dB) ...
constexpr double kExplained = 0.5;
/// ... and where there is noise to speak of: a well quantized layer has about 30 to 45 dB.
constexpr double kNegligible = 3e-4;
/// Of two that explain much the same the one that is asked first stands; clipping a tail helps a little
/// always.
constexpr double kClearly = 0.9, kTail = 0.5;
/// Shares of the values on either side that may be a tail.
constexpr std::array kTailShares{1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3};
/// Weights of a channel that is so many times wider than the middle one need a scale of their own.
constexpr double kWide = 8;
/// At most this share of channels are wide; else the weights are spread.
constexpr double kFew = 0.1;
/// One code in so many of each sign serves a channel's weights with a scale of its own.
constexpr double kWeightCodes = 127;

template <class... T> std::string format(const char *text, T... values) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), text, values...);
  return line.data();
}

Range rangeOf(const Coding &c) { return {c.scale * (0 - c.zero), c.scale * (255 - c.zero)}; }
/// What was seen, and zero.
Range seenOf(const Histogram &h) { return {std::min(h.least(), 0.0), std::max(h.most(), 0.0)}; }

double middle(std::vector<double> v) {
  if (v.empty()) return 0;
  auto m = v.begin() + long(v.size() / 2);
  std::ranges::nth_element(v, m);
  return *m;
}

class Judge {
public:
  explicit Judge(const Evidence &evidence) : e(evidence) {
    double measured = e.own.relativeNoise(), coded = e.coded.relativeNoise();
    // Without the float model's weights the layer's own noise lacks theirs: it is what their steps say.
    weightNoise = !e.weights ? 0 : e.weights->known ? std::max(0.0, measured - coded) : expected(false);
    total = std::min(1.0, e.weights && !e.weights->known ? measured + weightNoise : measured);
    verdict.noise = verdict.remaining = total;
  }

  Diagnosis verdict;

  void judge() {
    bias();
    scaleOfCodes();
    tail();
    joined();
    if (e.weights) weights();
    if (total < kNegligible || verdict.remaining > kExplained * total) {
      verdict.cause = Cause::None;
      verdict.cure = Cure::None;
      verdict.remaining = total;
      verdict.detail.clear();
    }
  }

private:
  /// A hypothesis: takes the lead where its cure leaves less than those before.
  bool propose(Cause cause, double remaining, std::string detail, double factor = kClearly) {
    if (!(remaining < factor * verdict.remaining)) return false;
    verdict.cause = cause;
    verdict.cure = rowOf(cause).cure;
    verdict.remaining = std::max(0.0, remaining);
    verdict.detail = std::move(detail);
    return true;
  }
  /// The noise with another coding: what the codes add is replaced.
  double withNoise(double noise) const {
    double coded = e.own.relativeNoise([&](size_t) { return noise; });
    return coded + std::max(0.0, total - e.coded.relativeNoise());
  }

  void scaleOfCodes() {
    Range seen = seenOf(e.values), codes = rangeOf(e.coding);
    double remaining = withNoise(roundingNoise(seen));
    std::string ranges = format("codes reach from %.4g to %.4g, values from %.4g to %.4g", codes.least,
                                codes.most, seen.least, seen.most);
    double clipped = clippingNoise(e.values, codes);
    bool proposed = false;
    if (double ratio = e.decoded / e.coding.scale; std::abs(ratio - 1) > 0.01)
      proposed =
          propose(Cause::WrongScale, remaining,
                  format("codes are made with scale %.4g and read with %.4g", e.coding.scale, e.decoded));
    else if (clipped > 0.5 * e.coded.noise())
      proposed = propose(Cause::ClippedRange, remaining,
                         ranges + format("; %.2g %% are clipped", 100 * outside(e.values, codes)));
    else
      proposed = propose(Cause::CoarseScale, remaining,
                         ranges + format("; %d of 256 codes are used", e.codes.used()));
    if (!proposed) return;
    verdict.cure = Cure::Rescale;
    verdict.coding = codingOf(seen);
  }

  /// What is clipped counts as lost, whatever its size: a few large numbers must not outweigh all others.
  void tail() {
    Range best = seenOf(e.values), seen = best;
    double least = verdict.remaining;
    for (double share : kTailShares) {
      Range r = withoutOutermost(e.values, share);
      double remaining = withNoise(roundingNoise(r)) + outside(e.values, r);
      if (remaining < least) least = remaining, best = r;
    }
    if (propose(Cause::ActivationTail, least,
                format("values from %.4g to %.4g, but %.2g %% of them lie outside of %.4g to %.4g",
                       seen.least, seen.most, 100 * outside(e.values, best), best.least, best.most),
                kTail))
      verdict.coding = codingOf(best);
  }

  void joined() {
    if (e.parts.size() < 2) return;
    std::vector<double> noise(e.own.channels(), 0);
    const Part *widest = &e.parts[0], *narrowest = widest;
    auto width = [](const Part &p) { return seenOf(p.values).most - seenOf(p.values).least; };
    for (const Part &p : e.parts) {
      std::fill(noise.begin() + long(p.begin), noise.begin() + long(p.end), roundingNoise(seenOf(p.values)));
      if (width(p) > width(*widest)) widest = &p;
      if (width(p) < width(*narrowest)) narrowest = &p;
    }
    double remaining = e.own.relativeNoise([&](size_t c) { return noise[c]; });
    propose(Cause::SharedScale, remaining + std::max(0.0, total - e.coded.relativeNoise()),
            format("one step is %.3g: '%.60s' is %.3g wide, '%.60s' only %.3g", e.coding.scale,
                   widest->name.c_str(), width(*widest), narrowest->name.c_str(), width(*narrowest)));
  }

  void bias() {
    if (!e.bias) return;
    double wrong = 0;
    if (!e.bias->error.empty() && e.bias->error.size() == e.own.channels())
      wrong = e.own.relativeNoise([&](size_t c) { return e.bias->error[c] * e.bias->error[c]; });
    if (e.bias->atLimit) {
      // What was lost is not known without the float model: as much as there is.
      total = verdict.noise = verdict.remaining = std::max(total, e.bias->error.empty() ? 1.0 : wrong);
      wrong = std::max(wrong, e.bias->error.empty() ? 1.0 : wrong);
    }
    double largest = 0;
    for (double d : e.bias->error) largest = std::max(largest, std::abs(d));
    std::string limits =
        e.bias->atLimit ? format("%d codes are at the end of 32 bits", int(e.bias->atLimit)) : "";
    std::string off = largest > 0 ? format("off by up to %.4g", largest) : "";
    propose(Cause::Bias, total - wrong, limits + (limits.empty() || off.empty() ? "" : "; ") + off);
  }

  /// Relative noise that steps of the weights' codes make: those they have, or one per channel.
  double expected(bool perChannel) const {
    double sum = 0;
    for (const WeightEvidence::Channel &c : e.weights->channels) {
      double step = perChannel ? c.largest / kWeightCodes : c.step;
      if (c.power > 0) sum += std::min(1.0, step * step / 12 / c.power);
    }
    return e.weights->channels.empty() ? 0 : sum / double(e.weights->channels.size());
  }

  void weights() {
    const WeightEvidence &w = *e.weights;
    double others = total - weightNoise;
    if (w.known) {
      double off = (w.gain - 1) * (w.gain - 1);
      double farthest = w.gain;
      if (w.perChannel) {
        off = 0;
        for (const WeightEvidence::Channel &c : w.channels) {
          off += std::min(1.0, (c.gain - 1) * (c.gain - 1)) / double(w.channels.size());
          if (std::abs(c.gain - 1) > std::abs(farthest - 1)) farthest = c.gain;
        }
      }
      propose(Cause::WrongScale, others + std::max(0.0, weightNoise - std::min(1.0, off)),
              format("the codes of the weights stand for %.4g times the float model's", farthest));
    }
    if (w.perChannel || w.channels.size() < 2) return;
    std::vector<double> largest;
    for (const WeightEvidence::Channel &c : w.channels) largest.push_back(c.largest);
    double typical = middle(largest), most = std::ranges::max(largest);
    auto wide = std::ranges::count_if(largest, [&](double v) { return v >= kWide * typical; });
    bool few = wide > 0 && double(wide) <= std::max(1.0, kFew * double(largest.size()));
    propose(few ? Cause::WideChannel : Cause::WeightSpread, others + std::min(weightNoise, expected(true)),
            few ? format("weights of channel %d reach %.4g, those of the middle one %.4g",
                         int(std::ranges::max_element(largest) - largest.begin()), most, typical)
                : format("the channels' weights reach from %.4g to %.4g", std::ranges::min(largest), most));
  }

  const Evidence &e;
  double weightNoise = 0, total = 0;
};

} // namespace

std::span<const CauseRow> causes() { return kCauses; }

const CauseRow &rowOf(Cause cause) {
  auto found = std::ranges::find(kCauses, cause, &CauseRow::cause);
  PLANISH_CHECK(found != kCauses.end(), "a cause without a row");
  return *found;
}

std::string_view remedyOf(Cure cure) {
  switch (cure) {
  case Cure::None: return "";
  case Cure::Rescale: return "take the scale from the range of the values";
  case Cure::ClipTail: return "clip the few: take the scale without them (calibrator percentile or entropy)";
  case Cure::SplitScale: return "give each part a scale of its own";
  case Cure::RequantizeWeights: return "quantize the float model's weights, one scale per channel";
  case Cure::FloatBias: return "take the float model's bias and a coarser scale of the channel's weights";
  }
  return "";
}

Diagnosis diagnose(const Evidence &e) {
  Judge judge(e);
  judge.judge();
  return judge.verdict;
}

} // namespace planish::quant
