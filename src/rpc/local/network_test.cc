#include "mg/rpc/local/network.h"

#include "rpc/rpc_contract.h"

namespace mg::rpc {

RpcBackend local(std::string name, bool serialise) {
  return {.name = std::move(name), .make = [serialise](std::span<Loop* const> loops) {
            auto network = std::make_shared<LocalNetwork>(loops, LocalOptions{.serialise = serialise});
            return RpcTransports{network, network};
          }};
}

INSTANTIATE_TEST_SUITE_P(Local, RpcContract, ::testing::Values(local("Direct", false), local("Serialised", true)),
                         rpc_backend_name);

}  // namespace mg::rpc
