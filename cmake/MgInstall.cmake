# An installed tree: include/mg, the libraries, and a CMake package. A service then says
#   find_package(microgame REQUIRED)
#   target_link_libraries(my_gate PRIVATE microgame::app microgame::agent_ws)
# (microgame::<module>, with _ for / in the names of CMakeLists.txt). mg_add_proto() of MgProto.cmake comes with it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/microgame")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/mg" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT microgame NAMESPACE microgame:: DESTINATION "${package_dir}" FILE microgameTargets.cmake)

file(WRITE "${CMAKE_BINARY_DIR}/microgameConfig.cmake" [=[
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(fmt)
find_dependency(OpenSSL 3)
find_dependency(ZLIB)
find_dependency(Protobuf)
find_dependency(Boost 1.81 COMPONENTS json)
find_dependency(gRPC)
find_dependency(SQLite3)
find_dependency(mongoc-1.0)
include("${CMAKE_CURRENT_LIST_DIR}/microgameTargets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/MgProto.cmake")
]=])
write_basic_package_version_file("${CMAKE_BINARY_DIR}/microgameConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/microgameConfig.cmake" "${CMAKE_BINARY_DIR}/microgameConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/MgProto.cmake" DESTINATION "${package_dir}")
