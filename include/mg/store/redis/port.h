// mg/store/redis/port.h -- what the groups of commands stand on: a server to send commands to, real or in this process.
//
//   class Strings : public virtual Port {
//     Task<Result<std::int64_t>> incr(std::string_view key, Within within = {}) {
//       return ask<std::int64_t>(within, Command("INCR", key));
//     }
//   };
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"
#include "mg/store/redis/command.h"
#include "mg/store/redis/reply.h"

namespace mg::redis {

// How long a call may take: a time from now, or a moment; when neither is given, the client's option `timeout`.
class Within {
 public:
  Within() = default;
  template <class R, class P>
  Within(std::chrono::duration<R, P> time) : time_(time) {}  // NOLINT(google-explicit-constructor)
  Within(Deadline deadline) : deadline_(deadline) {}         // NOLINT(google-explicit-constructor)
  Deadline from(Clock::TimePoint now, Clock::Duration usual) const {
    return deadline_ ? *deadline_ : Deadline::after(now, time_.value_or(usual));
  }

 private:
  std::optional<Deadline> deadline_;
  std::optional<Clock::Duration> time_;
};

// The task of fn(result of a task that has been started), as mg::then() for one that has not.
template <class T, class Fn>
Task<std::invoke_result_t<Fn&, T>> mapped(Task<T> task, Fn fn) {
  if (task.ready()) return fn(task.take());
  return mg::detail::then_later(std::move(task), std::move(fn));
}

class Call;
// Who has promised a reply. Threads: loop.
class CallOwner {
 public:
  // The call is waited for no longer; its reply, when it comes, goes to nobody.
  virtual void forget(Call& call) = 0;

 protected:
  ~CallOwner() = default;
};

// A reply that is waited for, in the frame of the caller.
class Call {
 public:
  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    if (owner) owner->forget(*this);
  }
  Completion<Result<Reply>> done;
  CallOwner* owner = nullptr;  // Set while it may still be answered.
  std::uint64_t number = 0;    // The owner's.
  std::uint64_t link = 0;      // On which connection it was sent, 0: not yet.
  std::string encoded;         // Of a call that waits for a connection.
  std::uint32_t replies = 1;   // That are left; the last one counts.
  std::optional<Reply> fault;  // The first error among those before.
};

// Threads: loop. Every function sends before it returns, so that calls begun in a row go out together; the task is for
// the reply, and may be dropped.
// Errors of all commands:
//   kTimeout      no reply in time: it may have run
//   kServer       the connection was lost after it was sent: it may have run
//   kUnavailable  there was no connection in time: it did not run
//   kTooMany      too much is on its way: it did not run
//   kInvalid      an argument above 512 MiB, a bad option; or what the server answered (mg/utils/errors/convert.h)
class Port {
 public:
  virtual Loop& loop() const = 0;
  virtual Clock::Duration timeout() const = 0;

  // Any command. Those that change what a connection is (SUBSCRIBE, MULTI, WATCH, SELECT, AUTH …) are refused here:
  // there are functions for them. Those that wait (BLPOP …) go over a connection of their own.
  Task<Result<Reply>> command(Command command, Within within = {});
  // MULTI, the commands, EXEC, with nothing between them: all of them run, or none. Their replies, errors among them.
  // Errors: also kInvalid  a command was refused, so none ran
  Task<Result<std::vector<Reply>>> transaction(const std::vector<Command>& commands, Within within = {});

 protected:
  virtual ~Port() = default;

  // Sends, or keeps it until there is a connection. Errors: it did not run
  virtual Result<void> submit(const Command& command, Call& call) = 0;
  // As one that waits at the server, on a connection of its own.
  virtual Task<Result<Reply>> submit_waiting(Command command, Deadline deadline) = 0;
  // The server does not answer what it should: the connection of the call is not to be trusted.
  virtual void distrust(std::uint64_t link, std::string_view why) = 0;
  // What a call that has had no reply in time is told.
  virtual Error too_late(const Call& call, std::string_view name) const = 0;

  template <class T>
  using Answer = std::conditional_t<std::is_same_v<T, Ok>, void, T>;

  // Sends now; the task is the reply as a T.
  template <class T>
  Task<Result<Answer<T>>> ask(Within within, const Command& command) {
    auto task = run<T>(*this, within, command);
    task.start();
    return task;
  }
  // A command that may wait at the server for `wait` (0: for ever), on a connection of its own.
  template <class T>
  Task<Result<Answer<T>>> ask_waiting(Within within, Clock::Duration wait, Command command) {
    const Clock::Duration usual = wait.count() > 0 ? wait + timeout() : Clock::Duration::max();
    auto task = finish<T>(submit_waiting(std::move(command), within.from(loop().now(), usual)));
    task.start();
    return task;
  }
  static Error server_error(const Reply& reply);
  static Error wrong_type(std::string_view name, const Reply& reply);

 private:
  // Started at once by ask(): what it refers to is only used before it waits.
  template <class T>
  static Task<Result<Answer<T>>> run(Port& port, Within within, const Command& command) {
    Call call;
    char name[24];
    const std::string_view known = command.name();
    const std::size_t name_size = known.copy(name, sizeof name);
    Loop& loop = port.loop();
    const Deadline deadline = within.from(loop.now(), port.timeout());
    if (auto sent = port.submit(command, call); !sent) co_return std::unexpected(std::move(sent).error());
    std::optional<Result<Reply>> got = co_await call.done.wait(loop, deadline);
    if (!got) co_return std::unexpected(port.too_late(call, {name, name_size}));
    if (!*got) co_return std::unexpected(std::move(*got).error());
    Reply& reply = **got;
    if (reply.is_error()) co_return std::unexpected(server_error(reply));
    T out{};
    if (!convert(std::move(reply), out)) {
      Error error = wrong_type({name, name_size}, reply);
      port.distrust(call.link, error.detail);
      co_return std::unexpected(std::move(error));
    }
    if constexpr (std::is_same_v<T, Ok>) {
      co_return Result<void>();
    } else {
      co_return Result<T>(std::move(out));
    }
  }
  template <class T>
  static Task<Result<Answer<T>>> finish(Task<Result<Reply>> task) {
    Result<Reply> got = co_await std::move(task);
    if (!got) co_return std::unexpected(std::move(got).error());
    if (got->is_error()) co_return std::unexpected(server_error(*got));
    T out{};
    if (!convert(*std::move(got), out)) co_return std::unexpected(wrong_type("a command that waits", *got));
    if constexpr (std::is_same_v<T, Ok>) {
      co_return Result<void>();
    } else {
      co_return Result<T>(std::move(out));
    }
  }
};

}  // namespace mg::redis
