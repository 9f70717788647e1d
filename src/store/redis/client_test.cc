// The client on a real server: the contract, and what happens when the server does not behave.
#include "mg/store/redis/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "store/redis/redis_contract.h"
#include "store/redis/testing.h"
#include "tests/support/server.h"

namespace mg::redis {
namespace {

using namespace std::chrono_literals;
using mg::testing::await_on;
using mg::testing::run_until;
using mg::testing::Server;
using ::testing::HasSubstr;

// One server for all cases of the contract; each empties it.
Server& shared_server() {
  static Server* const server = new Server(Server::redis());
  return *server;
}

Result<void> flush(Loop& loop, Redis& redis) {
  return await_on(loop, redis.flushdb(10s));
}

class ServerUnderTest final : public RedisUnderTest {
 public:
  ServerUnderTest() { EXPECT_TRUE(flush(loop_, one_)); }
  ~ServerUnderTest() override {
    close(loop_, one_);
    close(loop_, other_);
  }
  Loop& loop() override { return loop_; }
  Redis& redis() override { return one_; }
  Redis& other() override { return other_; }
  void pass(std::chrono::milliseconds time) override {
    const auto end = std::chrono::steady_clock::now() + time;
    run_until(loop_, [&] { return std::chrono::steady_clock::now() > end; });
  }

 private:
  Options options_{.url = shared_server().address(), .name = {}, .timeout = 20s};
  Loop loop_;
  Client one_{loop_, options_};
  Client other_{loop_, options_};
};

INSTANTIATE_TEST_SUITE_P(Server, RedisContract,
                         ::testing::Values(RedisBackend{"Server", [] { return std::make_unique<ServerUnderTest>(); }}),
                         redis_backend_name);

class RedisClient : public ::testing::Test {
 protected:
  ~RedisClient() override {
    if (client_) close(loop_, *client_);
  }
  Client& connect(Options options) {
    if (options.url.empty()) options.url = server().address();
    client_ = std::make_unique<Client>(loop_, std::move(options));
    return *client_;
  }
  Server& server() {
    if (!server_) server_ = std::make_unique<Server>(Server::redis());
    return *server_;
  }
  template <class T>
  Result<T> wait(Task<Result<T>> task) {
    return await_on(loop_, std::move(task));
  }

