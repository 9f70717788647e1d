// The calling half: connections of each loop to each address, and routes over them.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "mg/rpc/grpc/transport.h"
#include "rpc/grpc/tls.h"

namespace mg::rpc::grpc {

// Threads: open() on the loop given; destroyed when no loop runs, which cancels the calls that are out and waits until
// the library has let go of them.
class Caller {
 public:
  Caller(const GrpcOptions& options, TlsTexts tls, std::span<Loop* const> loops);
  ~Caller();

  // Null: not a node that speaks gRPC, or no address.
  std::unique_ptr<Route> open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop);

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mg::rpc::grpc
