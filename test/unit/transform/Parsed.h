// Graphs from text.
#pragma once

#include "planish/graph/Text.h"
#include "planish/ops/Ops.h"

#include <gtest/gtest.h>

namespace planish::test {

inline graph::Graph parsed(std::string_view text) {
  auto g = graph::parse(text, ops::allOps());
  EXPECT_TRUE(g) << g.error().text;
  return g ? *g : graph::Graph();
}

} // namespace planish::test