  Loop loop_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(RedisClient, KilledServerComesBackWithoutAWord) {
  Client& client = connect({.first_pause = 10ms, .longest_pause = 50ms});
  ASSERT_TRUE(wait(client.set("a", "1", {}, 5s)));
  server().kill();
  server().wipe();
  const auto gone = wait(client.get("a", 300ms));
  ASSERT_FALSE(gone);
  EXPECT_TRUE(gone.error().code == code::kUnavailable || gone.error().code == code::kServer) << gone.error().detail;
  auto waiting = client.get("a", 20s);  // It waits for the connection.
  server().start();
  EXPECT_EQ(wait(std::move(waiting)), std::nullopt) << "its data are lost: a miss";
  EXPECT_TRUE(wait(client.set("a", "2", {}, 5s)));
  EXPECT_EQ(client.stats().lost, 1);
}

TEST_F(RedisClient, KilledServerTellsCallsOnTheirWay) {
  Client& client = connect({});
  ASSERT_TRUE(wait(client.ping(5s)));
  server().pause();
  auto call = client.incr("n", 20s);
  loop_.poll();
  server().kill();
  const auto got = wait(std::move(call));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code::kServer);
  EXPECT_THAT(got.error().detail, HasSubstr("may have run"));
}

TEST_F(RedisClient, PausedServerTimesOutAndLateRepliesGoToNobody) {
  Client& client = connect({.timeout = 100ms});
  ASSERT_TRUE(wait(client.set("a", "old", {}, 5s)));
  server().pause();
  const auto started = loop_.clock().now();
  for (int i = 0; i < 5; ++i) {
    const auto got = wait(client.get("a"));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, code::kTimeout);
  }
  EXPECT_LT(loop_.clock().now() - started, 5s);
  server().resume();
  EXPECT_TRUE(wait(client.set("b", "new", {}, 10s)));
  EXPECT_EQ(wait(client.get("b", 10s)), "new");
  EXPECT_EQ(client.stats().late, 5);
  EXPECT_EQ(client.stats().lost, 0);
}

TEST_F(RedisClient, SilentServerIsGivenUp) {
  Client& client = connect({.timeout = 50ms, .silence = 200ms, .first_pause = 10ms, .longest_pause = 50ms});
  ASSERT_TRUE(wait(client.ping(5s)));
  server().pause();
  EXPECT_FALSE(wait(client.get("a")));
  ASSERT_TRUE(run_until(loop_, [&] { return client.stats().lost == 1; }));
  server().resume();
  EXPECT_TRUE(wait(client.ping(10s)));
}

TEST_F(RedisClient, TooManyCallsAreRefusedAtOnce) {
  Client& client = connect({.max_calls = 10});
  ASSERT_TRUE(wait(client.ping(5s)));
  server().pause();
  std::vector<Task<Result<std::int64_t>>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(client.incr("n", 20s));
  EXPECT_EQ(wait(client.incr("n")).error().code, code::kTooMany);
  server().resume();
  for (auto& call : calls) EXPECT_TRUE(wait(std::move(call)));
  EXPECT_EQ(wait(client.get("n", 5s)), "10");
}

TEST_F(RedisClient, OutputIsBounded) {
  Client& client = connect({.max_output_bytes = 1024 * 1024});
  ASSERT_TRUE(wait(client.ping(5s)));
  server().pause();
  const std::string large(512 * 1024, 'x');
  std::vector<Task<Result<bool>>> calls;
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) {
    auto call = client.set("k" + std::to_string(i), large, {}, 20s);
    loop_.poll();
    if (call.ready()) {
      EXPECT_EQ(call.take().error().code, code::kTooMany);
      refused = true;
    } else {
      calls.push_back(std::move(call));
    }
  }
  EXPECT_TRUE(refused);
  server().resume();
  for (auto& call : calls) EXPECT_TRUE(wait(std::move(call)));
}

TEST_F(RedisClient, ArgumentsBeyond512MiBAreRefused) {
  Client& client = connect({});
  const std::size_t size = Command::kMaxArgument + 1;
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const auto got = wait(client.set("k", std::string_view(static_cast<const char*>(memory), size)));
  ::munmap(memory, size);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code::kInvalid);
}

TEST_F(RedisClient, PasswordAndDatabase) {
  server_ = std::make_unique<Server>(Server::redis({"--requirepass", "p@w"}));
  {
    Client& wrong = connect({.url = ":bad@" + server().address()});
    const auto got = wait(wrong.connect(5s));
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().detail, HasSubstr("AUTH was refused"));
    EXPECT_FALSE(wait(wrong.get("a", 20s))) << "told at once, not after 20 s";
    close(loop_, wrong);
  }
  Client& client = connect({.url = "redis://:p%40w@" + server().address() + "/7", .db = 3, .name = "game"});
  ASSERT_TRUE(wait(client.connect(5s)));
  ASSERT_TRUE(wait(client.set("a", "1")));
  const auto name = wait(client.command({"CLIENT", "GETNAME"}));
  ASSERT_TRUE(name);
  EXPECT_EQ(name->text, "game");
  const auto info = wait(client.command({"INFO", "keyspace"}));
  ASSERT_TRUE(info);
  EXPECT_THAT(info->text, HasSubstr("db3:keys=1"));
}

TEST_F(RedisClient, BadOptionsShowInEveryCall) {
  Client& client = connect({.url = "127.0.0.1:bad"});
  EXPECT_EQ(wait(client.connect()).error().code, code::kInvalid);
  EXPECT_EQ(wait(client.get("a")).error().code, code::kInvalid);
  EXPECT_EQ(wait(client.blpop({"a"}, 1s)).error().code, code::kInvalid);
}

