# etcd's messages; used inside only.
mg_proto(mg_registry_etcd_proto src/registry/etcd/etcd.proto)
set_target_properties(mg_registry_etcd_proto PROPERTIES EXPORT_NAME registry_etcd_proto)
install(TARGETS mg_registry_etcd_proto EXPORT microgame)
target_link_libraries(mg_registry_etcd PRIVATE mg_registry_etcd_proto gRPC::grpc++ Boost::json)
if(TARGET registry_etcd_test)
  target_link_libraries(registry_etcd_test PRIVATE mg_registry_etcd_proto mg_test_support)
endif()
