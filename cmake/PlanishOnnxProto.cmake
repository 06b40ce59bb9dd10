# The ONNX schema comes from the pinned PyPI package, never from the distribution (whose copy is too old and
# crashes on hostile models). The tests' environment has it; without one it is fetched once per checkout.

set(PLANISH_ONNX_PROTO "" CACHE FILEPATH "onnx-ml.proto to use instead of the pinned package's")

# Sets <out> to the path of onnx-ml.proto of the version that test/requirements.txt pins.
function(planish_find_onnx_proto out)
  if(PLANISH_ONNX_PROTO)
    set(${out} ${PLANISH_ONNX_PROTO} PARENT_SCOPE)
    return()
  endif()
  set(requirements ${PROJECT_SOURCE_DIR}/test/requirements.txt)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${requirements})
  file(STRINGS ${requirements} requirement REGEX "^onnx==")
  string(REPLACE "onnx==" "" version "${requirement}")
  set(folder ${PROJECT_SOURCE_DIR}/build/onnx-${version})
  set(proto ${folder}/onnx/onnx-ml.proto)
  file(GLOB installed ${PROJECT_SOURCE_DIR}/build/venv/lib/python*/site-packages/onnx-${version}.dist-info)
  if(installed AND NOT EXISTS ${proto})
    file(COPY ${installed}/../onnx/onnx-ml.proto DESTINATION ${folder}/onnx)
  endif()
  if(NOT EXISTS ${proto})
    file(MAKE_DIRECTORY ${folder})
    execute_process(
      COMMAND ${Python_EXECUTABLE} -m pip download --quiet --disable-pip-version-check --no-deps
              --only-binary=:all: --dest ${folder} onnx==${version}
      RESULT_VARIABLE failed ERROR_VARIABLE message)
    file(GLOB wheel ${folder}/onnx-*.whl)
    if(failed OR NOT wheel)
      message(FATAL_ERROR "cannot fetch onnx ${version} with pip:\n${message}\n"
                          "Give the schema with -DPLANISH_ONNX_PROTO=/path/to/onnx-ml.proto")
    endif()
    file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${folder} PATTERNS onnx/onnx-ml.proto)
    file(REMOVE ${wheel})
  endif()
  set(${out} ${proto} PARENT_SCOPE)
endfunction()

# Makes the static library <target>: the schema's classes (namespace onnx, header "onnx-ml.pb.h").
function(planish_onnx_proto target)
  planish_find_onnx_proto(proto)
  set(folder ${PROJECT_BINARY_DIR}/onnx-proto)
  file(MAKE_DIRECTORY ${folder})
  # The lite runtime needs no descriptors; the schema asks for it itself unless a version drops the line.
  file(READ ${proto} text)
  if(NOT text MATCHES "optimize_for *= *LITE_RUNTIME")
    string(APPEND text "\noption optimize_for = LITE_RUNTIME;\n")
  endif()
  file(CONFIGURE OUTPUT ${folder}/onnx-ml.proto CONTENT "${text}" @ONLY)
  add_custom_command(
    OUTPUT ${folder}/onnx-ml.pb.cc ${folder}/onnx-ml.pb.h
    COMMAND protobuf::protoc --proto_path=${folder} --cpp_out=${folder} ${folder}/onnx-ml.proto
    DEPENDS ${folder}/onnx-ml.proto
    VERBATIM)
  add_library(${target} STATIC ${folder}/onnx-ml.pb.cc ${folder}/onnx-ml.pb.h)
  target_include_directories(${target} SYSTEM PUBLIC ${folder})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf-lite)
endfunction()
