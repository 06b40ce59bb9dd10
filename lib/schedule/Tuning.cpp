#include "planish/schedule/Tuning.h"

#include "planish/loop/Text.h"
#include "planish/support/Hash.h"
#include "planish/support/Text.h"

#include <llvm/Support/JSON.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace planish::schedule {

namespace json = llvm::json;
using namespace loop;

namespace {

/// Far more than a record takes; it also bounds how deep JSON can nest.
constexpr size_t kLongestLine = 4096;
constexpr size_t kKeyDigits = 16;

/// The same computation with symbols and buffers called by their position.
Compute anonymous(const Compute &c) {
  Compute r = c;
  r.name = "kernel";
  r.scalars.clear();
  r.params.clear();
  Substitution symbols;
  for (const Var &v : c.scalars) {
    r.scalars.push_back(var("s" + std::to_string(r.scalars.size()), v->type, v->lower, v->upper));
    symbols[v] = use(r.scalars.back());
  }
  auto sizes = [&](std::vector<Expr> list) {
    for (Expr &e : list) e = substitute(e, symbols);
    return list;
  };
  std::map<const BufferNode *, Buffer> buffers;
  for (const Buffer &b : c.params) {
    r.params.push_back(buffer("b" + std::to_string(r.params.size()), b->dtype, sizes(b->shape),
                              sizes(b->strides), b->scope));
    buffers[b.get()] = r.params.back();
  }
  auto renamed = [&](const Expr &e) {
    if (!e) return e;
    return rewrite(substitute(e, symbols), [&](const Expr &x) {
      const Load *l = as<Load>(x);
      return l ? load(buffers.at(l->buffer.get()), l->indices, l->mask) : x;
    });
  };
  for (auto *iters : {&r.space, &r.reduce})
    for (Iter &i : *iters) i.extent = substitute(i.extent, symbols);
  for (auto *list : {&r.where, &r.outIndices})
    for (Expr &e : *list) e = renamed(e);
  for (Expr *e : {&r.init, &r.lhs, &r.rhs, &r.value}) *e = renamed(*e);
  r.out = buffers.at(c.out.get());
  return r;
}

/// Reads one line; the text of what is wrong with it, or nothing.
std::string readRecord(std::string_view line, TuningRecord &r) {
  if (line.size() > kLongestLine) return "the line is longer than any record";
  llvm::Expected<json::Value> value = json::parse(line);
  if (!value) return llvm::toString(value.takeError());
  const json::Object *o = value->getAsObject();
  if (!o) return "expected a JSON object";
  std::string wrong;
  auto text = [&](const char *name, std::string &to) {
    if (auto s = o->getString(name)) to = s->str();
    else if (wrong.empty()) wrong = std::string("expected a text as \"") + name + "\"";
  };
  auto positive = [&](const json::Value *v, const char *name, double &to) {
    std::optional<double> d = v ? v->getAsNumber() : std::nullopt;
    if (d && *d > 0 && std::isfinite(*d)) to = *d;
    else if (wrong.empty()) wrong = std::string("expected a positive number as \"") + name + "\"";
  };
  text("key", r.key);
  text("target", r.target);
  text("template", r.templateName);
  text("about", r.about);
  text("machine", r.machine);
  text("compiler", r.compiler);
  positive(o->get("default_ns"), "default_ns", r.defaultNs);
  positive(o->get("best_ns"), "best_ns", r.bestNs);
  const json::Array *interval = o->getArray("interval");
  bool pair = interval && interval->size() == 2;
  positive(pair ? interval->data() : nullptr, "interval[0]", r.low);
  positive(pair ? &(*interval)[1] : nullptr, "interval[1]", r.high);
  if (!wrong.empty()) return wrong;
  bool hexadecimal =
      std::ranges::all_of(r.key, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (r.key.size() != kKeyDigits || !hexadecimal) return "\"key\" is not sixteen hexadecimal digits";
  const json::Object *knobs = o->getObject("knobs");
  if (!knobs) return "expected an object as \"knobs\"";
  for (const auto &[name, choice] : *knobs) {
    auto n = choice.getAsInteger();
    if (!n) return "knob \"" + name.str() + "\" is no integer";
    r.knobs[name.str()] = *n;
  }
  return {};
}

} // namespace

std::string keyOf(const Compute &compute) {
  return hexOf(hash64(loop::print(definition(anonymous(compute)))));
}

std::string print(const TuningRecord &r) {
  std::string s;
  llvm::raw_string_ostream out(s);
  json::OStream j(out);
  j.object([&] {
    j.attribute("key", r.key);
    j.attribute("target", r.target);
    j.attribute("template", r.templateName);
    j.attributeObject("knobs", [&] {
      for (const auto &[name, value] : r.knobs) j.attribute(name, value);
    });
    j.attribute("default_ns", r.defaultNs);
    j.attribute("best_ns", r.bestNs);
    j.attributeArray("interval", [&] { j.value(r.low), j.value(r.high); });
    j.attribute("about", json::fixUTF8(r.about));
    j.attribute("machine", json::fixUTF8(r.machine));
    j.attribute("compiler", r.compiler);
  });
  return s;
}

Result<TuningDatabase> TuningDatabase::parse(std::string_view text, const std::string &name) {
  TuningDatabase db;
  db.hash = planish::sha256(std::as_bytes(std::span(text)));
  for (int64_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    Entry e{{}, name + ":" + std::to_string(number)};
    if (std::string wrong = readRecord(line, e.record); !wrong.empty())
      return badInput(e.origin + ": " + wrong + "; every line of a tuning database is one record");
    auto where = std::pair(e.record.target, e.record.key);
    db.entries.insert_or_assign(std::move(where), std::move(e));
  }
  return db;
}

Result<TuningDatabase> TuningDatabase::read(const std::string &path) {
  std::error_code ignored;
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path, ignored))
    return badInput("cannot read the tuning database '" + path + "'");
  std::string text(std::istreambuf_iterator<char>(in), {});
  return parse(text, path);
}

