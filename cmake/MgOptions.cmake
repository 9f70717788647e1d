# Compiler, warnings, sanitizers and third-party packages; everything links mg_options.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(MG_SANITIZE "" CACHE STRING "Sanitizers, comma list: address,undefined | thread")
option(MG_TESTS "Build the tests" ON)
option(MG_FUZZ "Build the libFuzzer targets (clang)" OFF)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(WARNING "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines: use clang >= 17 or g++ >= 13")
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
  message(WARNING "clang ${CMAKE_CXX_COMPILER_VERSION} is not tested: use clang >= 17")
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(CLI11 REQUIRED)

# What all of our code is compiled with; of this, users of an installed tree get only the language level.
add_library(mg_options INTERFACE)
target_compile_features(mg_options INTERFACE cxx_std_23)
set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND warnings -Wthread-safety -Wimplicit-fallthrough)
  target_link_options(mg_options INTERFACE $<BUILD_INTERFACE:-fuse-ld=lld>)
endif()
target_compile_options(mg_options INTERFACE "$<BUILD_INTERFACE:${warnings}>")
# Boost.Asio without its old names, and never io_uring (deps: it gave nothing).
target_compile_definitions(mg_options INTERFACE
  "$<BUILD_INTERFACE:BOOST_ASIO_NO_DEPRECATED;BOOST_ASIO_DISABLE_BOOST_COROUTINE;SPDLOG_FMT_EXTERNAL_HO>")
target_link_libraries(mg_options INTERFACE fmt::fmt-header-only Threads::Threads)
set_target_properties(mg_options PROPERTIES EXPORT_NAME options)
install(TARGETS mg_options EXPORT microgame)

# Link-time optimisation is worth 5–15 % of the CPU per message (docs/performance.md). What is built so holds bitcode, which
# only the same compiler's linker reads: install from a build without it.
option(MG_LTO "Optimise across files when linking (clang and lld)" OFF)
if(MG_LTO)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "MG_LTO is for clang with lld; configure without it")
  endif()
  target_compile_options(mg_options INTERFACE $<BUILD_INTERFACE:-flto=thin> $<BUILD_INTERFACE:-fno-plt>)
  target_link_options(mg_options INTERFACE $<BUILD_INTERFACE:-flto=thin>
    "$<BUILD_INTERFACE:-Wl,--thinlto-cache-dir=${CMAKE_BINARY_DIR}/thinlto>")
  install(CODE "message(WARNING \"installing bitcode (MG_LTO): only clang ${CMAKE_CXX_COMPILER_VERSION} with lld can link it\")")
endif()

# With a profile of its runs a program takes a fifth less CPU per message (docs/decisions/0006). Code that has changed since
# is compiled as without one; `./dev profile` makes it anew.
set(MG_PROFILE "" CACHE STRING "Optimise with this profile (a file made by clang), or: record")
if(MG_PROFILE AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "MG_PROFILE is for clang; configure without it")
elseif(MG_PROFILE STREQUAL "record")
  set(mg_profile_flags -fprofile-instr-generate)
elseif(MG_PROFILE AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(WARNING "clang ${CMAKE_CXX_COMPILER_VERSION} does not read ${MG_PROFILE}, made by clang 19: built without a profile")
elseif(MG_PROFILE)
  set(mg_profile_flags "-fprofile-instr-use=${MG_PROFILE}" -Wno-profile-instr-unprofiled -Wno-profile-instr-out-of-date)
endif()
foreach(flag IN LISTS mg_profile_flags)
  target_compile_options(mg_options INTERFACE $<BUILD_INTERFACE:${flag}>)
endforeach()
if(MG_PROFILE STREQUAL "record")
  target_link_options(mg_options INTERFACE $<BUILD_INTERFACE:-fprofile-instr-generate>)
endif()

if(MG_SANITIZE)
  target_compile_options(mg_options INTERFACE -fsanitize=${MG_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mg_options INTERFACE -fsanitize=${MG_SANITIZE})
endif()
if(MG_FUZZ)
  target_compile_options(mg_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(MG_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# mg_proto(<target> <files...>): a library of generated protobuf code; headers are found by their path
# relative to the calling folder.
function(mg_proto target)
  add_library(${target} STATIC ${ARGN})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
  target_include_directories(${target} SYSTEM PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}>")
  protobuf_generate(TARGET ${target} LANGUAGE cpp IMPORT_DIRS "${CMAKE_CURRENT_SOURCE_DIR}"
    PROTOC_OUT_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  add_dependencies(generated_code ${target})
  target_compile_options(${target} PRIVATE ${mg_profile_flags})
  if(MG_LTO)
    target_compile_options(${target} PRIVATE -flto=thin -fno-plt)
  endif()
  if(MG_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${MG_SANITIZE} -fno-omit-frame-pointer)
  endif()
endfunction()
