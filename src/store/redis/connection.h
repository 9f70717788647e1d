// store/redis/connection.h -- one connection to a Redis server: calls out, replies back to whom they belong.
//
//   auto connection = std::make_shared<Connection>(loop, options, endpoint, counters, Kind::kShared);
//   connection->submit(command, call);         // connects when it is not yet
//   connection->close();                       // then gone() resolves
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mg/runtime/stream.h"
#include "mg/store/redis/client.h"
#include "store/redis/connect.h"
#include "store/redis/reply_parser.h"

namespace mg::redis {

struct Counters {
  ClientStats stats;
  std::uint64_t next_link = 1;
};

// Threads: loop. Lifetime: its coroutine keeps it alive until close() or, of a dedicated one, its end.
class Connection final : public CallOwner, public std::enable_shared_from_this<Connection> {
 public:
  enum class Kind : std::uint8_t {
    kShared,     // Comes back by itself; calls wait for it.
    kDedicated,  // Is over when it is lost; may owe a reply for long.
    kListener,   // Comes back by itself; what it receives goes to on_push.
  };

  Connection(Loop& loop, std::shared_ptr<const Options> options, std::shared_ptr<const Endpoint> endpoint,
             std::shared_ptr<Counters> counters, Kind kind);
  ~Connection();

  // Begins to connect.
  void open();
  // Waits until it is ready. Errors: of the attempt at hand
  Task<Result<void>> ready(Deadline deadline);
  bool is_ready() const { return state_ == State::kReady && drop_reason_.empty() && !stream_->closed(); }
  bool is_closed() const { return closed_; }
  std::uint64_t link() const { return link_; }
  std::size_t in_flight() const { return slots_.size() + waiting_.size(); }
  TimePoint idle_since() const { return idle_since_; }

  Result<void> submit(const Command& command, Call& call);
  void forget(Call& call) override;
  // Sends what has no reply of its own: of a listener.
  void say(const Command& command);
  // Throws the connection away, with all that is on its way.
  void drop(std::string_view why);
  // For good. Calls that wait are told kUnavailable.
  void close();
  Error too_late(const Call& call, std::string_view name) const;
  std::string where() const;

  // Of a listener: everything received, and when there is a connection again.
  std::function<void(Reply)> on_push;
  std::function<void()> on_ready;
  // When the last call on its way has been answered, told or given up.
  std::function<void()> on_quiet;
  // When its coroutine has ended.
  std::function<void()> on_gone;

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kHandshake, kReady, kPausing };
  struct Slot {
    Call* call;          // Null: nobody waits any more.
    TimePoint at;        // When it was sent.
    std::uint32_t left;  // Replies to come.
  };
  struct Waiter {
    Completion<Result<void>> done;
  };

  static Task<void> serve(std::shared_ptr<Connection> self);
  Task<std::string> converse();
  void begin_handshake();
  bool on_handshake(Reply reply);
  void become_ready();
  void write(const Command& command);
  void put_slot(Call& call, std::uint32_t replies);
  bool deliver(Reply reply);
  void check_quiet();
  void end_link(const Error& error, bool hopeless);
  void tell_waiters(const Result<void>& result);
  void watch_silence();
  void on_silence();

  Loop& loop_;
  std::shared_ptr<const Options> options_;
  std::shared_ptr<const Endpoint> endpoint_;
  std::shared_ptr<Counters> counters_;
  Kind kind_;
  State state_ = State::kIdle;
  bool closed_ = false;
  bool hopeless_ = false;  // The server refused us: waiting does not help.
  std::uint64_t link_ = 0;
  std::optional<Stream> stream_;
  std::optional<Connector> connector_;
  std::optional<Completion<bool>> pause_;
  ReplyParser parser_;
  std::deque<Slot> slots_;                  // Of what was sent, in order.
  std::uint64_t first_slot_ = 0;            // Number of the first one.
  std::map<std::uint64_t, Call*> waiting_;  // Not sent yet, in order.
  std::uint64_t next_waiting_ = 0;
  std::vector<std::string> handshake_;  // Names of the commands whose replies are to come, the last one first.
  std::vector<Waiter*> waiters_;
  std::string drop_reason_;
  std::string last_failure_ = "not connected yet";
  TimePoint idle_since_{};
  Timer silence_{[](void* self) { static_cast<Connection*>(self)->on_silence(); }, this};
};

}  // namespace mg::redis
