target_link_libraries(mg_store_mongo PRIVATE mongo::mongoc_shared)
if(TARGET store_mongo_test)
  target_link_libraries(store_mongo_test PRIVATE mg_test_support mongo::mongoc_shared)
  target_compile_definitions(store_mongo_test PRIVATE MG_MONGO_SERVERS="${CMAKE_BINARY_DIR}/tests/servers/mongo"
    MG_PYTHON="${PROJECT_SOURCE_DIR}/.venv/bin/python")
  add_dependencies(store_mongo_test mongo_test_server)
endif()
