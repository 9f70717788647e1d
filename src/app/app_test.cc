#include "mg/app/app.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <mutex>
#include <thread>

#include "mg/base/check.h"
#include "mg/base/logging.h"
#include "mg/broker/local/local_broker.h"
#include "mg/registry/local/local_registry.h"
#include "mg/runtime/event.h"
#include "pb.pb.h"

namespace mg {
namespace {

using google::protobuf::Int32Value;
using google::protobuf::StringValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<void> echo(const rpc::Context&, const StringValue& in, StringValue& out) {
  out.set_value(in.value());
  return {};
}

Result<void> start(Process& process, std::vector<const char*> arguments = {}) {
  if (std::ranges::none_of(arguments, [](std::string_view each) { return each.starts_with("--loops"); })) {
    arguments.push_back("--loops=2");
  }
  return process.start(arguments);
}

// The value of a task that is run on loop 0 of a process that runs.
template <class T>
T on_loop(Process& process, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  process.runtime().loop(0).post_always([&] {
    spawn([](Task<T> awaited, std::promise<T>& out) -> Task<void> { out.set_value(co_await std::move(awaited)); }(
                                                        std::move(task), promise));
  });
  check(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready, "a task of this test does not end");
  return future.get();
}

template <class Done>
bool eventually(Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

Task<Result<void>> call(App& app, std::string_view service, std::string_view endpoint, std::string text,
                        std::string& got) {
  StringValue in, out;
  in.set_value(std::move(text));
  Result<void> done = co_await app.call(service, endpoint, rpc::Context(), in, out);
  got = out.value();
  co_return done;
}

class Lines {
 public:
  void add(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> get() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// ---- start and stop ---------------------------------------------------------------------------------------------

struct Steps {
  App& app;
  Lines& lines;
  // Says whether the node can be found and called at that point.
  Task<Result<void>> step(std::string name) {
    const auto known = co_await app.nodes().exists(app.name(), app.id());
    std::string got;
    const auto called = co_await call(app, app.name(), "Test.Echo", "x", got);
    lines.add(fmt::format("{}{}{}", name, known.value() ? " known" : "", called ? " callable" : ""));
    co_return Result<void>();
  }
};

TEST(App, StartsAndStopsInTheDocumentedOrder) {
  Process process;
  App app(process, {.name = "game"});
  Lines lines;
  Steps steps{app, lines};
  app.add_handler("Test.Echo", &echo);
  app.before_start([&] { return steps.step("before_start 1"); });
  app.before_start([&] { return steps.step("before_start 2"); });
  app.after_start([&] { return steps.step("after_start 1"); });
  app.after_start([&] { lines.add("after_start 2"); });
  app.before_stop([&] { return steps.step("before_stop 1"); });
  app.before_stop([&] { return steps.step("before_stop 2"); });
  app.after_stop([&]() -> Result<void> {
    lines.add("after_stop 1");
    return {};
  });
  app.after_stop([&](Deadline) { return steps.step("after_stop 2"); });
  ASSERT_TRUE(start(process));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
  EXPECT_THAT(lines.get(), ElementsAre("before_start 1", "before_start 2", "after_start 1 known callable",
                                       "after_start 2", "before_stop 2 known callable", "before_stop 1 known callable",
                                       "after_stop 2", "after_stop 1"));
}

TEST(App, AppsStartInOrderAndStopInReverse) {
  Process process;
  App game(process, {.name = "game"});
  App gate(process, {.name = "gate"});
  Lines lines;
  for (App* app : {&game, &gate}) {
    app->after_start([&lines, app] { lines.add("start " + app->name()); });
    app->before_stop([&lines, app] { lines.add("stop " + app->name()); });
  }
  ASSERT_TRUE(start(process));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
  EXPECT_THAT(lines.get(), ElementsAre("start game", "start gate", "stop gate", "stop game"));
}

int run(App& app, std::vector<const char*> arguments = {}) {
  arguments.insert(arguments.begin(), "program");
  arguments.push_back("--loops=2");
  return app.run(static_cast<int>(arguments.size()), arguments.data());
}

TEST(App, RunReturnsZeroAfterACleanStop) {
  App app({.name = "game"});
  app.after_start([&] { app.request_stop(); });
  EXPECT_EQ(run(app), exit_code::kStopped);
}

TEST(App, RunReturnsOneWhenAHookFails) {
  App app({.name = "game"});
  Lines lines;
  app.before_start([]() -> Result<void> { return fail(code::kInvalid, "no database"); });
  app.before_start([&] { lines.add("second before_start"); });
  app.after_start([&] { lines.add("after_start"); });
  app.before_stop([&] { lines.add("before_stop"); });
  app.after_stop([&] { lines.add("after_stop"); });
  EXPECT_EQ(run(app), exit_code::kStartFailed);
  EXPECT_THAT(lines.get(), ElementsAre("before_stop", "after_stop"));
}

TEST(App, RunReturnsOneWhenAHookThrows) {
  App app({.name = "game"});
  app.after_start([]() -> Result<void> { throw std::runtime_error("boom"); });
  EXPECT_EQ(run(app), exit_code::kStartFailed);
}

TEST(App, RunReturnsTwoOnBadFlags) {
  App app({.name = "game"});
  app.before_start([] { ADD_FAILURE() << "started with bad flags"; });
  EXPECT_EQ(run(app, {"--no_such_flag"}), exit_code::kBadFlags);
}

TEST(App, HelpEndsWithZeroAndStartsNothing) {
  App app({.name = "game"});
  app.before_start([] { ADD_FAILURE() << "started for --help"; });
  EXPECT_EQ(run(app, {"--help"}), 0);
}

TEST(App, RunReturnsThreeWhenAStopHookFailsAndTheOthersStillRun) {
  App app({.name = "game"});
  Lines lines;
  app.before_stop([&] { lines.add("first"); });
  app.before_stop([]() -> Result<void> { throw std::runtime_error("boom"); });
  app.before_stop([]() -> Result<void> { return fail(code::kOther, "sorry"); });
  app.after_stop([&] { lines.add("after"); });
  app.after_start([&] { app.request_stop(); });
  EXPECT_EQ(run(app), exit_code::kStopFailed);
  EXPECT_THAT(lines.get(), ElementsAre("first", "after"));
}

struct Hang {
  Completion<bool> until;
  Task<Result<void>> wait() {
    co_await until.wait(*Loop::current(), Deadline::never());
    co_return Result<void>();
  }
  Task<Result<void>> handle(const rpc::Context&, const StringValue&, StringValue&) { return wait(); }
};

TEST(App, StopHookThatHangsDoesNotKeepTheProcess) {
  Hang hang;
  App app({.name = "game"});
  Lines lines;
  app.before_stop([&] { return hang.wait(); });
  app.after_stop([&] {
    lines.add("after");
    hang.until.set(true);
  });
  app.after_start([&] { app.request_stop(); });
  EXPECT_EQ(run(app, {"--stop_timeout=50ms"}), exit_code::kStopFailed);
  EXPECT_THAT(lines.get(), ElementsAre("after"));
}

TEST(App, StartThatHangsDoesNotKeepAProcessThatIsToldToStop) {
  Hang hang;
  App app({.name = "game"});
  Lines lines;
  app.before_start([&] {
    app.process().request_stop();
    return hang.wait();
  });
  app.before_start([&] { lines.add("second before_start"); });
  app.after_stop([&] {
    lines.add("after_stop");
    hang.until.set(true);
  });
  EXPECT_EQ(run(app, {"--stop_timeout=50ms"}), exit_code::kStopFailed);
  EXPECT_THAT(lines.get(), ElementsAre("after_stop"));
}

TEST(App, StopDuringTheStartIsAStopAfterIt) {
  App app({.name = "game"});
  Lines lines;
  app.before_start([&]() -> Task<Result<void>> {
    app.process().request_stop();
    for (int i = 0; i < 10; ++i) co_await Loop::current()->yield();
    lines.add("before_start");
    co_return Result<void>();
  });
  app.after_start([&] { lines.add("after_start"); });
  app.before_stop([&] { lines.add("before_stop"); });
  EXPECT_EQ(run(app), exit_code::kStopped);
  EXPECT_THAT(lines.get(), ElementsAre("before_start", "after_start", "before_stop"));
}

TEST(App, SecondAppThatFailsToStartStopsTheFirst) {
  Process process;
  App game(process, {.name = "game"});
  App gate(process, {.name = "gate"});
  App never(process, {.name = "never"});
  Lines lines;
  game.after_stop([&] { lines.add("game stopped"); });
  gate.before_start([]() -> Result<void> { return fail(code::kExists, "port 9000 is taken"); });
  never.before_start([&] { lines.add("never started"); });
  never.before_stop([&] { lines.add("never stopped"); });
  const auto started = start(process);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().detail, "port 9000 is taken");
  EXPECT_EQ(process.wait(), exit_code::kStartFailed);
  EXPECT_THAT(lines.get(), ElementsAre("game stopped"));
}

TEST(App, FaultyRegistrationsFailTheStartWithTheirReason) {
  const auto fault = [](auto change, std::string name = "game") {
    Process process;
    App app(process, {.name = std::move(name)});
    change(app);
    const auto started = start(process);
    process.stop();
    return started ? std::string("started") : started.error().detail;
  };
  EXPECT_THAT(fault([](App& app) { app.add_handler("Echo", &echo); }), HasSubstr("must be Handler.Method"));
  EXPECT_THAT(fault([](App& app) {
                app.add_handler("Test.Echo", &echo);
                app.add_handler("Test.Echo", &echo);
              }),
              HasSubstr("is registered already"));
  EXPECT_THAT(fault([](App& app) { app.add_pub("a b"); }), HasSubstr("topic \"a b\""));
  EXPECT_THAT(
      fault([](App& app) { app.add_sub("evt.*", [](const Meta&, const StringValue&) -> Result<void> { return {}; }); }),
      HasSubstr("topic \"evt.*\""));
  EXPECT_THAT(fault([](App& app) { app.before_start([&app] { app.add_handler("Echo", &echo); }); }),
              HasSubstr("must be Handler.Method"));
  EXPECT_THAT(fault([](App&) {}, "a/b"), HasSubstr("service name \"a/b\""));
  EXPECT_EQ(fault([](App&) {}), "started");
}

TEST(App, BadFlagFailsTheStart) {
  Process process;
  const App app(process, {.name = "game"});
  const auto started = start(process, {"--register_ttl=soon"});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, code::kInvalid);
  EXPECT_THAT(started.error().detail, HasSubstr("register_ttl"));
}

TEST(App, LanguageFlagSetsTheStatusTexts) {
  {
    Process process;
    const App app(process, {.name = "game"});
    ASSERT_TRUE(start(process, {"--lang=zh-cn"}));
    EXPECT_EQ(make_error(code::kNotFound, "").status, "未找到");
    set_status_lookup(nullptr);
    process.request_stop();
    EXPECT_EQ(process.wait(), 0);
  }
  Process process;
  const App app(process, {.name = "game"});
  const auto started = start(process, {"--lang=klingon"});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, AllOf(HasSubstr("lang"), HasSubstr("en-us, zh-cn")));
}

// ---- signals ----------------------------------------------------------------------------------------------------

TEST(AppDeathTest, SignalStopsGracefully) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        App app({.name = "game"});
        app.after_start([] { std::raise(SIGTERM); });
        app.after_stop([] { std::fputs("stopped well\n", stderr); });
        std::exit(run(app));
      },
      ::testing::ExitedWithCode(0), "stopped well");
}

