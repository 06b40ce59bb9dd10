// Compile-time parameters of an operator. Each operator has a plain struct that lists its own
// fields once; printing, parsing, hashing and equality all derive from that list, and nothing in the
// compiler reads a parameter by string.
//
//   struct PoolAttrs {
//     std::vector<int64_t> window, strides;
//     bool countPadding = false;
//     void visit(FieldVisitor &v) { v.field("window", window); v.field("strides", strides); ... }
//   };
#pragma once

#include "planish/ir/Types.h"
#include "planish/support/Check.h"

#include <concepts>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace planish::graph {

/// Sees every field of an attribute struct in order; the parser writes through the references.
class FieldVisitor {
public:
  virtual ~FieldVisitor() = default;
  virtual void field(std::string_view name, int64_t &value) = 0;
  virtual void field(std::string_view name, double &value) = 0;
  virtual void field(std::string_view name, bool &value) = 0;
  virtual void field(std::string_view name, DType &value) = 0;
  virtual void field(std::string_view name, std::vector<int64_t> &value) = 0;
  virtual void field(std::string_view name, std::vector<double> &value) = 0;
  virtual void field(std::string_view name, Shape &value) = 0;

  /// An enumeration whose spellings are `std::span<const std::string_view> spellings(E)`, found by ADL.
  template <class E>
    requires std::is_enum_v<E>
  void field(std::string_view name, E &value) {
    int index = int(value);
    choice(name, index, spellings(E{}));
    value = E(index);
  }

protected:
  virtual void choice(std::string_view name, int &index, std::span<const std::string_view> spellings) = 0;
};

template <class T>
concept AttrStruct = requires(T t, FieldVisitor &v) { t.visit(v); };

/// Owns one attribute struct by value; empty for operators without parameters.
class Attrs {
public:
  Attrs() = default;
  template <AttrStruct T> Attrs(T value) : box(std::make_shared<Box<T>>(std::move(value))) {}

  /// The struct; a check fails on another type.
  template <AttrStruct T> const T &as() const {
    auto *typed = dynamic_cast<const Box<T> *>(box.get());
    PLANISH_CHECK(typed, "attributes of another operator");
    return typed->value;
  }

  /// Visits a copy of the fields and returns it: how the parser makes attributes from a prototype.
  Attrs visited(FieldVisitor &visitor) const { return box ? Attrs(box->visited(visitor)) : Attrs(); }
  bool empty() const { return !box; }
  /// Equal fields (symbols by identity).
  bool operator==(const Attrs &other) const;

private:
  struct BoxBase {
    virtual ~BoxBase() = default;
    virtual std::shared_ptr<const BoxBase> visited(FieldVisitor &v) const = 0;
  };
  template <class T> struct Box : BoxBase {
    explicit Box(T v) : value(std::move(v)) {}
    std::shared_ptr<const BoxBase> visited(FieldVisitor &v) const override {
      auto copy = std::make_shared<Box<T>>(value);
      copy->value.visit(v);
      return copy;
    }
    T value;
  };
  explicit Attrs(std::shared_ptr<const BoxBase> b) : box(std::move(b)) {}
  std::shared_ptr<const BoxBase> box;
};

} // namespace planish::graph
