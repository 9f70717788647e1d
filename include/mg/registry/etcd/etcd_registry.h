// mg/registry/etcd/etcd_registry.h -- the registry in etcd v3, beside go-micro v2.9 services (wire.md 1).
//
//   auto registry = registry::etcd::connect({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}}, runtime.loop(0));
//   if (!registry) return std::unexpected(registry.error());           // std::shared_ptr<EtcdRegistry>
//   co_await (*registry)->ready(deadline);                             // optional: etcd may come later
//
// What is kept: the records of all services, by one watch. get() is answered from there without waiting, once etcd has
// been asked for that service; while etcd is away the last view stays. An etcd that has lost its data is noticed: what
// it had is kept for `cache_ttl`, so that calls go on until the nodes are back. What is written: add() grants a lease
// and puts one key; again it renews the lease and writes nothing. Until the ttl of the last add() has passed the node
// is put back by itself when the lease or the key is lost, and within a second when etcd is back, even if add() failed
// because it was away.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mg/base/random.h"
#include "mg/registry/registry.h"

namespace mg::registry::etcd {

// PEM files, read by connect().
struct EtcdTls {
  bool on = false;
  std::string ca_file = {};    // Who signs the servers' certificates; empty: those the system trusts.
  std::string cert_file = {};  // Our certificate and key, when the servers ask for one.
  std::string key_file = {};
  std::string server_name = {};  // What the certificate must name; empty: the host of the endpoint.
  bool verify = true;            // false: any certificate will do, as go-micro's "secure" option.
};

struct EtcdOptions {
  // host:port; a missing port is 2379; one with a scheme is left out; none left: 127.0.0.1:2379. The first that answers
  // is used, until it does not.
  std::vector<std::string> endpoints = {};
  std::string user = {};  // Empty: no authentication.
  std::string password = {};
  EtcdTls tls = {};
  std::string prefix = "/micro/registry/";  // Go services know no other.

  Clock::Duration request_timeout = std::chrono::seconds(5);  // Of each question, all endpoints together.
  Clock::Duration cache_ttl = std::chrono::seconds(60);       // After so long get() asks again, behind the answer.
  Clock::Duration retry_interval = std::chrono::milliseconds(500);  // Of a registration that etcd did not take.

  std::uint32_t max_pending = 1024;                    // Questions in flight; over it kTooMany.
  std::uint32_t max_queued_events = 65'536;            // Per watch; over it they are dropped and a kReset is told.
  std::uint32_t max_value_bytes = 256 * 1024;          // A larger record is skipped.
  std::uint32_t max_message_bytes = 64 * 1024 * 1024;  // Of one answer of etcd.

  Random* random = nullptr;  // For pauses; the system's when null. Must outlive the registry.
};

struct EtcdStats {
  bool connected = false;           // The watch is open; otherwise answers may be stale.
  std::uint64_t watches = 0;        // Opened so far.
  std::uint64_t registrations = 0;  // Puts of own nodes.
  std::uint64_t renewals = 0;       // Leases kept alive.
  std::uint64_t skipped = 0;        // Records that could not be read.
};

// Threads: shared. Lifetime: destroyed when its home loop does not run, or on it; then open calls are cancelled and
// waited for. Nobody may wait for its answers any more. Watches may outlive it.
class EtcdRegistry final : public Registry {
 public:
  class State;
  struct Hub;
  explicit EtcdRegistry(std::unique_ptr<State> state);
  EtcdRegistry(const EtcdRegistry&) = delete;
  EtcdRegistry& operator=(const EtcdRegistry&) = delete;
  ~EtcdRegistry() override;

  // Returns when the records have been read for the first time. Errors: kTimeout
  Task<Result<void>> ready(Deadline deadline);

  // `deadline` limits how long the caller waits; a registration goes on behind it.
  Task<Result<void>> add(Service service, AddOptions options) override;
  Task<Result<void>> remove(std::string service, std::string node_id, Deadline deadline) override;
  Task<Result<Services>> get(std::string service, Deadline deadline) override;
  // Asks etcd; what is known when it does not answer.
  Task<Result<Services>> list(Deadline deadline) override;
  // Made before the records have been read for the first time it is told of all of them.
  // After a loss of the connection the net change is told, not each step of it.
  std::unique_ptr<Watch> watch(std::string service, Loop& loop, EventHandler handler) override;
  const std::atomic<std::uint64_t>& version() const override;
  std::string_view kind() const override { return "etcd"; }

  EtcdStats stats() const;

 private:
  std::unique_ptr<State> state_;
};

// Connects in the background, on `home`, by its clock. Errors: kInvalid  a certificate or key that cannot be read
Result<std::shared_ptr<EtcdRegistry>> connect(EtcdOptions options, Loop& home);

}  // namespace mg::registry::etcd
