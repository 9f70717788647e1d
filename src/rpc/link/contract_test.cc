#include "mg/rpc/link/link.h"
#include "rpc/forward_contract.h"
#include "rpc/rpc_contract.h"

namespace mg::rpc {

RpcBackend link_backend(std::string name, std::string secret) {
  return {.name = std::move(name), .make = [secret](std::span<Loop* const> loops) {
            LinkOptions options;
            options.listen = "127.0.0.1:0";
            options.secret = secret;
            std::shared_ptr<LinkNetwork> network = LinkNetwork::make(loops, options).value();
            return RpcTransports{network, network};
          }};
}

INSTANTIATE_TEST_SUITE_P(Link, ForwardContract, ::testing::Values(link_backend("Plain", "")), rpc_backend_name);
INSTANTIATE_TEST_SUITE_P(Link, RpcContract,
                         ::testing::Values(link_backend("Plain", ""), link_backend("Secret", "a secret of all nodes")),
                         rpc_backend_name);

}  // namespace mg::rpc
