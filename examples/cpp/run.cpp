// Runs a compiled model once, on zeros, and prints the first elements of its outputs:
//
//   compile-model net.onnx -o net
//   c++ -std=c++17 -I <planish>/include run.cpp -ldl -o run && ./run net/libnet.so
#include <planish/runtime.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(planish_status status) {
  if (status != PLANISH_OK) throw std::runtime_error(planish_error());
}

/// A loaded library and one instance of its model, which owns its inputs.
class Network {
public:
  explicit Network(const std::string &path, const planish_options &options = {}) {
    const planish_model *opened = nullptr;
    check(planish_open(path.c_str(), &opened));
    model.reset(opened);
    check(planish_model_info(opened, &info));
    planish_instance *made = nullptr;
    check(planish_create(opened, &options, &made));
    instance.reset(made);
    for (std::uint32_t i = 0; i < info.n_inputs; ++i) setZeros(i);
  }

  /// The outputs, which stay where they are until the next run.
  std::vector<planish_tensor> run() {
    check(planish_run(instance.get()));
    std::vector<planish_tensor> outputs(info.n_outputs);
    for (std::uint32_t i = 0; i < info.n_outputs; ++i)
      check(planish_get_output(instance.get(), i, &outputs[i]));
    return outputs;
  }

  planish_info info{};

private:
  struct Closer {
    void operator()(const planish_model *opened) const { planish_close(opened); }
    void operator()(planish_instance *made) const { planish_destroy(made); }
  };
  std::unique_ptr<const planish_model, Closer> model;
  std::vector<std::vector<double>> inputs; // doubles for their alignment
  std::unique_ptr<planish_instance, Closer> instance; // goes before what it uses

  /// The smallest shape that the model takes.
  void setZeros(std::uint32_t index) {
    const planish_tensor_info &input = info.inputs[index];
    std::vector<std::int64_t> dims;
    for (std::int32_t d = 0; d < input.rank; ++d) dims.push_back(input.dims[d].lower);
    inputs.emplace_back(input.max_bytes / sizeof(double) + 1);
    check(planish_set_input(instance.get(), index, inputs.back().data(), dims.data(),
                            static_cast<std::uint32_t>(dims.size())));
  }
};

void print(const char *name, const planish_tensor &out) {
  std::printf("%s:", name);
  for (std::int32_t d = 0; d < out.rank; ++d)
    std::printf("%s%lld", d ? "x" : " ", static_cast<long long>(out.dims[d]));
  const auto *values = static_cast<const float *>(out.data);
  for (std::uint64_t k = 0; out.dtype == PLANISH_F32 && k < out.bytes / sizeof(float) && k < 4; ++k)
    std::printf(" %g", static_cast<double>(values[k]));
  std::printf("\n");
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: run LIBRARY.so\n"), 2;
  try {
    Network net(argv[1]);
    const std::vector<planish_tensor> outputs = net.run();
    for (std::size_t i = 0; i < outputs.size(); ++i) print(net.info.outputs[i].name, outputs[i]);
  } catch (const std::exception &problem) {
    std::fprintf(stderr, "error: %s\n", problem.what());
    return 1;
  }
  return 0;
}
