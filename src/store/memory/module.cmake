if(TARGET store_memory_test)
  target_link_libraries(store_memory_test PRIVATE mg_test_support)
endif()
