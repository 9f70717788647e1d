#include "mg/rpc/link/link.h"

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "mg/rpc/client.h"
#include "mg/runtime/runtime.h"
#include "rpc/link/testing.h"
#include "tests/support/server.h"

namespace mg::rpc::link {
namespace {

using google::protobuf::StringValue;
using std::chrono::seconds;
using ::testing::HasSubstr;

// ---- options --------------------------------------------------------------------------------------------------------

TEST(LinkOptions, OutOfRangeAreNamed) {
  Loop loop;
  Loop* loops[] = {&loop};
  const auto refused = [&](auto change) {
    LinkOptions options;
    change(options);
    const auto made = LinkNetwork::make(loops, options);
    return made ? std::string() : made.error().detail;
  };
  EXPECT_EQ(refused([](LinkOptions&) {}), "");
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_message = 0; }), HasSubstr("max_message"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_calls = 0; }), HasSubstr("max_calls"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_metas = 0; }), HasSubstr("max_metas"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_meta_octets = 1; }), HasSubstr("max_meta_octets"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_output = 0; }), HasSubstr("max_output"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.max_links = 0; }), HasSubstr("max_links"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.secret = "short"; }), HasSubstr("secret"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.silence = {}; }), HasSubstr("time"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.tls.ca_file = "ca.pem"; }), HasSubstr("cert_file"));
  EXPECT_THAT(refused([](LinkOptions& o) { o.tls = {"no.pem", "no.key", "ca.pem", ""}; }), HasSubstr("ca.pem"));
}

TEST(LinkNetwork, ListeningAtATakenAddressFails) {
  Loop loop;
  Loop* loops[] = {&loop};
  RawListener taken;
  LinkOptions options;
  options.listen = fmt::format("127.0.0.1:{}", taken.port());
  auto network = LinkNetwork::make(loops, options).value();
  Handlers handlers;
  const auto served =
      testing::await_on(loop, network->serve({.service = "game", .uuid = "a", .handlers = &handlers, .observer = {}}));
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, code::kExists);
}

// ---- TLS ------------------------------------------------------------------------------------------------------------

class LinkOverTls : public LinkTest {
 protected:
  // A certificate that is its own authority.
  LinkTls certificate(const std::string& name, std::string_view subject = "IP:127.0.0.1") {
    const std::string cert = dir_.path() + "/" + name + ".pem", key = dir_.path() + "/" + name + ".key";
    const auto made = testing::run_program(
        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=" + name, "-addext", fmt::format("subjectAltName={}", subject), "-keyout", key, "-out", cert});
    EXPECT_EQ(made.status, 0) << made.text;
    return {.cert_file = cert, .key_file = key, .ca_file = cert, .server_name = ""};
  }
  static LinkOptions over(const LinkTls& tls) {
    LinkOptions made = options();
    made.tls = tls;
    return made;
  }
  // A call of a caller with these options to the node that is served: "" or why not.
  std::string meet(const LinkOptions& with) {
    auto caller = LinkNetwork::make(loops_, with).value();
    Out& out = called(route(*caller, place_), "hello");
    const std::string error = *out.done ? "" : to_json(out.error());
    if (error.empty()) EXPECT_EQ(out.out.value(), "hello");
    calls_out_.clear();
    routes_.clear();
    return error;
  }
  testing::TempDir dir_;
};

TEST_F(LinkOverTls, BothSidesShowCertificates) {
  const LinkTls ours = certificate("ours");
  const LinkTls strangers = certificate("strangers");
  serve(over(ours));
  EXPECT_EQ(meet(over(ours)), "");
  // Who does not trust the node, whom the node does not trust, who speaks no TLS.
  EXPECT_NE(meet(over(strangers)), "");
  EXPECT_NE(meet(over({strangers.cert_file, strangers.key_file, ours.ca_file, ""})), "");
  EXPECT_NE(meet(options()), "");
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(meet(over(ours)), "");
}

TEST_F(LinkOverTls, TheNodesCertificateMustBearItsIpOrTheName) {
  LinkTls named = certificate("named", "DNS:game.internal");
  serve(over(named));
  EXPECT_THAT(meet(over(named)), HasSubstr("IP address mismatch"));
  named.server_name = "game.internal";
  EXPECT_EQ(meet(over(named)), "");
  named.server_name = "other.internal";
  EXPECT_NE(meet(over(named)), "");
}

TEST_F(LinkOverTls, CarriesLargeMessagesAndASecretBesides) {
  LinkOptions with = over(certificate("ours"));
  with.secret = "a secret of all nodes";
  serve(with);
  auto caller = LinkNetwork::make(loops_, with).value();
  Out& out = called(route(*caller, place_), std::string(3'000'000, 'x'));
  EXPECT_TRUE(*out.done);
  EXPECT_EQ(out.out.value().size(), 3'000'000);
  calls_out_.clear();
  routes_.clear();
}

// ---- several loops --------------------------------------------------------------------------------------------------

// Nodes as the test says, from any thread.
class SharedResolver final : public Resolver {
 public:
  void set(std::vector<Node> nodes) {
    const std::lock_guard lock(mutex_);
    nodes_ = std::make_shared<const std::vector<Node>>(std::move(nodes));
    ++version_;
  }
  Task<Result<NodeList>> nodes(std::string, Deadline) override {
    const std::lock_guard lock(mutex_);
    return Result<NodeList>(nodes_);
  }
  const std::atomic<std::uint64_t>& version() const override { return version_; }

