#include "mg/registry/etcd/etcd_registry.h"

#include <atomic>
#include <thread>

#include "mg/runtime/runtime.h"
#include "registry/registry_contract.h"
#include "tests/support/server.h"

namespace mg::registry::etcd {
namespace {

using mg::testing::run_program;
using mg::testing::Server;

constexpr auto kSoon = std::chrono::seconds(15);

// One for all tests that do not harm it; each has keys of its own there.
Server& shared_etcd() {
  static Server server = Server::etcd();
  return server;
}
std::string own_prefix() {
  static int number = 0;
  return "/test" + std::to_string(++number) + "/micro/registry/";
}

std::shared_ptr<EtcdRegistry> connect_now(EtcdOptions options, Loop& loop) {
  auto made = connect(std::move(options), loop);
  EXPECT_TRUE(made) << to_json(made.error());
  const auto ready = testing::await_on(loop, (*made)->ready(Deadline::after(loop.clock(), kSoon)));
  EXPECT_TRUE(ready) << to_json(ready.error());
  EXPECT_TRUE(testing::run_until(loop, [&] { return (*made)->stats().connected; }));
  return *made;
}

class EtcdUnderTest final : public RegistryUnderTest {
 public:
  Loop& loop() override { return loop_; }
  Registry& one() override { return *one_; }
  Registry& other() override { return *other_; }
  void pass(Clock::Duration time) override {
    const auto end = std::chrono::steady_clock::now() + time;
    testing::run_until(loop_, [&] { return std::chrono::steady_clock::now() > end; });
  }

 private:
  const std::string prefix_ = own_prefix();
  Loop loop_;
  std::shared_ptr<EtcdRegistry> one_ = connect_now({.endpoints = {shared_etcd().address()}, .prefix = prefix_}, loop_);
  std::shared_ptr<EtcdRegistry> other_ =
      connect_now({.endpoints = {shared_etcd().address()}, .prefix = prefix_}, loop_);
};

INSTANTIATE_TEST_SUITE_P(Etcd, RegistryContract,
                         ::testing::Values(RegistryBackend{"Etcd", [] { return std::make_unique<EtcdUnderTest>(); }}),
                         registry_backend_name);

// ---- beside etcd itself ---------------------------------------------------------------------------------------------

Service node(std::string uuid, std::string address = "127.0.0.1:1") {
  Service made{.name = "game", .version = "latest", .metadata = {}, .endpoints = {}, .nodes = {}};
  made.nodes.push_back({.id = "game-" + uuid, .address = std::move(address), .metadata = {{"protocol", "grpc"}}});
  return made;
}

// An etcd and what a test does with it by hand.
class EtcdTest : public ::testing::Test {
 protected:
  static constexpr std::string_view kKey = "/micro/registry/game/game-";

