// rpc/link/caller.h -- a link as its caller has it: one for each node and loop, for as long as routes lead over it.
//
//   LoopPtr<Caller> caller = callers.find_or_make(node, place);
//   Task<Result<void>> call = caller->call(caller->way(endpoint, name), context, messages);
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mg/rpc/transport.h"
#include "rpc/link/connection.h"
#include "rpc/link/meta_table.h"

namespace mg::rpc::link {

class Callers;

// Threads: loop.
class Caller final : public Connection, private IoHandler {
 public:
  // One method of the node, for one calling service.
  struct Way {
    std::string handler;
    std::string method;
    std::string caller;
    std::uint64_t link = 0;  // On which it was named; number 0 is on none.
    std::uint16_t number = 0;
  };

  Caller(Callers& owner, std::string key, std::string node, Place place);
  ~Caller() override;

  // Lifetime: of the caller.
  Way& way(EndpointName endpoint, std::string_view caller);
  Task<Result<void>> call(Way& way, const Context& context, const Messages& messages);

  // Takes over a connected socket. Requires: no call was made yet.
  void connected(int fd);

  // Routes that lead over it.
  void add_route() {
    ++routes_;
    unused_.cancel();
  }
  void drop_route();
  // Without the loop; calls that wait are left waiting.
  void destroy();

 private:
  enum class State : std::uint8_t {
    kIdle,
    kConnecting,
    kHello,     // HELLO is sent.
    kProof,     // PROOF is sent.
    kReady,     // Calls may be made.
    kDraining,  // No new ones.
  };
  struct List;
  using Waiter = Task<Result<void>>::Handle;  // Of wait().
  // Where a reply goes.
  struct Answer {
    MessageLite* message = nullptr;  // Or, of a call that is handed on unread:
    const ForwardMessages* forward = nullptr;
    std::uint32_t* code = nullptr;
    std::string* data = nullptr;
  };
  // What a call needs that waits to be sent.
  struct Unsent {
    Way& way;
    Meta meta;
    Messages messages;
  };
  static constexpr std::size_t kKeepPending = 4096;
  // One call that somebody waits for. From the pool of its caller.
  struct Pending {
    static constexpr std::uint32_t kNotSent = 0xFFFFFFFF;
    std::uint32_t call = kNotSent;  // Its number, while calls_ has it.
    bool done = false;
    Waiter waiter{};
    Answer answer;
    TimePoint deadline{};
    std::unique_ptr<Error> error;
    std::unique_ptr<Unsent> unsent;
    List* list = nullptr;  // Of those that wait to be sent, or to be told of their end.
    Pending* previous = nullptr;
    Pending* next = nullptr;
  };
  struct List {
    Pending* first = nullptr;
    Pending* last = nullptr;
    std::uint32_t count = 0;
    void push(Pending& pending);
    void remove(Pending& pending);
    Pending* pop();
  };
  class Ticket;

  bool has_room() const { return !free_calls_.empty() || calls_.size() < max_calls_; }
  Task<Result<void>> call_later(Way& way, const Context& context, const Messages& messages);
  static Task<Result<void>> wait(Ticket ticket);
  Pending* take_pending(const Context& context, const Messages& messages);
  std::unique_ptr<Error> send(Pending& pending, Way& way, const Meta& meta, const Messages& messages);
  void name(Way& way);
  std::uint32_t link_time(TimePoint when) const;

  void give_up(Pending& pending);
  static void settle(Pending& pending, std::unique_ptr<Error> error);
  static void settle_all(List& list, const Error& error);
  // In calls_, for one whose answer nobody waits for.
  static Pending* nobody() { return reinterpret_cast<Pending*>(alignof(Pending)); }  // NOLINT: only compared
  Pending* answered(std::uint32_t call);
  const std::byte* fetch_ahead(const std::byte* at, const std::byte* end) const;
  void send_queued();
  void take_queue(List& into);
  void fail_all(const Error& sent, const Error& not_sent);
  void watch_deadline(TimePoint deadline);
  void on_deadline();

  std::unique_ptr<Error> connect();
  void failed(std::string_view why);
  void on_handshake_timeout();
  void pause_attempts(std::string_view why);
  void drop_connecting();
  Error unreachable(std::string_view why) const;
  void close_if_unused();
  void maybe_drained();

  void on_events(std::uint32_t events) override;  // Of the socket that is connecting.
  std::size_t on_input(Bytes in) override;
  void on_lost(std::string_view why) override;
  void on_tick() override;
  void on_room() override { send_queued(); }
  std::size_t most(const Head& head) const;
  bool on_frame(const Head& head, const std::byte* body);
  void on_reply(const Head& head, const std::byte* body);
  static bool take_reply(const Answer& answer, std::string_view octets);
  void on_failure(const Head& head, Bytes body);
  void on_handshake(const Head& head, Bytes body);
  void on_welcome(const Head& head, Bytes body);
  void learn_time(std::uint32_t time);

  Callers& owner_;
  const std::string key_;
  const std::string node_;
  const Place place_;
  std::uint32_t routes_ = 0;
  State state_ = State::kIdle;

  // The link at hand.
  std::uint64_t link_ = 0;  // Counts links.
  std::uint32_t max_calls_ = 0;
  std::uint32_t max_message_ = 0;
  std::uint32_t methods_ = 0;  // Named so far.
  MetaNumbers metas_;
  std::vector<Pending*> calls_;  // By number; null for free ones, nobody().
  std::vector<std::uint32_t> free_calls_;
  List queue_;                    // Calls that are not sent yet.
  TimePoint zero_{};              // Of the link's clock; never before the true one.
  std::vector<TimePoint> zeros_;  // What the last pings said.
  std::uint32_t ping_ = 0;
  bool ping_out_ = false;
  std::string hello_;
  std::string challenge_;

  // Attempts to connect.
  std::unique_ptr<TlsContext> tls_;
  int fd_ = -1;
  Clock::Duration pause_{};
  TimePoint not_before_{};
  std::string last_failure_;
  Timer handshake_{[](void* self) { static_cast<Caller*>(self)->on_handshake_timeout(); }, this};

  Timer deadline_{[](void* self) { static_cast<Caller*>(self)->on_deadline(); }, this};
  Timer unused_{[](void* self) { static_cast<Caller*>(self)->close_if_unused(); }, this};
  std::unordered_map<std::string, std::unique_ptr<Way>> ways_;
  std::vector<std::unique_ptr<Pending>> free_;
};

// The links of one loop to all nodes. Threads: loop.
class Callers {
 public:
  Callers(Loop& loop, const Shared& shared) : loop_(loop), shared_(shared) {}
  ~Callers();

  LoopPtr<Caller> find_or_make(const std::string& node, std::string_view place_text, const Place& place);
  void forget(const std::string& key) { callers_.erase(key); }
  Loop& loop() { return loop_; }
  const Shared& shared() const { return shared_; }

 private:
  Loop& loop_;
  const Shared& shared_;
  std::unordered_map<std::string, LoopPtr<Caller>> callers_;
};

}  // namespace mg::rpc::link
