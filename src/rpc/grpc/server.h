// The serving half: a gRPC server for each node, whose requests run on our loops.
#pragma once

#include <memory>
#include <span>

#include "mg/rpc/grpc/transport.h"
#include "rpc/grpc/tls.h"

namespace mg::rpc::grpc {

// Threads: on a loop, which accepts its connections; the Served is destroyed there, or when no loop runs.
// Errors: kInvalid  `listen` or `advertise` is no address · kUnavailable  it cannot be listened on
Result<std::unique_ptr<Served>> serve(const GrpcOptions& options, const TlsTexts& tls, std::span<Loop* const> loops,
                                      Serving serving);

}  // namespace mg::rpc::grpc
