#include "HostReads.h"

#include "planish/loop/Rewrite.h"
#include "planish/support/Check.h"

#include <algorithm>
#include <map>

namespace planish::lower {

using namespace loop;

namespace {

class HostReads {
public:
  explicit HostReads(Program &program) : p(program) {}

  void run() {
    Stmt body = rewrite(p.host.body, [&](const Stmt &s) { return withReads(s); });
    std::vector<LaunchInfo> launches;
    std::vector<int64_t> newIndex;
    walk(body, [&](const Stmt &s) {
      auto *l = as<Launch>(s);
      if (!l) return;
      if (isRead(l->kernel)) {
        LaunchInfo info;
        info.kernel = l->kernel->name;
        info.templateName = "read";
        info.imperative = true;
        info.bytes = double(byteSize(l->kernel->params[0]->dtype));
        launches.push_back(std::move(info));
      } else {
        launches.push_back(p.launches.at(newIndex.size()));
        newIndex.push_back(int64_t(launches.size()) - 1);
      }
    });
    PLANISH_CHECK(newIndex.size() == p.launches.size(), "every launch of the host function is known");
    p.host.body = body;
    p.launches = std::move(launches);
    for (Materialised &v : p.values) v.launch = newIndex.at(size_t(v.launch));
    for (auto &[type, kernel] : kernels) p.kernels.push_back(kernel);
  }

private:
  Program &p;
  std::map<DType, FunctionRef> kernels;

  bool isRead(const FunctionRef &f) const {
    return std::ranges::any_of(kernels, [&](const auto &k) { return k.second == f; });
  }
  const FunctionRef &kernelFor(DType t) {
    FunctionRef &r = kernels[t];
    if (!r)
      r = std::make_shared<const Function>(Function{p.name + "_read_" + std::string(nameOf(t)),
                                                    {buffer("element", t, std::vector<int64_t>{1})},
                                                    {},
                                                    block({})});
    return r;
  }
  Stmt withReads(const Stmt &s) {
    std::vector<Stmt> r;
    auto look = [&](const Expr &e) {
      if (!e) return;
      walk(e, [&](const Expr &x) {
        if (auto *l = as<Load>(x)) add(*l, r);
      });
    };
    if (auto *l = as<Let>(s)) look(l->value);
    else if (auto *i = as<If>(s)) look(i->cond);
    else if (auto *t = as<Store>(s)) look(t->value);
    else if (auto *f = as<For>(s)) look(f->begin), look(f->end);
    if (r.empty()) return s;
    r.push_back(s);
    return block(std::move(r));
  }
  void add(const Load &l, std::vector<Stmt> &to) {
    auto at = std::ranges::find(p.host.params, l.buffer);
    PLANISH_CHECK(at != p.host.params.end(), "the host function reads a buffer that is no parameter");
    Slot slot = p.slots[size_t(at - p.host.params.begin())];
    if (slot.region != Region::Arena && slot.region != Region::Output) return;
    Affine place = elementOffset(*l.buffer, l.indices);
    if (slot.offset) place.add(affine(slot.offset));
    slot.offset = toExpr(place);
    DType type = l.buffer->dtype;
    p.host.params.push_back(buffer(l.buffer->name + "_read", type, std::vector<int64_t>{1}));
    p.slots.push_back(slot);
    to.push_back(makeStmt(Launch{kernelFor(type), {p.host.params.back()}, {}, imm(1)}));
  }
};

} // namespace

void insertHostReads(Program &p) { HostReads(p).run(); }

} // namespace planish::lower
