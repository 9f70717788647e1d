// mg/rpc/stream.h -- calls of many messages each way, for handlers that want them (wire.md 2.9).
//
//   Task<Result<void>> chat(const rpc::Context& context, rpc::Stream<Line, Line> stream) {
//     Line line;
//     while (true) {
//       Result<bool> more = co_await stream.read(line);            // false: the other side sends no more
//       if (!more || !*more) co_return more ? Result<void>() : std::unexpected(more.error());
//       if (auto done = co_await stream.write(line); !done) co_return done;
//     }
//   }
//   handlers.add("Hall.Chat", chat);
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <utility>

#include "mg/base/error.h"
#include "mg/runtime/task.h"

namespace mg::rpc {

// One end of a stream, whatever carries it. Messages arrive in order.
// Back-pressure: a write ends when there is room for the next one; nothing is read before it is asked for.
// Threads: loop. Requires: one read and one write at a time. Lifetime: messages until the Task is done.
class StreamEnd {
 public:
  using MessageLite = google::protobuf::MessageLite;

  virtual ~StreamEnd() = default;
  // The next message, or false when the other side sends no more. For a caller, false means that the handler ended
  // well, and an error is the handler's. Errors: 408 its deadline · 500 the connection was lost, the caller went away
  virtual Task<Result<bool>> read(MessageLite& message) = 0;
  // Errors: 500 the other side is gone; to a caller read() tells why.
  virtual Task<Result<void>> write(const MessageLite& message) = 0;
};

// A caller's end. Destroying it cancels the call; the handler's reads and writes fail from then on.
class CallerStreamEnd : public StreamEnd {
 public:
  // No more writes: the handler's read() gives false.
  virtual void close_writes() = 0;
};

// What a handler is called with: its end, typed. A pointer: copy it freely. Lifetime: of the handler's Task.
template <class In, class Out>
class Stream {
 public:
  explicit Stream(StreamEnd& end) : end_(&end) {}
  Task<Result<bool>> read(In& message) { return end_->read(message); }
  Task<Result<void>> write(const Out& message) { return end_->write(message); }

 private:
  StreamEnd* end_;
};

// What a caller holds. Threads: loop.
template <class Out, class In>
class CallerStream {
 public:
  explicit CallerStream(std::unique_ptr<CallerStreamEnd> end) : end_(std::move(end)) {}
  Task<Result<bool>> read(In& message) { return end_->read(message); }
  Task<Result<void>> write(const Out& message) { return end_->write(message); }
  void close_writes() { end_->close_writes(); }

 private:
  std::unique_ptr<CallerStreamEnd> end_;
};

}  // namespace mg::rpc
