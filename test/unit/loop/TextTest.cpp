#include "RandomLoops.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"
#include "planish/loop/Text.h"
#include "planish/loop/Verify.h"

#include <gtest/gtest.h>

namespace planish::loop {
namespace {

using test::RandomLoops;

Function parsedBack(const std::string &text) {
  auto r = parse(text);
  EXPECT_TRUE(r) << r.error().text << "\n" << text;
  return r && !(*r).empty() ? *(*r).back() : Function{};
}

constexpr std::string_view kEveryNode = R"(func @callee(%a: f32[4] constant, %b: f32[4]; n: i64 in 1..4) {
  for parallel i in 0..n {
    %b[i] = %a[i]
  }
}
func @host(%a: f32[4] constant, %b: f32[4], %q: u8[H,4*W] strides(W*8,2), %i: i32[] packed, %d: i64[2]; H: i64 in 1..640, W: i64) {
  alloc %r: f32[2,16] register {
    for unrolled u in 0..2, vectorized v in 0..16 {
      %r[u, v where v < 3 and 0 <= u or u == 1] = -1.5
    }
  }
  let n = %d[0] within 0..9 {
    while n < %d[1] {
      %d[1] = %d[1] - 1
    }
  }
  %r2[0:4:2] = 1
}
)";

TEST(Text, RejectsWhatIsNotInScope) {
  auto r = parse(kEveryNode);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().kind, ErrorKind::BadInput);
  EXPECT_NE(r.error().text.find("no buffer '%r2' is in scope"), std::string::npos) << r.error().text;
  EXPECT_NE(r.error().text.find("line 17"), std::string::npos) << r.error().text;
}

TEST(Text, EveryNodePrintsAsItReads) {
  const std::string text = R"(func @callee(%a: f32[4] constant, %b: f32[4]; n: i64 in 1..4) {
  for parallel i in 0..n {
    %b[i] = %a[i]
  }
}
func @host(%a: f32[4] constant, %b: f32[4], %q: u8[H,W*4] strides(W*8,2), %i: i32[] packed, %d: i64[2]; H: i64 in 1..640, W: i64) {
  alloc %r: f32[2,16] register {
    for unrolled u in 0..2, vectorized v in 0..16 {
      %r[u, v where v < 3 and 0 <= u or u == 1] = -1.5
    }
  }
  let n = %d[0] within 0..9 {
    while n < %d[1] {
      %d[1] = %d[1] - 1
    }
  }
  if H < W {
    %b[0:4] = splat4(%a[3]) + 2.0f32x4*%a[0:4 where (0:4) < splat4(H)]
    %q[0, 1] = u8(max(%i[], 5i32 - i32(5)))
  }
  eval prefetch(%b[(H + 3) div 4])
  %i[] = dot4(splat1(3u8x4), 2i8x4, frombits(1i32))
  %d[0] = (%d[0] xor %d[1]) shl 2 or %d[1] shr 1
  %q[0, 2] = u8(%d[0])*(%q[0, 0] shr 1u8)
  let x = select(1b1, inf, -nan)
  let y = exp(fma(x, scale2(x, 2.0), nan f32)) / 3.0
  launch @callee(%a, %b; (H - (W - 1)) mod 4*2 + 1) tasks 1
}
)";
  auto first = parse(text);
  ASSERT_TRUE(first) << first.error().text;
  std::string printed = print(*first);
  auto second = parse(printed);
  ASSERT_TRUE(second) << second.error().text << "\n" << printed;
  EXPECT_EQ(print(*second), printed);
  for (std::string_view line :
       {"%r[u, v where v < 3 and 0 <= u or u == 1] = -1.5", "let n = %d[0] within 0..9 {",
        "%b[0:4] = splat4(%a[3]) + 2.0f32x4*%a[0:4 where (0:4) < splat4(H)]",
        "%d[0] = (%d[0] xor %d[1]) shl 2 or %d[1] shr 1", "%q[0, 2] = u8(%d[0])*(%q[0, 0] shr 1u8)",
        "%q[0, 1] = u8(max(%i[], 5i32 - i32(5)))", "let x = select(1b1, inf, -nan)",
        "launch @callee(%a, %b; ((H - (W - 1)) mod 4)*2 + 1) tasks 1"})
    EXPECT_NE(printed.find(line), std::string::npos) << line << "\nin\n" << printed;
  for (size_t i = 0; i < (*first).size(); ++i) EXPECT_TRUE(equivalent(*(*first)[i], *(*second)[i]));
}

TEST(Text, SizesThatTheBodyComputes) {
  const std::string text = R"(func @f(%x: f32[H,s*2], %d: i64[2]; let H within 1..64, let s) {
  let H = %d[0] within 1..64
  let s = H div 2
  %x[H - 1, s] = 1.0
}
)";
  auto first = parse(text);
  ASSERT_TRUE(first) << first.error().text;
  const Function &f = *first->front();
  EXPECT_EQ(print(f), text);
  EXPECT_TRUE(f.scalars.empty());
  EXPECT_EQ(laterSizes(f).size(), 2u);
  EXPECT_EQ(laterSizes(f)[1]->upper, 32);
  EXPECT_TRUE(verify(f));
  EXPECT_TRUE(equivalent(f, *parse(text)->front()));

  auto early = parse("func @f(%x: f32[H], %d: i64[1]; let H) { %x[0] = 1.0 let H = %d[0] %x[1] = 1.0 }");
  ASSERT_TRUE(early) << early.error().text;
  Status status = verify(*early->front());
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text.find("'%x' is used before its size 'H' is known"), std::string::npos)
      << status.error().text;
}

