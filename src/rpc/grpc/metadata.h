// Metadata of a call as gRPC headers, both ways (wire.md 2.4, 2.5, 2.6).
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/string_ref.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/base/random.h"
#include "mg/meta/meta.h"
#include "mg/rpc/context.h"

namespace mg::rpc::grpc {

// What the headers of a request say.
struct Incoming {
  Meta meta;
  std::string caller;  // `micro-from-service`
  std::string x_content_type;
  std::string authorization;
  std::string name_space;
  std::string node;  // `mg-node`: id of the node that the caller means; "" when it does not say.
  std::optional<std::chrono::nanoseconds> timeout;  // Of the header `timeout`.
  // Of `mg-deadline`, which only a caller on this machine sends: when it stops waiting, by the clock of both.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// Stands for this machine since it was booted; "-" when it cannot be told. Nodes announce it, so that callers beside
// them know that they have one clock. A node that announces it is one of ours: it understands our headers.
inline constexpr std::string_view kMachineKey = "mg-machine";
inline constexpr std::string_view kNoMachine = "-";
const std::string& this_machine();

// `host` and `remote` become `:Authority` and `Remote`.
Incoming read_headers(const std::multimap<::grpc::string_ref, ::grpc::string_ref>& headers, std::string_view host,
                      std::string_view remote);

// A header `timeout`: decimal nanoseconds without a sign. Nothing for junk.
std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text);

// What a request says besides its metadata.
struct Outgoing {
  std::string_view caller;
  std::optional<std::chrono::nanoseconds> timeout = {};                // Nothing: a stream.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  // For a node on this machine.
  std::string_view node = {};                                          // For a node of ours: its id.
};
// Adds everything that a Go client sends. Errors: kInvalid  a key or value that gRPC does not take
Result<void> write_headers(const Meta& meta, const Outgoing& outgoing, Random& random, ::grpc::ClientContext& out);

}  // namespace mg::rpc::grpc
