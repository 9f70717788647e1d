// A node being served, as its requests see it.
#pragma once

#include <grpc/support/time.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/rpc/grpc/transport.h"
#include "mg/runtime/in_flight.h"
#include "rpc/grpc/debug.h"
#include "rpc/grpc/metadata.h"

namespace mg::rpc::grpc {

// Threads: what is const or atomic shared, a PerLoop on its loop. Lifetime: until its last request is gone.
class Node {
 public:
  struct alignas(64) PerLoop {
    Loop* loop = nullptr;
    InFlight calls;  // Requests that run.
  };

  Node(const GrpcOptions& options, std::span<Loop* const> l, Serving serving);

  // The loop that a request runs on: by its Client-Id, so that a player's requests stay on one; else each in turn.
  PerLoop& loop_for(const Meta& meta);
  // When the caller stops waiting: the earliest of what it said in three ways. Without any, a minute for a request, a
  // year for a stream: a handler's deadline is always a time.
  Deadline deadline_of(gpr_timespec grpc, const Incoming& in, bool stream) const;
  Error stopped() const;
  Error too_many() const;
  Error another(std::string_view meant) const;

  const std::string service;
  const std::string uuid;
  const std::string id;
  const Handlers* const handlers;  // Looked at only while the gRPC server lives and the loop's calls are not closed.
  const RequestObserver observer;
  const std::uint32_t max_message_bytes;
  const std::uint32_t max_metadata_bytes;
  const std::uint32_t max_running;

  std::atomic<bool> refusing{false};
  std::vector<PerLoop> loops;
  Debug debug;

 private:
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace mg::rpc::grpc