TEST(Text, NamesAreUniqueAndReadable) {
  Var a = var("p"), b = var("p"), c = var("in"), d = var("3/x y");
  Buffer out = buffer("out", DType::i64, std::vector<int64_t>{99});
  Stmt s = store(out, {use(a) + use(b) + use(c) + use(d)}, use(a));
  for (auto &v : {a, b, c, d}) s = loop::loop(v, imm(0), imm(2), LoopKind::Serial, s);
  std::string text = print(Function{"f", {out}, {}, s});
  EXPECT_NE(text.find("for _3_x_y in 0..2, in.1 in 0..2, p in 0..2, p.1 in 0..2 {"), std::string::npos)
      << text;
  EXPECT_EQ(print(parsedBack(text)), text);
}

TEST(Text, RepeatedBindingsStayOneVariable) {
  Var k = var("k", {}, 0, 9);
  Buffer out = buffer("out", DType::i64, std::vector<int64_t>{10}),
         acc = buffer("acc", DType::i64, std::vector<int64_t>{1}, {}, Scope::Register);
  auto part = [&](int64_t begin, int64_t end) {
    Stmt body = makeStmt(
        Alloc{acc, block({store(acc, {imm(0)}, use(k)), store(out, {use(k)}, load(acc, {imm(0)}))})});
    return loop::loop(k, imm(begin), imm(end), LoopKind::Serial, body);
  };
  Function f{"f", {out}, {}, block({part(0, 4), part(4, 10)})};
  std::string text = print(f);
  EXPECT_EQ(text.find("k.1"), std::string::npos) << text;
  EXPECT_EQ(text.find("within"), std::string::npos) << text;
  EXPECT_EQ(print(parsedBack(text)), text);
}

TEST(Text, LetsEndWithTheirBlock) {
  Buffer out = buffer("out", DType::i64, std::vector<int64_t>{2});
  auto let = [&](int64_t i) {
    Var v = var("v");
    return makeStmt(Let{v, load(out, {imm(i)}), store(out, {imm(i)}, use(v) + 1)});
  };
  Function f{"f", {out}, {}, block({let(0), let(1)})};
  Function back = parsedBack(print(f));
  EXPECT_TRUE(equivalent(f, back)) << print(f);
  ASSERT_TRUE(as<Block>(back.body)) << print(f);
}

TEST(Text, ErrorsSayWhere) {
  struct Case {
    std::string_view text, message;
  };
  for (auto &[text, message] : std::vector<Case>{
           {"func @f(%x: f33[1]) {}", "not an element type"},
           {"func @f(%x: f32[n]) {}", "no variable 'n' is in scope"},
           {"func @f(%x: f32[2], %x: f32[2]) {}", "two parameters are called '%x'"},
           {"func @f(%x: f32[2]) { %x[0, 1] = 1.0 }", "has 1 dimensions, not 2"},
           {"func @f(%x: f32[2]) { %x[0] = 1.0 + 1 }", "operands of '+' have different types"},
           {"func @f(%x: f32[2]) { %x[0] = sine(1.0) }", "no function 'sine'"},
           {"func @f(%x: f32[2]) { %x[0] = fma(1.0, 2.0) }", "'fma' does not take these arguments"},
           {"func @f(%x: f32[2]) { %x[0] = 99999999999999999999 }", "an integer of 64 bits"},
           {"func @f(%x: f32[2]) { launch @g(%x) tasks 1 }", "no function '@g' stands before this launch"},
           {"func @f(%x: f32[2]) { for i in 0..2.0 { } }", "operand"},
           {"func @f(%x: f32[2]", "expected"},
           {"func @f() {} func @f() {}", "defined twice"},
           {"func @f(; n: i64 in 3..1) {}", "is empty"},
       }) {
    auto r = parse(text);
    ASSERT_FALSE(r) << text;
    if (message == "operand") continue;
    EXPECT_NE(r.error().text.find(message), std::string::npos) << text << "\n" << r.error().text;
  }
}

TEST(Text, DeepNestingIsRefused) {
  std::string deep = "func @f(%x: f32[2]) { %x[0] = ";
  for (int i = 0; i < 100000; ++i) deep += "(";
  EXPECT_FALSE(parse(deep));
  std::string wide = "func @f(%x: f32[2]) { %x[0] = 1.0";
  for (int i = 0; i < 100000; ++i) wide += " + 1.0";
  EXPECT_FALSE(parse(wide + " }"));
}

TEST(Property, TextRoundTrip) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Function f = RandomLoops(seed).function(seed % 2);
    ASSERT_TRUE(verify(f)) << "seed " << seed << ": " << verify(f).error().text << "\n" << print(f);
    for (const Function &g :
         {f, unroll(f), vectorize(f), legalize(vectorize(f), {false, false}), simplify(f)}) {
      std::string text = print(g);
      auto back = parse(text);
      ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().text << "\n" << text;
      ASSERT_EQ(print(*back), text) << "seed " << seed;
      ASSERT_TRUE(equivalent(g, *(*back)[0])) << "seed " << seed << "\n" << text;
      ASSERT_TRUE(verify(*(*back)[0])) << "seed " << seed << "\n" << text;
    }
  }
}

} // namespace
} // namespace planish::loop
