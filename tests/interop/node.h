// tests/interop/node.h -- a C++ service that the tests of interop/ talk to, and what they need around it.
//
//   Node node("probe", etcd, nats);
//   ASSERT_TRUE(node.start());
//   Result<void> done = node.on_loop([&] { return node.app.call("go", "Probe.Who", context, in, out); });
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "mg/app/app.h"
#include "tests/e2e/on_loop.h"
#include "tests/interop/probe.rpc.pb.h"
#include "tests/support/server.h"

namespace mg::interop {

using test::eventually;

struct Heard {
  std::string what, text;
  Meta meta;
};

// What came in. Threads: shared.
class Hearing {
 public:
  void add(std::string what, std::string text, const Meta& meta) {
    const std::lock_guard lock(mutex_);
    all_.push_back({std::move(what), std::move(text), meta});
  }
  std::vector<Heard> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(all_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Heard> all_;
};

// The same as Probe in go/handlers.go.
class ProbeService {
 public:
  using Message = probe::Message;
  using Context = rpc::Context;
  using Outcome = Result<void>;

  ProbeService(const App& app, Hearing& heard) : app_(app), heard_(heard) {}

  Outcome who(const Context&, const Message&, Message& out) {
    out.set_text(app_.id());
    return {};
  }
  Outcome echo(const Context& context, const Message& in, Message& out) {
    boost::json::object meta;
    context.meta().for_each([&](std::string_view key, std::string_view value) { meta[key] = value; });
    out = in;
    out.set_text(boost::json::serialize(meta));
    return {};
  }
  Outcome fail(const Context&, const Message& in, Message&) {
    if (in.data() == "panic") throw std::runtime_error(in.text());
    if (in.data() == "plain") return mg::fail(code::kUnknown, "{}", in.text());
    Error error;
    error.id = app_.id();
    error.code = in.code();
    error.detail = in.text();
    error.status = "status " + in.text();
    return std::unexpected(std::move(error));
  }
  Task<Outcome> slow(const Context& context, const Message& in, Message& out) {
    Loop& loop = *Loop::current();
    const auto left = context.deadline().remaining(loop.now());
    out.set_number(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    co_await loop.sleep_until(loop.now() + std::chrono::milliseconds(in.number()));
    heard_.add("slow", "done", context.meta());
    co_return Outcome();
  }
  Task<Outcome> chat(const Context& context, rpc::Stream<Message, Message> stream) {
    Message in;
    for (;;) {
      Result<bool> more = co_await stream.read(in);
      if (!more) {
        heard_.add("chat", more.error().detail, context.meta());
        co_return std::unexpected(more.error());
      }
      if (!*more) {
        heard_.add("chat", "EOF", context.meta());
        co_return Outcome();
      }
      if (in.text() == "end") co_return Outcome();
      if (in.text() == "fail") co_return mg::fail(code::kForbidden, "no more");
      if (auto sent = co_await stream.write(in); !sent) co_return sent;
    }
  }

 private:
  const App& app_;
  Hearing& heard_;
};

// A process with one app that serves Probe and hears the topics of the tests.
struct Node {
  Node(std::string name, const testing::Server& etcd, const testing::Server& nats, std::vector<std::string> more = {})
      : flags({"--registry_address=" + etcd.address(), "--broker_address=" + nats.address(),
               "--rpc_address=127.0.0.1:0", "--loops=2"}),
        app(process, {.name = std::move(name)}) {
    for (std::string& flag : more) flags.push_back(std::move(flag));
    probe::Probe::add_to(app, service);
    app.add_pub("interop.all");
    app.add_pub("interop.queue");
    app.add_sub("interop.all", [this](const Meta& meta, const probe::Message& message) -> Result<void> {
      heard.add("interop.all", message.text(), meta);
      return {};
    });
    app.add_sub_queue("interop.queue", [this](const Meta& meta, const probe::Message& message) -> Result<void> {
      heard.add("interop.queue", message.text(), meta);
      return {};
    });
  }
  Result<void> start() {
    std::vector<const char*> arguments;
    for (const std::string& flag : flags) arguments.push_back(flag.c_str());
    return process.start(arguments);
  }

  // Of a Task, or of what begins one on the loop, as calls must.
  template <class What>
  auto on_loop(What what) {
    return test::on_loop(process, std::move(what));
  }
  // One call of Probe on the service `name`, on the node `uuid` unless that is empty.
  Result<probe::Message> call(const std::string& name, const std::string& method, const probe::Message& in,
                              const Meta& meta = {}, const std::string& uuid = {},
                              std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
    probe::Message out;
    const std::string endpoint = "Probe." + method;
    const rpc::Context context(meta, Deadline::after(process.runtime().loop(0).clock(), timeout));
    const Result<void> done = on_loop([&] {
      return uuid.empty() ? app.call(name, endpoint, context, in, out)
                          : app.call_node(name, uuid, endpoint, context, in, out);
    });
    if (!done) return std::unexpected(done.error());
    return out;
  }
  Result<void> pub(const std::string& topic, const std::string& text, const Meta& meta = {}) {
    probe::Message message;
    message.set_text(text);
    return on_loop(app.pub(topic, meta, message));
  }
  std::vector<std::string> nodes(const std::string& name) {
    const auto ids = on_loop(app.nodes().ids(name));
    return ids ? *ids : std::vector<std::string>();
  }

  std::vector<std::string> flags;
  Hearing heard;
  Process process;
  App app;
  ProbeService service{app, heard};
};

}  // namespace mg::interop
