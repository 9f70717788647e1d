# The messages of the framework, for the tests.
if(TARGET utils_pb_test)
  target_link_libraries(utils_pb_test PRIVATE mg_pb)
endif()