  std::string ctl(std::vector<std::string> arguments) { return ctl_of(etcd_, std::move(arguments)); }
  static std::string ctl_of(Server& server, std::vector<std::string> arguments) {
    std::vector<std::string> all{"etcdctl", "--endpoints=" + server.address()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    testing::Output output;
    for (int i = 0; i < 5; ++i) {  // On a machine that is busy elsewhere etcd may be late.
      output = run_program(all);
      if (output.status == 0 || (i > 0 && output.text.contains("already"))) return output.text;
      if (!output.text.contains("timed out") && !output.text.contains("deadline")) break;
    }
    ADD_FAILURE() << output.text;
    return output.text;
  }
  std::string value(const std::string& uuid) { return ctl({"get", std::string(kKey) + uuid, "--print-value-only"}); }
  // A number of etcdctl's JSON: "mod_revision", "lease".
  std::string number(const std::string& uuid, const std::string& name) {
    const std::string text = ctl({"get", std::string(kKey) + uuid, "-w", "json"});
    const std::size_t at = text.find("\"" + name + "\":");
    return at == std::string::npos ? "" : text.substr(at, text.find_first_of(",}", at) - at);
  }

  std::shared_ptr<EtcdRegistry> connect_to(EtcdOptions options) { return connect_now(std::move(options), loop_); }
  std::shared_ptr<EtcdRegistry> connect_to(Server& server) { return connect_to({.endpoints = {server.address()}}); }

  Result<void> add(Registry& registry, Service service, Clock::Duration ttl = std::chrono::seconds(60)) {
    return testing::await_on(loop_, registry.add(std::move(service), {.ttl = ttl, .deadline = soon()}));
  }
  Result<void> remove(Registry& registry, std::string id) {
    return testing::await_on(loop_, registry.remove("game", std::move(id), soon()));
  }
  std::string shown(Registry& registry) {
    const auto found = testing::await_on(loop_, registry.get("game", soon()));
    if (!found) return found.error().detail;
    std::string text;
    for (const Service& service : **found) {
      for (const Node& each : service.nodes) text += (text.empty() ? "" : " ") + each.id + "@" + each.address;
    }
    return text;
  }
  template <class Done>
  bool until(Done done) {
    return testing::run_until(loop_, std::move(done));
  }
  bool until_shown(Registry& registry, std::string_view text) {
    return until([&] { return shown(registry) == text; });
  }
  // Lets so much time pass.
  void pass(Clock::Duration time) {
    const auto end = std::chrono::steady_clock::now() + time;
    until([&] { return std::chrono::steady_clock::now() > end; });
  }
  Deadline soon() { return Deadline::after(loop_.clock(), kSoon); }

  Loop loop_;
  Server etcd_ = Server::etcd();
};

TEST_F(EtcdTest, WritesWhatGoServicesRead) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_EQ(value("a"), R"({"name":"game","version":"latest","metadata":null,"endpoints":[],"nodes":[{"id":"game-a",)"
                        R"("address":"127.0.0.1:1","metadata":{"protocol":"grpc"}}]})"
                        "\n");
  ASSERT_TRUE(remove(*registry, "game-a"));
  EXPECT_EQ(value("a"), "");
  EXPECT_EQ(ctl({"lease", "list"}), "found 0 leases\n");
}

TEST_F(EtcdTest, ReadsWhatGoServicesWrite) {
  const auto registry = connect_to(etcd_);
  ctl({"put", std::string(kKey) + "go",
       R"({"name":"game","version":"latest","nodes":[{"id":"game-go","address":"[fd00::2]:9"}]})"});
  EXPECT_TRUE(until_shown(*registry, "game-go@[fd00::2]:9"));
  ctl({"del", std::string(kKey) + "go"});
  EXPECT_TRUE(until_shown(*registry, "service game: not found"));
}

TEST_F(EtcdTest, RefreshWritesNothingAndEachNodeHasItsOwnLease) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  ASSERT_TRUE(add(*registry, node("b")));
  const std::string revision = number("a", "mod_revision");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_EQ(number("a", "mod_revision"), revision);
  EXPECT_NE(number("a", "lease"), number("b", "lease"));
  EXPECT_EQ(registry->stats().registrations, 2);
  EXPECT_GE(registry->stats().renewals, 3);
}

TEST_F(EtcdTest, AdoptsTheLeaseOfAnEqualRecord) {
  const auto first = connect_to(etcd_);
  ASSERT_TRUE(add(*first, node("a")));
  const std::string lease = number("a", "lease");
  const auto second = connect_to(etcd_);
  ASSERT_TRUE(add(*second, node("a")));
  EXPECT_EQ(second->stats().registrations, 0);
  EXPECT_EQ(number("a", "lease"), lease);
}

TEST_F(EtcdTest, KeyDeletedByHandComesBackAtOnce) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  for (std::uint64_t times = 2; times < 5; ++times) {
    ctl({"del", std::string(kKey) + "a"});
    EXPECT_TRUE(until([&] { return registry->stats().registrations >= times; }));
    EXPECT_TRUE(until([&] { return !value("a").empty(); }));
  }
}

TEST_F(EtcdTest, LeaseTakenAwayIsReplacedByANewOne) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  const std::string lease = ctl({"lease", "list"});
  const std::string id = lease.substr(lease.find('\n') + 1, 16);
  ctl({"lease", "revoke", id});
  EXPECT_TRUE(until([&] { return !value("a").empty(); }));
  EXPECT_EQ(ctl({"lease", "list"}).find(id), std::string::npos);
}

