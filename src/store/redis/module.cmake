if(TARGET store_redis_test)
  target_link_libraries(store_redis_test PRIVATE mg_store_redis_local mg_test_support)
endif()
