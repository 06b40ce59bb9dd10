// What differs between the C-like languages, as data.
#pragma once

#include "planish/codegen/CLike.h"

#include <array>
#include <span>
#include <string_view>

namespace planish::codegen {

struct CDialect {
  std::string_view name;
  std::span<const std::string_view> prelude;  // includes, types and helper functions that kernels call
  std::string_view kernel;       // before a kernel's name
  std::string_view groupOf;      // behind it, with the size of a group in place of '#'
  std::string_view memory;       // address space of a caller's memory, with a space behind it
  std::string_view restrict;     // of pointers that alone reach what they point to
  bool arrays; // arguments come as arrays of buffers and scalars, scratch memory and a range of tasks,
  bool offsets; //   else one by one, each buffer as memory and, in elements, where it begins; or as a pointer
  std::string_view task; // where they come one by one, the number of the task, one work-item each,
  std::string_view group, item; //   or the group's number, and the item's in it
  std::string_view barrier; // every item of a group is here before one goes on
  std::string_view shared; // address space of a group's memory, with a space behind it
  std::span<const int> lanes; // of the vector types
  std::string_view vectorPrefix; // before vectorElement() in their names
  bool overloads; // helper functions of vectors are called as those of scalars
  std::string_view align; // of the kernel's own arrays, with a space behind it: then vectors that are known
                          // to begin at their multiples are read and written by v<load|store>N_aligned
  std::string_view unroll; // before a loop of few iterations, with a space behind it
  bool warps; // has pl_mma and pl_copy: WarpMatrix.h says for what
  std::span<const std::string_view> reserved; // names that mean something
};

/// Types of scalars by DType, in every dialect.
std::string_view scalarType(DType t);
/// Element names of vector types (OpenCL's), by DType.
std::string_view vectorElement(DType t);

} // namespace planish::codegen
