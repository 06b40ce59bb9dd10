// Names that variables and buffers have in text: unique within a function, readable by the lexer.
#pragma once

#include "planish/loop/Rewrite.h"

#include <map>
#include <set>
#include <span>

namespace planish::loop {

/// Words that a variable cannot be called, because an expression or a loop header could not be read.
std::span<const std::string_view> reservedWords();

/// Gives every variable and every buffer one name in the order of first use; a name that is taken
/// gets the first free suffix ".1", ".2", ...
class Names {
public:
  const std::string &of(const Var &v) { return unique(vars, takenVars, v.get(), v->name); }
  const std::string &of(const Buffer &b) { return unique(buffers, takenBuffers, b.get(), b->name); }

private:
  template <class Node>
  const std::string &unique(std::map<const Node *, std::string> &known, std::set<std::string> &taken,
                            const Node *node, const std::string &wanted);

  std::map<const VarNode *, std::string> vars;
  std::map<const BufferNode *, std::string> buffers;
  std::set<std::string> takenVars, takenBuffers;
};

/// The bounds of the loop and let variables below `s` that the text need not state: the join, over the
/// places that bind a variable, of the ranges of its ends or value.
std::map<Var, Range> impliedBounds(const Stmt &s);

/// A name of letters, digits, '_' and '.' that the lexer reads as one word.
std::string readableName(const std::string &name);

} // namespace planish::loop
