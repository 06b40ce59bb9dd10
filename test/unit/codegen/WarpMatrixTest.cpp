// Which loops become instructions of a warp, and which stores copies, in CUDA text.
#include "planish/codegen/CLike.h"
#include "planish/loop/Text.h"

#include <gtest/gtest.h>

namespace planish::codegen {
namespace {

/// A block's product of 32 x 32 by 32 x 8 bytes by two warps, with parts of it replaced.
std::string printed(std::string_view what = "", std::string_view with = "") {
  std::string text = R"(func @f(%x: u8[32,32], %w: i8[8,32] constant, %y: i32[32,8]) {
  for parallel group in 0..1 {
    alloc %a: u8[2,32,48] scratch {
      alloc %b: i8[2,8,48] scratch {
        alloc %acc: i32[64,4] register {
          for parallel item in 0..64 {
            %a[0, item div 2, (item mod 2)*16:16] = %x[item div 2, (item mod 2)*16:16]
            if item < 16 {
              %b[0, item div 2, (item mod 2)*16:16] = %w[item div 2, (item mod 2)*16:16]
            }
          }
          for parallel item in 0..64 {
            for n in 0..4 {
              %acc[item, n] = 0i32
            }
            for n in 0..4, t in 0..32 {
              %acc[item, n] = %acc[item, n] + i32(%a[0, (item div 32)*16 + (n div 2)*8 + (item mod 32) div 4, t])*i32(%b[0, (item mod 4)*2 + n mod 2, t])
            }
          }
          for parallel item in 0..64, n in 0..4 {
            %y[(item div 32)*16 + (n div 2)*8 + (item mod 32) div 4, (item mod 4)*2 + n mod 2] = %acc[item, n]
          }
        }
      }
    }
  }
}
)";
  if (!what.empty()) {
    size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    text.replace(at, what.size(), with);
  }
  auto functions = loop::parse(text);
  EXPECT_TRUE(functions) << functions.error().text;
  if (!functions) return "";
  auto source = printKernels(*functions, kCuda);
  EXPECT_TRUE(source) << source.error().text;
  return source ? source->substr(source->find("extern \"C\"")) : "";
}

bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

TEST(WarpMatrix, ProductsOfAWarpAreOneInstruction) {
  EXPECT_TRUE(has(printed(), "pl_mma(acc"));
  EXPECT_TRUE(has(printed(), ", 48, b"));
}

TEST(WarpMatrix, OtherLoopsStayLoops) {
  EXPECT_FALSE(has(printed("n in 0..4, t in 0..32", "n in 0..4, t in 0..31"), "pl_mma"));
  EXPECT_FALSE(has(printed("(item mod 32) div 4, t]", "(item mod 32) div 8, t]"), "pl_mma"));
  EXPECT_FALSE(has(printed("(n div 2)*8 + (item mod 32) div 4, t]", "(n div 2)*4 + (item mod 32) div 4, t]"),
                   "pl_mma"));
  EXPECT_FALSE(has(printed("%b[0, (item mod 4)*2 + n mod 2, t]", "%b[0, (item mod 4)*2, t]"), "pl_mma"));
  EXPECT_FALSE(has(printed("%b[0, (item mod 4)*2 + n mod 2, t]", "%b[0, (item mod 4)*2 + n mod 2, 31 - t]"),
                   "pl_mma"));
  EXPECT_FALSE(has(printed("%acc[item, n] + i32", "%acc[item, 3 - n] + i32"), "pl_mma"));
}

TEST(WarpMatrix, CopiesAreWaitedForAndNothingReadsThemBefore) {
  EXPECT_TRUE(has(printed(), "pl_copy<16>(a"));
  EXPECT_TRUE(has(printed(), "pl_copy_wait();\n"));
  // An item that reads what it has just written.
  std::string_view product = "for n in 0..4, t in 0..32 {";
  std::string same =
      "%a[0, item div 2, (item mod 2)*16:16] = %x[item div 2, (item mod 2)*16:16]\n" + std::string(product);
  EXPECT_TRUE(has(printed(product, same), "vstore16"));
  std::string other =
      "%a[1, item div 2, (item mod 2)*16:16] = %x[item div 2, (item mod 2)*16:16]\n" + std::string(product);
  EXPECT_FALSE(has(printed(product, other), "vstore16"));
}

} // namespace
} // namespace planish::codegen
