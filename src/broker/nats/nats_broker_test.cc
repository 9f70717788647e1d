#include "mg/broker/nats/nats_broker.h"

#include <nats/nats.h>

#include <chrono>

#include "broker/broker_contract.h"
#include "tests/support/server.h"

namespace mg::broker {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using mg::testing::run_until;
using mg::testing::Server;

// One server for all cases: each uses brokers of its own and waits until the server has seen what it did.
Server& shared_server() {
  static Server* const server = new Server(Server::nats());
  return *server;
}

class NatsUnderTest final : public BrokerUnderTest {
 public:
  NatsUnderTest() {
    for (NatsBroker* broker : {&one_, &other_}) {
      const auto connected = await_on(loop_, broker->connect(soon()));
      EXPECT_TRUE(connected) << to_json(connected.error());
    }
  }
  ~NatsUnderTest() override { await_on(loop_, end()); }
  Loop& loop() override { return loop_; }
  Broker& one() override { return one_; }
  Broker& other() override { return other_; }
  void settle() override {
    EXPECT_TRUE(await_on(loop_, one_.flush(soon())));
    EXPECT_TRUE(await_on(loop_, other_.flush(soon())));
  }

 private:
  Task<Result<void>> end() {
    co_await one_.disconnect(soon());
    co_await other_.disconnect(soon());
    co_return Result<void>();
  }
  Deadline soon() { return Deadline::after(loop_.clock(), 10s); }
  Loop loop_;
  NatsBroker one_{{.addresses = {shared_server().address()}, .name = "one"}};
  NatsBroker other_{{.addresses = {"nats://" + shared_server().address()}, .name = "other"}};
};

INSTANTIATE_TEST_SUITE_P(Nats, BrokerContract,
                         ::testing::Values(BrokerBackend{"Nats", [] { return std::make_unique<NatsUnderTest>(); }}),
                         broker_backend_name);

class NatsTest : public ::testing::Test {
 protected:
  Deadline soon(Clock::Duration time = 20s) { return Deadline::after(loop_.clock(), time); }
  Result<void> connect(NatsBroker& broker) { return await_on(loop_, broker.connect(soon())); }
  Result<void> publish(NatsBroker& broker, std::string topic, std::string body) {
    return await_on(loop_, broker.publish(std::move(topic), {.headers = {}, .body = std::move(body)}, soon()));
  }
  std::unique_ptr<Subscription> subscribe(NatsBroker& broker, std::string topic) {
    auto made = broker.subscribe({.topic = std::move(topic), .loop = &loop_}, [this](const Message& message) {
      got_.push_back(message.body);
      return Task<Result<void>>(Result<void>());
    });
    EXPECT_TRUE(made) << to_json(made.error());
    return made ? std::move(*made) : nullptr;
  }
  template <class Done>
  bool until(Done done) {
    return run_until(loop_, std::move(done));
  }

  Loop loop_;
  std::vector<std::string> got_;
  NatsOptions quick_{.addresses = {}, .reconnect_wait = 50ms, .reconnect_jitter = 10ms};
};

TEST_F(NatsTest, SaysWhereItCouldNotConnect) {
  Server server(Server::nats());
  server.stop();
  NatsBroker broker({.addresses = {"user:secret@" + server.address()}});
  const auto connected = connect(broker);
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, code::kUnavailable);
  EXPECT_THAT(connected.error().detail, ::testing::HasSubstr(server.address()));
  EXPECT_THAT(connected.error().detail, ::testing::Not(::testing::HasSubstr("secret")));
  const auto published = publish(broker, "evt", "x");
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, code::kUnavailable);
}

TEST_F(NatsTest, TakesTheAddressThatAnswers) {
  Server dead(Server::nats()), alive(Server::nats());
  dead.stop();
  NatsBroker broker({.addresses = {dead.address(), alive.address()}});
  EXPECT_TRUE(connect(broker));
}

