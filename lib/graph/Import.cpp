#include "planish/graph/Import.h"

#include "planish/loop/Rewrite.h"

#include <algorithm>
#include <cmath>

namespace planish::graph {

namespace {

std::string_view kindOf(const AttributeValue &value) {
  static constexpr std::string_view kKinds[] = {"an integer", "a float",           "a string", "integers",
                                                "floats",     "a list of strings", "a tensor"};
  return kKinds[value.index()];
}

/// The attribute as a T, or nothing where it is absent; another type is complained about.
template <class T> const T *typed(Importer &importer, std::string_view name, std::string_view expected) {
  auto found = importer.node().attributes.find(name);
  if (found == importer.node().attributes.end()) return nullptr;
  if (auto *value = std::get_if<T>(&found->second)) return value;
  importer.fail("attribute '" + std::string(name) + "' is " + std::string(kindOf(found->second)) +
                ", expected " + std::string(expected));
  return nullptr;
}

} // namespace

int64_t Importer::intAttr(std::string_view name, int64_t otherwise) {
  auto *value = typed<int64_t>(*this, name, "an integer");
  return value ? *value : otherwise;
}
double Importer::floatAttr(std::string_view name, double otherwise) {
  auto *value = typed<float>(*this, name, "a float");
  return value ? double(*value) : otherwise;
}
std::string Importer::stringAttr(std::string_view name, std::string otherwise) {
  if (auto *value = typed<std::string>(*this, name, "a string")) return *value;
  return otherwise;
}
std::vector<int64_t> Importer::intsAttr(std::string_view name, std::vector<int64_t> otherwise) {
  if (auto *value = typed<std::vector<int64_t>>(*this, name, "integers")) return *value;
  return otherwise;
}
std::vector<double> Importer::floatsAttr(std::string_view name, std::vector<double> otherwise) {
  if (auto *value = typed<std::vector<float>>(*this, name, "floats")) return {value->begin(), value->end()};
  return otherwise;
}

std::vector<std::string> Importer::stringsAttr(std::string_view name, std::vector<std::string> otherwise) {
  if (auto *value = typed<std::vector<std::string>>(*this, name, "strings")) return *value;
  return otherwise;
}
OnnxBody *Importer::body(std::string_view name) {
  if (auto found = n.bodies.find(name); found != n.bodies.end()) return found->second.get();
  fail("misses the graph '" + std::string(name) + "'");
  return nullptr;
}

DType Importer::storedResult() const {
  auto narrow = std::ranges::find_if(n.stored, [](DType t) { return t != DType::f32; });
  return results.value_or(narrow == n.stored.end() ? DType::f32 : *narrow);
}

ValueId Importer::in(int input) {
  if (has(input)) return n.inputs[size_t(input)];
  fail("misses operand " + std::to_string(input));
  return scalar(DType::f32, 0);
}

std::vector<loop::Expr> Importer::elements(int input) {
  ValueId value = in(input);
  if (problem) return {};
  if (isFloat(g.type(value).dtype)) {
    fail("operand " + std::to_string(input) + " ('" + g[value].name + "') is f32, expected integers");
    return {};
  }
  if (auto known = g.elements(value)) {
    for (loop::Expr &e : *known) e = loop::cast(DType::i64, e);
    return *known;
  }
  notSupported("operand " + std::to_string(input) + " ('" + g[value].name +
               "') must be computable from constants and input sizes");
  return {};
}

std::vector<int64_t> Importer::constants(int input) {
  std::vector<int64_t> r;
  for (const loop::Expr &e : elements(input)) {
    auto value = loop::constantOf(loop::simplify(e, {}));
    if (!value) {
      notSupported("operand " + std::to_string(input) + " ('" + g[in(input)].name + "') must be constant");
      return {};
    }
    r.push_back(*value);
  }
  return r;
}

ValueId Importer::append(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs) {
  if (problem) return scalar(DType::f32, 0);
  std::string name = n.name.empty() ? n.opType : n.name;
  auto made = g.append(op, std::move(attrs), std::move(inputs), Loc{{name}});
  if (made) {
    PLANISH_CHECK(made->size() == 1, "an operator of several results appended as one of one result");
    return (*made)[0];
  }
  if (!problem) problem = made.error();
  return scalar(DType::f32, 0);
}

std::vector<ValueId> Importer::appendAll(const OpDef &op, Attrs attrs, std::vector<ValueId> inputs,
                                         size_t results, std::vector<Graph> regions) {
  if (!problem) {
    std::string name = n.name.empty() ? n.opType : n.name;
    auto made = g.append(op, std::move(attrs), std::move(inputs), Loc{{name}}, {}, std::move(regions));
    if (made) {
      PLANISH_CHECK(made->size() == results, "an operator appended with another number of results");
      return *made;
    }
    problem = made.error();
  }
  std::vector<ValueId> r;
  for (size_t k = 0; k < results; ++k) r.push_back(scalar(DType::f32, 0));
  return r;
}

ValueId Importer::scalar(DType dtype, double value) { return constant(dtype, {}, {value}); }

ValueId Importer::constant(DType dtype, std::vector<int64_t> shape, const std::vector<double> &values) {
  auto as = [&]<class T>(T) {
    return g.addConstant(dtype, shape, std::vector<T>(values.begin(), values.end()));
  };
  switch (dtype) {
  case DType::b1:
  case DType::u8: return as(uint8_t{});
  case DType::i8: return as(int8_t{});
  case DType::i32: return as(int32_t{});
  case DType::i64: return as(int64_t{});
  case DType::f32: return as(float{});
  case DType::f64: return as(double{});
  case DType::u16: return as(uint16_t{});
  case DType::i16: return as(int16_t{});
  case DType::u32: return as(uint32_t{});
  case DType::u64: return as(uint64_t{});
  case DType::f16:
  case DType::bf16: break;
  }
  PLANISH_CHECK(false, "an unknown element type");
}

Dim Importer::derive(const loop::Expr &size) {
  auto made = g.derive(size);
  if (made) return *made;
  if (!problem) problem = made.error();
  return Dim(1);
}

int Importer::axis(int64_t value, int rank, std::string_view what) {
  if (value >= -rank && value < rank) return int(value < 0 ? value + rank : value);
  fail(std::string(what) + " " + std::to_string(value) + " is outside [" + std::to_string(-rank) + ", " +
       std::to_string(rank) + ")");
  return 0;
}

void Importer::fail(std::string text) {
  if (!problem) problem = badInput(std::move(text));
}
void Importer::fail(Diagnostic error) {
  if (!problem) problem = std::move(error);
}
void Importer::notSupported(std::string text) {
  if (!problem) problem = unsupported(std::move(text));
}

} // namespace planish::graph
