#include "rpc/local/stream.h"

#include <utility>

#include "mg/rpc/errors.h"

namespace mg::rpc {

class LocalStream::CallerEnd final : public CallerStreamEnd {
 public:
  explicit CallerEnd(std::shared_ptr<LocalStream> stream) : stream_(std::move(stream)) {}
  ~CallerEnd() override { stream_->give_up(); }
  Task<Result<bool>> read(MessageLite& message) override { return read_as_caller(stream_, message); }
  Task<Result<void>> write(const MessageLite& message) override {
    return LocalStream::write(stream_, stream_->to_handler_, message, true);
  }
  void close_writes() override { stream_->close_writes(); }

 private:
  const std::shared_ptr<LocalStream> stream_;
};

Task<Result<bool>> LocalStream::HandlerEnd::read(MessageLite& message) {
  return read_as_handler(stream_.shared_from_this(), message);
}
Task<Result<void>> LocalStream::HandlerEnd::write(const MessageLite& message) {
  return LocalStream::write(stream_.shared_from_this(), stream_.to_caller_, message, false);
}

LocalStream::LocalStream(Loop& loop, Deadline deadline) : loop_(loop), deadline_(deadline) {}

std::unique_ptr<CallerStreamEnd> LocalStream::caller_end() {
  return std::make_unique<CallerEnd>(shared_from_this());
}

void LocalStream::wake(Completion<bool>*& waiting) {
  if (Completion<bool>* const one = std::exchange(waiting, nullptr)) one->set(true);
}

Task<bool> LocalStream::wait(Loop& loop, Completion<bool>*& waiting, Deadline deadline) {
  Completion<bool> woken;
  struct Forget {
    Completion<bool>*& waiting;
    Completion<bool>* mine;
    ~Forget() {
      if (waiting == mine) waiting = nullptr;
    }
  } const forget{waiting, &woken};
  waiting = &woken;
  co_return (co_await woken.wait(loop, deadline)).has_value();
}

bool LocalStream::take(Direction& from, MessageLite& message) {
  const std::string octets = std::move(from.messages.front());
  from.messages.pop_front();
  from.octets -= octets.size();
  message.Clear();
  const bool parsed = message.ParsePartialFromString(octets);
  wake(from.writer);
  return parsed;
}

Task<Result<bool>> LocalStream::read_as_handler(std::shared_ptr<LocalStream> it, MessageLite& message) {
  Direction& from = it->to_handler_;
  while (from.messages.empty() && !from.closed && !it->gone_) {
    if (!co_await wait(it->loop_, from.reader, it->deadline_)) co_return std::unexpected(deadline_exceeded());
  }
  if (it->gone_) co_return std::unexpected(it->gone());
  if (from.messages.empty()) co_return false;
  if (it->take(from, message)) co_return true;
  co_return std::unexpected(client_error(code::kServer, "the message is of another type"));
}

Task<Result<bool>> LocalStream::read_as_caller(std::shared_ptr<LocalStream> it, MessageLite& message) {
  Direction& from = it->to_caller_;
  while (from.messages.empty() && !it->result_) {
    if (!co_await wait(it->loop_, from.reader, it->deadline_)) {
      it->give_up();
      co_return std::unexpected(deadline_exceeded());
    }
  }
  if (from.messages.empty()) {
    if (!*it->result_) co_return std::unexpected(it->result_->error());
    co_return false;
  }
  if (it->take(from, message)) co_return true;
  it->give_up();
  co_return std::unexpected(client_error(code::kServer, "the message is of another type"));
}

Task<Result<void>> LocalStream::write(std::shared_ptr<LocalStream> it, Direction& to, const MessageLite& message,
                                      bool caller) {
  const auto ended = [&] { return it->gone_ || (caller && it->result_.has_value()); };
  const auto over = [&]() -> Error {
    return caller ? client_error(code::kServer, "the stream has ended") : it->gone();
  };
  if (!ended() && to.closed) {
    co_return std::unexpected(client_error(code::kServer, "write to a stream after close_writes()"));
  }
  if (!ended()) {
    to.octets += to.messages.emplace_back(message.SerializePartialAsString()).size();
    wake(to.reader);
  }
  while (!ended() && (to.messages.size() > kRoom || to.octets > kOctets)) {
    if (co_await wait(it->loop_, to.writer, it->deadline_)) continue;
    if (caller) it->give_up();
    co_return std::unexpected(deadline_exceeded());
  }
  if (ended()) co_return std::unexpected(over());
  co_return Result<void>();
}

void LocalStream::close_writes() {
  to_handler_.closed = true;
  wake(to_handler_.reader);
}

void LocalStream::give_up() {
  if (std::exchange(gone_, true)) return;
  // Later: the caller may be in the middle of something, and the handler goes on as soon as it is told.
  loop_.post_always([it = shared_from_this()] {
    wake(it->to_handler_.reader);
    wake(it->to_caller_.writer);
  });
}

void LocalStream::end(Result<void> result) {
  result_ = std::move(result);
  wake(to_handler_.writer);
  wake(to_caller_.reader);
}

Error LocalStream::gone() const {
  return client_error(code::kServer, "the caller of the stream is gone");
}

}  // namespace mg::rpc
