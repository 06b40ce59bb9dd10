// Sums of products by labelled dimensions (Einstein's notation), two operands at a time.
#include "Rows.h"

#include <algorithm>
#include <map>

namespace planish::ops {

namespace {

/// A label per dimension. Equal labels run together, those that `out` lacks are summed over; a dimension of
/// size 1 stays at 0.
struct EinsumAttrs {
  Ints a, b, out;
  void visit(FieldVisitor &v) { v.field("a", a), v.field("b", b), v.field("out", out); }
};

/// The size of every label; an error where two do not agree.
Result<std::map<int64_t, Dim>> labelSizes(const std::vector<const Ints *> &labels,
                                          const std::vector<const Shape *> &shapes) {
  std::map<int64_t, Dim> r;
  for (size_t k = 0; k < labels.size(); ++k) {
    if (labels[k]->size() != shapes[k]->size())
      return badInput("operand " + std::to_string(k) + " has rank " + std::to_string(shapes[k]->size()) +
                      ", its term names " + std::to_string(labels[k]->size()) + " dimensions");
    for (size_t d = 0; d < shapes[k]->size(); ++d) {
      const Dim &size = (*shapes[k])[d];
      auto [known, isNew] = r.try_emplace((*labels[k])[d], size);
      if (isNew || known->second == size || size == Dim(1)) continue;
      if (known->second != Dim(1))
        return badInput("dimension " + std::to_string(d) + " of operand " + std::to_string(k) + " is " +
                        textOf(Shape{size}) + ", where its label is " + textOf(Shape{known->second}));
      known->second = size;
    }
  }
  return r;
}

Types inferEinsum(InferContext &c) {
  const EinsumAttrs &a = c.attrs().as<EinsumAttrs>();
  PLANISH_TRY(wantOperands(c, 1, 2));
  PLANISH_TRY(wantType(c, 0, kFloats | kLongs));
  const bool two = c.inputs() > 1 && c.has(1);
  if (two) PLANISH_TRY(wantSameType(c, 0, 1));
  if (!two && !a.b.empty()) return badInput("names dimensions of an operand that it lacks");
  std::vector<const Ints *> labels{&a.a};
  std::vector<const Shape *> shapes{&c.in(0).shape};
  if (two) labels.push_back(&a.b), shapes.push_back(&c.in(1).shape);
  PLANISH_ASSIGN(auto sizes, labelSizes(labels, shapes));
  Shape out;
  for (size_t d = 0; d < a.out.size(); ++d) {
    auto size = sizes.find(a.out[d]);
    if (size == sizes.end() || std::count(a.out.begin(), a.out.end(), a.out[d]) != 1)
      return badInput("dimension " + std::to_string(d) +
                      " of its result has a label that no operand has, or " + "that the result has twice");
    out.push_back(size->second);
  }
  return oneOutput({c.in(0).dtype, std::move(out), {}, {}});
}

Compute computeEinsum(const OpView &v) {
  const EinsumAttrs &a = v.attrs.as<EinsumAttrs>();
  const bool two = v.in.size() > 1 && v.in[1];
  std::vector<const Ints *> labels{&a.a};
  std::vector<const Shape *> shapes{&v.inTypes[0].shape};
  if (two) labels.push_back(&a.b), shapes.push_back(&v.inTypes[1].shape);
  auto sizes = labelSizes(labels, shapes);
  PLANISH_CHECK(bool(sizes), "an einsum whose labels do not agree");
  Compute c = graph::overOutput(v, "einsum");
  std::map<int64_t, Expr> at;
  for (size_t d = 0; d < a.out.size(); ++d) at[a.out[d]] = c.outIndices[d];
  for (const auto &[label, size] : *sizes) {
    if (at.contains(label)) continue;
    c.reduce.push_back(axis("r" + std::to_string(c.reduce.size()), size));
    at[label] = use(c.reduce.back().var);
  }
  auto element = [&](size_t k) {
    Exprs from;
    for (size_t d = 0; d < labels[k]->size(); ++d)
      from.push_back((*shapes[k])[d] == Dim(1) ? imm(0) : at.at((*labels[k])[d]));
    return load(v.in[k], from);
  };
  const DType type = v.outType.dtype;
  if (c.reduce.empty()) {
    c.value = two ? element(0) * element(1) : element(0);
    collectParams(c);
    return c;
  }
  c.lhs = element(0);
  if (two) c.rhs = element(1);
  return reduced(std::move(c), Combine::Sum, type);
}

const OpDef kEinsum = {.name = "einsum",
                       .summary = "sum of products over the labelled dimensions that the result lacks",
                       .operands = "a, b?",
                       .cls = OpClass::Contraction,
                       .layout = LayoutRule::RowMajor,
                       .prototype = EinsumAttrs{},
                       .infer = inferEinsum,
                       .compute = computeEinsum};

// ---- import --------------------------------------------------------------------------------------

/// What an equation says, one label per dimension.
struct Equation {
  std::vector<Ints> operands;
  Ints out;
};

/// Labels from here on are those of an ellipsis, numbered from the last dimension.
constexpr int64_t kEllipsis = 1000;

/// One term: letters, and at most one ellipsis for the dimensions they do not name.
Ints labelsOf(Importer &i, std::string_view term, int rank, int &ellipsis) {
  Ints r;
  bool dots = false;
  for (size_t k = 0; k < term.size(); ++k) {
    const char letter = term[k];
    if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')) {
      r.push_back(letter);
      continue;
    }
    if (term.substr(k, 3) != "..." || dots) {
      i.fail("attribute 'equation' has the term '" + std::string(term) + "'");
      return r;
    }
    dots = true;
    k += 2;
    const int named = int(std::ranges::count_if(term, [](char c) { return c != '.'; }));
    const int rest = rank < 0 ? ellipsis : std::max(rank - named, 0);
    ellipsis = std::max(ellipsis, rest);
    for (int d = rest; d-- > 0;) r.push_back(kEllipsis + d);
  }
  return r;
}

/// The labels of a result that the equation does not give: the ellipsis, then letters that occur once.
Ints impliedOut(const std::vector<Ints> &operands, int ellipsis) {
  std::map<int64_t, int> uses;
  for (const Ints &labels : operands)
    for (int64_t label : labels) ++uses[label];
  Ints r;
  for (int d = ellipsis; d-- > 0;) r.push_back(kEllipsis + d);
  for (auto [label, count] : uses)
    if (count == 1 && label < kEllipsis) r.push_back(label);
  return r;
}

Equation equationOf(Importer &i) {
  std::string text = i.stringAttr("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  std::string_view rest = std::string_view(text).substr(0, arrow);
  Equation r;
  int ellipsis = 0;
  for (size_t k = 0; k < i.node().inputs.size() && !i.error(); ++k) {
    const size_t comma = rest.find(',');
    r.operands.push_back(labelsOf(i, rest.substr(0, comma), i.type(i.in(int(k))).rank(), ellipsis));
    const bool last = k + 1 == i.node().inputs.size();
    if (last != (comma == std::string_view::npos))
      i.fail("attribute 'equation' is '" + text + "', the node has " +
             std::to_string(i.node().inputs.size()) + " operands");
    if (!last && !i.error()) rest.remove_prefix(comma + 1);
  }
  r.out = arrow == std::string::npos ? impliedOut(r.operands, ellipsis)
                                     : labelsOf(i, std::string_view(text).substr(arrow + 2), -1, ellipsis);
  return r;
}

/// Operands from the left, two at a time; what neither the result nor a later operand needs is summed over.
std::vector<ValueId> importEinsum(Importer &i) {
  ValueId x = i.in(0);
  const Equation e = equationOf(i);
  if (i.error()) return one(x);
  const size_t count = e.operands.size();
  Ints labels = e.operands[0];
  if (count == 1) return one(i.append(kEinsum, EinsumAttrs{labels, {}, e.out}, {x}));
  for (size_t k = 1; k < count; ++k) {
    Ints out = e.out;
    if (k + 1 < count) {
      out.clear();
      auto isNeeded = [&](int64_t label) {
        bool later = std::ranges::count(e.out, label) > 0;
        for (size_t n = k + 1; n < count; ++n) later |= std::ranges::count(e.operands[n], label) > 0;
        return later && std::ranges::count(out, label) == 0;
      };
      for (const Ints *side : {static_cast<const Ints *>(&labels), &e.operands[k]})
        for (int64_t label : *side)
          if (isNeeded(label)) out.push_back(label);
    }
    x = i.append(kEinsum, EinsumAttrs{labels, e.operands[k], out}, {x, i.in(int(k))});
    labels = out;
  }
  return one(x);
}

} // namespace

Family einsumFamily() { return {{&kEinsum}, {{"Einsum", 12, importEinsum}}}; }

} // namespace planish::ops
