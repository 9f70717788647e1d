// mg/runtime/stream.h -- one TCP connection on a loop, plain or TLS: octets in, octets out.
//
//   while (co_await stream.fill() == Stream::Input::kMore) {
//     std::size_t used = take_frames(stream.input());
//     stream.consume(used);
//   }
//
// Reading: one recv per event into a block leased from the loop; a stream with nothing in hand holds no buffer.
// Writing: what is written leaves with one send when the loop flushes; what the kernel does not take waits here.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mg/base/bytes.h"
#include "mg/runtime/block_pool.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/shared_bytes.h"
#include "mg/runtime/tls.h"

namespace mg {

// Told what happens to a stream's output. Threads: callback, on the loop; must not destroy the stream in
// on_blocked() and on_drained().
class StreamObserver {
 public:
  virtual void on_blocked() = 0;  // The kernel takes no more for now.
  virtual void on_drained() = 0;  // A stream that was blocked has sent all it had.
  virtual void on_closed() = 0;   // Closed while nobody waited in fill().
  // fill() will return in a moment: time to fetch what will be needed then.
  virtual void on_soon() noexcept {}

 protected:
  ~StreamObserver() = default;
};

// Threads: loop. Lifetime: destroy it only when no coroutine waits in fill(), which close ends.
class Stream final : private IoHandler, private Flushable {
 public:
  enum class Input : std::uint8_t {
    kMore,    // There is more in input() than before.
    kEnd,     // The peer sends no more; writing may go on.
    kClosed,  // Reset by the peer, failed, or closed here.
  };

  // Takes over the connected, non-blocking socket `fd`. With `tls` it is the server's side of a TLS connection, whose
  // handshake goes on as octets come; the stream then yields plain octets.
  Stream(Loop& loop, int fd, StreamObserver* observer, const TlsContext* tls = nullptr);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // What has come and is not consumed yet. Lifetime: until the next fill().
  MutableBytes input() noexcept { return {in_.data() + in_begin_, in_end_ - in_begin_}; }
  void consume(std::size_t octets) noexcept;

  // Waits until input() has grown. `want`: octets that input() should be able to hold in all, so that a long message
  // comes whole into one block.
  auto fill(std::size_t want = 0) noexcept { return Fill{*this, want}; }
  // True when the next fill() returns at once.
  bool readable() const noexcept { return readable_ || input_ != Input::kMore; }

  // Space for `octets` at the end of the output; commit() those that were written there.
  std::byte* reserve(std::size_t octets);
  void commit(std::size_t octets) noexcept {
    out_end_ += static_cast<std::uint32_t>(octets);
    if (!blocked_) ask_flush();
  }
  void write(Bytes octets);
  // As write(), but keeps a reference instead of a copy where it can.
  void write_shared(const SharedBytes& octets);
  // Sends now rather than when the loop flushes.
  void flush_now();
  // Sends once for all events of a turn, not for each few of them: for a connection that many players share.
  void gather() noexcept { gathers_ = true; }

  // Octets written here that the kernel has not taken.
  std::size_t queued() const noexcept;
  // True while the kernel takes no more: since blocked_since().
  bool blocked() const noexcept { return blocked_; }
  TimePoint blocked_since() const noexcept { return blocked_since_; }

  // No more is written: after what is queued, the sending side is shut down. From then on fill() goes on giving input,
  // and returns kClosed when both sides have ended.
  void finish();
  bool finishing() const noexcept { return finishing_; }
  // Closes now; queued output is dropped and the peer sees a reset. A waiting fill() returns kClosed, not before this
  // function has returned.
  void abort();
  // As abort(), but without a reset: what the kernel has taken still goes out.
  void close();
  bool closed() const noexcept { return fd_ < 0; }

  Loop& loop() const noexcept { return loop_; }
  // Why it failed, empty otherwise: "reset by peer", a TLS alert.
  std::string_view failure() const noexcept { return failure_; }
  // The peer's address as text, without port ("::ffff:" removed); empty when closed. Cost: a system call.
  std::string peer_ip() const;

 private:
  struct Fill {
    Stream& stream;
    std::size_t want;
    bool await_ready() { return stream.start_fill(want); }
    void await_suspend(std::coroutine_handle<> awaiter) { stream.wait_fill(awaiter); }
    Input await_resume() const noexcept { return stream.input_; }
  };

  void on_events(std::uint32_t events) override;
  void on_ready(std::uint32_t events) override;
  void flush() override;

  bool start_fill(std::size_t want);
  void wait_fill(std::coroutine_handle<> awaiter);
  bool receive();
  bool receive_tls();
  bool decrypt(std::size_t* got);
  MutableBytes make_room(std::size_t want);
  void shrink_input() noexcept;
  void resume_reader();
  void ask_flush() {
    if (gathers_) {
      loop_.flush_after_turn(*this);
    } else {
      loop_.flush_later(*this);
    }
  }
  void send_queued();
  bool send_octets(const std::byte* data, std::size_t size, std::uint32_t* done);
  bool send_tls();
  void done_sending();
  void end_input();
  void unshare();
  void fail(const char* what);
  void count_turn();
  void close_fd() noexcept;

  // Ordered for size: a gate has one for each player.
  int fd_;
  Input input_ = Input::kMore;
  bool readable_ = true;  // The socket may have octets that were not received yet.
  bool hung_up_ = false;  // The peer's end is behind what is readable.
  bool blocked_ = false;
  bool finishing_ = false;
  bool shut_down_ = false;  // The sending side.
  bool news_ = false;       // Something was received that the reader has not been told of.
  bool gathers_ = false;
  bool again_ = false;  // A posted function will go on reading in the next turn.
  Loop& loop_;
  StreamObserver* observer_;
  std::coroutine_handle<> reader_{};  // Waits in fill().
  struct Tls;
  std::unique_ptr<Tls> tls_;
  const char* failure_ = "";
  Block in_;
  std::uint32_t in_begin_ = 0;
  std::uint32_t in_end_ = 0;
  std::uint32_t want_ = 0;
  std::uint32_t out_begin_ = 0;
  std::uint32_t out_end_ = 0;
  std::uint32_t shared_sent_ = 0;
  Block out_;
  SharedBytes shared_;  // Goes before out_, which is empty while it is set.
  TimePoint blocked_since_{};
  std::uint32_t turn_ = 0;  // When octets_in_turn_ was counted.
  std::uint32_t octets_in_turn_ = 0;
};

}  // namespace mg