TEST_F(NatsTest, SubscriptionsAreMadeAgainAfterARestart) {
  Server server(Server::nats());
  quick_.addresses = {server.address()};
  NatsBroker broker(quick_);
  const auto before = subscribe(broker, "evt");  // Before there is a connection.
  ASSERT_TRUE(connect(broker));
  ASSERT_TRUE(publish(broker, "evt", "1"));
  ASSERT_TRUE(until([&] { return got_.size() == 1; }));
  server.kill();
  ASSERT_TRUE(until([&] { return !broker.stats().connected; }));
  ASSERT_TRUE(publish(broker, "evt", "2"));  // Waits for a connection.
  server.start();
  ASSERT_TRUE(until([&] { return got_.size() == 2; }));
  EXPECT_EQ(got_, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(broker.stats().reconnects, 1u);
}

TEST_F(NatsTest, WithoutAConnectionPublishingIsBoundedAndSaysWhatIsDropped) {
  Server server(Server::nats());
  quick_.addresses = {server.address()};
  quick_.max_pending_bytes = 64 * 1024;
  NatsBroker broker(quick_);
  ASSERT_TRUE(connect(broker));
  server.kill();
  ASSERT_TRUE(until([&] { return !broker.stats().connected; }));
  Result<void> last;
  int taken = 0;
  for (; taken < 100 && (last = publish(broker, "evt", std::string(4096, 'x'))); ++taken) {
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, code::kTooMany);
  EXPECT_THAT(last.error().detail, ::testing::HasSubstr("evt"));
  EXPECT_GT(taken, 5);
  EXPECT_LT(taken, 20);
  EXPECT_EQ(broker.stats().refused, 1u);
}

TEST_F(NatsTest, WhatIsNoEnvelopeIsDroppedAndCounted) {
  Server server(Server::nats());
  NatsBroker broker({.addresses = {server.address()}});
  ASSERT_TRUE(connect(broker));
  const auto subscription = subscribe(broker, "evt");
  ASSERT_TRUE(await_on(loop_, broker.flush(soon())));
  natsConnection* raw = nullptr;
  ASSERT_EQ(natsConnection_ConnectTo(&raw, ("nats://" + server.address()).c_str()), NATS_OK);
  natsConnection_PublishString(raw, "evt", "abc");
  natsConnection_PublishString(raw, "evt", R"({"header":{},"BODY":""})");
  natsConnection_Flush(raw);
  natsConnection_Destroy(raw);
  ASSERT_TRUE(until([&] { return got_.size() == 1; }));
  EXPECT_EQ(broker.stats().unreadable, 1u);
  EXPECT_EQ(got_.front(), "");
}

TEST_F(NatsTest, UserAndTokenAreAskedFor) {
  Server named(Server::nats({"--user", "game", "--pass", "word"}));
  Server token(Server::nats({"--auth", "letmein"}));
  NatsBroker nobody({.addresses = {named.address()}});
  EXPECT_EQ(connect(nobody).error().code, code::kUnavailable);
  NatsBroker user({.addresses = {named.address()}, .user = "game", .password = "word"});
  EXPECT_TRUE(connect(user));
  NatsBroker in_address({.addresses = {"game:word@" + named.address()}});
  EXPECT_TRUE(connect(in_address));
  NatsBroker bearer({.addresses = {token.address()}, .token = "letmein"});
  EXPECT_TRUE(connect(bearer));
}

TEST_F(NatsTest, SpeaksTlsAndAsksWhoTheServerIs) {
  const testing::TempDir dir;
  const std::string cert = dir.path() + "/cert.pem", key = dir.path() + "/key.pem";
  const auto made = testing::run_program(
      {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert});
  ASSERT_EQ(made.status, 0) << made.text;
  Server server(Server::nats({"--tls", "--tlscert", cert, "--tlskey", key}));
  NatsOptions options{.addresses = {server.address()}, .tls = {.on = true, .ca_file = cert}};
  {
    NatsBroker broker(options);
    const auto subscription = subscribe(broker, "evt");
    const auto connected = connect(broker);
    ASSERT_TRUE(connected) << to_json(connected.error());
    ASSERT_TRUE(publish(broker, "evt", "secret"));
    EXPECT_TRUE(until([&] { return got_.size() == 1; }));
  }
  options.tls.ca_file.clear();  // Signed by nobody that the system knows.
  NatsBroker stranger(options);
  EXPECT_EQ(connect(stranger).error().code, code::kUnavailable);
  options.tls.verify = false;
  NatsBroker trusting(options);
  EXPECT_TRUE(connect(trusting));
  options.tls = {.on = true, .ca_file = "nowhere.pem"};
  NatsBroker unread(options);
  const auto refused = connect(unread);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, code::kInvalid);
  EXPECT_THAT(refused.error().detail, ::testing::HasSubstr("nowhere.pem"));
}

TEST_F(NatsTest, AStoppedServerIsNoticedAndLeft) {
  Server first(Server::nats()), second(Server::nats());
  quick_.addresses = {first.address(), second.address()};
  quick_.ping_interval = 100ms;
  NatsBroker broker(quick_);
  const auto subscription = subscribe(broker, "evt");
  ASSERT_TRUE(connect(broker));
  first.pause();
  second.pause();
  ASSERT_TRUE(until([&] { return !broker.stats().connected; }));
  first.resume();
  second.resume();
  ASSERT_TRUE(until([&] { return broker.stats().connected; }));
  ASSERT_TRUE(publish(broker, "evt", "again"));
  EXPECT_TRUE(until([&] { return got_.size() == 1; }));
}

}  // namespace
}  // namespace mg::broker
