// broker/nats/stored.h -- topics kept by JetStream: their streams, consumers, acknowledgements; no connection of its
// own.
//
//   auto ready = ensure_stream(connection, topic);                     // blocks, for some seconds at most
//   std::optional<Stored> outcome = read_stored(answer_of_the_server);
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/error.h"
#include "mg/broker/nats/nats_broker.h"

struct __natsConnection;

namespace mg::broker {

inline constexpr std::string_view kMessageId = "Nats-Msg-Id";

// A name that JetStream allows, another for each text: letters, digits and - as they are, the rest as _ and two digits.
std::string stored_name(std::string_view text);
// Where messages of a topic go that nobody could handle.
std::string dead_topic(std::string_view topic);
// Where the server delivers the messages of a topic for the members of a queue.
std::string deliver_subject(std::string_view topic, std::string_view queue);

// Makes the topic's stream unless it is there. Errors: kUnavailable  JetStream does not answer, or refuses
Result<void> ensure_stream(__natsConnection* connection, const StoredTopic& topic);
// Makes the queue's durable consumer unless it is there; from now on, or from the beginning of the stream.
Result<void> ensure_consumer(__natsConnection* connection, const StoredTopic& topic, std::string_view queue,
                             bool from_beginning);

// What the server said to a message that it was to store. Errors: what it refused for
Result<void> read_stored(std::string_view answer);

// What a delivered message's reply subject says. Empty: it is no subject of JetStream.
struct Delivered {
  std::uint64_t times = 0;     // 1 for the first time.
  std::uint64_t sequence = 0;  // In the stream.
  std::uint64_t time_ns = 0;   // When it was stored; tells a stream from one that is gone.
};
std::optional<Delivered> read_delivered(std::string_view reply);

// Which messages of a stream one subscription has in hand or has handled, so that what comes again because an
// acknowledgement was late or lost is not handled again. Threads: shared.
class Handled {
 public:
  enum class State : std::uint8_t { kNew, kInHand, kDone };
  explicit Handled(std::size_t most) : most_(most) {}
  State take(const Delivered& message);               // A new one is in hand from here on.
  void done(const Delivered& message, bool handled);  // Not handled: it may come again.

 private:
  const std::size_t most_;  // Of those that are done.
  std::mutex mutex_;        // docs/threads.md: "stored messages"
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  std::set<Key> in_hand_, done_;
  std::deque<Key> order_;  // Of done_, oldest first.
};

}  // namespace mg::broker
