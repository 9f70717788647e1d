// mg/broker/nats/nats_broker.h -- the broker on NATS, beside go-micro v2.9 services (wire.md 3).
//
//   NatsBroker broker({.addresses = {"10.0.0.1:4222", "10.0.0.2:4222"}});
//   if (auto ok = co_await broker.connect(deadline); !ok) return ok;
//   co_await broker.publish("evt", {.headers = {...}, .body = bytes}, deadline);
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mg/broker/broker.h"

namespace mg::broker {

// PEM files, read by connect().
struct NatsTls {
  bool on = false;
  std::string ca_file = {};    // Who signs the servers' certificates; empty: those the system trusts.
  std::string cert_file = {};  // Our certificate and key, when the servers ask for one.
  std::string key_file = {};
  std::string server_name = {};  // What the certificate must name; empty: the host of the address.
  bool verify = true;            // false: any certificate will do.
};

// A topic whose messages JetStream keeps until they are handled; see NatsBroker for what that promises.
struct StoredTopic {
  std::string topic;
  std::chrono::milliseconds ack_wait{30'000};   // A message not handled by then is delivered again, to any member.
  std::chrono::milliseconds retry_pause{1000};  // Before a message comes again whose handler failed.
  std::int32_t max_deliver = 5;                 // Then it goes to the topic "<topic>.dead".
  std::int32_t max_in_flight = 1024;            // Delivered and not yet handled, of all members of a queue.
  // Of the stream, when it is made; one that is there is used as it is. What is older, or beyond max_bytes, goes,
  // handled or not.
  std::chrono::milliseconds max_age{24 * 3600 * 1000};
  std::int64_t max_bytes = 1 << 30;
  std::chrono::milliseconds duplicate_window{120'000};  // Equal Nats-Msg-Ids within it are stored once.
  std::int32_t replicas = 1;
};

struct NatsOptions {
  // [nats://][user:password@]host[:port]; none: 127.0.0.1:4222. One of them is used, the next when it is lost.
  std::vector<std::string> addresses = {};
  std::string user = {};  // Empty: no authentication, unless there is a token.
  std::string password = {};
  std::string token = {};
  NatsTls tls = {};
  std::string name = {};  // Shown by the server.

  std::chrono::milliseconds connect_timeout{2000};    // For each address.
  std::chrono::milliseconds reconnect_wait{2000};     // Between two rounds; they never end.
  std::chrono::milliseconds reconnect_jitter{500};    // Added at random.
  std::chrono::milliseconds ping_interval{20'000};    // Two that are not answered end the connection.
  std::chrono::milliseconds write_timeout{10'000};    // Of one write; then the connection counts as lost.
  std::uint32_t max_pending_bytes = 8 * 1024 * 1024;  // Published while there is no connection; more is refused.
  std::vector<StoredTopic> stored = {};               // Topics that are delivered at least once.
  std::uint32_t max_queued = 65'536;                  // Calls that wait for the connection's thread; more are refused.
};

struct NatsStats {
  bool connected = false;
  std::uint64_t reconnects = 0;
  std::uint64_t published = 0;
  std::uint64_t refused = 0;  // Publishes that were told an error: nothing of them was sent.
  std::uint64_t received = 0;
  std::uint64_t unreadable = 0;  // Messages that are no envelope of wire.md 3.1; logged, dropped.
  std::uint64_t repeated = 0;    // Deliveries of stored messages that were recognised as such, and not handled again.
  std::uint64_t dead = 0;        // Stored messages given up after max_deliver times.
  std::uint64_t lost = 0;        // Times the server or the library dropped messages for us: a consumer too slow.
};

// At most once, as NATS is: what is published while nobody listens is gone; what the server had not passed on when the
// connection broke may be lost without an error; nothing arrives twice. While there is no connection up to
// `max_pending_bytes` wait and are sent afterwards, in order.
//
// Topics in `NatsOptions::stored`, at least once:
//   publish()              returns when the server has stored the message; nothing stored is lost, within max_age and
//                          max_bytes. It asks again until `deadline`, which does not store it twice. After kTimeout it
//                          may be stored: publish it again with the same header Nats-Msg-Id (any text that is unique;
//                          one is made when there is none) and it still counts once, within duplicate_window.
//   subscribe() with queue the queue remembers where it is: what comes while no member is there waits. A handler that
//                          fails, or whose process dies, gets the message again: it MAY REPEAT. A handler whose effect
//                          must happen once compares the header Nats-Msg-Id. Repeats keep no order.
//   subscribe() without    as for other topics: it MAY LOSE what comes while this node is away.
//
// Threads: shared. One thread of its own makes the calls that may block, in their order; the library's threads deliver.
// Lifetime: destroyed when nobody waits for its answers and while the loops it delivers to still exist.
class NatsBroker final : public Broker {
 public:
  explicit NatsBroker(NatsOptions options);
  NatsBroker(const NatsBroker&) = delete;
  NatsBroker& operator=(const NatsBroker&) = delete;
  ~NatsBroker() override;

  // Errors: kUnavailable  no address answered, or refused us: which and why · kInvalid  an option
  Task<Result<void>> connect(Deadline deadline) override;
  // Errors: also kTooMany  max_pending_bytes or max_queued wait already · kTimeout  it may have been published
  Task<Result<void>> publish(std::string topic, Message message, Deadline deadline) override;
  // May be made before connect(); it is kept over reconnects.
  Result<std::unique_ptr<Subscription>> subscribe(SubscribeOptions options, Handler handler) override;
  // Sends what waits, as far as `deadline` allows.
  Task<void> disconnect(Deadline deadline) override;
  std::string_view kind() const override { return "nats"; }

  // Returns when the server has seen all that was done here so far. Errors: kUnavailable · kTimeout
  Task<Result<void>> flush(Deadline deadline);
  NatsStats stats() const;

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mg::broker
