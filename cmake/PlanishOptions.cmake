# Language level, warnings, sanitizers and output folders, the same for every target of the project.

option(PLANISH_WERROR "Treat compiler warnings as errors" ON)
option(PLANISH_TESTS "Build the tests" ON)
set(PLANISH_SANITIZE "" CACHE STRING "Sanitizers to build with, as given to -fsanitize= (empty: none)")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# -Og still follows control flow, without which GCC warns of paths that end in a failed check.
set(CMAKE_C_FLAGS_DEBUG "-Og -g")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")
# A compiler spends its time in LLVM, not in our loops: -O2 builds faster than -O3 and runs the same.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -DNDEBUG")
  set(CMAKE_${language}_FLAGS_RELWITHDEBINFO "-O1 -g1")
endforeach()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Flags of our own code; third-party and generated code does not link it.
add_library(planish_flags INTERFACE)
target_compile_options(planish_flags INTERFACE
  -Wall -Wextra
  # A row of a table may leave its last fields at their defaults.
  -Wno-missing-field-initializers
  # The evaluator is the reference for bit-exact results: a*b+c is two roundings unless it says fma.
  -ffp-contract=off)
if(PLANISH_WERROR)
  target_compile_options(planish_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps, overruns and uninitialised bytes in std::string, std::vector and std::variant that cannot
  # happen (GCC bugs 105651, 105562), and at -Og a mismatch in LLVM's placement new. Clang's build and the
  # sanitizers watch over the real ones.
  target_compile_options(planish_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete> -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # GCC 12's library sorts stably with a buffer that C++20 deprecates; clang warns where the template is used.
  target_compile_options(planish_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-deprecated-declarations>)
endif()

if(PLANISH_SANITIZE)
  add_compile_options(-fsanitize=${PLANISH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PLANISH_SANITIZE})
endif()
