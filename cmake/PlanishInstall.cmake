# `cmake --install`: the tools, and for C and C++ projects the package `planish`. Its target planish::runtime is
# what an application needs to open or link a compiled model: a header. The runtime's code is in the model.
# `cpack` makes Debian packages of the same: `planish` with the tools, `planish-dev` with header and CMake package.
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
install(TARGETS planish_application EXPORT planishTargets COMPONENT dev)
install(TARGETS ${PLANISH_TOOLS} EXPORT planishTargets COMPONENT tools)
install(DIRECTORY runtime/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(EXPORT planishTargets NAMESPACE planish:: DESTINATION ${package} COMPONENT dev)
configure_package_config_file(cmake/planishConfig.cmake.in ${PROJECT_BINARY_DIR}/planishConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/planishConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/planishConfig.cmake ${PROJECT_BINARY_DIR}/planishConfigVersion.cmake
  cmake/PlanishAddModel.cmake DESTINATION ${package} COMPONENT dev)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tools)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL tools dev)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The Planish developers <planish@localhost>")
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME planish)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME planish-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "planish (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "A deep-learning compiler for vision at the edge: the tools")
set(CPACK_COMPONENT_DEV_DESCRIPTION "Header and CMake package for programs that run compiled models")
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
