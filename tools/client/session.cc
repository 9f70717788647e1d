#include "tools/client/session.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ranges>
#include <utility>

#include "base/escape.h"
#include "examples/proto/msg.pb.h"
#include "tools/client/describe.h"

namespace mgclient {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::uint32_t kLogin = 10001;
constexpr std::uint32_t kCreate = 10002;
constexpr std::uint32_t kSelect = 10003;
constexpr std::uint32_t kAlive = 10004;
constexpr std::uint32_t kEcho = 10005;
constexpr std::uint32_t kSay = 10006;
constexpr std::uint32_t kRoom = 10007;

// A gate drops tcp clients that it hears nothing of for 90 s; WebSockets have pings.
constexpr auto kSignOfLife = std::chrono::seconds(30);
constexpr std::size_t kMaxLine = 1024 * 1024;

void print(std::string_view line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

std::string code_text(std::uint32_t code) {
  return fmt::format("{} {}", code, mg::status_text(static_cast<std::int32_t>(code)));
}

}  // namespace

// ---- commands ---------------------------------------------------------------------------------------------------

mg::Result<void> Session::login() {
  msg::C2S_10001 in;
  in.set_token(options_.make_token());
  const auto body = call(kLogin, in.SerializeAsString(), "login");
  if (!body) {
    if (last_.head.cmd != kLogin || last_.head.code == 0) return std::unexpected(body.error());
    const bool given = !options_.token.empty();
    return mg::fail(body.error().code, "login to {} {} refused: {}; {}", options_.url.text,
                    given ? "with the token given" : "as " + mg::quote(options_.account), code_text(last_.head.code),
                    given ? "was it signed with the server's secret, and has it not expired?"
                          : "is --token_secret (GAME_TOKEN_SECRET) the server's?");
  }
  if (options_.role.empty()) return {};

  msg::S2C_10001 out;
  out.ParseFromString(*body);
  msg::C2S_10003 select;
  const auto role = std::ranges::find(out.roles(), options_.role, &msg::Role::name);
  if (role != out.roles().end()) {
    select.set_roleid(role->id());
  } else {
    msg::C2S_10002 create;
    create.set_name(options_.role);
    const auto made = call(kCreate, create.SerializeAsString(), "create");
    if (!made) return std::unexpected(made.error());
    msg::S2C_10002 created;
    created.ParseFromString(*made);
    select.set_roleid(created.created().id());
  }
  if (auto played = call(kSelect, select.SerializeAsString(), "select"); !played) {
    return std::unexpected(played.error());
  }
  return {};
}

mg::Result<void> Session::start(const Command& command) {
  const std::string_view name = verb_name(command.verb);
  switch (command.verb) {
    case Verb::kLogin:
      return login();
    case Verb::kCreate: {
      msg::C2S_10002 in;
      in.set_name(command.text);
      return send(kCreate, in.SerializeAsString(), name);
    }
    case Verb::kSelect: {
      msg::C2S_10003 in;
      in.set_roleid(static_cast<std::int64_t>(command.number));
      return send(kSelect, in.SerializeAsString(), name);
    }
    case Verb::kEcho: {
      msg::C2S_10005 in;
      in.set_data(command.text);
      return send(kEcho, in.SerializeAsString(), name);
    }
    case Verb::kSay: {
      msg::C2S_10006 in;
      in.set_text(command.text);
      return send(kSay, in.SerializeAsString(), name);
    }
    case Verb::kRoom: {
      msg::C2S_10007 in;
      in.set_room(command.text);
      return send(kRoom, in.SerializeAsString(), name);
    }
    case Verb::kAlive:
      return send(kAlive, msg::C2S_10004().SerializeAsString(), name);
    case Verb::kSend:
      return send(static_cast<std::uint32_t>(command.number), command.text, name);
    case Verb::kWait:
      return wait_pushes(command.number);
    case Verb::kHelp:
      fmt::print("{}", commands_help());
      std::fflush(stdout);
      return {};
    case Verb::kQuit:
      return {};
  }
  return {};
}

mg::Result<void> Session::run(std::span<const Command> commands) {
  for (const Command& command : commands) {
    if (command.verb == Verb::kQuit) break;
    if (auto done = start(command); !done) return done;
    if (auto done = settle(); !done) return done;
    if (refusal_) return std::unexpected(*std::exchange(refusal_, std::nullopt));
  }
  return {};
}

mg::Result<void> Session::run_terminal() {
  if (::isatty(STDIN_FILENO) == 1) print("commands, one a line; help lists them");
  std::string in;
  for (bool more = true; more;) {
    auto ready = pump(true, std::nullopt);
    if (!ready) return std::unexpected(std::move(ready.error()));
    if (!*ready) continue;
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got > 0) in.append(buffer.data(), static_cast<std::size_t>(got));
    if (got <= 0 && !in.empty()) in += '\n';
    more = got > 0;
    for (std::size_t end; (end = in.find('\n')) != in.npos;) {
      const std::string line = in.substr(0, end);
      in.erase(0, end + 1);
      const auto go_on = handle_line(line);
      if (!go_on) return std::unexpected(go_on.error());
      if (!*go_on) return settle();
    }
    if (in.size() > kMaxLine) return mg::fail(mg::code::kInvalid, "a line of over {} octets", kMaxLine);
  }
  return settle();
}

// False: it was quit.
mg::Result<bool> Session::handle_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == line.npos) return true;
  const auto command = parse_line(line);
  if (!command) {
    print(command.error().detail);
    return true;
  }
  if (command->verb == Verb::kQuit) return false;
  auto done = start(*command);
  if (!done && command->verb == Verb::kLogin && last_.head.code != 0) {  // Refused: the connection may be well.
    print(done.error().detail);
    done = {};
  }
  if (!done) return std::unexpected(std::move(done.error()));
  return true;
}

