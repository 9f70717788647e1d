#include "mg/rpc/link/link.h"

#include "rpc/rpc_contract.h"

namespace mg::rpc {

RpcBackend link_backend(std::string name, LinkOptions options) {
  return {.name = std::move(name), .make = [options](std::span<Loop* const> loops) {
            LinkOptions with = options;
            with.listen = "127.0.0.1:0";
            std::shared_ptr<LinkNetwork> network = LinkNetwork::make(loops, with).value();
            return RpcTransports{network, network};
          }};
}

LinkOptions secret() {
  LinkOptions options;
  options.secret = "a secret of all nodes";
  return options;
}

INSTANTIATE_TEST_SUITE_P(Link, RpcContract,
                         ::testing::Values(link_backend("Plain", {}),
                                           link_backend("Secret", {.secret = "a secret of all nodes"})),
                         rpc_backend_name);

}  // namespace mg::rpc
