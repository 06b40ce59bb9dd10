// A compiled directory, opened: one instance, its inputs and what its runs tell.
#pragma once

#include "Array.h"

#include "planish/runtime.h"
#include "planish/support/Result.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace planish::run {

/// One launch of one run, in nanoseconds since the run began.
struct Launch {
  uint32_t index;
  int64_t begin, end;
};

/// Holds a model's library open.
class Library {
public:
  /// `directory` holds one lib<name>.so; BadInput where it does not, or where that is no model of this
  /// version.
  static Result<Library> open(const std::string &directory);
  const planish_model &model() const { return *held; }

private:
  struct Close {
    void operator()(const planish_model *model) const { planish_close(model); }
  };
  std::unique_ptr<const planish_model, Close> held;
};

/// An instance with inputs. Not movable: the runtime keeps a pointer to it.
class Session {
public:
  using Observer = std::function<void(const planish_instance *, uint32_t launch)>;

  explicit Session(const planish_model &model) : model(model) {}
  ~Session() { planish_destroy(instance); }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /// `profiled`: launches are timed and shown to the observer. Fails where the CPU lacks what the model
  /// needs.
  Status create(int threads, bool profiled);
  /// Index of an input by name; the error lists the names there are.
  Result<uint32_t> inputNamed(const std::string &name) const;
  /// Uses `array` as an input; its element type and shape must fit.
  Status setInput(uint32_t index, Array array);
  /// The bytes of an input that is set: what is written there is the input of the next run.
  std::span<std::byte> inputBytes(uint32_t index) { return inputs[index]->bytes; }
  /// Fills inputs not set with data made from a fixed seed and returns one line about each.
  Result<std::vector<std::string>> fillInputs();

  /// Runs once; the wall time in nanoseconds.
  Result<int64_t> run();
  std::vector<Launch> launches;  ///< of the last run, when profiled
  Observer observer;             ///< called after each launch, when profiled

  /// A copy of an output of the last run.
  Result<Array> output(uint32_t index) const;
  uint32_t threads() const { return planish_threads(instance); }
  const planish_instance *handle() const { return instance; }

  const planish_model &model;

private:
  static void note(void *user, const planish_instance *instance, uint32_t launch, int64_t begin, int64_t end);

  planish_instance *instance = nullptr;
  std::vector<std::optional<Array>> inputs;
};

} // namespace planish::run