TEST_F(EtcdTest, AllEventsOfOneAnswerCount) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  ASSERT_TRUE(add(*registry, node("b")));
  const auto watcher = connect_to(etcd_);
  std::vector<std::string> gone;
  const auto watch = watcher->watch("", loop_, [&](const Event& event) {
    if (event.action == Action::kDelete) gone.push_back(event.service.nodes.at(0).id);
  });
  ctl({"del", "--prefix", "/micro/registry/"});
  EXPECT_TRUE(until([&] { return gone.size() == 2; }));
  EXPECT_THAT(gone, ::testing::UnorderedElementsAre("game-a", "game-b"));
}

TEST_F(EtcdTest, BadRecordsAreSkippedAndCounted) {
  const auto registry = connect_to({.endpoints = {etcd_.address()}, .max_value_bytes = 1000});
  for (const std::string& bad : {std::string("no JSON"), std::string("[]"), std::string(R"({"name":"game","nodes":7})"),
                                 std::string(2000, ' ') + "{}"}) {
    ctl({"put", std::string(kKey) + "bad", bad});
  }
  ctl({"put", "/micro/registry/x", "y"});
  ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_TRUE(until_shown(*registry, "game-a@127.0.0.1:1"));
  EXPECT_EQ(registry->stats().skipped, 5);
  // A record that turns bad is gone.
  ctl({"put", std::string(kKey) + "b",
       R"({"name":"game","version":"latest","nodes":[{"id":"game-b","address":"h"}]})"});
  EXPECT_TRUE(until_shown(*registry, "game-a@127.0.0.1:1 game-b@h"));
  ctl({"put", std::string(kKey) + "b", "bad"});
  EXPECT_TRUE(until_shown(*registry, "game-a@127.0.0.1:1"));
}

// ---- faults ---------------------------------------------------------------------------------------------------------

TEST_F(EtcdTest, AbsentAtTheStartIsWaitedForAndFound) {
  etcd_.kill();
  auto made = connect({.endpoints = {etcd_.address()}}, loop_);
  ASSERT_TRUE(made);
  EtcdRegistry& registry = **made;
  EXPECT_EQ(add(registry, node("a")).error().code, code::kUnavailable);
  const auto none = testing::await_on(loop_, registry.get("game", soon()));
  EXPECT_EQ(none.error().code, code::kUnavailable);
  etcd_.start();
  const auto back = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return registry.stats().registrations == 1; }));
  EXPECT_LT(std::chrono::steady_clock::now() - back, std::chrono::seconds(5));
  EXPECT_TRUE(until_shown(registry, "game-a@127.0.0.1:1"));
}

TEST_F(EtcdTest, RestartWithItsDataChangesNothing) {
  const auto registry = connect_to(etcd_);
  const auto caller = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1"));
  const std::string revision = number("a", "mod_revision");
  int events = 0;
  const auto watch = caller->watch("", loop_, [&](const Event&) { ++events; });
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t watches = caller->stats().watches;
    etcd_.kill();
    EXPECT_TRUE(until([&] { return !caller->stats().connected; }));
    auto asked = caller->get("game", Deadline::never());
    EXPECT_TRUE(asked.ready());  // Known nodes are known without etcd, and without waiting.
    etcd_.start();
    EXPECT_TRUE(until([&] { return caller->stats().watches > watches && registry->stats().connected; }));
  }
  EXPECT_EQ(events, 0);
  EXPECT_EQ(number("a", "mod_revision"), revision);
  ASSERT_TRUE(add(*registry, node("b")));
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1 game-b@127.0.0.1:1"));
}

TEST_F(EtcdTest, RestartWithoutItsDataIsMadeGoodAtOnce) {
  const auto registry = connect_to(etcd_);
  const auto caller = connect_to({.endpoints = {etcd_.address()}, .cache_ttl = std::chrono::seconds(4)});
  ASSERT_TRUE(add(*registry, node("a")));
  ctl({"put", std::string(kKey) + "go",
       R"({"name":"game","version":"latest","nodes":[{"id":"game-go","address":"h"}]})"});
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1 game-go@h"));
  std::vector<std::string> gone;
  const auto watch = caller->watch("", loop_, [&](const Event& event) {
    if (event.action == Action::kDelete) gone.push_back(event.service.nodes.at(0).id);
  });
  etcd_.kill();
  etcd_.wipe();
  etcd_.start();
  const auto back = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return registry->stats().registrations == 2; }));
  EXPECT_LT(std::chrono::steady_clock::now() - back, std::chrono::seconds(5));
  EXPECT_FALSE(value("a").empty());
  // The other one, which nobody puts back, is kept for the cache's time, so that calls go on.
  EXPECT_TRUE(until([&] { return caller->stats().connected; }));
  EXPECT_EQ(shown(*caller), "game-a@127.0.0.1:1 game-go@h");
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1"));
  EXPECT_THAT(gone, ::testing::ElementsAre("game-go"));
}

