// A C++ node and a go-micro node of one cluster, by real etcd and NATS: each is to the other as its own kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/e2e/member.h"
#include "tests/interop/go_peer.h"
#include "tests/interop/node.h"

namespace mg::interop {
namespace {

using boost::json::object;
using boost::json::value;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using testing::Server;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// All codes that go-micro maps to gRPC codes, those of micro-game, and some of a game's own.
constexpr int kCodes[] = {1,   2,   3,   4,   90,  91,  99,  400, 401, 403,   404,
                          408, 409, 412, 429, 500, 501, 503, 504, 999, 10001, 2147483647};

std::string text(const value& from) {
  return std::string(from.as_string());
}
probe::Message message(std::string of, std::int32_t code = 0, std::int64_t number = 0, std::string data = {}) {
  probe::Message made;
  made.set_text(std::move(of));
  made.set_code(code);
  made.set_number(number);
  made.set_data(std::move(data));
  return made;
}

class Interop : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  GoPeer::Options go(std::string name) const {
    return {.name = std::move(name), .registry = etcd_.address(), .broker = nats_.address()};
  }
  // Both sides, each with a service of its own.
  void start() {
    const auto started = cpp_.start();
    ASSERT_TRUE(started) << to_json(started.error());
    go_.emplace(go("go"));
  }
  object call(const std::string& method, object in, object more = {}) {
    object command{{"do", "call"}, {"service", "cpp"}, {"endpoint", "Probe." + method}, {"in", std::move(in)}};
    for (auto& each : more) command[each.key()] = each.value();
    return go_->ask(std::move(command));
  }
  std::set<std::string> nodes_by_go(const std::string& name) {
    std::set<std::string> ids;
    const object answer = go_->ask({{"do", "nodes"}, {"service", name}});
    for (const value& node : answer.at("out").as_array()) ids.insert(text(node.at("id")));
    return ids;
  }
  // Adds what Go has heard since; by topic or endpoint.
  void listen() {
    const object answer = go_->ask({{"do", "heard"}});
    const value* const all = answer.if_contains("out");
    if (!all || !all->is_array()) return;
    for (const value& each : all->as_array()) heard_[text(each.at("what"))].push_back(each.as_object());
  }
  bool go_heard(const std::string& what, const std::string& words) {
    listen();
    for (const object& each : heard_[what]) {
      if (text(each.at("text")) == words) return true;
    }
    return false;
  }
  bool cpp_heard(const std::string& what, const std::string& words) {
    for (Heard& each : cpp_.heard.take()) cpp_all_.push_back(std::move(each));
    for (const Heard& each : cpp_all_) {
      if (each.what == what && each.text == words) return true;
    }
    return false;
  }