TEST(AppDeathTest, SecondSignalEndsAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Hang hang;
        App app({.name = "game"});
        app.after_start([] { std::raise(SIGINT); });
        app.before_stop([&] {
          std::raise(SIGTERM);
          return hang.wait();
        });
        std::exit(run(app));
      },
      ::testing::ExitedWithCode(128 + SIGTERM), "ending at once");
}

TEST(AppDeathTest, OtherSignalsDoNothing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        App app({.name = "game"});
        app.after_start([&] {
          for (const int signal : {SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}) std::raise(signal);
          app.request_stop();
        });
        std::exit(run(app));
      },
      ::testing::ExitedWithCode(0), "");
}

// ---- calls ------------------------------------------------------------------------------------------------------

TEST(App, CallsAnotherAppInTheProcess) {
  Process process;
  App game(process, {.name = "game"});
  game.add_handler("Test.Echo", &echo);
  App gate(process, {.name = "gate"});
  std::string got;
  gate.after_start([&] { return call(gate, "game", "Test.Echo", "hi", got); });
  ASSERT_TRUE(start(process));
  EXPECT_EQ(got, "hi");
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST(App, HandlerErrorCarriesTheNodesId) {
  Process process;
  App game(process, {.name = "game"});
  game.add_handler("Test.Fail", [](const rpc::Context&, const StringValue&, StringValue&) -> Result<void> {
    return fail(code::kInvalid, "bad 7");
  });
  App gate(process, {.name = "gate"});
  ASSERT_TRUE(start(process));
  std::string got;
  const auto done = on_loop(process, call(gate, "game", "Test.Fail", "", got));
  ASSERT_FALSE(done);
  EXPECT_EQ(to_json(done.error()),
            fmt::format(R"({{"id":"{}","code":3,"detail":"bad 7","status":"invalid"}})", game.id()));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

Task<Result<void>> call_node(App& app, std::string uuid, std::string& got) {
  StringValue in, out;
  Result<void> done = co_await app.call_node("game", uuid, "Test.Who", rpc::Context(), in, out);
  got = out.value();
  co_return done;
}

TEST(App, CallNodeReachesTheNodeOfThatId) {
  Process process;
  App first(process, {.name = "game"});
  App second(process, {.name = "game"});
  for (App* app : {&first, &second}) {
    app->add_handler("Test.Who", [app](const rpc::Context&, const StringValue&, StringValue& out) -> Result<void> {
      out.set_value(app->id());
      return {};
    });
  }
  ASSERT_TRUE(start(process));
  std::string got;
  for (App* app : {&first, &second}) {
    EXPECT_TRUE(on_loop(process, call_node(second, app->id(), got)));
    EXPECT_EQ(got, app->id());
  }
  for (const char* nobody : {"", "11111111-2222-3333-4444-555555555555"}) {
    const auto done = on_loop(process, call_node(first, nobody, got));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().detail, "error selecting game node: none available");
  }
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST(App, TimeoutOfCallsIsAFlag) {
  Hang hang;
  Process process;
  App app(process, {.name = "game"});
  app.add_handler("Test.Hang", hang, &Hang::handle);
  app.after_stop([&] { hang.until.set(true); });
  ASSERT_TRUE(start(process, {"--client_request_timeout=20ms", "--stop_timeout=50ms"}));
  std::string got;
  const auto done = on_loop(process, call(app, "game", "Test.Hang", "", got));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, code::kTimeout);
  EXPECT_EQ(process.stop(), exit_code::kStopFailed);  // The handler hung on.
}

struct Load {
  std::atomic<bool> on{true};
  std::atomic<int> running{0};
  std::atomic<int> ok{0};
  Lines faults;
  Task<void> run(App& app, Loop& loop) {
    while (on) {
      std::string got;
      const auto done = co_await call(app, "game", "Test.Slow", "x", got);
      if (done && got == "slow x") {
        ++ok;
      } else if (!done && done.error().code != code::kUnavailable && done.error().code != code::kServer) {
        faults.add(to_json(done.error()));
      }
      co_await loop.yield();
    }
    --running;
  }
};

Task<Result<void>> slow(const rpc::Context&, const StringValue& in, StringValue& out) {
  for (int i = 0; i < 5; ++i) co_await Loop::current()->yield();
  out.set_value("slow " + in.value());
  co_return Result<void>();
}

TEST(App, StopUnderLoadFinishesWhatRuns) {
  Load load;
  Process process;
  App gate(process, {.name = "gate"});
  App game(process, {.name = "game"});  // Stopped first, while the gate goes on calling.
  game.add_handler("Test.Slow", &slow);
  gate.before_stop([&]() -> Task<Result<void>> {
    load.on = false;
    while (load.running > 0) co_await Loop::current()->yield();
    co_return Result<void>();
  });
  ASSERT_TRUE(start(process, {"--loops=3"}));
  load.running = 30;
  for (int i = 0; i < load.running; ++i) {
    Loop& loop = process.runtime().loop(static_cast<std::size_t>(i) % 3);
    loop.post([&] { spawn(load.run(gate, loop)); });
  }
  EXPECT_TRUE(eventually([&] { return load.ok > 300; }));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
  EXPECT_THAT(load.faults.get(), ElementsAre());
}

// ---- topics -----------------------------------------------------------------------------------------------------

Task<Result<void>> publish(App& app, std::string topic, std::string text, Meta meta = {}) {
  StringValue message;
  message.set_value(std::move(text));
  co_return co_await app.pub(std::move(topic), meta, message);
}

TEST(App, SubscribersGetMessageAndMetadata) {
  Process process;
  App gate(process, {.name = "gate"});
  App game(process, {.name = "game"});
  Lines lines;
  gate.add_pub("evt");
  game.add_sub("evt", [&](const Meta& meta, const StringValue& message) -> Result<void> {
    lines.add(fmt::format("{} {} {} {} {}", message.value(), meta.get("Role-Id"), meta.get("Micro-Topic"),
                          meta.get("Micro-From-Service"), meta.has("Content-Type")));
    return {};
  });
  game.add_sub("evt", [&](const Meta&, const StringValue&) -> Task<Result<void>> {
    co_await Loop::current()->yield();
    lines.add("second");
    co_return Result<void>();
  });
  ASSERT_TRUE(start(process));
  EXPECT_TRUE(on_loop(process, publish(gate, "evt", "hello", Meta{{"role-id", "7"}})));
  EXPECT_TRUE(eventually([&] { return lines.get().size() == 2; }));
  EXPECT_THAT(lines.get(), ::testing::UnorderedElementsAre("hello 7 evt gate false", "second"));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST(App, OneNodeOfAQueueGetsEachMessage) {
  Process process;
  App first(process, {.name = "game"});
  App second(process, {.name = "game"});
  std::atomic<int> counts[2] = {0, 0};
  int index = 0;
  for (App* app : {&first, &second}) {
    app->add_pub("evtq");
    app->add_sub_queue("evtq", [&count = counts[index++]](const Meta&, const StringValue&) -> Result<void> {
      ++count;
      return {};
    });
  }
  ASSERT_TRUE(start(process));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(on_loop(process, publish(first, "evtq", "x")));
  EXPECT_TRUE(eventually([&] { return counts[0] + counts[1] == 100; }));
  EXPECT_GT(counts[0], 0);
  EXPECT_GT(counts[1], 0);
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST(App, TopicMustBeAddedBeforeItIsPublishedTo) {
  Process process;
  App app(process, {.name = "game"});
  ASSERT_TRUE(start(process));
  const auto done = on_loop(process, publish(app, "evt", "x"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().detail, "topic evt: not added with add_pub");
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

Task<Result<void>> publish_raw(Process& process, std::string type, std::string body) {
  broker::Message message;
  if (!type.empty()) message.headers["Content-Type"] = type;
  message.body = std::move(body);
  return process.backends().broker->publish("evt", std::move(message), Deadline::never());
}

TEST(App, SubscribersReadTheContentTypesOfTheFramework) {
  Process process;
  App app(process, {.name = "game"});
  Lines lines;
  app.add_sub("evt", [&](const Meta&, const pb::Cancel& message) -> Result<void> {
    lines.add(message.name() + "/" + message.nodeid());
    return {};
  });
  ASSERT_TRUE(start(process));
  const std::string bytes("\x0a\x06nobody", 8);
  std::size_t expected = 0;
  for (const char* type :
       {"", "application/grpc", "application/grpc+proto", "application/protobuf", "application/octet-stream"}) {
    EXPECT_TRUE(on_loop(process, publish_raw(process, type, bytes)));
    ++expected;
    EXPECT_TRUE(eventually([&] { return lines.get().size() == expected; })) << type;
    EXPECT_EQ(lines.get().back(), "nobody/");
  }
  EXPECT_TRUE(on_loop(process, publish_raw(process, "text/plain", bytes)));
  EXPECT_TRUE(on_loop(process, publish_raw(process, "application/grpc+proto", "\xff\xff")));
  EXPECT_TRUE(on_loop(process, publish_raw(process, "application/json", "{nonsense")));
  EXPECT_TRUE(on_loop(process, publish_raw(process, "application/json", R"({"Name":"a","NodeId":"b"})")));
  EXPECT_TRUE(eventually([&] { return lines.get().size() == expected + 1; }));
  EXPECT_EQ(lines.get().back(), "a/b");
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

// ---- cancel -----------------------------------------------------------------------------------------------------

Task<Result<void>> cancel(App& app, std::string name, std::string uuid = {}) {
  co_return co_await app.cancel(std::move(name), std::move(uuid));
}

TEST(App, CancelByNameStopsAllNodesOfTheName) {
  Process process;
  App first(process, {.name = "game"});
  App second(process, {.name = "game"});
  App gate(process, {.name = "gate"});
  Lines lines;
  for (App* app : {&first, &second, &gate}) app->after_stop([&lines, app] { lines.add(app->name()); });
  ASSERT_TRUE(start(process));
  EXPECT_TRUE(on_loop(process, cancel(gate, "game")));
  EXPECT_TRUE(eventually([&] { return lines.get().size() == 2; }));
  EXPECT_THAT(lines.get(), ElementsAre("game", "game"));
  std::string got;
  EXPECT_FALSE(on_loop(process, call(gate, "game", "Test.Echo", "x", got)));
  EXPECT_TRUE(on_loop(process, cancel(gate, "gate")));  // The last one: the process ends by itself.
  EXPECT_EQ(process.wait(), exit_code::kStopped);
}

TEST(App, CancelByNodeStopsThatNodeOnly) {
  Process process;
  App first(process, {.name = "game"});
  App second(process, {.name = "game"});
  Lines lines;
  for (App* app : {&first, &second}) app->after_stop([&lines, app] { lines.add(app->id()); });
  ASSERT_TRUE(start(process));
  EXPECT_TRUE(on_loop(process, cancel(first, "game", "11111111-2222-3333-4444-555555555555")));
  EXPECT_TRUE(on_loop(process, cancel(first, "gate", first.id())));
  EXPECT_TRUE(on_loop(process, cancel(first, "game", second.id())));
  EXPECT_TRUE(eventually([&] { return lines.get().size() == 1; }));
  EXPECT_THAT(lines.get(), ElementsAre(second.id()));
  EXPECT_TRUE(on_loop(process, first.nodes().exists("game", first.id())).value());
  EXPECT_FALSE(on_loop(process, first.nodes().exists("game", second.id())).value());
  EXPECT_EQ(process.stop(), exit_code::kStopped);
  EXPECT_THAT(lines.get(), ElementsAre(second.id(), first.id()));
}

// ---- nodes ------------------------------------------------------------------------------------------------------

TEST(Nodes, AnswerAboutServicesAndNodes) {
  Process process;
  App gate(process, {.name = "gate"});
  App old(process, {.name = "game", .version = "v1"});
  App young(process, {.name = "game", .version = "v2"});
  old.add_metadata("zone", "7");
  old.add_metadata("protocol", "mine");
  ASSERT_TRUE(start(process));
  const Nodes& nodes = gate.nodes();
  EXPECT_TRUE(on_loop(process, nodes.exists("game")).value());
  EXPECT_FALSE(on_loop(process, nodes.exists("nope")).value());
  EXPECT_TRUE(on_loop(process, nodes.exists("game", old.id())).value());
  EXPECT_FALSE(on_loop(process, nodes.exists("gate", old.id())).value());

  const auto node = on_loop(process, nodes.get("game", old.id()));
  ASSERT_TRUE(node);
  EXPECT_EQ(node->id, old.node_id());
  EXPECT_EQ(node->metadata, (registry::Metadata{{"broker", "local"},
                                                {"protocol", "local"},
                                                {"registry", "local"},
                                                {"server", "local"},
                                                {"transport", "local"},
                                                {"zone", "7"}}));
  EXPECT_EQ(on_loop(process, nodes.get("game", gate.id())).error().code, code::kNotFound);

  EXPECT_EQ(on_loop(process, nodes.list("game"))->size(), 2);
  EXPECT_EQ(on_loop(process, nodes.list("nope")).error().code, code::kNotFound);
  EXPECT_EQ(on_loop(process, nodes.list_version("game", "v2"))->at(0).id, young.node_id());
  EXPECT_THAT(on_loop(process, nodes.ids("game")).value(), ::testing::UnorderedElementsAre(old.id(), young.id()));
  EXPECT_EQ(on_loop(process, nodes.exclude("game", old.id()))->at(0).id, young.node_id());
  const auto in_zone = [](const registry::Node& each) { return each.metadata.contains("zone"); };
  EXPECT_EQ(on_loop(process, nodes.filter("game", in_zone))->size(), 1);
  EXPECT_EQ((*on_loop(process, nodes.services()))->size(), 3);

  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) seen.insert(on_loop(process, nodes.random("game")).value());
  EXPECT_EQ(seen.size(), 2);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(on_loop(process, old.nodes().random("game")).value(), old.id());
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

TEST(App, IdIsAUuidOfItsOwn) {
  Process process;
  const App first(process, {.name = "game"});
  const App second(process, {.name = "game"});
  EXPECT_THAT(first.id(), ::testing::MatchesRegex("[0-9a-f-]{36}"));
  EXPECT_EQ(first.node_id(), "game-" + first.id());
  EXPECT_NE(first.id(), second.id());
}

// ---- backends ---------------------------------------------------------------------------------------------------

// A registry that fails as often as it is told.
class FlakyRegistry final : public registry::Registry {
 public:
  explicit FlakyRegistry(Loop& home) : real_(home) {}
  std::atomic<int> failures{0};
  std::atomic<int> adds{0};

  Task<Result<void>> add(registry::Service service, registry::AddOptions options) override {
    ++adds;
    if (failures-- > 0) return fail(code::kUnavailable, "registry is away");
    return real_.add(std::move(service), options);
  }
  Task<Result<void>> remove(std::string service, std::string id, Deadline deadline) override {
    return real_.remove(std::move(service), std::move(id), deadline);
  }
  Task<Result<registry::Services>> get(std::string service, Deadline deadline) override {
    return real_.get(std::move(service), deadline);
  }
  Task<Result<registry::Services>> list(Deadline deadline) override { return real_.list(deadline); }
  std::unique_ptr<registry::Watch> watch(std::string service, Loop& loop, registry::EventHandler handler) override {
    return real_.watch(std::move(service), loop, std::move(handler));
  }
  const std::atomic<std::uint64_t>& version() const override { return real_.version(); }
  std::string_view kind() const override { return "flaky"; }

 private:
  registry::LocalRegistry real_;
};

TEST(App, RegistryThatIsAwayDoesNotKeepItFromStarting) {
  ManualClock clock;
  Process process({.clock = &clock});
  std::shared_ptr<FlakyRegistry> registry;
  process.set_backends([&](const CommonFlags&, Runtime& runtime) -> Result<Backends> {
    registry = std::make_shared<FlakyRegistry>(runtime.loop(0));
    registry->failures = 2;
    return Backends{.registry = registry, .broker = {}, .transports = {}};
  });
  App app(process, {.name = "game"});
  ASSERT_TRUE(start(process, {"--drain_delay=0s"}));  // Nobody moves the clock while it stops.
  const auto known = [&] { return on_loop(process, app.nodes().exists("game")).value(); };
  EXPECT_FALSE(known());
  for (int i = 2; i <= 3; ++i) {
    EXPECT_FALSE(known());
    clock.advance(std::chrono::seconds(30));
    EXPECT_TRUE(eventually([&] {
      process.runtime().loop(0).post([] {});
      return registry->adds == i;
    }));
  }
  EXPECT_TRUE(eventually(known));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
  registry.reset();
}

TEST(App, IsRefreshedBeforeItsLeaseEndsAndGoneAfterStop) {
  ManualClock clock;
  Process process({.clock = &clock});
  App gate(process, {.name = "gate"});
  App game(process, {.name = "game"});
  // The clock is moved while game may still be stopping.
  ASSERT_TRUE(start(process, {"--stop_timeout=10m"}));
  const auto known = [&](std::string name) { return on_loop(process, gate.nodes().exists(std::move(name))).value(); };
  for (int i = 0; i < 6; ++i) {
    clock.advance(std::chrono::seconds(30));
    // A turn for the timers, another for what they posted.
    for (int turn = 0; turn < 3; ++turn) EXPECT_TRUE(known("game"));
  }
  std::atomic<bool> stopped = false;
  on_loop(process, [](App& app, std::atomic<bool>& out) -> Task<bool> {
    app.after_stop([&out] { out = true; });
    co_return true;
  }(game, stopped));
  game.request_stop();
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
  EXPECT_FALSE(known("game"));
  clock.advance(std::chrono::seconds(30));
  for (int turn = 0; turn < 3; ++turn) EXPECT_FALSE(known("game"));
  EXPECT_EQ(process.stop(), exit_code::kStopped);
}

class DeadBroker final : public broker::Broker {
 public:
  Task<Result<void>> connect(Deadline) override { return fail(code::kUnavailable, "broker 127.0.0.1:4222: refused"); }
  Task<Result<void>> publish(std::string, broker::Message, Deadline) override { return Result<void>(); }
  Result<std::unique_ptr<broker::Subscription>> subscribe(broker::SubscribeOptions, broker::Handler) override {
    return fail(code::kUnavailable, "not connected");
  }
  Task<void> disconnect(Deadline) override { co_return; }
  std::string_view kind() const override { return "dead"; }
};

TEST(App, BrokerThatCannotBeReachedFailsTheStart) {
  Process process;
  process.set_backends([](const CommonFlags&, Runtime&) -> Result<Backends> {
    return Backends{.registry = {}, .broker = std::make_shared<DeadBroker>(), .transports = {}};
  });
  App app(process, {.name = "game"});
  const auto started = start(process);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().detail, "broker 127.0.0.1:4222: refused");
  EXPECT_EQ(process.wait(), exit_code::kStartFailed);
}

TEST(App, BackendsThatCannotBeMadeFailTheStart) {
  Process process;
  process.set_backends([](const CommonFlags& flags, Runtime&) -> Result<Backends> {
    return fail(code::kInvalid, "registry_address {}: no port", flags.registry_address.at(0));
  });
  App app(process, {.name = "game"});
  const auto started = start(process, {"--registry_address=nowhere"});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().detail, "registry_address nowhere: no port");
}

// ---- dev mode ---------------------------------------------------------------------------------------------------

TEST(App, DevModeLogsEachRequestAndMessageWithItsTime) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  {
    log::Logging logging({.level = log::Level::kInfo, .fd = pipe[1], .colour = false});
    Process process;
    App game(process, {.name = "game"});
    game.add_handler("Test.Echo", &echo);
    game.add_handler("Test.Fail", [](const rpc::Context&, const StringValue&, StringValue&) -> Result<void> {
      return fail(code::kInvalid, "bad 7");
    });
    std::atomic<int> handled{0};
    game.add_sub("evt", [&](const Meta&, const StringValue&) -> Result<void> {
      ++handled;
      return {};
    });
    App gate(process, {.name = "gate"});
    gate.add_pub("evt");
    ASSERT_TRUE(start(process, {"--dev"}));
    std::string got;
    EXPECT_TRUE(on_loop(process, call(gate, "game", "Test.Echo", "x", got)));
    EXPECT_FALSE(on_loop(process, call(gate, "game", "Test.Fail", "x", got)));
    EXPECT_TRUE(on_loop(process, publish(gate, "evt", "x")));
    EXPECT_TRUE(eventually([&] { return handled == 1; }));
    EXPECT_EQ(process.stop(), exit_code::kStopped);
  }
  ::close(pipe[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  ::close(pipe[0]);
  EXPECT_THAT(text, ::testing::ContainsRegex("game: Test.Echo from gate: ok, [0-9.]+[^ ]*s"));
  EXPECT_THAT(text, HasSubstr(R"(game: Test.Fail from gate: {"id":")"));
  EXPECT_THAT(text, ::testing::ContainsRegex("game: topic evt: ok, [0-9.]+[^ ]*s"));
}

}  // namespace
}  // namespace mg
