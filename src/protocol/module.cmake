# The messages of the router's tests and fuzzer.
if(TARGET protocol_test OR TARGET router_fuzz)
  mg_proto(mg_protocol_test_proto src/protocol/router_test.proto)
  foreach(target protocol_test router_fuzz)
    if(TARGET ${target})
      target_link_libraries(${target} PRIVATE mg_protocol_test_proto)
    endif()
  endforeach()
endif()

# Handler classes that must not compile, and with which words.
if(TARGET protocol_test)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(limit -ferror-limit=0)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(limit -fmax-errors=0)
  endif()
  add_test(NAME CompileFail.Routes
    COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/compile_fail/check.py"
      "${CMAKE_CURRENT_LIST_DIR}/compile_fail/routes.cc" ${CMAKE_CXX_COMPILER} -std=c++23 -fsyntax-only ${limit}
      "-I$<JOIN:$<TARGET_PROPERTY:protocol_test,INCLUDE_DIRECTORIES>,;-I>" -DFMT_HEADER_ONLY
    COMMAND_EXPAND_LISTS)
  set_tests_properties(CompileFail.Routes PROPERTIES TIMEOUT 180)
endif()
