// mg/broker/broker.h -- the port: messages by topic, at most once; with broker/nats topics can be stored and then come
// at least once (docs/broker.md). Adapters: broker/local, broker/nats.
//
//   auto sub = broker.subscribe({.topic = "role.level", .loop = &loop}, [](const Message& m) { return handle(m); });
//   co_await broker.publish("role.level", {.headers = {{"Role-Id", "7"}}, .body = bytes}, deadline);
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::broker {

using Headers = std::map<std::string, std::string, std::less<>>;

struct Message {
  Headers headers;
  std::string body;
};

// Lifetime of the message: until the Task is done. An error is counted and logged; only a message of a stored topic is
// delivered again.
using Handler = std::function<Task<Result<void>>(const Message&)>;

struct SubscribeOptions {
  std::string topic;
  std::string queue = {};           // Of those that share a queue one gets each message; "": every one.
  Loop* loop = nullptr;             // Where the handler is called.
  std::uint32_t max_queued = 4096;  // Messages that wait; further ones are dropped and counted.
};

// Threads: shared.
struct SubscriptionStats {
  std::uint64_t handled = 0;  // Including those that failed.
  std::uint64_t failed = 0;
  std::uint64_t dropped = 0;  // Because too many waited.
};

// Messages are handled one after the other, in the order they came in. Threads: stats() is shared.
// Lifetime: when it goes, no further message is handled; a handler that is suspended goes on, unless stop() was
// awaited.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // Ends the delivery, drops what waits, waits for the handler that runs. Threads: on any loop.
  // Errors: kTimeout  it still runs
  virtual Task<Result<void>> stop(Deadline deadline) = 0;
  virtual SubscriptionStats stats() const = 0;
};

// A topic or queue name. Shape: 1 to 255 printable ASCII characters without spaces, `*` and `>`; no dot at either end,
// no two in a row. Errors: kInvalid
Result<void> check_topic(std::string_view topic);

// Threads: shared. Functions that return a Task are called on a loop.
class Broker {
 public:
  virtual ~Broker() = default;

  // Errors: kUnavailable  where it could not be reached, why
  virtual Task<Result<void>> connect(Deadline deadline) = 0;
  // Hands the message over; a node that subscribes gets its own, too. Messages of one caller keep their order.
  // Errors: kInvalid  topic · kTooMany  it would have to be dropped · kUnavailable
  virtual Task<Result<void>> publish(std::string topic, Message message, Deadline deadline) = 0;
  // Gets the messages published from now on. Errors: kInvalid  topic, queue, no loop
  virtual Result<std::unique_ptr<Subscription>> subscribe(SubscribeOptions options, Handler handler) = 0;
  virtual Task<void> disconnect(Deadline deadline) = 0;

  // The word nodes announce in their metadata under "broker".
  virtual std::string_view kind() const = 0;
};

}  // namespace mg::broker
