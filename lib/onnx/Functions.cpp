#include "Functions.h"

#include "Text.h"

#include <algorithm>
#include <functional>

namespace planish::onnx {

namespace {

using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::NodeProto;

constexpr int kMaxDepth = 32;

using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

void eachNode(const Nodes &nodes, const std::function<void(const NodeProto &)> &fn) {
  for (const NodeProto &n : nodes) {
    fn(n);
    for (const AttributeProto &a : n.attribute())
      if (a.has_g()) eachNode(a.g().node(), fn);
  }
}

std::string standard(const std::string &domain) { return domain == "ai.onnx" ? "" : domain; }

/// Gives attributes that refer to the call's their values, inside bodies too.
void giveValues(NodeProto &node, const std::map<std::string_view, const AttributeProto *> &values) {
  auto &attributes = *node.mutable_attribute();
  for (int k = attributes.size(); k-- > 0;) {
    AttributeProto &a = attributes[k];
    if (a.ref_attr_name().empty()) {
      if (a.has_g())
        for (NodeProto &inner : *a.mutable_g()->mutable_node()) giveValues(inner, values);
      continue;
    }
    auto found = values.find(a.ref_attr_name());
    if (found == values.end()) {
      attributes.DeleteSubrange(k, 1);
      continue;
    }
    const std::string name = a.name();
    a.CopyFrom(*found->second);
    a.set_name(name);
  }
}

} // namespace

Result<Functions> Functions::of(const ::onnx::ModelProto &model) {
  Functions r;
  for (const FunctionProto &f : model.functions())
    if (!r.all.emplace(std::pair(standard(f.domain()), f.name()), &f).second)
      return badInput("two functions are named " + shown(f.domain() + "::" + f.name()));

  // Who calls whom, depth first; what is open when it is met again calls itself.
  std::map<const FunctionProto *, int> depths;  // of what is below; 0 while it is open
  struct Step {
    const FunctionProto *function;
    std::vector<const FunctionProto *> calls;
    int depth = 1;
  };
  auto stepInto = [&](const FunctionProto *f) {
    depths[f] = 0;
    Step step{f, {}};
    eachNode(f->node(), [&](const NodeProto &n) {
      if (const FunctionProto *callee = r.called(n)) step.calls.push_back(callee);
    });
    return step;
  };
  for (const auto &[key, root] : r.all) {
    if (depths.contains(root)) continue;
    std::vector<Step> stack{stepInto(root)};
    while (!stack.empty()) {
      Step &top = stack.back();
      if (top.calls.empty()) {
        const int depth = depths[top.function] = top.depth;
        if (depth > kMaxDepth)
          return badInput("function " + shown(top.function->domain() + "::" + top.function->name()) +
                          " calls functions more than " + std::to_string(kMaxDepth) + " deep");
        stack.pop_back();
        if (!stack.empty()) stack.back().depth = std::max(stack.back().depth, depth + 1);
        continue;
      }
      const FunctionProto *next = top.calls.back();
      auto known = depths.find(next);
      if (known != depths.end() && known->second == 0)
        return badInput("function " + shown(next->domain() + "::" + next->name()) + " calls itself");
      top.calls.pop_back();
      if (known == depths.end()) stack.push_back(stepInto(next));
      else top.depth = std::max(top.depth, known->second + 1);
    }
  }
  return r;
}

const FunctionProto *Functions::called(const NodeProto &node) const {
  auto found = all.find({domainOf(node), node.op_type()});
  return found == all.end() ? nullptr : found->second;
}

::onnx::GraphProto bodyOf(const FunctionProto &function, const NodeProto &call) {
  ::onnx::GraphProto r;
  r.set_name(function.name());
  for (const std::string &name : function.input()) r.add_input()->set_name(name);
  for (const std::string &name : function.output()) r.add_output()->set_name(name);
  *r.mutable_node() = function.node();
  std::map<std::string_view, const AttributeProto *> values;
  for (const AttributeProto &a : function.attribute_proto()) values[a.name()] = &a;
  for (const AttributeProto &a : call.attribute()) values[a.name()] = &a;
  for (NodeProto &n : *r.mutable_node()) {
    giveValues(n, values);
    n.set_name(nameOf(call) + "/" + nameOf(n));
  }
  return r;
}

} // namespace planish::onnx
