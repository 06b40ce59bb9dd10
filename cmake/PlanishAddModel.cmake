# planish_add_model(<target> <model.onnx> [NAME <name>] [TARGET <planish target>] [OPTIONS <compile-model flag>...])
#
# Compiles the model when it changes and makes <target> a library to link: its code, its header <name>.h and
# planish/runtime.h. NAME defaults to the target's name and is that of the header and of `<name>_model`. TARGET, a
# text of docs/targets.md, defaults to the processor the project is built for: this machine, or `cpu:cortex-a53` and
# `cpu:armv7` where CMake cross-compiles for 64 and 32 bits of ARM.
function(planish_add_model target model)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAME;TARGET" "OPTIONS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "planish_add_model(${target}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  if(NOT arg_NAME)
    set(arg_NAME ${target})
  endif()
  if(NOT arg_TARGET)
    set(arg_TARGET cpu)
    if(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
      set(arg_TARGET cpu:cortex-a53)
    elseif(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
      set(arg_TARGET cpu:armv7)
    endif()
  endif()
  get_filename_component(source ${model} ABSOLUTE)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target}.planish)
  set(library ${folder}/lib${arg_NAME}.a)
  add_custom_command(
    OUTPUT ${library} ${folder}/${arg_NAME}.h
    COMMAND planish::compile-model ${source} --lib a --name ${arg_NAME} --target ${arg_TARGET} ${arg_OPTIONS} -o ${folder}
    DEPENDS ${source} planish::compile-model
    COMMENT "Compiling ${model} for ${arg_TARGET}"
    VERBATIM)
  add_custom_target(${target}-model DEPENDS ${library})
  find_package(Threads REQUIRED)
  file(MAKE_DIRECTORY ${folder})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}-model)
  target_include_directories(${target} INTERFACE ${folder})
  target_link_libraries(${target} INTERFACE ${library} planish::runtime Threads::Threads)
endfunction()
