#include "Levels.h"

#include "run/Array.h"

#include <numeric>

namespace planish::stream {
namespace {

int64_t cellsAlong(int size, int stride) { return (size + stride - 1) / stride; }

std::string namesOf(std::span<const OutputTensor> outputs) {
  std::string names;
  for (const OutputTensor &output : outputs)
    names += (names.empty() ? "'" : ", '") + output.name + "' (" + run::shapeText(output.shape) + ")";
  return names;
}

std::string dimensionText(int64_t count, const char *otherwise) {
  return count > 0 ? std::to_string(count) : otherwise;
}

/// "1x3549xK" or the like.
std::string tableText(Order order, int64_t rows) {
  const std::string n = dimensionText(rows, "N");
  return order == Order::Rows ? "1x" + n + "xK" : "1xKx" + n;
}

Diagnostic misfit(const OutputTensor &output, const std::string &family, const std::string &expected) {
  return badInput("output '" + output.name + "' of the model is " + run::shapeText(output.shape) +
                  "; the decoder " + family + " of the frame.json takes " + expected +
                  ": check the input size, \"strides\", \"order\" and \"form\"");
}

std::string gridText(const Grid &grid) {
  std::string strides;
  for (const int stride : grid.strides) strides += (strides.empty() ? "" : ", ") + std::to_string(stride);
  return "input " + std::to_string(grid.inputWidth) + "x" + std::to_string(grid.inputHeight) + ", strides " +
         strides;
}

Level emptyLevel(const Grid &grid, size_t index) {
  Level level;
  level.stride = grid.strides[index];
  level.gridWidth = static_cast<int>(cellsAlong(grid.inputWidth, level.stride));
  level.cells = level.gridWidth * cellsAlong(grid.inputHeight, level.stride);
  level.anchors = grid.anchors[index];
  return level;
}

/// Rows [begin, begin + anchors * cells) of a table.
void placeInTable(Level &level, const Level &table, int64_t begin) {
  level.values = table.values;
  level.data = table.at(0, begin);
  level.anchorStep = level.cells * table.cellStep;
  level.cellStep = table.cellStep;
  level.valueStep = table.valueStep;
}

/// An output of its own for one stride. False where its shape is none of those known.
bool placeInMap(Level &level, const OutputTensor &output) {
  const std::vector<int64_t> &s = output.shape;
  const int64_t width = level.gridWidth, height = level.cells / width;
  const auto has = [&](size_t at) { return s[at] == height && s[at + 1] == width; };
  if (s.size() < 4 || s[0] != 1) return false;
  level.data = output.data;
  if (s.size() == 5 && s[1] == level.anchors && has(2)) { // A, H, W, K
    level.values = s[4];
    level.cellStep = s[4];
    level.anchorStep = level.cells * s[4];
    return true;
  }
  if (s.size() == 4 && has(2) && s[1] % level.anchors == 0) { // A*K, H, W
    level.values = s[1] / level.anchors;
    level.cellStep = 1;
    level.valueStep = level.cells;
    level.anchorStep = level.values * level.cells;
    return true;
  }
  if (s.size() == 4 && has(1) && s[3] % level.anchors == 0) { // H, W, A*K
    level.values = s[3] / level.anchors;
    level.cellStep = s[3];
    level.anchorStep = level.values;
    return true;
  }
  return false;
}

} // namespace

Result<OutputTensor> findOutput(std::span<const OutputTensor> outputs, const std::string &name) {
  if (name.empty()) {
    if (outputs.size() == 1) return outputs[0];
    return badInput("the decoder names no output and the model has several: " + namesOf(outputs) +
                    "; name it in the frame.json");
  }
  for (const OutputTensor &output : outputs)
    if (output.name == name) return output;
  return badInput("the model has no output '" + name + "', it has " + namesOf(outputs));
}

Result<Level> findTable(const OutputTensor &output, Order order, int64_t leastValues,
                        const std::string &family) {
  const std::vector<int64_t> &s = output.shape;
  const std::string expected = tableText(order, 0) + " with K at least " + std::to_string(leastValues);
  if ((s.size() != 2 && s.size() != 3) || (s.size() == 3 && s[0] != 1))
    return misfit(output, family, expected);
  Level level;
  level.data = output.data;
  level.cells = s[s.size() - 2];
  level.values = s[s.size() - 1];
  level.cellStep = level.values;
  if (order == Order::Columns) {
    std::swap(level.cells, level.values);
    level.cellStep = 1;
    level.valueStep = level.cells;
  }
  if (level.values < leastValues) return misfit(output, family, expected);
  return level;
}

/// All levels in one table, one after the other.
static Status placeInOneTable(std::vector<Level> &levels, const OutputTensor &output, const Grid &grid,
                              int64_t leastValues) {
  int64_t rows = 0;
  for (const Level &level : levels) rows += level.anchors * level.cells;
  const auto table = findTable(output, grid.order, leastValues, grid.family);
  if (!table || table->cells != rows)
    return misfit(output, grid.family,
                  tableText(grid.order, rows) + " with K at least " + std::to_string(leastValues) + " (" +
                      gridText(grid) + ")");
  int64_t begin = 0;
  for (Level &level : levels) {
    placeInTable(level, *table, begin);
    begin += level.anchors * level.cells;
  }
  return {};
}

/// One level in an output of its own, a map or a table.
static Status placeAlone(Level &level, const OutputTensor &output, const Grid &grid, int64_t leastValues) {
  bool fits = placeInMap(level, output);
  const int64_t rows = level.anchors * level.cells;
  if (!fits) {
    const auto table = findTable(output, grid.order, leastValues, grid.family);
    fits = table && table->cells == rows;
    if (fits) placeInTable(level, *table, 0);
  }
  if (fits && level.values >= leastValues) return {};
  std::string expected = tableText(grid.order, rows) + " or 1xKx";
  expected += std::to_string(level.cells / level.gridWidth) + "x" + std::to_string(level.gridWidth);
  expected += " with K at least " + std::to_string(leastValues) + " (" + gridText(grid);
  expected += ", this one " + std::to_string(level.stride) + ")";
  return misfit(output, grid.family, expected);
}

Result<std::vector<Level>> findLevels(std::span<const OutputTensor> outputs,
                                      const std::vector<std::string> &names, const Grid &grid,
                                      int64_t leastValues) {
  std::vector<Level> levels;
  for (size_t i = 0; i < grid.strides.size(); ++i) levels.push_back(emptyLevel(grid, i));
  if (names.size() <= 1) {
    PLANISH_ASSIGN(const OutputTensor output, findOutput(outputs, names.empty() ? "" : names[0]));
    PLANISH_TRY(levels.size() == 1 ? placeAlone(levels[0], output, grid, leastValues)
                                   : placeInOneTable(levels, output, grid, leastValues));
    return levels;
  }
  if (names.size() != levels.size())
    return badInput("the decoder " + grid.family + " names " + std::to_string(names.size()) +
                    " outputs for " + std::to_string(levels.size()) +
                    " strides; name one for all or one for each");
  for (size_t i = 0; i < levels.size(); ++i) {
    PLANISH_ASSIGN(const OutputTensor output, findOutput(outputs, names[i]));
    PLANISH_TRY(placeAlone(levels[i], output, grid, leastValues));
  }
  return levels;
}

} // namespace planish::stream
