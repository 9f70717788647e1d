target_link_libraries(mg_broker_nats PRIVATE nats Boost::json OpenSSL::Crypto)
if(TARGET broker_nats_test)
  target_link_libraries(broker_nats_test PRIVATE mg_test_support nats)
endif()
