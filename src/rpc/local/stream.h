// A stream within one process: each direction a short queue of encoded messages.
//
//   auto stream = std::make_shared<LocalStream>(loop, deadline);
//   Task<Result<void>> handler = invoke_stream(target, context, stream->handler_end());   // then stream->end(result)
//   return stream->caller_end();                                                          // unique_ptr
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "mg/base/deadline.h"
#include "mg/rpc/stream.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"

namespace mg::rpc {

// Threads: loop. Lifetime: of both ends and of their Tasks.
class LocalStream final : public std::enable_shared_from_this<LocalStream> {
 public:
  static constexpr std::size_t kRoom = 16;           // Messages that wait in a direction,
  static constexpr std::size_t kOctets = 64 * 1024;  // and their octets, before a write waits.

  LocalStream(Loop& loop, Deadline deadline);

  StreamEnd& handler_end() { return handler_end_; }
  // Requires: once.
  std::unique_ptr<CallerStreamEnd> caller_end();
  // The handler is done.
  void end(Result<void> result);

 private:
  using MessageLite = StreamEnd::MessageLite;
  struct Direction {
    std::deque<std::string> messages;
    std::size_t octets = 0;
    bool closed = false;                 // No more will come.
    Completion<bool>* reader = nullptr;  // Who waits.
    Completion<bool>* writer = nullptr;
  };
  class HandlerEnd final : public StreamEnd {
   public:
    explicit HandlerEnd(LocalStream& stream) : stream_(stream) {}
    Task<Result<bool>> read(MessageLite& message) override;
    Task<Result<void>> write(const MessageLite& message) override;

   private:
    LocalStream& stream_;
  };
  class CallerEnd;

  static void wake(Completion<bool>*& waiting);
  // False: the deadline came first.
  static Task<bool> wait(Loop& loop, Completion<bool>*& waiting, Deadline deadline);
  bool take(Direction& from, MessageLite& message);
  static Task<Result<bool>> read_as_handler(std::shared_ptr<LocalStream> it, MessageLite& message);
  static Task<Result<bool>> read_as_caller(std::shared_ptr<LocalStream> it, MessageLite& message);
  static Task<Result<void>> write(std::shared_ptr<LocalStream> it, Direction& to, const MessageLite& message,
                                  bool caller);
  void close_writes();
  void give_up();
  Error gone() const;

  Loop& loop_;
  const Deadline deadline_;
  HandlerEnd handler_end_{*this};
  Direction to_handler_;
  Direction to_caller_;
  std::optional<Result<void>> result_;  // Of the handler.
  bool gone_ = false;                   // The caller.
};

}  // namespace mg::rpc
