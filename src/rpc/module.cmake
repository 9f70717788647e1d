# The messages of the tests of forwarded calls, here and in the adapters' folders.
if(MG_TESTS)
  mg_proto(mg_rpc_test_proto src/rpc/forward_test.proto)
  target_link_libraries(rpc_test PRIVATE mg_rpc_test_proto)
endif()