// ---- requests and replies ---------------------------------------------------------------------------------------

mg::Result<void> Session::send(std::uint32_t cmd, std::string_view body, std::string_view name) {
  if (++serial_ == 0) ++serial_;  // 0 marks pushes.
  requests_.push_back({serial_, cmd, name});
  sent_at_ = Steady::now();
  auto sent = connection_.send({.serial = serial_, .cmd = cmd}, body);
  if (sent) return {};
  // The gate may have said why before it closed.
  connection_.receive();
  if (auto heard = handle_input(); !heard) return heard;
  return sent;
}

mg::Result<std::string> Session::call(std::uint32_t cmd, std::string_view body, std::string_view name) {
  if (auto settled = settle(); !settled) return std::unexpected(std::move(settled.error()));
  refusal_.reset();
  last_ = {};
  if (auto sent = send(cmd, body, name); !sent) return std::unexpected(std::move(sent.error()));
  if (auto settled = settle(); !settled) return std::unexpected(std::move(settled.error()));
  if (refusal_) return std::unexpected(*std::exchange(refusal_, std::nullopt));
  return last_.body;
}

mg::Result<void> Session::settle() {
  const auto may_stay_silent = [](const Request& request) {
    return request.name == "alive" || request.name == "echo" || request.name == "send";
  };
  if (logged_in_ && std::ranges::any_of(requests_, may_stay_silent)) {
    msg::C2S_10005 fence;
    fence.set_data("fence");
    if (auto sent = send(kEcho, fence.SerializeAsString(), ""); !sent) return sent;
  }
  const auto deadline = Steady::now() + options_.timeout;
  while (!requests_.empty()) {
    auto got = pump(false, deadline);
    if (!got) return std::unexpected(std::move(got.error()));
    if (requests_.empty() || Steady::now() < deadline) continue;
    const Request& first = requests_.front();
    return mg::fail(mg::code::kTimeout, "{}: no reply to {} within {} ms", options_.url.text,
                    first.name.empty() ? std::string_view("echo") : first.name, options_.timeout.count());
  }
  return {};
}

mg::Result<void> Session::wait_pushes(std::uint64_t count) {
  while (pushes_ < count) {
    if (auto got = pump(false, std::nullopt); !got) return std::unexpected(std::move(got.error()));
  }
  pushes_ -= count;
  return {};
}

mg::Result<bool> Session::pump(bool with_stdin, std::optional<Steady::time_point> deadline) {
  if (auto heard = handle_input(); !heard) return std::unexpected(std::move(heard.error()));
  const bool signs = logged_in_ && !options_.url.ws;
  std::optional<Steady::time_point> wake = deadline;
  if (signs) wake = wake ? std::min(*wake, sent_at_ + kSignOfLife) : sent_at_ + kSignOfLife;
  int wait_ms = -1;
  if (wake) {
    wait_ms = static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(*wake - Steady::now()).count()));
  }
  std::array<pollfd, 2> polls{pollfd{.fd = connection_.fd(), .events = POLLIN, .revents = 0},
                              pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
  const int ready = ::poll(polls.data(), with_stdin ? 2 : 1, wait_ms);
  if (ready < 0 && errno != EINTR) return mg::fail(mg::code::kUnavailable, "poll: {}", std::strerror(errno));
  if (ready <= 0) {
    if (signs && Steady::now() >= sent_at_ + kSignOfLife) {
      if (auto sent = send(kAlive, "", ""); !sent) return std::unexpected(std::move(sent.error()));
    }
    return false;
  }
  if (polls[0].revents != 0) {
    connection_.receive();
    if (auto heard = handle_input(); !heard) return std::unexpected(std::move(heard.error()));
  }
  return with_stdin && polls[1].revents != 0;
}

mg::Result<void> Session::handle_input() {
  for (;;) {
    auto packet = connection_.next();
    if (!packet) {
      mg::Error error = std::move(packet.error());
      if (error.code == mg::code::kUnavailable && !logged_in_) {
        error.detail += "; a gate does so with clients that do not log in";
      }
      return std::unexpected(std::move(error));
    }
    if (!*packet) return {};
    handle(**packet);
  }
}

void Session::handle(const Packet& packet) {
  const auto& head = packet.head;
  const std::string body = packet.body.empty() ? std::string() : ' ' + describe(head.cmd, packet.body);
  if (head.serial == 0) {
    ++pushes_;
    const std::string code = head.code == 0 ? "" : " code " + code_text(head.code);
    return print(fmt::format("push {}:{}{}", head.cmd, code, body));
  }
  const auto request = std::ranges::find(requests_, head.serial, &Request::serial);
  if (request == requests_.end()) {
    return print(fmt::format("reply to {} (serial {}), which was not asked: code {}{}", head.cmd, head.serial,
                             code_text(head.code), body));
  }
  // What was sent before has been answered too, by nothing: a success.
  while (requests_.front().serial != head.serial) {
    if (!requests_.front().name.empty()) print(fmt::format("{}: ok", requests_.front().name));
    requests_.pop_front();
  }
  const Request answered = requests_.front();
  requests_.pop_front();
  if (answered.name.empty()) return;  // A fence: what counts is that the reply came.
  last_ = packet;
  if (head.code == 0) {
    if (head.cmd == kLogin) logged_in_ = true;
    return print(fmt::format("{}:{}", answered.name, body));
  }
  print(fmt::format("{}: refused with code {}{}", answered.name, code_text(head.code), body));
  refusal_ = mg::make_error(static_cast<std::int32_t>(head.code),
                            fmt::format("{} was refused: {}", answered.name, code_text(head.code)));
}

}  // namespace mgclient