TEST_F(RedisClient, NobodyThereIsToldWithTheReason) {
  Client& client = connect({.url = "127.0.0.1:" + std::to_string(mg::testing::free_port()), .first_pause = 5ms});
  const auto got = wait(client.get("a", 100ms));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code::kUnavailable);
  EXPECT_THAT(got.error().detail, HasSubstr("Connection refused"));
  EXPECT_THAT(got.error().detail, HasSubstr("was not sent"));
  EXPECT_LE(client.stats().connects, 30);
}

TEST_F(RedisClient, NamesAreResolved) {
  server();
  Client& client = connect({.url = "localhost:" + std::to_string(server().port())});
  EXPECT_TRUE(wait(client.connect(10s)));
}

TEST_F(RedisClient, WaitingCommandsAreBoundedAndTheirConnectionsReturn) {
  Client& client = connect({.max_pool = 2, .idle_pool = 2});
  auto one = client.blpop({"a"}, 10s, 20s);
  auto two = client.blpop({"b"}, 10s, 20s);
  ASSERT_TRUE(run_until(loop_, [&] { return client.stats().dedicated == 2; }));
  EXPECT_EQ(wait(client.blpop({"c"}, 1s, 50ms)).error().code, code::kTooMany);
  EXPECT_TRUE(wait(client.rpush("a", {"1"}, 5s)));
  EXPECT_TRUE(wait(client.rpush("b", {"2"}, 5s)));
  EXPECT_TRUE(wait(std::move(one))->has_value());
  EXPECT_TRUE(wait(std::move(two))->has_value());
  const auto connects = client.stats().connects;
  EXPECT_EQ(wait(client.blpop({"c"}, 10ms, 5s)), std::nullopt);
  EXPECT_EQ(client.stats().connects, connects) << "one of those was used again";
}

TEST_F(RedisClient, WaitingCommandThatIsGivenUpTakesNothing) {
  Client& client = connect({});
  ASSERT_TRUE(wait(client.ping(5s)));
  EXPECT_FALSE(wait(client.blpop({"q"}, 20s, 50ms)));
  // The server learns of the end of that connection before it reads this one's next command, or soon after.
  EXPECT_TRUE(run_until(loop_, [&] {
    const auto clients = wait(client.command({"CLIENT", "LIST"}, 5s));
    return clients && clients->text.find("cmd=blpop") == std::string::npos;
  }));
  EXPECT_TRUE(wait(client.rpush("q", {"1"}, 5s)));
  EXPECT_EQ(wait(client.llen("q", 5s)), 1);
}

TEST_F(RedisClient, SubscriptionsComeBackAndSaySo) {
  Client& client = connect({.silence = 1s, .first_pause = 10ms, .longest_pause = 50ms});
  int gaps = 0;
  std::vector<std::string> got;
  auto subscription = wait(client.subscribe(
      {.channels = {"c"}, .patterns = {}, .on_gap = [&] { ++gaps; }},
      [&](const ChannelMessage& m) { got.emplace_back(m.payload); }, 5s));
  ASSERT_TRUE(subscription);
  server().kill();
  server().start();
  ASSERT_TRUE(run_until(loop_, [&] { return gaps == 1; }));
  EXPECT_EQ(wait(client.publish("c", "x", 5s)), 1);
  ASSERT_TRUE(run_until(loop_, [&] { return got.size() == 1; }));
  server().pause();  // It does not answer PING.
  ASSERT_TRUE(run_until(loop_, [&] { return client.stats().lost >= 2; }));
  server().resume();
  ASSERT_TRUE(run_until(loop_, [&] { return gaps == 2; }));
}

