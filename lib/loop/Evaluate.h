// Expressions of the interpreter, compiled once into trees of closures over numbered slots. Every
// node yields one lane at a time.
#pragma once

#include "planish/loop/Rewrite.h"

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace planish::loop {

/// A contradiction of the interpreted function with its data; caught by interpret().
struct RunError {
  std::string text;
};

/// A variable's lane.
union Slot64 {
  int64_t i;
  double f;
};

/// Where a buffer lies while the function runs.
struct Place {
  std::byte *base = nullptr;
  std::vector<int64_t> shape, strides;
};

struct Frame {
  std::vector<Slot64> slots;
  std::vector<Place> places;
};

/// An expression; integer and boolean types answer i(), floats answer f(), of f32 a float's value.
class Node {
public:
  virtual ~Node() = default;
  virtual int64_t i(Frame &, int) const { return 0; }
  virtual double f(Frame &, int) const { return 0; }
};
using NodeRef = std::shared_ptr<const Node>;

/// Computes and checks the address of an access.
class Access {
public:
  Access(Buffer buffer, int place, std::vector<Expr> indices, std::vector<NodeRef> nodes, NodeRef mask)
      : buffer(std::move(buffer)), place(place), indices(std::move(indices)), nodes(std::move(nodes)),
        mask(std::move(mask)), bytes(byteSize(this->buffer->dtype)) {
    for (auto &e : this->indices) vector.push_back(e->type.lanes > 1);
  }

  bool on(Frame &s, int lane) const { return !mask || mask->i(s, lane); }
  std::byte *locate(Frame &s, int lane) const {
    const Place &p = s.places[size_t(place)];
    int64_t offset = 0;
    for (size_t d = 0; d < nodes.size(); ++d) {
      int64_t index = nodes[d]->i(s, vector[d] ? lane : 0);
      if (uint64_t(index) >= uint64_t(p.shape[d])) outOfBounds(d, index, p.shape[d]);
      offset += index * p.strides[d];
    }
    return p.base + offset * bytes;
  }

private:
  [[noreturn]] void outOfBounds(size_t dimension, int64_t index, int64_t size) const;

  Buffer buffer;
  int place;
  std::vector<Expr> indices;
  std::vector<NodeRef> nodes;
  NodeRef mask;
  int64_t bytes;
  std::vector<char> vector;
};

/// Gives variables and buffers their numbers and compiles expressions over them.
class Compiler {
public:
  int slotOf(const Var &v);
  int placeOf(const Buffer &b);
  NodeRef compile(const Expr &e);
  Access access(const Buffer &b, const std::vector<Expr> &indices, const Expr &mask);
  Frame frame() const { return {std::vector<Slot64>(size_t(nextSlot)), std::vector<Place>(places.size())}; }

private:
  NodeRef fresh(const Expr &e);
  NodeRef integerBinary(const Binary &b, DType dtype);
  NodeRef floatBinary(const Binary &b, DType dtype);
  NodeRef polynomialIndex(const Expr &e);
  NodeRef loadNode(const Load &l);
  NodeRef castNode(const Cast &c, DType to);
  NodeRef callNode(const Call &c, Type type);

  std::map<Var, int> slots;
  std::map<Buffer, int> places;
  std::map<const ExprNode *, NodeRef> known;
  std::vector<Expr> alive;  // keeps the keys of `known` valid
  int nextSlot = 0;
};

} // namespace planish::loop
