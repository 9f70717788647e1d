if(TARGET rpc_link_test)
  target_link_libraries(rpc_link_test PRIVATE mg_test_support mg_rpc_test_proto)
endif()
