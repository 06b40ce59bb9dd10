# A room is a folder of lib/ with its public headers in include/planish/<room>. What a room may include is
# the table of docs/architecture.md; DEPS says the same to the linker and the lint test compares the two.

# planish_room(<name> DEPS <room>... LIBRARIES <target>...)
# Makes planish_<name> from all sources below the calling folder (header-only while there are none).
function(planish_room name)
  cmake_parse_arguments(PARSE_ARGV 1 room "" "" "DEPS;LIBRARIES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(TRANSFORM room_DEPS PREPEND planish_)
  if(sources)
    add_library(planish_${name} STATIC ${sources})
    target_link_libraries(planish_${name} PRIVATE planish_flags PUBLIC ${room_DEPS} ${room_LIBRARIES})
    target_include_directories(planish_${name}
      PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
      PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  else()
    add_library(planish_${name} INTERFACE)
    target_link_libraries(planish_${name} INTERFACE ${room_DEPS} ${room_LIBRARIES})
    target_include_directories(planish_${name}
      INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
  endif()
endfunction()

function(planish_add_optional_subdirectory folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()
