#include "planish/support/Version.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace planish {
namespace {

TEST(Version, HasThreeParts) {
  const std::string version = kVersion;
  EXPECT_EQ(std::count(version.begin(), version.end(), '.'), 2) << version;
}

TEST(Version, IsBuiltForTheLlvmItNeeds) { EXPECT_EQ(std::string(kLlvmVersion).rfind("19.1", 0), 0u); }

}  // namespace
}  // namespace planish
