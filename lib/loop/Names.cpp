#include "Names.h"

#include <algorithm>
#include <array>

namespace planish::loop {

std::span<const std::string_view> reservedWords() {
  static constexpr std::array<std::string_view, 12> kWords{
      "and", "or", "div", "mod", "where", "in", "within", "inf", "nan", "parallel", "vectorized", "unrolled"};
  return kWords;
}

std::string readableName(const std::string &name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string r;
  for (char c : name) {
    if (letter(c) || (digit(c) && !r.empty())) r += c;
    else if (digit(c)) r += '_', r += c;
    else r += c == '.' && !r.empty() && r.back() != '.' ? '.' : '_';
  }
  if (r.empty() || r.back() == '.') r += '_';
  return r;
}

std::map<Var, Range> impliedBounds(const Stmt &s) {
  std::map<Var, Range> r;
  auto bind = [&](const Var &v, Range range) {
    range.hi = std::max(range.lo, range.hi);
    auto [it, isNew] = r.emplace(v, range);
    if (!isNew) it->second = {std::min(it->second.lo, range.lo), std::max(it->second.hi, range.hi)};
  };
  walk(s, [&](const Stmt &x) {
    if (auto *f = as<For>(x)) bind(f->var, {rangeOf(f->begin).lo, rangeOf(f->end - 1).hi});
    if (auto *l = as<Let>(x)) bind(l->var, rangeOf(l->value));
  });
  return r;
}

template <class Node>
const std::string &Names::unique(std::map<const Node *, std::string> &known, std::set<std::string> &taken,
                                 const Node *node, const std::string &wanted) {
  auto it = known.find(node);
  if (it != known.end()) return it->second;
  std::string base = readableName(wanted), name = base;
  auto reserved = reservedWords();
  bool bad = std::find(reserved.begin(), reserved.end(), base) != reserved.end();
  for (int i = 1; bad || taken.contains(name); ++i, bad = false) name = base + "." + std::to_string(i);
  taken.insert(name);
  return known.emplace(node, std::move(name)).first->second;
}
template const std::string &Names::unique(std::map<const VarNode *, std::string> &, std::set<std::string> &,
                                          const VarNode *, const std::string &);
template const std::string &Names::unique(std::map<const BufferNode *, std::string> &,
                                          std::set<std::string> &, const BufferNode *, const std::string &);

} // namespace planish::loop
