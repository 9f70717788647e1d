// rpc/link/node.h -- a node that is served over links: its listener, the links it has accepted, the calls that run.
//
//   Result<std::shared_ptr<Node>> node = ServedNode::start(loops, shared, serving);   // on one of the loops
//   co_await node->stop(deadline);
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mg/runtime/event.h"
#include "mg/runtime/in_flight.h"
#include "mg/runtime/listener.h"
#include "rpc/link/connection.h"
#include "rpc/link/meta_table.h"
#include "runtime/detached.h"

namespace mg::rpc::link {

class Accepted;
struct Running;

// What one loop has for one handler: room for its messages, used again and again. Threads: loop.
struct Pool {
  static constexpr std::uint32_t kKeep = 1024;
  static constexpr std::size_t kKeepOctets = 4096;  // Of request and reply together; larger ones are freed.

  explicit Pool(const Handler& h) : handler(h) {}
  ~Pool();

  const Handler& handler;  // Looked at only while the loop serves.
  Running* free = nullptr;
  std::uint32_t free_count = 0;
};

// Threads: start(), stop() on loops; the rest of each NodeLoop on its loop.
class ServedNode : public std::enable_shared_from_this<ServedNode> {
 public:
  // What each loop has.
  struct alignas(64) PerLoop {
    Loop* loop = nullptr;
    InFlight calls;  // Suspended handlers; closed: no more calls.
    InFlight links;
    std::list<LoopPtr<Accepted>> accepted;
    std::unordered_map<const Handler*, std::unique_ptr<Pool>> pools;
  };

  ServedNode(std::span<Loop* const> loops, std::shared_ptr<const Shared> shared, Serving serving);
  ~ServedNode();
  Result<void> listen();
  Task<Result<void>> stop(Deadline deadline);
  // Ends everything. Requires: its loops do not run, or this is the only one and runs this.
  void destroy();

  std::string address() const;
  std::string place() const;

  const std::string id;
  const std::string uuid;
  const std::uint64_t epoch;
  const Handlers* const handlers;  // Looked at only while the loop's calls.closed() is false.
  const RequestObserver observer;
  const std::shared_ptr<const Shared> shared;

  PerLoop& at(const Loop& loop) { return per_loop_[loop.index()]; }
  // Takes over a connected socket, on `loop`.
  void accept_on(Loop& loop, int fd, std::string peer);
  // Of max_links. Those that only connect take none.
  bool take_place() {
    if (links_.fetch_add(1, std::memory_order_relaxed) < shared->options.max_links) return true;
    give_place();
    return false;
  }
  void give_place() { links_.fetch_sub(1, std::memory_order_relaxed); }
  void forget_socket() { sockets_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  struct Stopping;
  void on_accept(int fd, std::string_view peer);
  static Task<void> stop_on(std::shared_ptr<ServedNode> self, Loop& loop, std::shared_ptr<Stopping> stopping,
                            Deadline deadline);

  const std::size_t loop_count_;
  const std::unique_ptr<PerLoop[]> per_loop_;
  Loop* listens_on_ = nullptr;
  std::unique_ptr<Listener> listener_;
  std::string ip_;  // That others are told.
  std::uint16_t port_ = 0;
  std::uint32_t next_loop_ = 0;
  std::atomic<std::uint32_t> links_{0};    // After the handshake.
  std::atomic<std::uint64_t> sockets_{0};  // With those before it.
};

// A call at work: everything its handler refers to, kept until it ends. Threads: loop.
struct Running : Counted {
  static constexpr std::uint32_t kNobody = 0xFFFFFFFF;

  AgentMeta meta;  // Kept between calls: often the next one is of the same player, and then need not copy it.
  std::unique_ptr<MessageLite> request;
  std::unique_ptr<MessageLite> reply;
  bool forwarded = false;  // The message is handed on unread; instead of the two above there is:
  ForwardReply answer;
  LoopPtr<Accepted> link;
  Pool* pool = nullptr;
  Context context;
  std::uint32_t call = kNobody;  // kNobody: the caller has its answer.
  std::size_t octets = 0;        // Of the request and reply, encoded.
  Clock::TimePoint started{};
  InFlight::Token token;  // Since it was suspended.
  Running* next = nullptr;

  static LoopPtr<Running> take(Pool& pool);
  static void recycle(Running* running);
};

// One accepted link. Threads: loop.
class Accepted final : public Connection {
 public:
  Accepted(std::shared_ptr<ServedNode> node, ServedNode::PerLoop& own, std::string peer, InFlight::Token token);
  ~Accepted() override;
  void accept(int fd);
  void drain();        // No more calls.
  void finish_soon();  // The last answer is written.

  std::list<LoopPtr<Accepted>>::iterator at;  // In own.accepted.

 private:
  enum class State : std::uint8_t { kHello, kProof, kReady };
  struct Method {
    const Handler* handler = nullptr;
    std::string caller;
    Pool* pool = nullptr;
    std::unique_ptr<Error> unknown;
  };

  std::size_t on_input(Bytes in) override;
  void on_lost(std::string_view why) override;
  void on_tick() override {}
  std::size_t most(const Head& head) const;
  bool on_frame(const Head& head, const std::byte* body);
  void on_hello(const Head& head, Bytes body);
  void on_proof(const Head& head, Bytes body);
  void welcome();
  void refuse(Refusal number, std::string_view why);
  void on_method(const Head& head, Bytes body);
  void on_call(const Head& head, const std::byte* body);
  void on_cancel(std::uint32_t call);
  void run(Method& method, LoopPtr<Running> running, const Forwarded& in);
  static Detached drive(LoopPtr<Running> running, Task<Result<void>> task);
  static void settle(Running& running, Result<void> result);
  void send_reply(Running& running);
  void send_failure(std::uint32_t call, const Error& error, bool did_not_run);
  std::uint32_t link_time() const;
  void on_handshake_timeout();

  const std::shared_ptr<ServedNode> node_;
  ServedNode::PerLoop& own_;
  const std::string peer_;
  InFlight::Token token_;
  bool has_place_ = false;
  State state_ = State::kHello;
  TimePoint zero_{};  // Of the link's clock.
  std::string hello_;
  std::string challenge_;
  std::uint32_t max_reply_ = 0;  // What the caller takes.
  std::vector<std::unique_ptr<Method>> methods_;
  MetaTable metas_;
  std::vector<Running*> running_;    // Suspended calls by number.
  std::uint32_t running_count_ = 0;  // With those whose caller has given up.
  Timer handshake_{[](void* self) { static_cast<Accepted*>(self)->on_handshake_timeout(); }, this};
};

}  // namespace mg::rpc::link
