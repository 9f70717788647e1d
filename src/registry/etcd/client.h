// registry/etcd/client.h -- questions to etcd, answered on one loop: the endpoints, fail-over, authentication, TLS.
//
//   Client client(options, std::move(credentials), loop);
//   Result<pb::RangeResponse> found = co_await client.range(request, deadline);
//   auto stream = co_await client.watch(create, deadline);        // Result<std::unique_ptr<WatchStream>>
//   while (auto told = co_await stream.next(deadline)) …
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/registry/etcd/etcd_registry.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"
#include "src/registry/etcd/etcd.pb.h"

namespace mg::registry::etcd {

// "host:port" of each item that counts (EtcdOptions::endpoints); at least one.
std::vector<std::string> endpoints_of(const std::vector<std::string>& items);

// A stream of changes. Threads: loop.
class WatchStream {
 public:
  virtual ~WatchStream() = default;  // Cancels it.
  // The next message. Errors: kUnavailable  it has ended · kTimeout  it goes on
  virtual Task<Result<pb::WatchResponse>> next(Deadline deadline) = 0;
};

// Errors of every question: kTimeout, kUnavailable  no endpoint answered · kTooMany · kUnauthorized · kServer
// Threads: loop. Lifetime: close() resumes all who wait, with kUnavailable, before it returns; later questions fail.
class Client {
 public:
  // Errors: kInvalid  a file of the TLS options cannot be read
  static Result<std::unique_ptr<Client>> make(const EtcdOptions& options, Loop& home);
  ~Client();

  Task<Result<pb::RangeResponse>> range(pb::RangeRequest request, Deadline deadline);
  Task<Result<pb::PutResponse>> put(pb::PutRequest request, Deadline deadline);
  Task<Result<pb::DeleteRangeResponse>> erase(pb::DeleteRangeRequest request, Deadline deadline);
  Task<Result<pb::LeaseGrantResponse>> grant(pb::LeaseGrantRequest request, Deadline deadline);
  Task<Result<pb::LeaseRevokeResponse>> revoke(pb::LeaseRevokeRequest request, Deadline deadline);
  Task<Result<pb::LeaseKeepAliveResponse>> keep_alive(pb::LeaseKeepAliveRequest request, Deadline deadline);
  Task<Result<std::unique_ptr<WatchStream>>> watch(pb::WatchCreateRequest request, Deadline deadline);

  // Waits; less when close() is called.
  Task<void> pause(Clock::Duration time);
  // The endpoint in use does not do: the next one's turn.
  void turn_away();
  bool closed() const;
  void close();

  class Impl;

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mg::registry::etcd
