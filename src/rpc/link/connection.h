// rpc/link/connection.h -- what both sides of a link have: a stream, its reader, pings' bookkeeping, the way to an end.
//
//   class Accepted : public Connection { std::size_t on_input(Bytes in) override; void on_lost(...) override; };
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mg/base/bytes.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/stream.h"
#include "mg/runtime/timer.h"
#include "rpc/link/frames.h"
#include "rpc/link/options.h"
#include "rpc/loop_ptr.h"

namespace mg::rpc::link {

// A coroutine that starts at once and frees itself at its end; until then its handle destroys it.
struct Reader {
  struct promise_type {
    Reader get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

// Threads: loop. Lifetime: counted; an open one is kept by its reader, too. destroy() ends it when the loop does not
// run.
class Connection : public Counted, private StreamObserver {
 public:
  virtual ~Connection() = default;
  // Without callbacks and without the loop.
  void destroy();

 protected:
  Connection(Loop& loop, const Shared& shared) : loop_(loop), shared_(shared) {}

  // Takes over a connected socket; `tls` null: plain. What is written from now on is sent. start() right after it.
  void open(int fd, const TlsContext* tls);
  // Begins to read. Last thing that is done with *this for now.
  void start() { reader_.resume(); }
  bool is_open() const { return stream_ && !stream_->closed() && !ending_; }

  // Whole frames at the front of `in`; sets want_. Returns the octets used. After stop_reading() it gets the rest
  // again.
  virtual std::size_t on_input(Bytes in) = 0;
  // The connection has ended; open() may be called again. Last thing that is done with *this.
  virtual void on_lost(std::string_view why) = 0;
  // Every ping_interval while open.
  virtual void on_tick() = 0;
  // The output, which was full, has been sent.
  virtual void on_room() {}

  // Closes after BYE (or another last frame), without waiting for anything; on_lost() follows, not before this
  // returned.
  void cut(std::string_view why, bool violation = true);
  void end(std::string_view why, std::string_view last_frame = {});
  // Sends what there is, then closes; the other side's end is waited for.
  void finish();

  // Space for a frame, and its end. Many of them leave together.
  std::byte* reserve(std::size_t octets) {
    return stream_->reserve(stream_->queued() == 0 ? std::max(octets, kBatch) : octets);
  }
  void commit(std::size_t octets) {
    stream_->commit(octets);
    if (stream_->queued() >= kBatch) [[unlikely]] {
      batch_is_full();
    }
  }
  void write(std::string_view frames) {
    std::memcpy(reserve(frames.size()), frames.data(), frames.size());
    commit(frames.size());
  }
  void write_numbers(Type type, std::initializer_list<std::uint32_t> fields);
  bool output_full() const { return stream_->blocked() && stream_->queued() > shared_.options.max_output; }
  // Reads no more until the output is sent. Requires: output_full()
  void stop_reading() { paused_ = true; }

  Loop& loop_;
  const Shared& shared_;
  std::size_t want_ = 0;  // Octets of the frame that is on its way.

 private:
  static constexpr std::size_t kBatch = 32 * 1024;

  static Reader read(LoopPtr<Connection> self);
  static void resume(LoopPtr<Connection> self);
  void tick();
  void batch_is_full();
  void on_blocked() override {}
  void on_drained() override;
  void on_closed() override;

  struct Unpaused {
    Connection& connection;
    bool await_ready() const noexcept { return !connection.paused_; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { connection.waiter_ = waiter; }
    void await_resume() const noexcept {}
  };

  std::optional<mg::Stream> stream_;
  std::coroutine_handle<> reader_{};  // Null while closed.
  std::coroutine_handle<> waiter_{};  // The same while it waits for the output to be sent.
  bool paused_ = false;
  bool ending_ = false;  // cut() or finish() was called.
  std::string reason_;   // Of its end, if it is ours.
  TimePoint heard_{};
  TimePoint ticked_{};
  Timer timer_{[](void* self) { static_cast<Connection*>(self)->tick(); }, this};
};

}  // namespace mg::rpc::link
