if(TARGET rpc_local_test)
  target_link_libraries(rpc_local_test PRIVATE mg_rpc_test_proto)
endif()
