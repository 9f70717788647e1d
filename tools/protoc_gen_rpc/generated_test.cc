// What the golden headers do when they are compiled: services are served and called, commands are routed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "commands.rpc.pb.h"
#include "hall.rpc.pb.h"
#include "mg/app/app.h"
#include "mg/base/check.h"
#include "mg/protocol/router.h"
#include "nothing.rpc.pb.h"
#include "streams.rpc.pb.h"
#include "underscore.rpc.pb.h"

namespace {

using google::protobuf::Empty;
using mg::Result;
using mg::Task;
using mg::rpc::Context;
using ::testing::HasSubstr;

// Both kinds of methods; one is a template, one is inherited: what counts is how it can be called.
struct HallBase {
  Result<void> enter(const Context& context, const hall::InEnter& in, hall::OutEnter& out) {
    out.set_members(static_cast<std::uint32_t>(in.room().size() + context.meta().size()));
    return {};
  }
};
struct MyHall : HallBase {
  explicit MyHall(std::string name) : name_(std::move(name)) {}
  Task<Result<void>> get_http_address(const Context&, const hall::InEnter& in, hall::Line& out) const {
    if (in.room().empty()) co_return mg::fail(mg::code::kNotFound, "no room");
    out.set_text(name_ + "/" + in.room());
    co_return Result<void>();
  }
  template <class In>
  Result<void> say(const Context&, const In& in, hall::Line& out) {
    out.set_text(std::to_string(in.number()));
    return {};
  }
  std::string name_;
};

template <class T>
T on_loop(mg::Process& process, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  process.runtime().loop(0).post_always([&] {
    mg::spawn([](Task<T> awaited, std::promise<T>& out) -> Task<void> { out.set_value(co_await std::move(awaited)); }(
                                                            std::move(task), promise));
  });
  mg::check(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready, "a task of this test does not end");
  return future.get();
}

class GeneratedService : public testing::Test {
 protected:
  // The client is made before anything runs.
  GeneratedService() {
    hall::Hall::add_to(one_, hall_one_);
    hall::Hall::add_to(two_, hall_two_);
    const std::vector<const char*> arguments{"--loops=2"};
    const auto started = process_.start(arguments);
    mg::check(started.has_value(), "the apps do not start");
  }
  ~GeneratedService() override { process_.stop(); }

  MyHall hall_one_{"one"};
  MyHall hall_two_{"two"};
  mg::Process process_;
  mg::App one_{process_, {.name = "hall"}};
  mg::App two_{process_, {.name = "hall"}};
  mg::App gate_{process_, {.name = "gate"}};
  hall::Hall::Client halls_{gate_, "hall"};
};

Task<Result<std::string>> address_at(hall::Hall::Client& halls, std::string uuid) {
  hall::InEnter in;
  hall::Line out;
  in.set_room("lobby");
  auto done = co_await halls.get_http_address(uuid, Context(), in, out);
  if (!done) co_return std::unexpected(done.error());
  co_return out.text();
}

TEST_F(GeneratedService, IsCalledOnTheNodeWithAUuid) {
  EXPECT_EQ(on_loop(process_, address_at(halls_, one_.id())).value(), "one/lobby");
  EXPECT_EQ(on_loop(process_, address_at(halls_, two_.id())).value(), "two/lobby");
  const auto nobody = on_loop(process_, address_at(halls_, ""));
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().detail, HasSubstr("none available"));
}

Task<Result<std::string>> address_of(hall::Hall::Client& halls, mg::Meta meta) {
  hall::InEnter in;
  hall::Line out;
  in.set_room("lobby");
  auto done = co_await halls.get_http_address(meta, in, out);
  if (!done) co_return std::unexpected(done.error());
  co_return out.text();
}

TEST_F(GeneratedService, IsCalledOnTheNodeThatMadeTheMeta) {
  EXPECT_EQ(on_loop(process_, address_of(halls_, mg::Meta("hall", one_.id()))).value(), "one/lobby");
  EXPECT_EQ(on_loop(process_, address_of(halls_, mg::AgentMeta("hall", two_.id(), "client"))).value(), "two/lobby");
  EXPECT_FALSE(on_loop(process_, address_of(halls_, mg::Meta())));
}

