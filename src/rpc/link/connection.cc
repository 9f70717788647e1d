#include "rpc/link/connection.h"

#include <algorithm>
#include <utility>

namespace mg::rpc::link {
namespace {

constexpr std::uint32_t kHardLimit = 16;  // Times max_output: then the other side is not worth waiting for.

}  // namespace

void Connection::open(int fd, const TlsContext* tls) {
  stream_.emplace(loop_, fd, static_cast<StreamObserver*>(this), tls);
  stream_->gather();
  paused_ = ending_ = false;
  reason_.clear();
  want_ = 0;
  heard_ = ticked_ = loop_.now();
  timer_.arm(loop_, heard_ + shared_.options.ping_interval);
  reader_ = read(LoopPtr<Connection>(this)).handle;
}

Reader Connection::read(LoopPtr<Connection> self) {
  Connection& c = *self;
  for (;;) {
    const mg::Stream::Input input = co_await c.stream_->fill(c.want_);
    if (input != mg::Stream::Input::kMore) break;
    do {
      c.heard_ = c.loop_.now();
      const std::size_t used = c.on_input(c.stream_->input());
      c.stream_->consume(used);
      if (!c.paused_) break;
      co_await Unpaused{c};  // Then on with what was left.
    } while (c.is_open());
  }
  c.timer_.cancel();
  std::string why = std::move(c.reason_);
  if (why.empty()) why = c.stream_->failure().empty() ? "closed by the other side" : c.stream_->failure();
  c.stream_->close();
  c.stream_.reset();
  c.reader_ = {};
  c.on_lost(why);
}

void Connection::destroy() {
  const LoopPtr<Connection> self(this);
  timer_.cancel();
  waiter_ = {};
  if (const auto reader = std::exchange(reader_, {})) reader.destroy();
  stream_.reset();
}

void Connection::cut(std::string_view why, bool violation) {
  if (!is_open()) return;
  if (violation) shared_.counters.violations.fetch_add(1, std::memory_order_relaxed);
  end(why, encode_text(Type::kBye, 0, why));
}

void Connection::end(std::string_view why, std::string_view last_frame) {
  if (!is_open()) return;
  ending_ = true;
  reason_ = why;
  if (!last_frame.empty() && !stream_->finishing()) {
    stream_->write(as_bytes(last_frame));
    stream_->flush_now();
  }
  stream_->close();
}

void Connection::finish() {
  if (!is_open()) return;
  ending_ = true;
  stream_->finish();
}

void Connection::write_numbers(Type type, std::initializer_list<std::uint32_t> fields) {
  const std::size_t size = fields.size() * 4;
  std::byte* at = reserve(kHeadSize + size);
  write_head(at, {static_cast<std::uint32_t>(size), type, 0, 0});
  at += kHeadSize;
  for (const std::uint32_t field : fields) {
    put(at, field);
    at += 4;
  }
  commit(kHeadSize + size);
}

void Connection::batch_is_full() {
  if (!stream_->blocked()) {
    stream_->flush_now();
  } else if (stream_->queued() > std::size_t{shared_.options.max_output} * kHardLimit) {
    cut("the other side does not take what is sent to it", false);
  }
}

void Connection::on_drained() {
  // Posted: the stream is in the middle of sending.
  loop_.post_always([self = LoopPtr<Connection>(this)] { resume(self); });
}

void Connection::on_closed() {
  resume(LoopPtr<Connection>(this));
}

void Connection::resume(LoopPtr<Connection> self) {
  if (!self->stream_) return;
  self->paused_ = false;
  if (self->waiter_) std::exchange(self->waiter_, {}).resume();
  if (self->is_open() && !self->output_full()) self->on_room();
}

void Connection::tick() {
  const TimePoint now = loop_.now();
  const Clock::Duration interval = shared_.options.ping_interval;
  // A process that itself stood still has heard nothing, either.
  const bool on_time = now - ticked_ < 2 * interval;
  ticked_ = now;
  timer_.arm(loop_, now + interval);
  if (ending_) return stream_->abort();  // It was asked to end, and did not.
  if (on_time && now - heard_ > shared_.options.silence) return cut("nothing heard for too long", false);
  on_tick();
}

}  // namespace mg::rpc::link