  Server etcd_ = Server::etcd();
  Server nats_ = Server::nats();
  Node cpp_{"cpp", etcd_, nats_};
  std::optional<GoPeer> go_;
  std::map<std::string, std::vector<object>> heard_;
  std::vector<Heard> cpp_all_;
};

// ---- registry ------------------------------------------------------------------------------------------------------

TEST_F(Interop, RecordsAreReadByBoth) {
  start();
  const object answer = go_->ask({{"do", "nodes"}, {"service", "cpp"}});
  ASSERT_EQ(answer.at("out").as_array().size(), 1) << serialize(value(answer));
  const object& seen = answer.at("out").as_array()[0].as_object();
  EXPECT_EQ(text(seen.at("id")), "cpp-" + cpp_.app.id());
  EXPECT_THAT(text(seen.at("address")), StartsWith("127.0.0.1:"));
  for (const auto& [key, word] : std::map<std::string, std::string>{
           {"broker", "nats"}, {"registry", "etcd"}, {"server", "grpc"}, {"transport", "grpc"}, {"protocol", "grpc"}}) {
    EXPECT_EQ(text(seen.at("metadata").at(key)), word);
  }

  ASSERT_TRUE(eventually([&] { return !cpp_.nodes("go").empty(); }));
  const auto node = cpp_.on_loop(cpp_.app.nodes().get("go", go_->id()));
  ASSERT_TRUE(node) << to_json(node.error());
  EXPECT_EQ(node->id, "go-" + go_->id());
  EXPECT_EQ(node->address, go_->address());

  EXPECT_EQ(go_->stop(), 0);
  EXPECT_TRUE(eventually([&] { return cpp_.nodes("go").empty(); }));
  go_.emplace(go("go"));
  EXPECT_TRUE(eventually([&] { return cpp_.nodes("go") == std::vector<std::string>{go_->id()}; }));
  EXPECT_EQ(cpp_.process.stop(), exit_code::kStopped);
  EXPECT_TRUE(eventually([&] { return nodes_by_go("cpp").empty(); }));
}

// Of the record behind `id`, as etcd tells it: with what it is written, when, how often; of etcd, how much was written.
object told(const Server& etcd, const std::string& name, const std::string& id) {
  const std::string key = "/micro/registry/" + name + "/" + name + "-" + id;
  const testing::Output of =
      testing::run_program({"etcdctl", "--endpoints=" + etcd.address(), "get", key, "-w", "json"});
  return boost::json::parse(of.text).as_object();
}
std::string record(const Server& etcd, const std::string& name, const std::string& id) {
  const std::string key = "/micro/registry/" + name + "/" + name + "-" + id;
  return testing::run_program({"etcdctl", "--endpoints=" + etcd.address(), "get", key, "--print-value-only"}).text;
}
// One text in the place of another, everywhere.
std::string with(std::string in, const std::string& old, const std::string& now) {
  for (std::size_t at = in.find(old); at != std::string::npos; at = in.find(old, at + now.size())) {
    in.replace(at, old.size(), now);
  }
  return in;
}

// But for what tells one node from another, and the keys of our own link, which Go does not look at.
TEST_F(Interop, RecordsAreTheSameToTheOctet) {
  start();
  const GoPeer theirs(go("both"));
  Node ours("both", etcd_, nats_);
  const std::int64_t before = told(etcd_, "both", theirs.id()).at("header").at("revision").as_int64();
  ASSERT_TRUE(ours.start());
  ASSERT_TRUE(eventually([&] { return record(etcd_, "both", ours.app.id()).contains("{"); }));

  const object go_told = told(etcd_, "both", theirs.id()), told_of_us = told(etcd_, "both", ours.app.id());
  EXPECT_EQ(told_of_us.at("header").at("revision").as_int64(), before + 1);  // One put, nothing besides.
  const object& go_kv = go_told.at("kvs").as_array().at(0).as_object();
  const object& our_kv = told_of_us.at("kvs").as_array().at(0).as_object();
  for (const object* kv : {&go_kv, &our_kv}) {
    EXPECT_EQ(kv->at("version"), 1);
    EXPECT_EQ(kv->at("create_revision"), kv->at("mod_revision"));
    EXPECT_NE(kv->at("lease"), 0);
  }
  EXPECT_NE(go_kv.at("lease"), our_kv.at("lease"));

  std::string value = record(etcd_, "both", ours.app.id());
  const std::string address = text(boost::json::parse(value).at("nodes").at(0).at("address"));
  std::string expected = with(record(etcd_, "both", theirs.id()), theirs.id(), ours.app.id());
  expected = with(expected, theirs.address(), address);
  for (std::size_t key; (key = value.find("\"mg-")) != std::string::npos;) {
    value.erase(key, value.find("\",\"", key) + 2 - key);
  }
  EXPECT_EQ(value, expected);

  EXPECT_EQ(ours.process.stop(), exit_code::kStopped);
  const object left = told(etcd_, "both", ours.app.id());
  EXPECT_FALSE(left.contains("kvs"));
  EXPECT_EQ(left.at("header").at("revision").as_int64(), before + 2);
}

// ---- topics --------------------------------------------------------------------------------------------------------

TEST_F(Interop, TopicsGoBothWaysWithMetadata) {
  start();
  ASSERT_TRUE(eventually([&] {
    return cpp_.pub("interop.all", "from C++", Meta{{"Role-Id", "7"}, {"snake_key", "x"}}) &&
           go_heard("interop.all", "from C++");
  }));
  const object& meta = heard_["interop.all"].front().at("meta").as_object();
  EXPECT_EQ(text(meta.at("Role-Id")), "7");
  EXPECT_EQ(text(meta.at("Snake_key")), "x");
  EXPECT_EQ(text(meta.at("Micro-Topic")), "interop.all");
  EXPECT_EQ(text(meta.at("Micro-From-Service")), "cpp");

  for (const char* type : {"", "application/json", "application/protobuf"}) {
    const std::string words = std::string("from Go ") + type;
    const object sent = go_->ask({{"do", "publish"},
                                  {"topic", "interop.all"},
                                  {"content_type", type},
                                  {"in", {{"Text", words}}},
                                  {"meta", {{"Role-Id", "8"}, {"snake_key", "y"}}}});
    ASSERT_FALSE(sent.contains("error")) << serialize(value(sent));
    ASSERT_TRUE(eventually([&] { return cpp_heard("interop.all", words); })) << type;
    const Meta& with = std::ranges::find(cpp_all_, words, &Heard::text)->meta;
    EXPECT_EQ(with.get("Role-Id"), "8");
    EXPECT_EQ(with.get("Snake_key"), "y");
    EXPECT_EQ(with.get("Micro-From-Service"), "go");
  }
}

TEST_F(Interop, MembersOfAQueueShareItsMessages) {
  start();
  // Until both have had one, so that both subscriptions are there.
  int sent = 0;
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(cpp_.pub("interop.queue", std::to_string(sent++)));
    listen();
    cpp_heard("", "");
    return !heard_["interop.queue"].empty() && !cpp_all_.empty();
  }));
  for (int i = 0; i < 20; ++i) {
    go_->ask({{"do", "publish"}, {"topic", "interop.queue"}, {"in", {{"Text", std::to_string(sent++)}}}});
  }
  std::multiset<std::string> all;
  EXPECT_TRUE(eventually([&] {
    listen();
    cpp_heard("", "");
    all.clear();
    for (const object& each : heard_["interop.queue"]) all.insert(text(each.at("text")));
    for (const Heard& each : cpp_all_) all.insert(each.text);
    return all.contains(std::to_string(sent - 1)) && all.size() >= static_cast<std::size_t>(sent);
  })) << all.size()
      << " of " << sent;
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size()) << "a message came twice";
}