TEST_F(RedisClient, ScriptsAreSentOnceAndAgainAfterAFlush) {
  Client& client = connect({});
  const Script script("return {KEYS[1], ARGV[1], redis.call('INCR', 'runs')}");
  for (int i = 1; i <= 3; ++i) {
    const auto got = wait(client.run(script, {"k"}, {"a"}, 5s));
    ASSERT_TRUE(got) << got.error().detail;
    EXPECT_EQ(got->items[2], Reply::number(i));
    if (i == 2) {
      EXPECT_TRUE(wait(client.script_flush(5s)));
    }
  }
  EXPECT_EQ(wait(client.evalsha(std::string(40, '0'), {}, {}, 5s)).error().code, code::kNotFound);
  EXPECT_THAT(wait(client.eval("return redis.error_reply('MINE it is')", {}, {}, 5s)).error().detail,
              HasSubstr("MINE"));
  const auto sha = wait(client.script_load("return 1", 5s));
  ASSERT_TRUE(sha);
  EXPECT_EQ(wait(client.script_exists({*sha, std::string(40, '1')}, 5s)), (std::vector<std::int64_t>{1, 0}));
}

TEST_F(RedisClient, StopsUnderLoad) {
  Client& client = connect({.connections = 3});
  ASSERT_TRUE(wait(client.connect(5s)));
  std::vector<Task<Result<std::int64_t>>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(client.incr("n", 5s));
  close(loop_, client);
  for (auto& call : calls) EXPECT_TRUE(wait(std::move(call)));
  EXPECT_EQ(wait(client.incr("n")).error().code, code::kUnavailable);
}

TEST_F(RedisClient, ClosingGoesOnWhenTheLastSessionHasComeBack) {
  Client& client = connect({});
  auto session = wait(client.session(5s));
  ASSERT_TRUE(session);
  bool closed = false;
  const auto closing = [](Client& which, bool& done) -> Task<void> {
    co_await which.close(1h);
    done = true;
  };
  spawn(closing(client, closed));
  EXPECT_TRUE(wait((*session)->ping(5s)));
  EXPECT_FALSE(closed);
  session->reset();
  EXPECT_TRUE(run_until(loop_, [&] { return closed; }));
}

TEST_F(RedisClient, DestroyedWithCallsOnTheirWay) {
  Client& client = connect({});
  ASSERT_TRUE(wait(client.ping(5s)));
  server().pause();
  auto call = client.incr("n", 20s);
  client_.reset();
  const auto got = wait(std::move(call));
  EXPECT_FALSE(got);
  server().resume();
}

// ---- servers that lie -----------------------------------------------------------------------------------------------