Task<Result<std::uint32_t>> enter_any(hall::Hall::Client& halls) {
  const mg::Meta meta{{"A", "1"}, {"B", "2"}};
  hall::InEnter in;
  hall::OutEnter out;
  in.set_room("abc");
  auto done = co_await halls.enter(Context(meta), in, out);
  if (!done) co_return std::unexpected(done.error());
  auto call = halls.enter.make_call();
  call.request().set_room("abc");
  if (auto again = co_await call.send(Context(meta)); !again) co_return std::unexpected(again.error());
  co_return out.members() == call.reply().members() ? out.members() : 0;
}

TEST_F(GeneratedService, IsCalledOnAnyNodeWithMetadata) {
  EXPECT_EQ(on_loop(process_, enter_any(halls_)).value(), 5U);
}

Task<Result<std::string>> by_name(hall::Hall::Client& halls, std::string uuid) {
  hall::InEnter in;
  hall::Line out;
  in.set_room("x");
  auto done = co_await halls.call(hall::Hall::kGetHTTPAddress, Context(), in, out);
  if (!done) co_return std::unexpected(done.error());
  done = co_await halls.call_node(uuid, hall::Hall::kGetHTTPAddress, Context(), in, out);
  if (!done) co_return std::unexpected(done.error());
  const mg::Meta meta("hall", uuid);
  done = co_await halls.call_node(meta, hall::Hall::kGetHTTPAddress, in, out);
  if (!done) co_return std::unexpected(done.error());
  co_return out.text();
}

TEST_F(GeneratedService, IsCalledByTheConstantsToo) {
  EXPECT_EQ(on_loop(process_, by_name(halls_, one_.id())).value(), "one/x");
  EXPECT_EQ(halls_.service(), "hall");
  EXPECT_EQ(halls_.enter.endpoint(), "Hall.Enter");
}

Task<Result<void>> refused(hall::Hall::Client& halls) {
  const hall::InEnter in;
  hall::Line out;
  co_return co_await halls.get_http_address(Context(), in, out);
}

TEST_F(GeneratedService, GivesTheErrorsOfItsMethods) {
  const auto done = on_loop(process_, refused(halls_));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, mg::code::kNotFound);
  EXPECT_EQ(done.error().detail, "no room");
}

TEST(GeneratedAddTo, FillsATableAndTellsTheFirstError) {
  MyHall object("x");
  mg::rpc::Handlers handlers;
  const Result<void> added = hall::Hall::add_to(handlers, object);
  EXPECT_TRUE(added);
  EXPECT_THAT(handlers.names(), testing::ElementsAre("Hall.Enter", "Hall.GetHTTPAddress", "Hall.Say"));
  EXPECT_TRUE(handlers.find("Hall", "Enter").value()->immediate);
  EXPECT_FALSE(handlers.find("Hall", "GetHTTPAddress").value()->immediate);
  const Result<void> twice = hall::Hall::add_to(handlers, object);
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().detail, HasSubstr("Hall.Enter"));
}

struct Keywords {
  using Out = Result<void>;
  Out delete_(const Context&, const store::Key&, store::Key&) { return {}; }
  Out new_(const Context&, const store::Key&, store::Key&) { return {}; }
  Out client(const Context&, const store::Key&, store::Key&) { return {}; }
  Out call(const Context&, const store::Key&, store::Key&) { return {}; }
};

TEST(GeneratedAddTo, LeavesNamesOnTheWireAsTheyAre) {
  Keywords object;
  mg::rpc::Handlers handlers;
  EXPECT_TRUE(store::rpc::Store::add_to(handlers, object));
  EXPECT_THAT(handlers.names(), testing::ElementsAre("Store.Call", "Store.Client", "Store.Delete", "Store.New"));
  static_assert(std::is_class_v<store::rpc::Store::Client>);
}

// ---- streams ----------------------------------------------------------------------------------------------------

// Reads what it was given, keeps what is written.
struct ScriptedEnd : mg::rpc::CallerStreamEnd {
  explicit ScriptedEnd(std::vector<std::string> given, std::vector<std::string>* kept = nullptr)
      : texts(std::move(given)), written(kept) {}
  Task<Result<bool>> read(mg::rpc::MessageLite& message) override {
    if (at == texts.size()) return Result<bool>(false);
    static_cast<Line&>(message).set_text(texts[at++]);
    return Result<bool>(true);
  }
  Task<Result<void>> write(const mg::rpc::MessageLite& message) override {
    written->push_back(static_cast<const Line&>(message).text());
    return Result<void>();
  }
  void close_writes() override { written->push_back("(end)"); }
  std::vector<std::string> texts;
  std::size_t at = 0;
  std::vector<std::string>* written;
};