TEST_F(EtcdTest, PausedLongerThanTheLeaseKeepsTheViewAndEndsClean) {
  const auto registry = connect_to(etcd_);
  const auto caller = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a"), std::chrono::seconds(3)));
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1"));
  etcd_.pause();
  const auto paused = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - paused < std::chrono::seconds(6)) {
    auto asked = caller->get("game", Deadline::never());
    ASSERT_TRUE(asked.ready());
    loop_.poll();
  }
  const auto added = testing::await_on(
      loop_, registry->add(node("a"), {.ttl = std::chrono::seconds(60),
                                       .deadline = Deadline::after(loop_.clock(), std::chrono::milliseconds(300))}));
  EXPECT_EQ(added.error().code, code::kTimeout);                  // It goes on.
  const auto stale = [&] { return !caller->stats().connected; };  // The library notices after 15 s.
  EXPECT_TRUE(until(stale) || until(stale));
  etcd_.resume();
  const auto back = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return registry->stats().renewals + registry->stats().registrations >= 2; }));
  EXPECT_LT(std::chrono::steady_clock::now() - back, std::chrono::seconds(5));
  EXPECT_TRUE(until([&] { return caller->stats().connected && !value("a").empty(); }));
  EXPECT_TRUE(until_shown(*caller, "game-a@127.0.0.1:1"));
}

TEST_F(EtcdTest, CompactionWhileAwayLosesNoDelete) {
  const auto caller = connect_to(etcd_);
  Server& server = etcd_;
  const auto put = [&](const std::string& uuid) {
    ctl({"put", std::string(kKey) + uuid,
         R"({"name":"game","version":"latest","nodes":[{"id":"game-)" + uuid + R"(","address":"h"}]})"});
  };
  put("a");
  put("b");
  EXPECT_TRUE(until_shown(*caller, "game-a@h game-b@h"));
  // While this loop stands still nothing is read.
  server.kill();
  server.start();
  ctl({"del", std::string(kKey) + "a"});
  put("c");
  const std::string status = ctl({"get", "x", "-w", "json"});
  const std::size_t at = status.find("\"revision\":") + 11;
  ctl({"compact", status.substr(at, status.find_first_of(",}", at) - at)});
  EXPECT_TRUE(until_shown(*caller, "game-b@h game-c@h"));
  EXPECT_TRUE(until([&] { return caller->stats().connected; }));
  put("d");
  EXPECT_TRUE(until_shown(*caller, "game-b@h game-c@h game-d@h"));
}

TEST_F(EtcdTest, NextEndpointIsUsedWhenOneIsAway) {
  // Without addresses of their own in common they are two clusters: what counts is who is asked.
  Server second = Server::etcd();
  const std::string nobody = "127.0.0.1:" + std::to_string(testing::free_port());
  const auto registry = connect_to({.endpoints = {nobody, etcd_.address(), second.address()}});
  ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_FALSE(value("a").empty());
  etcd_.kill();
  EXPECT_TRUE(until([&] { return registry->stats().registrations == 2; }));
  EXPECT_FALSE(ctl_of(second, {"get", std::string(kKey) + "a"}).empty());
  EXPECT_TRUE(until([&] { return registry->stats().connected; }));
}

TEST_F(EtcdTest, PausedEndpointIsLeftForTheNext) {
  Server second = Server::etcd();
  const auto registry =
      connect_to({.endpoints = {etcd_.address(), second.address()}, .request_timeout = std::chrono::seconds(2)});
  etcd_.pause();
  ASSERT_TRUE(add(*registry, node("a")));
  EXPECT_FALSE(ctl_of(second, {"get", std::string(kKey) + "a"}).empty());
}

