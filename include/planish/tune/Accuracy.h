// int8 within a bound: which layers stay with real numbers so that a metric of the user's loses no more than
// allowed.
#pragma once

#include "planish/driver/Compile.h"
#include "planish/tune/Compare.h"

#include <functional>
#include <string>
#include <vector>

namespace planish::tune {

/// How much of the float model's metric may be lost; larger is better.
struct Bound {
  double drop = 0;
  bool relative = false; // a share of the float model's value
};
/// "0.01", or "1%" of the float model's value.
Result<Bound> boundOf(const std::string &text);

/// The metric of a compiled model.
using Evaluate = std::function<Result<double>(const std::string &directory)>;

/// Runs a command with the directory behind its arguments; the metric is the last number that it prints.
Result<double> metricOfCommand(const std::string &command, const std::string &directory);

/// A contraction, and whether it stays with real numbers.
struct Choice {
  Sensitivity layer;
  bool kept = false;
};

/// What has been measured so far.
struct Trial {
  size_t kept = 0;      // layers with real numbers
  double metric = 0;
  bool within = false;
};

struct AccuracyOptions {
  driver::Options compile; // with int8; writes to its output
  Bound bound;
  Evaluate evaluate;
  std::function<void(const Trial &)> progress; // after every evaluation; may be empty
};

struct Accuracy {
  double real = 0, int8 = 0, reached = 0; // metrics: of the float model, of all layers in int8, of the result
  std::vector<Choice> layers; // the most noise for its cost first
  double cost = 0; // share of multiplications with real numbers
  int evaluations = 0;
  driver::Artifact artifact;
};

/// Compiles with as few and as cheap layers in fp32 as the bound takes: layers are kept in the order of their
/// noise for their cost until it is met, then those that were not needed are given back. Every step compiles
/// and evaluates.
Result<Accuracy> compileWithin(const AccuracyOptions &options, Samples &samples);

/// One line: the metrics, and which layers have real numbers.
std::string summaryOf(const Accuracy &a);

} // namespace planish::tune
