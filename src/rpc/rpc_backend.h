// For tests: transports by name, and nodes as a test says.
//
//   INSTANTIATE_TEST_SUITE_P(Local, RpcContract, ::testing::Values(RpcBackend{"Plain", make}), rpc_backend_name);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/transport.h"
#include "mg/runtime/loop.h"

namespace mg::rpc {

// How a backend is made. `server` and `client` may be one object.
struct RpcTransports {
  std::shared_ptr<Transport> server;
  std::shared_ptr<Transport> client;
};
struct RpcBackend {
  std::string name;
  std::function<RpcTransports(std::span<Loop* const>)> make;
};
inline std::string rpc_backend_name(const ::testing::TestParamInfo<RpcBackend>& info) {
  return info.param.name;
}
inline void PrintTo(const RpcBackend& backend, std::ostream* out) {
  *out << backend.name;
}

// Nodes as the test says.
class ListResolver final : public Resolver {
 public:
  void set(std::string service, std::vector<Node> nodes) {
    lists_[service] = std::make_shared<const std::vector<Node>>(std::move(nodes));
    ++version_;
  }
  // Whether it answers later, as one does that has to ask.
  Loop* asks_on = nullptr;
  int asked = 0;

  Task<Result<NodeList>> nodes(std::string service, Deadline) override {
    ++asked;
    if (asks_on) return later(*asks_on, find(service));
    return find(service);
  }
  const std::atomic<std::uint64_t>& version() const override { return version_; }

 private:
  static Task<Result<NodeList>> later(Loop& loop, Result<NodeList> found) {
    co_await loop.yield();
    co_return found;
  }
  Result<NodeList> find(const std::string& service) {
    const auto at = lists_.find(service);
    if (at == lists_.end()) return std::unexpected(service_not_found(service));
    return at->second;
  }
  std::map<std::string, NodeList> lists_;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace mg::rpc
