#include "Fields.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace planish::graph {

namespace {

class Collector : public FieldVisitor {
public:
  std::vector<Field> fields;
  void field(std::string_view name, int64_t &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, double &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, bool &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, DType &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, std::vector<int64_t> &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, std::vector<double> &value) override { fields.push_back({name, value}); }
  void field(std::string_view name, Shape &value) override { fields.push_back({name, value}); }

protected:
  void choice(std::string_view name, int &index, std::span<const std::string_view> spellings) override {
    fields.push_back({name, Choice{index, spellings}});
  }
};

/// Zeros have signs; what is no number is one value, whatever its bits: text keeps no more of it.
bool sameNumber(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

} // namespace

std::vector<Field> fieldsOf(const Attrs &attrs) {
  Collector collector;
  attrs.visited(collector);
  return std::move(collector.fields);
}

bool equal(const Field &a, const Field &b) {
  if (a.name != b.name || a.value.index() != b.value.index()) return false;
  if (auto *x = std::get_if<double>(&a.value)) return sameNumber(*x, std::get<double>(b.value));
  if (auto *x = std::get_if<std::vector<double>>(&a.value))
    return std::ranges::equal(*x, std::get<std::vector<double>>(b.value), sameNumber);
  return a.value == b.value;
}

bool Attrs::operator==(const Attrs &other) const {
  return std::ranges::equal(fieldsOf(*this), fieldsOf(other),
                            [](const Field &a, const Field &b) { return equal(a, b); });
}

} // namespace planish::graph