struct MyChat {
  Result<void> ask(const Context&, const Line& in, Line& out) {
    out = in;
    return {};
  }
  Task<Result<void>> watch(const Context&, mg::rpc::Stream<Count, Line>) { co_return Result<void>(); }
  Task<Result<void>> upload(const Context&, mg::rpc::Stream<Line, Count>) { co_return Result<void>(); }
  Task<Result<void>> talk(const Context&, mg::rpc::Stream<Line, Line> stream) {
    Line line;
    for (;;) {
      Result<bool> more = co_await stream.read(line);
      if (!more) co_return std::unexpected(more.error());
      if (!*more) co_return Result<void>();
      if (auto done = co_await stream.write(line); !done) co_return done;
    }
  }
};

TEST(GeneratedStream, IsServed) {
  MyChat chat;
  mg::rpc::Handlers handlers;
  const Result<void> added = Chat::add_to(handlers, chat);
  ASSERT_TRUE(added);
  EXPECT_EQ(handlers.find("Chat", "Ask").value()->invoke_stream, nullptr);
  const mg::rpc::Handler& talk = *handlers.find("Chat", "Talk").value();
  ASSERT_NE(talk.invoke_stream, nullptr);
  std::vector<std::string> written;
  ScriptedEnd end({"a", "b"}, &written);
  const Context context;
  auto done = talk.invoke_stream(talk.target.get(), context, end);
  mg::spawn(
      [](Task<Result<void>> awaited) -> Task<void> { EXPECT_TRUE(co_await std::move(awaited)); }(std::move(done)));
  EXPECT_THAT(written, testing::ElementsAre("a", "b"));
}

// Carries nothing but streams, to scripted ends.
struct ScriptedTransport : mg::rpc::Transport {
  struct Node : mg::rpc::Served {
    std::string address() const override { return "scripted:1"; }
    std::vector<std::pair<std::string, std::string>> metadata() const override { return {}; }
    Task<Result<void>> stop(mg::Deadline) override { return Result<void>(); }
  };
  struct ToNode : mg::rpc::Route {
    ToNode(std::string node, std::vector<std::string>& kept) : id(std::move(node)), written(kept) {}
    Task<Result<void>> call(const Context&, const mg::rpc::Messages&) override { return mg::fail(500, "no calls"); }
    Result<std::unique_ptr<mg::rpc::CallerStreamEnd>> open_stream(const Context&) override {
      return std::make_unique<ScriptedEnd>(std::vector<std::string>{id}, &written);
    }
    std::string id;
    std::vector<std::string>& written;
  };
  Task<Result<std::unique_ptr<mg::rpc::Served>>> serve(mg::rpc::Serving) override {
    return Result<std::unique_ptr<mg::rpc::Served>>(std::make_unique<Node>());
  }
  std::unique_ptr<mg::rpc::Route> open(const mg::rpc::Node& node, mg::rpc::EndpointName, std::string_view,
                                       mg::Loop&) override {
    return std::make_unique<ToNode>(node.id, written);
  }
  std::vector<std::string> written;
};

Task<std::string> talk_to(Task<mg::rpc::StubStream<Line, Line>::Opened> opening) {
  auto stream = co_await std::move(opening);
  if (!stream) co_return stream.error().detail;
  Line line;
  line.set_text("hello");
  EXPECT_TRUE(co_await stream->write(line));
  stream->close_writes();
  EXPECT_TRUE((co_await stream->read(line)).value());
  EXPECT_FALSE((co_await stream->read(line)).value());
  co_return line.text();
}
Task<std::string> talk_any(Chat::Client& chats) {
  const Context context;
  co_return co_await talk_to(chats.talk(context));
}
Task<std::string> talk_there(Chat::Client& chats, std::string uuid) {
  const Context context;
  co_return co_await talk_to(chats.talk(uuid, context));
}
Task<std::string> talk_back(Chat::Client& chats, std::string uuid) {
  const mg::Meta meta("chat", uuid);
  co_return co_await talk_to(chats.talk(meta));
}

