# Everything Planish builds on. Required things stop the configuration; optional ones are noted for the
# summary table together with what is lost without them.

include(PlanishOnnxProto)

set(PLANISH_SUMMARY "" CACHE INTERNAL "")

# Notes one row of the summary: planish_note(<what> <found value or empty> <what is skipped without it>).
function(planish_note what value otherwise)
  if(value)
    list(APPEND PLANISH_SUMMARY "${what}|${value}")
  else()
    list(APPEND PLANISH_SUMMARY "${what}|not found: ${otherwise}")
  endif()
  set(PLANISH_SUMMARY "${PLANISH_SUMMARY}" CACHE INTERNAL "")
endfunction()

# Debian keeps versioned LLVM installations in their own prefixes.
list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-19)
find_package(LLVM 19.1 REQUIRED CONFIG)
find_package(LLD REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
planish_note(LLVM "${LLVM_PACKAGE_VERSION} (${LLVM_DIR})" "")

# LLVM as one shared library where the distribution has it: links in a tenth of the time.
add_library(planish_llvm INTERFACE)
target_include_directories(planish_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
if(TARGET LLVM)
  target_link_libraries(planish_llvm INTERFACE LLVM)
else()
  llvm_map_components_to_libnames(planishLlvmLibraries
    support core irreader bitreader bitwriter linker passes orcjit native x86 aarch64 arm)
  target_link_libraries(planish_llvm INTERFACE ${planishLlvmLibraries})
endif()

# The linker, called in process. Its archives name LLVM components; the shared library has them all.
add_library(planish_lld INTERFACE)
target_include_directories(planish_lld SYSTEM INTERFACE ${LLD_INCLUDE_DIRS})
find_library(PLANISH_ZSTD zstd REQUIRED)
if(TARGET LLVM)
  target_link_libraries(planish_lld INTERFACE
    $<TARGET_FILE:lldELF> $<TARGET_FILE:lldCommon> planish_llvm ZLIB::ZLIB ${PLANISH_ZSTD} Threads::Threads)
else()
  target_link_libraries(planish_lld INTERFACE lldELF lldCommon planish_llvm ZLIB::ZLIB ${PLANISH_ZSTD}
    Threads::Threads)
endif()

# The interpreter of the build's own environment when `./dev` has made one, else any Python 3.
if(NOT Python_EXECUTABLE AND EXISTS ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/build/venv/bin/python CACHE FILEPATH "Python to build and test with")
endif()
find_package(Python 3.9 REQUIRED COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)
planish_note(Python "${Python_VERSION} (${Python_EXECUTABLE})" "")

find_package(Protobuf 3.21 REQUIRED)
planish_onnx_proto(planish_onnx_proto)

find_package(CLI11 CONFIG QUIET)
planish_note(CLI11 "${CLI11_VERSION}" "the command-line tools are not built")

# NumPy 2 needs pybind11 2.12; Debian 12 has an older one, so the interpreter's own package comes first.
if(Python_Development.Module_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir OUTPUT_VARIABLE pybind11Folder
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_package(pybind11 2.12 CONFIG QUIET HINTS ${pybind11Folder})
endif()
if(NOT pybind11_FOUND)
  set(pybind11_VERSION "")
endif()
planish_note(pybind11 "${pybind11_VERSION}" "the Python package is not built (2.12 or newer)")

find_package(OpenCL QUIET)
planish_note(OpenCL "${OpenCL_LIBRARIES}" "OpenCL code is generated but not run by the tests")

find_library(PLANISH_NVRTC nvrtc HINTS /usr/local/cuda/lib64)
planish_note(NVRTC "${PLANISH_NVRTC}" "CUDA code is run on the CPU but not compiled for devices by the tests")

find_program(PLANISH_CLANG NAMES clang-19 HINTS ${LLVM_TOOLS_BINARY_DIR})
planish_note(clang-19 "${PLANISH_CLANG}" "the runtime cannot be built to bitcode")