 private:
  std::mutex mutex_;
  NodeList nodes_ = std::make_shared<const std::vector<Node>>();
  std::atomic<std::uint64_t> version_{1};
};

template <class T>
T on_loop(Loop& loop, std::function<Task<T>()> work) {
  std::promise<T> promise;
  auto future = promise.get_future();
  struct Run {
    static Task<void> run(std::function<Task<T>()> work, std::promise<T>& promise) {
      promise.set_value(co_await work());
    }
  };
  loop.post_always([&] { spawn(Run::run(std::move(work), promise)); });
  return future.get();
}

std::vector<Loop*> loops_of(Runtime& runtime) {
  std::vector<Loop*> loops;
  for (std::size_t i = 0; i < runtime.size(); ++i) loops.push_back(&runtime.loop(i));
  return loops;
}

struct Load {
  std::atomic<bool> stop{false};
  std::atomic<int> running{0};
  std::atomic<int> answered{0};
  std::mutex mutex;
  std::string first_error;
};

Task<void> call_on_and_on(Client& client, Load& load, int number) {
  Meta meta{{"Client-Id", std::to_string(number)}};
  for (int i = 0; !load.stop; ++i) {
    if (i % 10 == 9) meta.set("Step", std::to_string(i));
    StringValue in, out;
    in.set_value(fmt::format("{} {}", number, i));
    const Result<void> done =
        co_await client.call({.service = "game"}, i % 3 == 0 ? "Test.Later" : "Test.Echo", Context(meta), in, out);
    if (!done || out.value() != fmt::format("{} {}", number, in.value())) {
      const std::lock_guard lock(load.mutex);
      if (load.first_error.empty()) load.first_error = done ? "answer " + out.value() : to_json(done.error());
    }
    ++load.answered;
  }
  --load.running;
}

TEST(LinkNetwork, RollingRestartUnderLoadFailsNoCall) {
  LinkOptions options;
  options.listen = "127.0.0.1:0";
  Handlers handlers;
  const auto answer = [](const Context& context, const StringValue& in, StringValue& out) {
    out.set_value(fmt::format("{} {}", context.meta().get("Client-Id"), in.value()));
  };
  ASSERT_TRUE(handlers.add("Test.Echo",
                           [answer](const Context& context, const StringValue& in, StringValue& out) -> Result<void> {
                             answer(context, in, out);
                             return {};
                           }));
  struct Later {
    static Task<Result<void>> run(const Context& context, const StringValue& in, StringValue& out) {
      co_await Loop::current()->yield();
      out.set_value(fmt::format("{} {}", context.meta().get("Client-Id"), in.value()));
      co_return Result<void>();
    }
  };
  ASSERT_TRUE(handlers.add("Test.Later", &Later::run));

  Runtime game({.loops = 2}), gate({.loops = 2});
  const auto game_loops = loops_of(game), gate_loops = loops_of(gate);
  auto game_link = LinkNetwork::make(game_loops, options).value();
  auto gate_link = LinkNetwork::make(gate_loops, options).value();
  SharedResolver resolver;
  SeededRandom random(3);
  auto client = std::make_unique<Client>(ClientOptions{.name = "gate"}, gate_loops, resolver,
                                         std::vector<Transport*>{gate_link.get()}, random);
  ASSERT_TRUE(game.start());
  ASSERT_TRUE(gate.start());

  std::vector<std::unique_ptr<Served>> served(2);
  std::vector<std::string> uuids(2);  // A node that starts again is another one, which nobody has set aside yet.
  int started = 0;
  const auto publish = [&] {
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < served.size(); ++i) {
      if (served[i]) nodes.push_back({"game-" + uuids[i], served[i]->address(), served[i]->metadata()});
    }
    resolver.set(std::move(nodes));
  };
  const auto serve = [&](std::size_t i) {
    uuids[i] = std::to_string(started++);
    served[i] = std::move(on_loop<Result<std::unique_ptr<Served>>>(*game_loops[i % 2], [&, i] {
                            return game_link->serve(
                                {.service = "game", .uuid = uuids[i], .handlers = &handlers, .observer = {}});
                          }).value());
    publish();
  };
  serve(0);
  serve(1);
  Load load;
  for (int i = 0; i < 40; ++i) {
    ++load.running;
    gate_loops[i % 2]->post_always([&, i] { spawn(call_on_and_on(*client, load, i)); });
  }
  for (std::size_t round = 0; round < 10; ++round) {
    const int before = load.answered;
    while (load.answered < before + 200) std::this_thread::yield();
    const std::size_t i = round % 2;
    const std::unique_ptr<Served> leaving = std::move(served[i]);
    if (round % 3 != 0) publish();  // Else callers learn it from the node itself.
    EXPECT_TRUE(on_loop<Result<void>>(*game_loops[0],
                                      [&] { return leaving->stop(Deadline::after(system_clock(), seconds(10))); }));
    serve(i);
  }
  load.stop = true;
  while (load.running > 0) std::this_thread::yield();
  EXPECT_EQ(load.first_error, "");
  for (const auto& one : served) {
    EXPECT_TRUE(
        on_loop<Result<void>>(*game_loops[0], [&] { return one->stop(Deadline::after(system_clock(), seconds(10))); }));
  }
  gate.stop();
  game.stop();
  gate.join();
  game.join();
  EXPECT_EQ(gate_link->stats().violations + game_link->stats().violations, 0);
  served.clear();
  client.reset();
}

}  // namespace
}  // namespace mg::rpc::link