// A listening socket; for each connection it answers every command with the next of its texts.
class Liar final : public IoHandler {
 public:
  explicit Liar(Loop& loop) : loop_(loop) {
    listen_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listen_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listen_, 16), 0);
    socklen_t size = sizeof at;
    ::getsockname(listen_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    loop_.watch(listen_, *this, 1 /* EPOLLIN */);
  }
  Liar(const Liar&) = delete;
  Liar& operator=(const Liar&) = delete;
  ~Liar() {
    loop_.unwatch(listen_, *this);
    ::close(listen_);
    for (const int fd : clients_) ::close(fd);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string answer = "+PONG\r\n";
  bool reset_after = false;

  // To be called between turns: reads what came and answers it.
  void work() {
    for (int& fd : clients_) {
      if (fd < 0) continue;
      char block[4096];
      const ssize_t got = ::recv(fd, block, sizeof block, MSG_DONTWAIT);
      if (got == 0) ::close(std::exchange(fd, -1));
      if (got <= 0) continue;
      const std::string_view text(block, static_cast<std::size_t>(got));
      const std::string& out = text.find("PING") != text.npos ? pong_ : answer;
      (void)!::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
      if (&out == &answer && reset_after) {
        const linger at_once{1, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(std::exchange(fd, -1));
      }
    }
    std::erase(clients_, -1);
  }

 private:
  void on_events(std::uint32_t) override {
    for (int fd; (fd = ::accept4(listen_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      clients_.push_back(fd);
      ++accepted;
    }
  }
  Loop& loop_;
  int listen_ = -1;
  std::uint16_t port_ = 0;
  std::vector<int> clients_;
  const std::string pong_ = "+PONG\r\n";

 public:
  int accepted = 0;
};

class RedisLies : public RedisClient {
 protected:
  // What a GET is told when the server answers so.
  Result<std::optional<std::string>> told(std::string answer, Clock::Duration within = 10s) {
    liar_.answer = std::move(answer);
    auto call = client_->get("k", within);
    std::optional<Result<std::optional<std::string>>> got;
    const auto store = [](Task<Result<std::optional<std::string>>> task, auto* out) -> Task<void> {
      *out = co_await std::move(task);
    };
    spawn(store(std::move(call), &got));
    EXPECT_TRUE(run_until(loop_, [&] {
      liar_.work();
      return got.has_value();
    }));
    return got ? *got : std::unexpected(Error{});
  }
  Liar liar_{loop_};
  void SetUp() override {
    connect({.url = liar_.address(), .first_pause = 1ms, .longest_pause = 2ms, .max_reply_bytes = 1024 * 1024});
  }
};

TEST_F(RedisLies, TheConnectionIsThrownAwayAndNeverOutOfStep) {
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += "*1\r\n";
  const std::vector<std::string> lies{"$2147483647\r\n",
                                      "$9999999999999999999\r\n",
                                      "*-5\r\n",
                                      "$-2\r\n",
                                      "*2147483647\r\n" + std::string(2'000'000, ':').replace(0, 5, ":1\r\n:"),
                                      nested,
                                      std::string(100'000, '+'),
                                      "$3\r\nabcd\r\n",
                                      ":12x\r\n",
                                      "HTTP/1.1 400 Bad Request\r\n\r\n",
                                      "$3\r\nabc\r\n$3\r\ndef\r\n",
                                      ":5\r\n",
                                      "*1\r\n$1\r\na\r\n",
                                      std::string("\0\0\0", 3) + "\r\n"};
  int before = 0;
  for (const auto& lie : lies) {
    const auto got = told(lie);
    if (got) {
      EXPECT_EQ(*got, "abc") << "the reply before the one too many";
    } else {
      EXPECT_EQ(got.error().code, code::kServer) << lie.substr(0, 40) << " " << got.error().detail;
    }
    const auto after = told("$2\r\nok\r\n");
    ASSERT_TRUE(after) << lie.substr(0, 40) << ": " << after.error().detail;
    EXPECT_EQ(*after, "ok") << lie.substr(0, 40);
    EXPECT_GT(liar_.accepted, before) << "another connection after " << lie.substr(0, 40);
    before = liar_.accepted;
  }
}

TEST_F(RedisLies, HalfAReplyAndAReset) {
  liar_.reset_after = true;
  const auto got = told("$5\r\nab");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code::kServer);
  EXPECT_THAT(got.error().detail, HasSubstr("may have run"));
  liar_.reset_after = false;
  EXPECT_EQ(told("$2\r\nok\r\n"), "ok");
}

TEST_F(RedisLies, ErrorsOfTheServerAreMapped) {
  const std::pair<const char*, std::int32_t> errors[] = {
      {"OOM command not allowed", code::kTooMany},      {"READONLY You can't write", code::kForbidden},
      {"LOADING Redis is loading", code::kUnavailable}, {"MOVED 3999 127.0.0.1:6381", code::kServer},
      {"NOSCRIPT No matching script", code::kNotFound}, {"NOAUTH Authentication required", code::kUnauthorized},
      {"WRONGTYPE Operation", code::kInvalid}};
  for (const auto& [text, want] : errors) {
    const auto got = told(fmt::format("-{}\r\n", text));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, want) << text;
    EXPECT_THAT(got.error().detail, HasSubstr(text));
  }
  EXPECT_EQ(liar_.accepted, 1) << "no reason to connect anew";
}

TEST_F(RedisLies, ALateReplyIsNeverGivenToAnotherCaller) {
  const auto late = told("", 30ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, code::kTimeout);
  // Both replies at once, as from a proxy that held them back.
  EXPECT_EQ(told("$5\r\nfirst\r\n$6\r\nsecond\r\n"), "second");
}

}  // namespace
}  // namespace mg::redis
