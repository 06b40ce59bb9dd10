# `cmake --install`: the tools, and for C and C++ projects the package `planish`. Its target planish::runtime is
# what an application needs to open or link a compiled model: a header. The runtime's code is in the model.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(planish_application INTERFACE)
set_target_properties(planish_application PROPERTIES EXPORT_NAME runtime)
target_include_directories(planish_application INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(planish_application INTERFACE ${CMAKE_DL_LIBS})
add_library(planish::runtime ALIAS planish_application)

get_property(PLANISH_TOOLS GLOBAL PROPERTY PLANISH_TOOLS)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/planish)
install(TARGETS planish_application ${PLANISH_TOOLS} EXPORT planishTargets)
install(DIRECTORY runtime/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT planishTargets NAMESPACE planish:: DESTINATION ${package})
configure_package_config_file(cmake/planishConfig.cmake.in ${PROJECT_BINARY_DIR}/planishConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/planishConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/planishConfig.cmake ${PROJECT_BINARY_DIR}/planishConfigVersion.cmake
  DESTINATION ${package})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