TEST_F(EtcdTest, HundredRestartsLeaveNoWatchStuck) {
  const auto registry = connect_to(etcd_);
  ASSERT_TRUE(add(*registry, node("a")));
  for (int i = 0; i < 100; ++i) {
    etcd_.kill();
    etcd_.start();
    if (i % 10 != 9) continue;
    ctl({"put", std::string(kKey) + "go",
         R"({"name":"game","version":"latest","nodes":[{"id":"game-go","address":"h:)" + std::to_string(i) +
             R"("}]})"});
    ASSERT_TRUE(until_shown(*registry, "game-a@127.0.0.1:1 game-go@h:" + std::to_string(i)));
  }
}

TEST_F(EtcdTest, SpeaksNonsense) {
  etcd_.kill();
  // A server of another protocol at etcd's address.
  Server redis = Server::redis();
  auto made = connect({.endpoints = {redis.address()}, .request_timeout = std::chrono::seconds(1)}, loop_);
  ASSERT_TRUE(made);
  EXPECT_FALSE(add(**made, node("a")));
  pass(std::chrono::seconds(1));
  EXPECT_FALSE((*made)->stats().connected);
}

TEST_F(EtcdTest, EndsWhileQuestionsAreOpen) {
  for (int i = 0; i < 10; ++i) {
    const auto registry = connect_to(etcd_);
    ASSERT_TRUE(add(*registry, node("a")));
    if (i % 2) etcd_.pause();
    for (int j = 0; j < 20; ++j)
      spawn([](Registry& r) -> Task<void> { (void)co_await r.get("nobody", Deadline::never()); }(*registry));
    loop_.poll();
    if (i % 3 == 0) registry->watch("", loop_, [](const Event&) {});
    if (i % 2) {
      // Destroyed with the pause on; the answers never come.
      const_cast<std::shared_ptr<EtcdRegistry>&>(registry).reset();
      etcd_.resume();
    }
  }
}

TEST_F(EtcdTest, NeverConnectedEndsAtOnce) {
  etcd_.kill();
  for (int i = 0; i < 5; ++i) {
    auto made = connect({.endpoints = {etcd_.address()}}, loop_);
    ASSERT_TRUE(made);
    for (int turns = 0; turns < i; ++turns) loop_.poll();
  }
}

TEST_F(EtcdTest, ServesAllLoopsAtOnce) {
  Runtime runtime({.loops = 3});
  auto made = connect({.endpoints = {etcd_.address()}}, runtime.loop(0));
  ASSERT_TRUE(made);
  EtcdRegistry& registry = **made;
  ASSERT_TRUE(runtime.start());
  std::atomic<int> events{0}, done{0};
  std::vector<std::unique_ptr<Watch>> watches(runtime.size());
  constexpr int kRounds = 30;
  const auto wait_for = [](auto holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return holds();
  };
  ASSERT_TRUE(wait_for([&] { return registry.stats().connected; }));
  runtime.for_each_loop([&](Loop& loop) {
    watches[loop.index()] = registry.watch("game", loop, [&](const Event&) { ++events; });
    ++done;
  });
  ASSERT_TRUE(wait_for([&] { return done == 3; }));
  runtime.for_each_loop([&](Loop& loop) {
    struct Run {
      static Task<void> flap(Registry& r, Loop& l, std::atomic<int>& ended) {
        const std::string uuid = std::to_string(l.index());
        for (int i = 0; i < kRounds; ++i) {
          EXPECT_TRUE(co_await r.add(node(uuid), {}));
          EXPECT_TRUE(l.on_this_thread());
          EXPECT_TRUE(co_await r.get("game", Deadline::never()));
          EXPECT_TRUE(co_await r.remove("game", "game-" + uuid, Deadline::never()));
        }
        ++ended;
      }
    };
    spawn(Run::flap(registry, loop, done));
  });
  EXPECT_TRUE(wait_for([&] { return done == 6 && events == 3 * 3 * 2 * kRounds; })) << done << " " << events;
  for (auto& watch : watches) watch.reset();
  runtime.stop();
  runtime.join();
  made->reset();
}

// ---- who may ask ----------------------------------------------------------------------------------------------------

