// Registers of the items of a group, for languages in which each item runs as a program of its own.
#pragma once

#include "planish/loop/IR.h"

namespace planish::codegen {

/// The body of a function with groups (loop::groupLoops): registers around the items' loops, whose first
/// index is the item, lose that index.
loop::Stmt withOwnRegisters(const loop::Function &f);

} // namespace planish::codegen
