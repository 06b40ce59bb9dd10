// Where every value lives: which memory (a root) and which elements of it (a view). Reshapes,
// transposes, slices and concatenations become views wherever strides can express them; what is left
// is a list of steps, each of which becomes one kernel launch.
#pragma once

#include "planish/graph/OpDef.h"
#include "planish/loop/Program.h"

#include <optional>
#include <string>
#include <vector>

namespace planish::lower {

/// A piece of memory that is allocated, or given, as a whole.
struct Root {
  loop::Region region = loop::Region::Arena;
  int64_t index = 0;  // input or output
  int64_t bytes = 0;  // at the upper bound of every symbol
  const graph::Value *constant = nullptr;
};

/// A value's elements: at offset + sum of index*stride elements in a root.
struct Place {
  int root = -1;
  graph::View view;
};
/// True if a value of this shape is the same elements in both places; strides of size 1 do not count.
bool samePlace(const Place &a, const Place &b, const Shape &shape);

struct Operand {
  graph::ValueId value;  // whose name and type it has
  std::string name;
  TensorType type;
  Place place;
};

struct Body;

/// One launch: the node's computation, or a plain copy of an operand of the output's shape. Or control
/// flow: a node whose regions are bodies of their own.
struct Step {
  graph::NodeId node{};
  bool copy = false;
  std::vector<std::optional<Operand>> in;  // absent for absent operands
  std::vector<Operand> out;
  std::vector<Body> bodies;  // by region
};

/// The steps of a graph, or of a region.
struct Body {
  const graph::Graph *graph = nullptr;
  std::vector<std::optional<Place>> places;  // by value
  std::vector<Step> steps;
};

struct Storage {
  std::vector<Root> roots;
  Body main;
};

/// Outputs live in the caller's memory, dense as written; so do inputs. An elementwise result takes
/// the place of an operand that dies there and that is read only where it is written.
Result<Storage> planStorage(const graph::Graph &g);

/// Dense strides of a shape whose dimensions lie in the given order (empty: as written).
std::vector<loop::Expr> denseStrides(const Shape &shape, const Layout &order);
/// Bytes of a dense tensor with every dimension at its upper bound; an error where that overflows.
Result<int64_t> upperBytes(const TensorType &type, const std::string &name);

} // namespace planish::lower
