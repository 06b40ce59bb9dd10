// Loop IR, scalar but for the vectors that the dialect has, as C-like text.
#pragma once

#include "Dialect.h"
#include "WarpMatrix.h"

#include "planish/loop/Passes.h"
#include "planish/loop/Rewrite.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

namespace planish::codegen {

class Printer {
public:
  Printer(const CDialect &dialect, std::string &out) : dialect(dialect), out(out) {}

  /// A kernel with its signature. Vectors that the dialect lacks are spread over loops first.
  void kernel(const loop::Function &f, int64_t group = 1);

  /// Binds a buffer to the text of a pointer, and `extra` elements behind it (may be absent).
  void bind(const loop::Buffer &buffer, std::string pointer, loop::Expr extra = {});
  void body(const loop::Stmt &s);
  std::string text(const loop::Expr &e);
  /// The address of the buffer's element (0, ..., 0).
  std::string address(const loop::Buffer &buffer);
  void line(const std::string &text);
  std::string fresh(const std::string &name);

  std::function<void(const loop::Launch &)> launch;
  int depth = 0;

private:
  bool native(const loop::Stmt &s);
  bool nativeStore(const loop::Store &s) const;
  /// The store brings memory to a group's memory as a copy that may go on until the items' loop ends.
  bool isCopy(const loop::Store &s) const;
  std::string copied(const loop::Store &s);
  bool multiplied(const loop::For &f);  // prints the loop as a warp's product, if it is one
  bool nativeValue(const loop::Expr &e, int lanes) const;
  void stmt(const loop::Stmt &s);
  void forLoop(const loop::For &f);
  void group(const loop::For &f);
  void items(const loop::For &f);
  void sharedMemory(const loop::Function &f);
  void store(const loop::Store &s);
  void scoped(const std::function<void()> &body);  // in braces, with names and temporaries of its own
  void share(const loop::Expr &e);
  std::string made(const loop::Expr &e);
  std::string suffix(int lanes) const; // of a helper's name
  std::string binary(const loop::Binary &x, Type t);
  std::string converted(const loop::Cast &c, Type t);
  std::string called(const loop::Call &c, Type t);
  std::string loaded(const loop::Load &l, Type t);
  bool nativeDot(const loop::Call &c, int lanes) const;
  std::string dotted(const loop::Call &c, Type t);
  bool hasLanes(int lanes) const;
  std::string alignment(const loop::BufferNode &b, const std::vector<loop::Expr> &indices, int lanes) const;
  std::string offset(const loop::BufferNode &b, const std::vector<loop::Expr> &indices);
  std::string typeName(Type t) const;

  const CDialect &dialect;
  std::string &out;
  std::set<std::string> used;
  std::map<const VarNode *, std::string> vars;
  struct Place {
    std::string pointer;
    loop::Expr extra;
  };
  std::map<const loop::BufferNode *, Place> buffers;
  std::unordered_map<const loop::ExprNode *, std::string> shared;  // temporaries of the current statement
  std::set<const VarNode *> nativeVars;  // vector variables that stay vectors
  bool parallelIsTask = false;  // parallel loops run the tasks of this call
  bool insideTask = false;
  bool groups = false;          // parallel loops inside a task are the items of a group
  std::set<const loop::BufferNode *> copyTo; // WarpMatrix.h: copyTargets
  const loop::For *itemsLoop = nullptr;      // around what is printed
  loop::ScratchPlan scratch;    // empty where the dialect keeps scratch buffers in private arrays
};

} // namespace planish::codegen