TEST_F(EtcdTest, UserAndPasswordAreAskedFor) {
  ctl({"user", "add", "root:top"});
  ctl({"user", "add", "game:secret"});
  ctl({"role", "add", "registry"});
  ctl({"role", "grant-permission", "--prefix=true", "registry", "readwrite", "/micro/registry/"});
  ctl({"user", "grant-role", "game", "registry"});
  ctl({"user", "grant-role", "root", "root"});
  const EtcdOptions right{.endpoints = {etcd_.address()}, .user = "game", .password = "secret"};
  {  // Not asked for yet.
    const auto registry = connect_to(right);
    ASSERT_TRUE(add(*registry, node("a")));
    ctl({"auth", "enable"});
    ASSERT_TRUE(add(*registry, node("b")));  // From here on it is.
    ASSERT_TRUE(add(*registry, node("a")));
  }
  const auto registry = connect_to(right);
  ASSERT_TRUE(add(*registry, node("c")));
  EXPECT_TRUE(until_shown(*registry, "game-a@127.0.0.1:1 game-b@127.0.0.1:1 game-c@127.0.0.1:1"));
  etcd_.kill();  // Which forgets its tokens.
  etcd_.start();
  ASSERT_TRUE(until([&] { return add(*registry, node("d")).has_value(); }));

  EtcdOptions wrong = right;
  wrong.password = "guess";
  auto refused = connect(wrong, loop_);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(add(**refused, node("x")));
  auto nobody = connect({.endpoints = {etcd_.address()}}, loop_);
  ASSERT_TRUE(nobody);
  EXPECT_FALSE(add(**nobody, node("x")));
}

TEST(EtcdTls, ServerIsCheckedAndClientShowsItsCertificate) {
  const testing::TempDir dir;
  const std::string ca = dir.path() + "/ca", server = dir.path() + "/server", client = dir.path() + "/client";
  const auto openssl = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const auto output = run_program(arguments);
    EXPECT_EQ(output.status, 0) << output.text;
  };
  openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
           "/CN=test ca", "-keyout", ca + ".key", "-out", ca + ".crt"});
  dir.write("ext", "subjectAltName=IP:127.0.0.1,DNS:etcd.test\nextendedKeyUsage=serverAuth,clientAuth\n");
  for (const std::string& name : {server, client}) {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=etcd", "-keyout",
             name + ".key", "-out", name + ".csr"});
    openssl({"x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial",
             "-days", "30", "-extfile", dir.path() + "/ext", "-out", name + ".crt"});
  }
  const Server etcd = Server::etcd({"--cert-file=" + server + ".crt", "--key-file=" + server + ".key",
                                    "--trusted-ca-file=" + ca + ".crt", "--client-cert-auth"},
                                   "https");
  Loop loop;
  const EtcdTls right{.on = true, .ca_file = ca + ".crt", .cert_file = client + ".crt", .key_file = client + ".key"};
  EtcdTls unchecked = right, named = right, misnamed = right, foreign = right, nobody = right;
  unchecked.verify = false;
  unchecked.ca_file.clear();
  named.server_name = "etcd.test";
  misnamed.server_name = "other.test";
  foreign.ca_file = client + ".crt";
  nobody.cert_file = nobody.key_file = "";
  int number = 0;
  for (const EtcdTls& good : {right, unchecked, named}) {
    const auto registry = connect_now({.endpoints = {etcd.address()}, .tls = good}, loop);
    EXPECT_TRUE(testing::await_on(loop, registry->add(node("tls"), {}))) << number;
    ++number;
  }
  for (const EtcdTls& bad : {misnamed, foreign, nobody, EtcdTls{}}) {
    auto registry =
        connect({.endpoints = {etcd.address()}, .tls = bad, .request_timeout = std::chrono::seconds(1)}, loop);
    ASSERT_TRUE(registry);
    EXPECT_FALSE(testing::await_on(loop, (*registry)->add(node("tls"), {}))) << number;
    ++number;
  }
  EXPECT_EQ(connect({.tls = {.on = true, .ca_file = dir.path() + "/none"}}, loop).error().code, code::kInvalid);
}

}  // namespace
}  // namespace mg::registry::etcd
