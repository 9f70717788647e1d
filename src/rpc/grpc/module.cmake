if(TARGET rpc_grpc_test)
  target_link_libraries(rpc_grpc_test PRIVATE mg_test_support mg_rpc_test_proto)
endif()
