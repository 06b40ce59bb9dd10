// docs/operators.md says what the table says.
#include "planish/ops/Ops.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace planish::ops::test {

TEST(Documentation, IsUpToDate) {
  std::ifstream file(PLANISH_SOURCE_DIR "/docs/operators.md");
  std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(text == documentation())
      << "docs/operators.md is stale: planish-opt --list-ops > docs/operators.md";
}

} // namespace planish::ops::test
