#include "Session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace planish::run {
namespace {

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string inputText(const planish_tensor_info &info) { return std::string("input '") + info.name + "'"; }

} // namespace

Result<Library> Library::open(const std::string &directory) {
  namespace fs = std::filesystem;
  std::error_code ec;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string file = it->path().filename().string();
    if (file.starts_with("lib") && file.ends_with(".so")) found.push_back(it->path());
  }
  if (ec) return badInput("cannot read directory '" + directory + "': " + ec.message());
  if (found.size() != 1)
    return badInput("'" + directory + "' holds " + (found.empty() ? "no" : "more than one") +
                    " compiled model (lib*.so)");
  Library library;
  const planish_model *model = nullptr;
  if (planish_open(fs::absolute(found[0]).c_str(), &model) != PLANISH_OK)
    return badInput(found[0].string() + ": " + planish_error());
  library.held.reset(model);
  return library;
}

void Session::note(void *user, const planish_instance *instance, uint32_t launch, int64_t begin,
                   int64_t end) {
  auto *self = static_cast<Session *>(user);
  self->launches.push_back({launch, begin, end});
  if (self->observer) self->observer(instance, launch);
}

Status Session::create(int threads, bool profiled) {
  planish_options options{};
  options.threads = threads;
  if (profiled) {
    options.profile = note;
    options.profile_user = this;
  }
  const planish_status status = planish_create(&model, &options, &instance);
  if (status == PLANISH_INVALID_ARGUMENT) return usage(planish_error());
  if (status == PLANISH_UNSUPPORTED_CPU || status == PLANISH_NO_DEVICE) return unsupported(planish_error());
  if (status != PLANISH_OK) return failed(planish_error());
  inputs.resize(model.n_inputs);
  return {};
}

Result<uint32_t> Session::inputNamed(const std::string &name) const {
  std::string names;
  for (uint32_t i = 0; i < model.n_inputs; ++i) {
    if (name == model.inputs[i].name) return i;
    names += (i ? ", '" : "'") + std::string(model.inputs[i].name) + "'";
  }
  return failed("model '" + std::string(model.name) + "' has no input '" + name + "', it has " + names);
}

Status Session::setInput(uint32_t index, Array array) {
  const planish_tensor_info &info = model.inputs[index];
  if (array.dtype != info.dtype)
    return failed(inputText(info) + " is " + dtypeName(info.dtype) + ", given is " + dtypeName(array.dtype));
  std::optional<Array> &slot = inputs[index];
  slot = std::move(array);
  if (planish_set_input(instance, index, slot->bytes.data(), slot->shape.data(),
                        static_cast<uint32_t>(slot->shape.size())) != PLANISH_OK)
    return failed(planish_error());
  return {};
}

Result<std::vector<std::string>> Session::fillInputs() {
  std::vector<int64_t> symbols(model.n_symbols, -1);
  for (uint32_t i = 0; i < model.n_inputs; ++i)
    for (int32_t d = 0; inputs[i] && d < model.inputs[i].rank; ++d)
      if (const int32_t s = model.inputs[i].dims[d].symbol; s >= 0)
        symbols[static_cast<size_t>(s)] = inputs[i]->shape[static_cast<size_t>(d)];
  std::vector<std::string> lines;
  for (uint32_t i = 0; i < model.n_inputs; ++i) {
    if (inputs[i]) continue;
    const planish_tensor_info &info = model.inputs[i];
    Array array;
    array.dtype = info.dtype;
    for (int32_t d = 0; d < info.rank; ++d) {
      const planish_dim &dim = info.dims[d];
      const int64_t known = dim.symbol >= 0 ? symbols[static_cast<size_t>(dim.symbol)] : -1;
      array.shape.push_back(known >= 0 ? known : std::clamp<int64_t>(1, dim.lower, dim.upper));
    }
    array.bytes.resize(static_cast<size_t>(array.elements()) * planish_dtype_bytes(array.dtype));
    model.api->fill(array.dtype, i + 1, array.bytes.data(), array.bytes.size());
    lines.push_back(inputText(info) + " not given: filled with seeded data, " + dtypeName(info.dtype) + " " +
                    shapeText(array.shape));
    PLANISH_TRY(setInput(i, std::move(array)));
  }
  return lines;
}

Result<int64_t> Session::run() {
  launches.clear();
  const int64_t begin = now();
  const planish_status status = planish_run(instance);
  const int64_t time = now() - begin;
  if (status != PLANISH_OK) return failed(planish_error());
  for (Launch &launch : launches) {
    launch.begin -= begin;
    launch.end -= begin;
  }
  return time;
}

Result<Array> Session::output(uint32_t index) const {
  planish_tensor tensor{};
  if (planish_get_output(instance, index, &tensor) != PLANISH_OK) return failed(planish_error());
  Array array;
  array.dtype = tensor.dtype;
  array.shape.assign(tensor.dims, tensor.dims + tensor.rank);
  array.bytes.resize(tensor.bytes);
  if (tensor.bytes) std::memcpy(array.bytes.data(), tensor.data, tensor.bytes);
  return array;
}

} // namespace planish::run
