# Code from .proto files; installed with the package, so that an outside project has it by find_package(microgame).
#
# mg_add_proto(<target> FILES <protos...>
#   [RPC]                  also x.rpc.pb.h of the services, by protoc-gen-rpc (docs/protoc-gen-rpc.md)
#   [RPC_OPTIONS <opts...>] its parameters, as after --rpc_opt=
#   [BASELINE <file>]      a FileDescriptorSet that the files must be compatible with; the target <target>_baseline
#                          writes it anew
#   [ROOT <dir>]           protos import each other, and their headers are included, by the path from here
#                          (default: the calling folder)
#   [IMPORT_DIRS <dirs...>] further roots of imports
#   [OUT_DIR <dir>])       root of what is made (default: the calling folder's binary folder)
# Adds to <target>, or makes it, a static library. Whoever links it finds the headers, and protobuf; with RPC also
# microgame::rpc and microgame::protocol.
cmake_policy(PUSH)
cmake_policy(VERSION 3.25)

function(mg_add_proto target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "RPC" "ROOT;OUT_DIR;BASELINE" "FILES;IMPORT_DIRS;RPC_OPTIONS")
  if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_FILES)
    message(FATAL_ERROR "mg_add_proto(${target}): FILES <protos...> [RPC] ..., not: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_ROOT)
    set(ARG_ROOT "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  cmake_path(ABSOLUTE_PATH ARG_ROOT BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
  if(NOT ARG_OUT_DIR)
    set(ARG_OUT_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  cmake_path(ABSOLUTE_PATH ARG_OUT_DIR BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE)

  set(imports "-I${ARG_ROOT}")
  foreach(dir ${ARG_IMPORT_DIRS})
    cmake_path(ABSOLUTE_PATH dir BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    list(APPEND imports "-I${dir}")
  endforeach()
  set(plugin "--plugin=protoc-gen-rpc=$<TARGET_FILE:microgame::protoc-gen-rpc>")
  list(TRANSFORM ARG_RPC_OPTIONS PREPEND "--rpc_opt=" OUTPUT_VARIABLE options)

  set(made "")
  set(protos "")
  foreach(file ${ARG_FILES})
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${ARG_ROOT}" OUTPUT_VARIABLE name)
    if(name MATCHES "^\\.\\./" OR NOT name MATCHES "\\.proto$")
      message(FATAL_ERROR "mg_add_proto(${target}): ${file} is no .proto below ${ARG_ROOT}; give its ROOT")
    endif()
    list(APPEND protos "${file}")
    string(REGEX REPLACE "\\.proto$" "" stem "${ARG_OUT_DIR}/${name}")
    cmake_path(GET stem PARENT_PATH folder)
    file(MAKE_DIRECTORY "${folder}")
    set(outputs "${stem}.pb.h" "${stem}.pb.cc")
    set(how "--cpp_out=${ARG_OUT_DIR}")
    set(needs "")
    if(ARG_RPC)
      list(APPEND outputs "${stem}.rpc.pb.h")
      list(APPEND how "${plugin}" "--rpc_out=${ARG_OUT_DIR}" ${options})
      set(needs microgame::protoc-gen-rpc)
    endif()
    # What is imported is found by protoc itself.
    add_custom_command(OUTPUT ${outputs}
      COMMAND protobuf::protoc ${imports} ${how} "--dependency_out=${stem}.pb.d" "${file}"
      DEPENDS "${file}" protobuf::protoc ${needs} DEPFILE "${stem}.pb.d" COMMENT "protoc ${name}" VERBATIM)
    list(APPEND made ${outputs})
  endforeach()

  if(NOT TARGET ${target})
    add_library(${target} STATIC)
  endif()
  target_sources(${target} PRIVATE ${made})
  get_target_property(type ${target} TYPE)
  set(scope PUBLIC)
  if(type STREQUAL "EXECUTABLE")
    set(scope PRIVATE)
  endif()
  target_include_directories(${target} SYSTEM ${scope} "$<BUILD_INTERFACE:${ARG_OUT_DIR}>")
  target_link_libraries(${target} ${scope} protobuf::libprotobuf)
  if(ARG_RPC)
    foreach(module rpc protocol)
      if(TARGET mg_${module})  # Within microgame itself.
        target_link_libraries(${target} ${scope} mg_${module})
      else()
        target_link_libraries(${target} ${scope} microgame::${module})
      endif()
    endforeach()
  endif()

  if(ARG_BASELINE)
    cmake_path(ABSOLUTE_PATH ARG_BASELINE BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}_schema.stamp")
    set(known "")
    if(EXISTS "${ARG_BASELINE}")
      set(known "${ARG_BASELINE}")
    endif()
    add_custom_command(OUTPUT "${stamp}"
      COMMAND protobuf::protoc ${imports} "${plugin}" "--rpc_out=${ARG_OUT_DIR}" ${options} "--rpc_opt=check"
        "--rpc_opt=baseline=${ARG_BASELINE}" ${protos}
      COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
      DEPENDS ${protos} ${known} protobuf::protoc microgame::protoc-gen-rpc
      COMMENT "Comparing the schema of ${target} with its baseline (which ${target}_baseline writes anew)" VERBATIM)
    add_custom_target(${target}_schema DEPENDS "${stamp}")
    add_dependencies(${target} ${target}_schema)
    add_custom_target(${target}_baseline
      COMMAND protobuf::protoc ${imports} "--descriptor_set_out=${ARG_BASELINE}" ${protos}
      COMMENT "Writing ${ARG_BASELINE}" VERBATIM)
  endif()
endfunction()

cmake_policy(POP)
