// Tuning records: the file's form, which record counts, and what is refused.
#include "RandomCompute.h"

#include "planish/loop/Text.h"
#include "planish/schedule/Tuning.h"

#include <gmock/gmock.h>

namespace planish::schedule {
namespace {

using namespace loop;
using testing::HasSubstr;

TuningRecord record() {
  return {.key = "0123456789abcdef",
          .target = "cpu:znver5",
          .templateName = "contraction.cpu",
          .knobs = {{"pixels", 8}, {"vectors", 2}},
          .defaultNs = 1250.5,
          .bestNs = 1190,
          .low = 0.946,
          .high = 0.957,
          .about = "conv \"x\" f32[1,64,56,56]",
          .machine = "some cpu",
          .compiler = "0.1.0"};
}

/// y[m, n] = sum over k of x[m, k] * w[k, n], of size `m` that may be a symbol.
Compute product(const Expr &m, const std::string &prefix = "") {
  Buffer x = buffer(prefix + "x", DType::f32, std::vector<Expr>{m, imm(32)});
  Buffer w = buffer(prefix + "w", DType::f32, std::vector<int64_t>{32, 48}, {}, Scope::Constant);
  Var i = var("i"), j = var("j"), k = var("k");
  Compute c;
  c.name = prefix + "product";
  c.space = {{i, m}, {j, imm(48)}};
  c.reduce = {{k, imm(32)}};
  c.lhs = load(x, {use(i), use(k)});
  c.rhs = load(w, {use(k), use(j)});
  c.sum = var("sum", {DType::f32, 1});
  c.value = use(c.sum);
  c.out = buffer(prefix + "y", DType::f32, std::vector<Expr>{m, imm(48)});
  c.outIndices = {use(i), use(j)};
  collectParams(c);
  return c;
}

Target someTarget() {
  Target t;
  t.name = "cpu:some";
  return t;
}

TEST(Tuning, RecordsReadBack) {
  auto db = TuningDatabase::parse(print(record()) + "\n", "db");
  ASSERT_TRUE(db) << db.error().text;
  const auto *found = db->find(record().key, record().target);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->record, record());
  EXPECT_EQ(found->origin, "db:1");
  EXPECT_EQ(db->find(record().key, "cpu:znver4"), nullptr);
  EXPECT_EQ(print(record()).find('\n'), std::string::npos);
}

TEST(Tuning, TheNewestRecordCounts) {
  TuningRecord older = record(), other = record();
  older.knobs = {{"pixels", 3}};
  other.target = "cpu:haswell";
  auto db = TuningDatabase::parse(print(older) + "\n\n" + print(other) + "\n" + print(record()), "db");
  ASSERT_TRUE(db) << db.error().text;
  EXPECT_EQ(db->size(), 2u);
  EXPECT_EQ(db->sizeFor("cpu:znver5"), 1u);
  EXPECT_EQ(db->find(record().key, "cpu:znver5")->record, record());
  EXPECT_EQ(db->find(record().key, "cpu:znver5")->origin, "db:4");
  EXPECT_EQ(db->find(record().key, "cpu:haswell")->record, other);
}

TEST(Tuning, BadLinesAreNamed) {
  std::string good = print(record());
  auto with = [&](const std::string &from, const std::string &to) {
    std::string s = good;
    size_t at = s.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return s.replace(at, from.size(), to);
  };
  struct Wrong {
    std::string line, says;
  };
  const Wrong cases[] = {
      {"pixels=3", "db.jsonl:2: "},
      {"[1]", "expected a JSON object"},
      {good.substr(0, good.size() / 2), "db.jsonl:2: "},
      {std::string(3000, '['), "db.jsonl:2: "},
      {std::string(100000, '['), "longer than any record"},
      {with("\"key\":\"0123456789abcdef\"", "\"key\":7"), "expected a text as \"key\""},
      {with("0123456789abcdef", "0123"), "\"key\" is not sixteen hexadecimal digits"},
      {with("0123456789abcdef", "0123456789abcdeF"), "\"key\" is not sixteen"},
      {with("\"pixels\":8", "\"pixels\":8.5"), "knob \"pixels\" is no integer"},
      {with("{\"pixels\":8,\"vectors\":2}", "[]"), "expected an object as \"knobs\""},
      {with("1250.5", "-3"), "expected a positive number as \"default_ns\""},
      {with("1190", "\"x\""), "expected a positive number as \"best_ns\""},
      {with("[0.94", "[0.5,0.94"), "interval"},
      {with("\"machine\"", "\"machines\""), "expected a text as \"machine\""},
  };
  for (const Wrong &w : cases) {
    auto db = TuningDatabase::parse(good + "\n" + w.line + "\n", "db.jsonl");
    ASSERT_FALSE(db) << w.line.substr(0, 200);
    EXPECT_EQ(db.error().kind, ErrorKind::BadInput);
    EXPECT_THAT(db.error().text, HasSubstr("db.jsonl:2: "));
    EXPECT_THAT(db.error().text, HasSubstr(w.says)) << w.line.substr(0, 200);
  }
  auto none = TuningDatabase::read("/no/such/file");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().text, HasSubstr("/no/such/file"));
}

TEST(Tuning, NamesAreNoPartOfTheKey) {
  EXPECT_EQ(keyOf(product(imm(64))), keyOf(product(imm(64), "another_")));
  EXPECT_NE(keyOf(product(imm(64))), keyOf(product(imm(65))));
  auto symbolic = [](const std::string &name, int64_t most) {
    return keyOf(product(use(var(name, {}, 1, most)), name));
  };
  EXPECT_EQ(symbolic("height", 100), symbolic("H", 100));
  EXPECT_NE(symbolic("height", 100), symbolic("height", 101));
}

TEST(Tuning, KeysOfRandomComputationsDiffer) {
  std::map<std::string, std::string> seen;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    test::Random random(seed);
    Compute c = test::randomCase(random).compute;
    std::string text = loop::print(definition(c));
    auto [it, fresh] = seen.emplace(keyOf(c), text);
    EXPECT_TRUE(fresh || it->second == text) << "seed " << seed << "\n" << it->second << text;
  }
}

TEST(Tuning, KnobsMustBeTheTemplates) {
  Compute c = product(imm(64));
  auto knobs = [&](const TuningRecord &r) { return knobsFor(c, someTarget(), {r, "db.jsonl:7"}); };
  TuningRecord r = record();
  auto good = knobs(r);
  ASSERT_TRUE(good) << good.error().text;
  EXPECT_EQ(*good, r.knobs);

  Kernel kernel(c);
  r.knobs = templateFor(kernel, someTarget()).defaults(kernel, someTarget());
  EXPECT_TRUE(knobs(r)) << "the template's own choice is refused";

  auto refused = [&](const std::string &says) {
    auto k = knobs(r);
    ASSERT_FALSE(k);
    EXPECT_THAT(k.error().text, HasSubstr("db.jsonl:7: "));
    EXPECT_THAT(k.error().text, HasSubstr(says));
  };
  r.knobs = {{"pixel", 8}};
  refused("has no knob 'pixel'; its knobs are vectors, pixels");
  r.knobs = {{"pixels", 1000}};
  refused("knob 'pixels' of contraction.cpu cannot be 1000; its values are 1, 2");
  r.knobs = {{"pixels", 8}};
  r.templateName = "window.cpu";
  refused("'contraction.cpu' makes this kernel");
  r.knobs = {};
  EXPECT_TRUE(knobs(r)) << "the template's own choice, whatever it is";
}

} // namespace
} // namespace planish::schedule
