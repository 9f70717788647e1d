#include "mg/rpc/grpc/transport.h"

#include "rpc/rpc_contract.h"

namespace mg::rpc {

INSTANTIATE_TEST_SUITE_P(Grpc, RpcContract,
                         ::testing::Values(RpcBackend{.name = "Loopback",
                                                      .make =
                                                          [](std::span<Loop* const> loops) {
                                                            auto made =
                                                                grpc::make_transport({.listen = "127.0.0.1:0"}, loops);
                                                            std::shared_ptr<Transport> transport = std::move(*made);
                                                            return RpcTransports{transport, transport};
                                                          }}),
                         rpc_backend_name);

}  // namespace mg::rpc
