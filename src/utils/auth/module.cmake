# libsodium has no CMake package.
find_library(MG_SODIUM sodium REQUIRED)
target_link_libraries(mg_utils_auth PUBLIC sodium)
