// One request of a served node, from its headers to its status.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>

#include "mg/rpc/handlers.h"
#include "rpc/grpc/metadata.h"
#include "rpc/grpc/node.h"

namespace mg::rpc::grpc {

// Reads the request, runs the handler on a loop of the node, answers. Owns itself.
// Threads: on one of the library's, in CreateReactor.
::grpc::ServerGenericBidiReactor* start_server_call(std::shared_ptr<Node> node,
                                                    ::grpc::GenericCallbackServerContext* context,
                                                    const Handler& handler, Incoming in, Deadline deadline);

}  // namespace mg::rpc::grpc