TEST_F(Interop, CancelStopsNodesOfTheOtherKind) {
  start();
  ASSERT_TRUE(eventually([&] { return cpp_.pub("interop.all", "x") && go_heard("interop.all", "x"); }));
  ASSERT_TRUE(cpp_.on_loop(cpp_.app.cancel("go", "another node")));
  ASSERT_TRUE(cpp_.on_loop(cpp_.app.cancel("go", go_->id())));
  EXPECT_EQ(go_->wait(), 0);
  go_.emplace(go("go"));
  go_->ask({{"do", "cancel"}, {"service", "cpp"}, {"node_id", cpp_.app.id()}});
  EXPECT_EQ(cpp_.process.wait(), exit_code::kStopped);
}

// ---- calls ---------------------------------------------------------------------------------------------------------

TEST_F(Interop, MetadataKeysAreReadInTheirCase) {
  start();
  const std::map<std::string, std::string> keys = {
      {"Role-Id", "Role-Id"},     {"camelCaseKey", "Camelcasekey"}, {"snake_key", "Snake_key"},  {"dot.key", "Dot.Key"},
      {"upper-key", "Upper-Key"}, {"Client-Id", "Client-Id"},       {"Account-Id", "Account-Id"}};
  object sent;
  Meta meta;
  for (const auto& [key, read] : keys) {
    const std::string word = key == "Account-Id" ? "" : "value of " + key;
    sent[key] = word;
    meta.set(key, word);
  }
  for (const char* type : {"", "application/grpc+json"}) {
    const object answer =
        call("Echo", {{"Code", 7}, {"Number", 1LL << 40}, {"Data", "AAH/"}}, {{"meta", sent}, {"content_type", type}});
    ASSERT_FALSE(answer.contains("error")) << serialize(value(answer));
    const value& out = answer.at("out");
    EXPECT_EQ(out.at("Code").as_int64(), 7);
    EXPECT_EQ(out.at("Number").as_int64(), 1LL << 40);
    EXPECT_EQ(text(out.at("Data")), "AAH/");
    const object seen = boost::json::parse(text(out.at("Text"))).as_object();
    for (const auto& [key, read] : keys) {
      ASSERT_TRUE(seen.contains(read)) << read << " in " << serialize(value(seen));
      EXPECT_EQ(text(seen.at(read)), text(sent.at(key)));
    }
    EXPECT_EQ(text(seen.at("Micro-From-Service")), "go");
  }

  const auto out = cpp_.call("go", "Echo", message("", 7, 1LL << 40, std::string("\0\1\xFF", 3)), meta);
  ASSERT_TRUE(out) << to_json(out.error());
  EXPECT_EQ(out->code(), 7);
  EXPECT_EQ(out->number(), 1LL << 40);
  EXPECT_EQ(out->data(), std::string("\0\1\xFF", 3));
  const object seen = boost::json::parse(out->text()).as_object();
  for (const auto& [key, read] : keys) {
    ASSERT_TRUE(seen.contains(read)) << read << " in " << out->text();
    EXPECT_EQ(text(seen.at(read)), meta.get(key));
  }
  EXPECT_EQ(text(seen.at("Micro-From-Service")), "cpp");
}

