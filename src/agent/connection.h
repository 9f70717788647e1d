// agent/connection.h -- one socket of a client: its stream, its framing, its timers, its messages in flight.
//
//   auto* connection = new Connection(loop_state, transport, fd, peer, tls);   // deletes itself at its end
//   connection->start();
//
// serve() is the whole life of a connection, top to bottom.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "mg/agent/agent.h"
#include "mg/runtime/stream.h"
#include "runtime/detached.h"

namespace mg::agent {

struct LoopState;  // A loop's share of the agent; agent/gate.h.
struct Work;
using WorkPtr = std::unique_ptr<Work>;

// A point in time in four octets: milliseconds, right for 24 days around it.
class Moment {
 public:
  Moment() = default;
  explicit Moment(TimePoint when) : ms_(count(when)) {}
  TimePoint near(TimePoint now) const {
    return now + std::chrono::milliseconds(static_cast<std::int32_t>(ms_ - count(now)));
  }

 private:
  static std::uint32_t count(TimePoint when) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count());
  }
  std::uint32_t ms_ = 0;
};

// Threads: loop.
class Connection final : private StreamObserver {
 public:
  Connection(LoopState& state, const Transport& transport, int fd, const TlsContext* tls);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Serves the connection until its end, then deletes it.
  void start();

  void write(const codec::ServerHead& head, Bytes payload, const WriteOptions& options);
  // A packet already encoded for this kind of framer.
  void write_encoded(const SharedBytes& packet);
  // See Client.
  void close(std::string_view reason, Farewell farewell = Farewell::kNormal);
  void destroy(std::string_view reason);
  // Closes after the messages in flight have been answered.
  void drain();
  void auth_changed();

  Framer& framer() noexcept { return *framer_; }
  Stream& stream() noexcept { return stream_; }

 private:
  friend struct LoopState;
  struct Queued;    // A message that waits behind a full socket.
  struct Backlog;   // Those messages.
  struct Slot;      // A message in flight when depth > 1.
  struct Pipeline;  // Those slots.
  struct Rare;      // Those, and more that few need.
  struct Wait;      // What serve() waits for.
  struct Writable;  // Awaits an output that is no longer congested.

  Rare& rare();
  Backlog* backlog() const;
  Pipeline* pipeline() const;
  std::string_view reason() const;

  Task<void> serve();
  Wait advance();
  bool received(Stream::Input input);
  Task<Result<void>> start_handler(Work& work);
  Task<void> handle(WorkPtr& work);
  Task<void> handle_later(WorkPtr work, Task<Result<void>> task);
  Task<void> handle_ahead(WorkPtr work);
  void start_slot(WorkPtr work);
  void finish(Work& work, Task<Result<void>>& task);
  Task<void> handle_when_allowed(WorkPtr work);
  Detached finish_slot_later(Slot* slot, Task<Result<void>> task);
  void finish_slot(Slot& slot, Task<Result<void>> task);
  Task<void> pipeline_room();
  Task<void> pipeline_empty();
  void open();
  void answer(const codec::ClientHead& head, const Reply& reply);
  void end_client(std::string_view reason);
  void set_reason(std::string_view reason);
  void linger();
  void say_goodbye();
  bool over_rate(std::size_t octets);
  bool congested() const;

  void write_slowly(Queued message, const WriteOptions& options);
  void send(const Queued& message);

  void on_blocked() override;
  void on_drained() override;
  void on_closed() override;
  void on_soon() noexcept override;
  void on_timer();
  void arm(TimePoint when);

  LoopState& state_;
  Stream stream_;
  std::unique_ptr<Framer> framer_;
  ClientPtr client_;  // From the handshake to the disconnect.
  std::unique_ptr<Rare> rare_;
  std::coroutine_handle<> waiter_{};  // serve(), waiting for the output or the pipeline.
  Timer timer_;
  TimePoint rate_messages_{};  // Token buckets: when they will be empty again.
  TimePoint rate_octets_{};
  Moment since_;          // When the handshake, the wait for authentication or the farewell began.
  Moment partial_since_;  // First octet of an unfinished message.
  Moment last_received_;
  Moment ping_at_;              // Last ping, or when heartbeats began.
  std::uint32_t place_ = 0;     // In the loop's list of connections.
  std::uint32_t consumed_ = 0;  // Octets of the message at hand, to be consumed after it.
  bool partial_ = false;        // A message is unfinished.
  bool heartbeats_ = false;     // The transport has pings.
  bool awaiting_pong_ = false;
  bool busy_ = false;  // A handler runs: nothing is read meanwhile.
  Farewell farewell_ = Farewell::kNormal;
  bool closing_ = false;  // No more messages are taken from it.
  bool draining_ = false;
  bool resume_posted_ = false;  // A posted function will resume waiter_.
};

}  // namespace mg::agent
