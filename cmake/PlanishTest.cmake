# How tests of each kind become ctests. Every ctest has the label `quick` (what CI runs) or `slow`.

find_package(GTest QUIET)
planish_note(GoogleTest "${GTest_VERSION}" "unit and property tests are skipped")
include(GoogleTest)

# The packages of test/requirements.txt; `./dev` installs them into build/venv.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import ml_dtypes, numpy, onnx, onnxruntime, pytest; print(pytest.__version__)"
  OUTPUT_VARIABLE PLANISH_PYTEST OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
planish_note(pytest "${PLANISH_PYTEST}" "pytest suites are skipped (./dev build makes their environment)")

find_file(PLANISH_LIT lit.py HINTS ${LLVM_BUILD_BINARY_DIR}/utils/lit /usr/lib/llvm-19/build/utils/lit)
planish_note(lit "${PLANISH_LIT}" "the lit suite is skipped")

set(PLANISH_SANITIZER_OPTIONS "UBSAN_OPTIONS=print_stacktrace=1" "TSAN_OPTIONS=halt_on_error=1")
set(PLANISH_PYTHON_ENVIRONMENT ${PLANISH_SANITIZER_OPTIONS})
list(APPEND PLANISH_SANITIZER_OPTIONS "ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1")
# An instrumented extension module in an interpreter that is not: the sanitizer's library must be loaded first. The
# interpreter leaks by design, and a small quarantine keeps memory steady for the tests that watch it.
list(APPEND PLANISH_PYTHON_ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1")
if(PLANISH_SANITIZE MATCHES "address")
  set(preload libasan.so libstdc++.so)
elseif(PLANISH_SANITIZE MATCHES "thread")
  set(preload libtsan.so libstdc++.so)
endif()
foreach(library IN LISTS preload)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${library}
    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  list(APPEND preloadPaths ${path})
endforeach()
if(preloadPaths)
  list(JOIN preloadPaths " " preloadPaths)
  list(APPEND PLANISH_PYTHON_ENVIRONMENT "LD_PRELOAD=${preloadPaths}")
endif()

# planish_gtest(<name> SOURCES <file>... LIBRARIES <target>... LABEL <quick|slow> INCLUDES <folder>...)
function(planish_gtest name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "LABEL" "SOURCES;LIBRARIES;INCLUDES")
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE planish_flags ${test_LIBRARIES} GTest::gmock GTest::gtest_main)
  # test/ for the helpers in test/support; PLANISH_SOURCE_DIR for tests that read files of the project.
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/test ${test_INCLUDES})
  target_compile_definitions(${name} PRIVATE PLANISH_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/bin)
  gtest_discover_tests(${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${test_LABEL} TIMEOUT 600 ENVIRONMENT "${PLANISH_SANITIZER_OPTIONS}")
endfunction()

# Every folder test/<kind>/<room> with sources becomes the executable <kind>_<room>, linked with that room alone, whose
# private headers it may include; sources below its folder `slow` make <kind>_<room>_slow.
function(planish_gtest_kind kind)
  if(NOT GTest_FOUND)
    return()
  endif()
  file(GLOB folders CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${kind}/*)
  foreach(folder IN LISTS folders)
    get_filename_component(room ${folder} NAME)
    if(NOT TARGET planish_${room})
      message(WARNING "test/${kind}/${room} is not the name of a room; its tests are not built")
      continue()
    endif()
    # Rooms beside its own that a folder's tests exercise, one per line.
    set(rooms planish_${room})
    if(EXISTS ${folder}/rooms.txt)
      file(STRINGS ${folder}/rooms.txt more)
      list(TRANSFORM more PREPEND planish_ OUTPUT_VARIABLE more)
      list(APPEND rooms ${more})
    endif()
    set(common LIBRARIES ${rooms} INCLUDES ${PROJECT_SOURCE_DIR}/lib/${room})
    file(GLOB quick CONFIGURE_DEPENDS ${folder}/*.cpp)
    file(GLOB slow CONFIGURE_DEPENDS ${folder}/slow/*.cpp)
    if(quick)
      planish_gtest(${kind}_${room} SOURCES ${quick} ${common} LABEL quick)
    endif()
    if(slow)
      planish_gtest(${kind}_${room}_slow SOURCES ${slow} ${common} LABEL slow)
    endif()
  endforeach()
endfunction()

# planish_python_test(<name> LABEL <quick|slow> COMMAND <argument of python>...): any script as a ctest; it finds
# the tools and the Python package of this build through its environment.
function(planish_python_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "LABEL" "COMMAND")
  add_test(NAME ${name} COMMAND ${Python_EXECUTABLE} ${test_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set(environment
    PLANISH_BIN=${PROJECT_BINARY_DIR}/bin
    PYTHONPATH=${PROJECT_BINARY_DIR}/python
    PYTHONDONTWRITEBYTECODE=1
    ${PLANISH_PYTHON_ENVIRONMENT})
  # No test collected (exit status 5) is right for a file whose tests are all of the other tier.
  set_tests_properties(${name} PROPERTIES LABELS ${test_LABEL} TIMEOUT 1200 SKIP_RETURN_CODE 5
    ENVIRONMENT "${environment}")
endfunction()

# The slow tests of a file as ctests: one for each word of its line `SLOW_PARTS = ["...", ...]`, with the tests that have
# that word in their names, and one for the others.
function(planish_slow_pytests name file)
  file(STRINGS ${file} line REGEX "^SLOW_PARTS = ")
  string(REGEX MATCHALL "\"[^\"]+\"" parts "${line}")
  set(others "")
  foreach(part IN LISTS parts)
    string(REPLACE "\"" "" part ${part})
    planish_python_test(${name}.slow.${part} LABEL slow COMMAND ${ARGN} -m slow -k ${part})
    list(APPEND others "not ${part}")
  endforeach()
  set(filter "")
  if(others)
    list(JOIN others " and " others)
    set(filter -k "${others}")
  endif()
  planish_python_test(${name}.slow LABEL slow COMMAND ${ARGN} -m slow ${filter})
endfunction()

# Every test/<kind>/test_*.py becomes the ctest <kind>.<file>, and <kind>.<file>.slow when it marks tests slow.
function(planish_pytest_kind kind)
  if(NOT PLANISH_PYTEST)
    return()
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${kind}/test_*.py)
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${name})
    set(pytest -m pytest -q -p no:cacheprovider -c ${PROJECT_SOURCE_DIR}/test/pytest.ini ${file})
    planish_python_test(${kind}.${name} LABEL quick COMMAND ${pytest} -m "not slow")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(STRINGS ${file} slow REGEX "mark\\.slow")
    if(slow)
      planish_slow_pytests(${kind}.${name} ${file} ${pytest})
    endif()
  endforeach()
endfunction()

# The suite of test/lit as one ctest.
function(planish_lit)
  if(NOT PLANISH_LIT)
    return()
  endif()
  get_property(PLANISH_TOOLS GLOBAL PROPERTY PLANISH_TOOLS)
  configure_file(lit/lit.site.cfg.py.in ${CMAKE_CURRENT_BINARY_DIR}/lit/lit.site.cfg.py @ONLY)
  add_test(NAME lit COMMAND ${Python_EXECUTABLE} ${PLANISH_LIT} -sv ${CMAKE_CURRENT_BINARY_DIR}/lit)
  set_tests_properties(lit PROPERTIES LABELS quick TIMEOUT 1200 ENVIRONMENT "${PLANISH_SANITIZER_OPTIONS}")
endfunction()