TEST_F(Interop, ErrorsOfEveryCodeArriveWhole) {
  start();
  for (const int code : kCodes) {
    const std::string words = "detail of " + std::to_string(code) + " <&> \"quoted\" 张三";
    const object answer = call("Fail", {{"Code", code}, {"Text", words}});
    ASSERT_TRUE(answer.contains("error")) << code;
    const value& error = answer.at("error");
    EXPECT_TRUE(error.at("micro").as_bool());
    EXPECT_EQ(error.at("code").as_int64(), code);
    EXPECT_EQ(text(error.at("detail")), words);
    EXPECT_EQ(text(error.at("status")), "status " + words);
    EXPECT_EQ(text(error.at("id")), cpp_.app.id());

    const auto done = cpp_.call("go", "Fail", message(words, code));
    ASSERT_FALSE(done) << code;
    EXPECT_EQ(done.error().code, code);
    EXPECT_EQ(done.error().detail, words);
    EXPECT_EQ(done.error().status, "status " + words);
    EXPECT_EQ(done.error().id, go_->id());
  }
}

TEST_F(Interop, WhatIsNoErrorOfItsOwnBecomesOne) {
  start();
  const object panic = call("Fail", {{"Text", "boom"}, {"Data", "cGFuaWM="}});
  EXPECT_EQ(panic.at("error").at("code").as_int64(), 500);
  EXPECT_EQ(text(panic.at("error").at("detail")), "panic recovered: boom");
  const auto theirs = cpp_.call("go", "Fail", message("boom", 0, 0, "panic"));
  ASSERT_FALSE(theirs);
  EXPECT_EQ(theirs.error().code, 500);
  EXPECT_THAT(theirs.error().detail, HasSubstr("panic recovered: boom"));
  const auto plain = cpp_.call("go", "Fail", message("just words", 0, 0, "plain"));
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().detail, "just words");

  for (const char* method : {"Nope", "no.Such"}) {
    const object unknown = call(method, {});
    ASSERT_TRUE(unknown.contains("error")) << method;
    EXPECT_EQ(unknown.at("error").at("code").as_int64(), 500) << method;
  }
  EXPECT_EQ(text(call("Nope", {}).at("error").at("detail")), "unknown service Probe.Nope");
  EXPECT_EQ(cpp_.call("go", "Nope", message("")).error().detail, "unknown service Probe.Nope");
  EXPECT_EQ(cpp_.call("nowhere", "Who", message("")).error().detail, "service nowhere: not found");
  EXPECT_EQ(cpp_.call("go", "Who", message(""), {}, "no-such-node").error().detail,
            "error selecting go node: none available");
  EXPECT_EQ(text(call("Who", {}, {{"node", "no-such-node"}}).at("error").at("detail")),
            "error selecting cpp node: none available");
}