const TuningDatabase::Entry *TuningDatabase::find(const std::string &key, const std::string &target) const {
  auto it = entries.find({target, key});
  return it == entries.end() ? nullptr : &it->second;
}

size_t TuningDatabase::sizeFor(const std::string &target) const {
  return size_t(std::ranges::count_if(entries, [&](const auto &e) { return e.first.first == target; }));
}

Result<Config> knobsFor(const Compute &compute, const Target &target, const TuningDatabase::Entry &entry) {
  const TuningRecord &r = entry.record;
  Kernel kernel(compute);
  const Template &row = templateFor(kernel, target, r.knobs);
  auto wrong = [&](const std::string &what) {
    return badInput(entry.origin + ": " + what + "; tune again, or take the line out");
  };
  if (r.knobs.empty()) return Config();
  if (r.templateName != row.name)
    return wrong("the knobs are those of template '" + r.templateName + "', but '" + std::string(row.name) +
                 "' makes this kernel");
  std::vector<Knob> space = row.space(kernel, target);
  Config defaults = row.defaults(kernel, target);
  for (const auto &[name, value] : r.knobs) {
    auto knob = std::ranges::find(space, name, &Knob::name);
    if (knob == space.end())
      return wrong(r.templateName + " has no knob '" + name + "'; its knobs are " +
                   joined(space, [](const Knob &k) { return std::string(k.name); }));
    auto own = defaults.find(name);
    if (std::ranges::find(knob->choices, value) == knob->choices.end() &&
        (own == defaults.end() || own->second != value))
      return wrong("knob '" + name + "' of " + r.templateName + " cannot be " + std::to_string(value) +
                   "; its values are " + joined(knob->choices, [](int64_t v) { return std::to_string(v); }));
  }
  return r.knobs;
}

} // namespace planish::schedule
