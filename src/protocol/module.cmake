# The messages of the router's tests and fuzzer.
if(TARGET protocol_test OR TARGET router_fuzz)
  mg_proto(mg_protocol_test_proto src/protocol/router_test.proto)
  foreach(target protocol_test router_fuzz)
    if(TARGET ${target})
      target_link_libraries(${target} PRIVATE mg_protocol_test_proto)
    endif()
  endforeach()
endif()

# What must not compile, and with which words: each file of compile_fail/ says so in its first line.
if(TARGET protocol_test)
  file(GLOB snippets CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/compile_fail/*.cc")
  foreach(snippet ${snippets})
    file(STRINGS "${snippet}" first LIMIT_COUNT 1)
    string(REGEX REPLACE "^// expect: " "" words "${first}")
    get_filename_component(name "${snippet}" NAME_WE)
    add_test(NAME "CompileFail.${name}"
      COMMAND ${CMAKE_CXX_COMPILER} -std=c++23 -fsyntax-only -ferror-limit=0
        "-I$<JOIN:$<TARGET_PROPERTY:protocol_test,INCLUDE_DIRECTORIES>,;-I>" -DFMT_HEADER_ONLY "${snippet}"
      COMMAND_EXPAND_LISTS)
    set_tests_properties("CompileFail.${name}" PROPERTIES PASS_REGULAR_EXPRESSION "${words}" TIMEOUT 180)
  endforeach()
endif()
