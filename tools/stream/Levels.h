// Where the values of a detection head lie in memory, whatever shape the exporter gave its outputs.
#pragma once

#include "Decode.h"

namespace planish::stream {

/// Predictions of one resolution: `anchors` of them for each of `cells` cells, each of `values` numbers.
struct Level {
  const float *data = nullptr;
  int64_t anchorStep = 0, cellStep = 0, valueStep = 1; ///< in elements
  int64_t anchors = 1, cells = 0, values = 0;
  int gridWidth = 0; ///< 0: no grid
  int stride = 0;

  const float *at(int64_t anchor, int64_t cell) const { return data + anchor * anchorStep + cell * cellStep; }
};

/// What a head says about its grid.
struct Grid {
  std::string family; ///< for messages
  int inputWidth = 0, inputHeight = 0;
  std::vector<int> strides;
  std::vector<int64_t> anchors; ///< per stride
  Order order = Order::Rows;
};

/// The output of a name; without a name, the model's only one.
Result<OutputTensor> findOutput(std::span<const OutputTensor> outputs, const std::string &name);

/// One level per stride, out of one table of all (1xNxK or 1xKxN, levels in order, anchors outside cells), or
/// of one output per stride: such a table, 1xKxHxW, 1xHxWxK, or with anchors 1xAxHxWxK or 1x(A*K)xHxW. The
/// number of values must be at least `leastValues`.
Result<std::vector<Level>> findLevels(std::span<const OutputTensor> outputs,
                                      const std::vector<std::string> &names, const Grid &grid,
                                      int64_t leastValues);

/// One table without a grid: NxK, 1xNxK or 1xKxN.
Result<Level> findTable(const OutputTensor &output, Order order, int64_t leastValues,
                        const std::string &family);

} // namespace planish::stream