TEST(GeneratedStream, IsOpenedOnANode) {
  const auto transport = std::make_shared<ScriptedTransport>();
  mg::Process process;
  process.set_backends([&](const mg::CommonFlags&, mg::Runtime&) -> Result<mg::Backends> {
    return mg::Backends{.registry = {}, .broker = {}, .transports = {transport}};
  });
  mg::App one(process, {.name = "chat"});
  mg::App other(process, {.name = "chat"});
  Chat::Client chats(one, "chat");
  const std::vector<const char*> arguments{"--loops=1"};
  ASSERT_TRUE(process.start(arguments));
  EXPECT_THAT(on_loop(process, talk_any(chats)), testing::AnyOf(one.node_id(), other.node_id()));
  for (const mg::App* app : {&one, &other}) {
    EXPECT_EQ(on_loop(process, talk_there(chats, app->id())), app->node_id());
    EXPECT_EQ(on_loop(process, talk_back(chats, app->id())), app->node_id());
  }
  EXPECT_THAT(on_loop(process, talk_there(chats, "")), HasSubstr("none available"));
  process.stop();
  EXPECT_THAT(transport->written, testing::Contains("hello").Times(5));
  EXPECT_THAT(transport->written, testing::Contains("(end)").Times(5));
}

// ---- commands ---------------------------------------------------------------------------------------------------

struct MyPlay : play::v1::Play::Handler {
  Task<Result<void>> Login_10001(mg::AgentMeta&, const play::v1::C2S_10001& in, play::v1::S2C_10001& out) {
    out.set_account(static_cast<std::int64_t>(in.token().size()));
    co_return Result<void>();
  }
  Result<void> Echo_10002(mg::AgentMeta&, const play::v1::C2S_10002& in, play::v1::S2C_10002& out) const {
    out.set_data(in.data());
    return {};
  }
  Result<void> Alive_010004(mg::AgentMeta&, const play::v1::C2S_10001&, Empty&) { return {}; }
};

std::vector<std::string> names(const mg::protocol::Router& router) {
  std::vector<std::string> names;
  for (const auto& route : router.routes()) names.push_back(fmt::format("{} {}", route.cmd, route.name));
  return names;
}

TEST(GeneratedHandler, IsRegisteredWhole) {
  MyPlay handler;
  mg::protocol::Router router;
  ASSERT_TRUE(router.add_route(handler).start());
  EXPECT_THAT(names(router), testing::ElementsAre("10001 MyPlay::Login_10001", "10002 MyPlay::Echo_10002",
                                                  "10004 MyPlay::Alive_010004"));
  play::v1::C2S_10002 in;
  in.set_data("hello");
  mg::AgentMeta meta;
  std::string reply;
  auto done = router.call(meta, play::v1::Play::kEcho_10002, in.SerializeAsString(), reply);
  ASSERT_TRUE(done.ready());
  ASSERT_TRUE(done.take());
  EXPECT_EQ(reply, in.SerializeAsString());
}

// Methods of its own, besides those of the service.
struct Extended : MyPlay {
  Result<void> Extra_10009(mg::AgentMeta&, const Empty&, Empty&) { return {}; }
  using Routes = mg::protocol::Routes<&Extended::Extra_10009>;
};

TEST(GeneratedHandler, MayHaveRoutesOfItsOwn) {
  Extended handler;
  mg::protocol::Router router;
  ASSERT_TRUE(router.add_route(handler).start());
  EXPECT_TRUE(router.has(play::v1::Play::kLogin_10001));
  EXPECT_TRUE(router.has(10009));
}

struct Free {
  Result<void> Login_10001(mg::AgentMeta&, const play::v1::C2S_10001&, play::v1::S2C_10001&) { return {}; }
  Result<void> Echo_10002(mg::AgentMeta&, const play::v1::C2S_10002&, play::v1::S2C_10002&) { return {}; }
  Result<void> Alive_010004(mg::AgentMeta&, const play::v1::C2S_10001&, Empty&) { return {}; }
};

TEST(GeneratedHandler, NeedsNoBaseWhenItIsAddedByTheService) {
  Free handler;
  mg::protocol::Router router;
  ASSERT_TRUE(play::v1::Play::add_to(router, handler).start());
  EXPECT_EQ(router.routes().size(), 3U);
}

}  // namespace