TEST_F(Interop, DeadlinesAreKeptOnBothSides) {
  start();
  const object in_time = call("Slow", {{"Number", 1}}, {{"timeout_ms", 5000}});
  ASSERT_FALSE(in_time.contains("error")) << serialize(value(in_time));
  EXPECT_GT(in_time.at("out").at("Number").as_int64(), 0);
  EXPECT_LE(in_time.at("out").at("Number").as_int64(), 5000);
  const object late = call("Slow", {{"Number", 2000}}, {{"timeout_ms", 100}});
  EXPECT_EQ(late.at("error").at("code").as_int64(), 408);

  const auto theirs = cpp_.call("go", "Slow", message("", 0, 1), {}, {}, std::chrono::seconds(5));
  ASSERT_TRUE(theirs) << to_json(theirs.error());
  EXPECT_GT(theirs->number(), 0);
  EXPECT_LE(theirs->number(), 5000);
  const auto too_late = cpp_.call("go", "Slow", message("", 0, 20'000), {}, {}, std::chrono::milliseconds(100));
  ASSERT_FALSE(too_late);
  EXPECT_EQ(too_late.error().code, code::kTimeout);
  EXPECT_TRUE(eventually(
      [&] { return go_heard("slow", "context deadline exceeded") || go_heard("slow", "context canceled"); }));
}

TEST_F(Interop, GivingUpIsSeenByGo) {
  start();
  struct Run {
    static Task<void> wait(Task<Result<void>> call) { (void)co_await std::move(call); }
    static Task<bool> give_up(App& app, bool awaited) {
      probe::Message out;
      const probe::Message in = message("", 0, 200'000);
      Loop& loop = *Loop::current();
      const rpc::Context context(Deadline::after(loop.clock(), std::chrono::seconds(150)));
      std::optional<Task<Result<void>>> call(app.call("go", "Probe.Slow", context, in, out));
      std::optional<Task<void>> waiting;
      if (awaited) {
        waiting.emplace(wait(*std::exchange(call, std::nullopt)));
        waiting->start();
      }
      co_await loop.sleep_until(loop.now() + std::chrono::milliseconds(100));
      call.reset();
      waiting.reset();
      co_return true;
    }
  };
  ASSERT_TRUE(cpp_.call("go", "Who", message("")));
  for (const bool awaited : {false, true}) {
    heard_.clear();
    ASSERT_TRUE(cpp_.on_loop(Run::give_up(cpp_.app, awaited)));
    EXPECT_TRUE(eventually([&] { return go_heard("slow", "context canceled"); })) << awaited;
  }

  // A handler here runs on; who gave up has its error at once.
  const object gone = call("Slow", {{"Number", 300}}, {{"cancel_ms", 50}});
  EXPECT_EQ(gone.at("error").at("code").as_int64(), 408);
  EXPECT_TRUE(eventually([&] { return cpp_heard("slow", "done"); }));
}

TEST_F(Interop, LargeMessagesPassUpToTheLimit) {
  start();
  const std::string large(3'000'000, 'x');
  const auto out = cpp_.call("go", "Echo", message("", 0, 0, large));
  ASSERT_TRUE(out) << to_json(out.error());
  EXPECT_EQ(out->data().size(), large.size());
  EXPECT_FALSE(cpp_.call("go", "Echo", message("", 0, 0, std::string(4'500'000, 'x'))));
  const object back = call("Echo", {{"Data", std::string(4'000'000, 'A')}});  // 3,000,000 octets.
  ASSERT_FALSE(back.contains("error"));
  EXPECT_EQ(text(back.at("out").at("Data")).size(), 4'000'000);
  EXPECT_TRUE(call("Echo", {{"Data", std::string(6'000'000, 'A')}}).contains("error"));
}

TEST_F(Interop, DebugIsAnsweredByBoth) {
  start();
  const object health = go_->ask({{"do", "health"}, {"service", "cpp"}, {"endpoint", "Debug.Health"}});
  EXPECT_EQ(text(health.at("out").at("status")), "ok");
  const object stats = go_->ask({{"do", "stats"}, {"service", "cpp"}, {"endpoint", "Debug.Stats"}});
  ASSERT_TRUE(stats.contains("out")) << serialize(value(stats));
  EXPECT_GT(stats.at("out").at("timestamp").to_number<std::int64_t>(), 1'600'000'000);
  probe::Message status;  // Text is field 1, as `status` is.
  const rpc::Context context;
  const probe::Message nothing;
  ASSERT_TRUE(cpp_.on_loop([&] { return cpp_.app.call("go", "Debug.Health", context, nothing, status); }));
  EXPECT_EQ(status.text(), "ok");
}

// ---- streams -------------------------------------------------------------------------------------------------------

struct Talk {
  // The echoes of `texts`, and how it ended: "" by itself.
  static Task<std::pair<std::vector<std::string>, std::string>> run(App& app, std::vector<std::string> texts) {
    std::pair<std::vector<std::string>, std::string> outcome;
    probe::Probe::Client probes(app, "go");
    const Meta meta{{"Role-Id", "7"}};
    const rpc::Context context(meta);
    auto stream = co_await probes.chat(context);
    if (!stream) {
      outcome.second = stream.error().detail;
      co_return outcome;
    }
    for (const std::string& each : texts) {
      probe::Message out;
      if (auto sent = co_await stream->write(message(each)); !sent) break;
      const Result<bool> more = co_await stream->read(out);
      if (!more) {
        outcome.second = more.error().detail;
        co_return outcome;
      }
      if (!*more) co_return outcome;
      outcome.first.push_back(out.text());
    }
    stream->close_writes();
    probe::Message out;
    const Result<bool> more = co_await stream->read(out);
    if (!more) outcome.second = more.error().detail;
    if (more && *more) outcome.second = "more came";
    co_return outcome;
  }
};

TEST_F(Interop, StreamsGoBothWays) {
  start();
  const auto chat = [&](value texts) {
    return go_->ask({{"do", "stream"}, {"service", "cpp"}, {"endpoint", "Probe.Chat"}, {"texts", std::move(texts)}});
  };
  const object echoed = chat({"a", "b", "c"});
  ASSERT_FALSE(echoed.contains("error")) << serialize(value(echoed));
  EXPECT_EQ(serialize(echoed.at("out")), R"(["a","b","c"])");
  const object ended = chat({"a", "end"});
  EXPECT_EQ(serialize(ended.at("out")), R"(["a"])");
  EXPECT_EQ(text(ended.at("error").at("text")), "EOF");
  const object failed = chat({"a", "fail"});
  EXPECT_THAT(text(failed.at("error").at("text")), StartsWith("rpc error: code = PermissionDenied desc = {"));
  EXPECT_THAT(text(failed.at("error").at("text")), HasSubstr(R"("code":403,"detail":"no more")"));

  using Echoes = std::vector<std::string>;
  const auto by_itself = cpp_.on_loop(Talk::run(cpp_.app, {"a", "b", "c"}));
  EXPECT_EQ(by_itself.first, (Echoes{"a", "b", "c"}));
  EXPECT_EQ(by_itself.second, "");
  EXPECT_TRUE(eventually([&] { return go_heard("chat", "EOF"); }));
  const auto end = cpp_.on_loop(Talk::run(cpp_.app, {"a", "end"}));
  EXPECT_EQ(end.first, Echoes{"a"});
  EXPECT_EQ(end.second, "");
  const auto fail = cpp_.on_loop(Talk::run(cpp_.app, {"fail"}));
  EXPECT_THAT(fail.first, IsEmpty());
  EXPECT_EQ(fail.second, "no more");
}

// ---- several nodes, faults -----------------------------------------------------------------------------------------

TEST_F(Interop, MixedNodesOfOneServiceShareItsCalls) {
  start();
  const GoPeer their(go("both"));
  Node our("both", etcd_, nats_);
  ASSERT_TRUE(our.start());
  const std::set<std::string> all{their.id(), our.app.id()};
  std::set<std::string> by_go, by_cpp;
  EXPECT_TRUE(eventually([&] {
    const object answer = go_->ask({{"do", "call"}, {"service", "both"}, {"endpoint", "Probe.Who"}});
    if (answer.contains("out")) by_go.insert(text(answer.at("out").at("Text")));
    if (const auto out = cpp_.call("both", "Who", message(""))) by_cpp.insert(out->text());
    return by_go == all && by_cpp == all;
  }));
  for (const std::string& id : all) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(cpp_.call("both", "Who", message(""), {}, id)->text(), id);
      const object answer = go_->ask({{"do", "call"}, {"service", "both"}, {"endpoint", "Probe.Who"}, {"node", id}});
      EXPECT_EQ(text(answer.at("out").at("Text")), id);
    }
  }
}

TEST_F(Interop, AKilledGoNodeIsLeftAndItsSuccessorFound) {
  start();
  GoPeer::Options options = go("both");
  options.ttl = "4s";
  std::optional<GoPeer> first(options), second(options);
  ASSERT_TRUE(eventually([&] { return cpp_.nodes("both").size() == 2; }));
  first->kill();
  // Every call finds the one that is left, from the first on: those that did not run are tried again there.
  for (int i = 0; i < 20; ++i) {
    const auto out = cpp_.call("both", "Who", message(""));
    ASSERT_TRUE(out) << to_json(out.error());
    EXPECT_EQ(out->text(), second->id());
  }
  options.address = first->address();
  GoPeer successor(options);
  EXPECT_TRUE(eventually([&] {
    const auto out = cpp_.call("both", "Who", message(""));
    return out && out->text() == successor.id();
  }));
  // The old one's record is gone with its lease; nobody is called by its name any more.
  EXPECT_TRUE(eventually([&] {
    const auto nodes = cpp_.nodes("both");
    return std::set<std::string>(nodes.begin(), nodes.end()) == std::set<std::string>{second->id(), successor.id()};
  }));
  EXPECT_FALSE(cpp_.call("both", "Who", message(""), {}, first->id()));
}

TEST_F(Interop, AStoppedNodeIsLeftByGo) {
  start();
  auto our = std::make_unique<Node>("both", etcd_, nats_);
  ASSERT_TRUE(our->start());
  const auto who = [&] { return go_->ask({{"do", "call"}, {"service", "both"}, {"endpoint", "Probe.Who"}}); };
  EXPECT_EQ(text(who().at("out").at("Text")), our->app.id());
  EXPECT_EQ(our->process.stop(), exit_code::kStopped);
  our = std::make_unique<Node>("both", etcd_, nats_);
  ASSERT_TRUE(our->start());
  EXPECT_TRUE(eventually([&] {
    const object answer = who();
    return answer.contains("out") && text(answer.at("out").at("Text")) == our->app.id();
  }));
}

TEST_F(Interop, AKilledNodeIsLeftByGo) {
  go_.emplace(go("go"));
  const auto node = [&] {
    return test::node("both", {test::registry_flag(etcd_), "--register_ttl=4", "--register_interval=2"});
  };
  Server one = node(), two = node();
  const std::string killed = test::uuid_of(one), second = test::uuid_of(two);
  const auto who = [&] {
    const object answer = go_->ask({{"do", "call"}, {"service", "both"}, {"endpoint", "Test.Who"}});
    return answer.contains("out") ? text(answer.at("out").at("Text")) : "";
  };
  std::set<std::string> answered;
  EXPECT_TRUE(
      eventually([&] { return answered.insert(who()), answered.contains(killed) && answered.contains(second); }));
  one.kill();
  EXPECT_TRUE(eventually([&] { return nodes_by_go("both") == std::set{"both-" + second}; }));
  // What Go still remembers of it is an error at worst.
  for (int i = 0; i < 20; ++i) EXPECT_THAT(who(), ::testing::AnyOf(second, ""));
  one.start();
  EXPECT_TRUE(eventually([&] { return who() == test::uuid_of(one); }));
}

// A watcher of Go takes the first event of an answer of etcd only: each record is a change of its own. It begins to
// watch up to 0.1 s after it first asked for a service; what came between it sees when its cache has aged, a minute
// later.
TEST_F(Interop, NodesThatComeAndGoTogetherAreSeenByGo) {
  start();
  std::vector<std::unique_ptr<Node>> ours;
  const auto add = [&] {
    ours.push_back(std::make_unique<Node>("both", etcd_, nats_));
    ASSERT_TRUE(ours.back()->start());
  };
  const auto who = [&] {
    const object answer = go_->ask({{"do", "call"}, {"service", "both"}, {"endpoint", "Probe.Who"}});
    return answer.contains("out") ? text(answer.at("out").at("Text")) : "";
  };
  std::set<std::string> all, seen;
  const auto sees_all = [&] { return seen.insert(who()), std::ranges::includes(seen, all); };
  add();
  const std::string first = ours.front()->app.id();
  ASSERT_TRUE(eventually([&] { return who() == first; }));
  // When one that came later is seen, it watches.
  bool watches = false;
  while (!watches && ours.size() < 10) {
    add();
    for (int i = 0; i < 200 && !watches; ++i) watches = who() == ours.back()->app.id();
  }
  ASSERT_TRUE(watches);
  all = {first, ours.back()->app.id()};
  for (int i = 0; i < 3; ++i) {
    add();
    all.insert(ours.back()->app.id());
  }
  EXPECT_TRUE(eventually(sees_all));
  for (std::size_t i = 1; i < ours.size(); ++i) ours[i]->process.request_stop();
  for (std::size_t i = 1; i < ours.size(); ++i) EXPECT_EQ(ours[i]->process.wait(), exit_code::kStopped);
  EXPECT_TRUE(eventually([&] {
    for (int i = 0; i < 20; ++i) {
      if (who() != first) return false;
    }
    return true;
  }));
}

TEST_F(Interop, BothComeBackWhenEtcdHasLostItsData) {
  start();
  ASSERT_TRUE(cpp_.call("go", "Who", message("")));
  etcd_.kill();
  etcd_.wipe();
  etcd_.start();
  EXPECT_TRUE(eventually([&] { return nodes_by_go("cpp").contains("cpp-" + cpp_.app.id()); }));
  EXPECT_TRUE(eventually([&] {
    const object answer = call("Who", {});
    return answer.contains("out") && text(answer.at("out").at("Text")) == cpp_.app.id();
  }));
}

}  // namespace
}  // namespace mg::interop
