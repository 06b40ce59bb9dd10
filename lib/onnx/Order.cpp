// The order of nodes: files promise a topological one, hostile files break it.
#include "Model.h"
#include "Text.h"

#include <algorithm>
#include <queue>
#include <string_view>
#include <unordered_set>

namespace planish::onnx {

namespace {

using ::onnx::GraphProto;
using ::onnx::NodeProto;
using Makers = std::unordered_map<std::string_view, int>; // value name -> index of its node, -1: none needed

/// Who makes each value; nobody does it twice.
Result<Makers> makersOf(const GraphProto &g) {
  Makers r;
  for (const auto &t : g.initializer())
    if (!r.emplace(t.name(), -1).second) return badInput("two initializers are named " + shown(t.name()));
  for (const auto &t : g.sparse_initializer())
    if (!r.emplace(t.values().name(), -1).second)
      return badInput("two initializers are named " + shown(t.values().name()));
  std::unordered_map<std::string_view, int> inputs;
  for (const auto &v : g.input()) {
    if (!inputs.emplace(v.name(), 0).second) return badInput("two inputs are named " + shown(v.name()));
    r.emplace(v.name(), -1);
  }
  for (int n = 0; n < g.node_size(); ++n)
    for (const std::string &name : g.node(n).output())
      if (!name.empty() && !r.emplace(name, n).second)
        return badInput(shownNode(g.node(n)) + " makes the value " + shown(name) + ", which already exists");
  return r;
}

/// What a node reads: its operands, and what its bodies take from the graph.
std::vector<std::string> readNames(const NodeProto &n) {
  std::vector<std::string> r;
  for (const std::string &name : n.input())
    if (!name.empty()) r.push_back(name);
  for (const auto &a : n.attribute())
    if (a.has_g())
      for (std::string &name : freeNames(a.g())) r.push_back(std::move(name));
  return r;
}

Result<std::vector<bool>> neededNodes(const GraphProto &g, const Makers &makers, bool isBody) {
  std::vector<bool> needed(size_t(g.node_size()), false);
  std::vector<int> open;
  auto want = [&](int node) {
    if (node < 0 || needed[size_t(node)]) return;
    needed[size_t(node)] = true;
    open.push_back(node);
  };
  for (const auto &v : g.output()) {
    auto maker = makers.find(v.name());
    if (maker == makers.end() && isBody) continue;
    if (maker == makers.end()) return badInput("nothing makes the output " + shown(v.name()));
    want(maker->second);
  }
  while (!open.empty()) {
    int node = open.back();
    open.pop_back();
    for (const std::string &name : readNames(g.node(node)))
      if (auto maker = makers.find(name); maker != makers.end()) want(maker->second);
  }
  return needed;
}

} // namespace

std::vector<std::string> freeNames(const GraphProto &body) {
  std::unordered_set<std::string> known;
  for (const auto &t : body.initializer()) known.insert(t.name());
  for (const auto &v : body.input()) known.insert(v.name());
  for (const auto &n : body.node())
    for (const std::string &name : n.output()) known.insert(name);
  std::vector<std::string> r;
  auto read = [&](const std::string &name) {
    if (known.insert(name).second) r.push_back(name);
  };
  for (const auto &n : body.node())
    for (const std::string &name : readNames(n)) read(name);
  for (const auto &v : body.output()) read(v.name());
  return r;
}

Result<std::vector<const NodeProto *>> orderedNodes(const GraphProto &g, bool isBody) {
  PLANISH_ASSIGN(Makers makers, makersOf(g));
  std::vector<std::vector<int>> users(size_t(g.node_size()));
  std::vector<int> missing(size_t(g.node_size()), 0);
  for (int n = 0; n < g.node_size(); ++n)
    for (const std::string &name : readNames(g.node(n))) {
      auto maker = makers.find(name);
      if (maker == makers.end() && isBody) continue;
      if (maker == makers.end())
        return badInput(shownNode(g.node(n)) + " reads " + shown(name) + ", which nothing makes");
      if (maker->second < 0) continue;
      users[size_t(maker->second)].push_back(n);
      ++missing[size_t(n)];
    }
  PLANISH_ASSIGN(std::vector<bool> needed, neededNodes(g, makers, isBody));

  // Among the nodes that are ready the first of the file goes first.
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int n = 0; n < g.node_size(); ++n)
    if (missing[size_t(n)] == 0) ready.push(n);
  std::vector<const NodeProto *> r;
  int done = 0;
  for (; !ready.empty(); ++done) {
    int n = ready.top();
    ready.pop();
    if (needed[size_t(n)]) r.push_back(&g.node(n));
    for (int user : users[size_t(n)])
      if (--missing[size_t(user)] == 0) ready.push(user);
  }
  if (done < g.node_size()) {
    auto stuck = std::ranges::find_if(missing, [](int m) { return m > 0; });
    return badInput(shownNode(g.node(int(stuck - missing.begin()))) +
                    " is part of a cycle, or reads from one");
  }
  return r;
}

} // namespace planish::onnx
