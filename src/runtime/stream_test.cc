#include "mg/runtime/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "mg/runtime/listener.h"

namespace mg {
namespace {

// A peer of a stream on the same thread: a plain socket, and the loop driven by hand.
class StreamTest : public testing::Test, public StreamObserver {
 protected:
  void SetUp() override {
    auto opened = Listener::open(loop_, "127.0.0.1:0", {}, [this](int fd, std::string_view peer) {
      EXPECT_EQ(peer, "127.0.0.1");
      accepted_ = fd;
    });
    ASSERT_TRUE(opened) << to_json(opened.error());
    peer_ = connect_to((*opened)->port());
    ASSERT_TRUE(run_until([&] { return accepted_ >= 0; }));
    stream_ = std::make_unique<Stream>(loop_, accepted_, this);
  }
  void TearDown() override {
    if (peer_ >= 0) ::close(peer_);
    peer_ = -1;
    if (stream_) stream_->abort();
    while (loop_.poll()) {
    }
    stream_.reset();
  }

  static int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  }

  bool run_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.poll();
    }
    return true;
  }

  void say(std::string_view text) { ASSERT_EQ(::send(peer_, text.data(), text.size(), 0), ssize_t(text.size())); }
  std::string hear(std::size_t size) {
    std::string text;
    run_until([&] {
      char buffer[65536];
      const ssize_t got = ::recv(peer_, buffer, std::min(sizeof buffer, size - text.size()), MSG_DONTWAIT);
      if (got > 0) text.append(buffer, std::size_t(got));
      return got == 0 || text.size() == size;
    });
    return text;
  }
  bool peer_sees_end() {
    char octet;
    ssize_t got = -1;
    run_until([&] { return (got = ::recv(peer_, &octet, 1, MSG_DONTWAIT)) == 0 || (got < 0 && errno != EAGAIN); });
    return got == 0;
  }

  Task<void> collect() {
    for (;;) {
      ended_with_ = co_await stream_->fill(want_);
      if (ended_with_ != Stream::Input::kMore) break;
      if (stream_->input().size() < take_at_) continue;
      collected_ += as_text(stream_->input());
      stream_->consume(stream_->input().size());
    }
    ended_ = true;
  }

  void on_blocked() override { ++blocked_; }
  void on_drained() override { ++drained_; }
  void on_closed() override { ++closed_; }

  Loop loop_;
  int accepted_ = -1;
  int peer_ = -1;
  std::unique_ptr<Stream> stream_;
  std::string collected_;
  std::size_t want_ = 0;
  std::size_t take_at_ = 0;
  Stream::Input ended_with_ = Stream::Input::kMore;
  bool ended_ = false;
  int blocked_ = 0, drained_ = 0, closed_ = 0;
};

TEST_F(StreamTest, GivesWhatComesAndEndsWithThePeer) {
  spawn(collect());
  say("hello ");
  ASSERT_TRUE(run_until([&] { return collected_ == "hello "; }));
  say("world");
  ::shutdown(peer_, SHUT_WR);
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(collected_, "hello world");
  EXPECT_EQ(ended_with_, Stream::Input::kEnd);
}

TEST_F(StreamTest, KeepsUnconsumedOctetsInOnePiece) {
  take_at_ = 100'000;
  want_ = 100'000;
  spawn(collect());
  const std::string text(100'000, 'x');
  std::size_t sent = 0;
  ASSERT_TRUE(run_until([&] {
    const ssize_t put =
        ::send(peer_, text.data() + sent, std::min<std::size_t>(7'001, text.size() - sent), MSG_DONTWAIT);
    if (put > 0) sent += std::size_t(put);
    return collected_.size() == text.size();
  }));
  EXPECT_EQ(collected_, text);
}

TEST_F(StreamTest, SendsWhatATurnWroteInOrder) {
  stream_->write(as_bytes("one "));
  SharedBytes shared = SharedBytes::make(4);
  std::memcpy(shared.writable().data(), "two ", 4);
  stream_->write_shared(shared);
  stream_->write(as_bytes("three "));
  EXPECT_EQ(hear(14), "one two three ");
  stream_->write_shared(shared);
  EXPECT_EQ(stream_->queued(), 4U);
  EXPECT_EQ(hear(4), "two ");
  EXPECT_EQ(stream_->queued(), 0U);
  stream_->write_shared(shared);
  stream_->write(as_bytes("four"));
  EXPECT_EQ(hear(8), "two four");
}

TEST_F(StreamTest, SaysWhenItIsBlockedAndWhenAllIsSent) {
  const std::string much(32 * 1024 * 1024, 'm');
  stream_->write(as_bytes(much));
  ASSERT_TRUE(run_until([&] { return stream_->blocked(); }));
  EXPECT_GE(blocked_, 1);
  EXPECT_GT(stream_->queued(), 0U);
  EXPECT_EQ(hear(much.size()), much);
  ASSERT_TRUE(run_until([&] { return drained_ > 0; }));
  EXPECT_FALSE(stream_->blocked());
  EXPECT_EQ(stream_->queued(), 0U);
}

TEST_F(StreamTest, FinishSendsWhatIsQueuedThenEnds) {
  const std::string much(8 * 1024 * 1024, 'm');
  stream_->write(as_bytes(much));
  stream_->finish();
  stream_->write(as_bytes("too late"));
  spawn(collect());
  EXPECT_EQ(hear(much.size()), much);
  EXPECT_TRUE(peer_sees_end());
  EXPECT_FALSE(ended_);
  ::close(std::exchange(peer_, -1));
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(ended_with_, Stream::Input::kClosed);
}

TEST_F(StreamTest, AnswersAPeerThatHasHalfClosed) {
  say("question");
  ::shutdown(peer_, SHUT_WR);
  spawn(collect());
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(ended_with_, Stream::Input::kEnd);
  ended_ = false;
  stream_->write(as_bytes("answer"));
  stream_->finish();
  spawn(collect());
  EXPECT_EQ(hear(6), "answer");
  EXPECT_TRUE(peer_sees_end());
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(ended_with_, Stream::Input::kClosed);
}

TEST_F(StreamTest, AbortResetsThePeerAndWakesTheReader) {
  spawn(collect());
  stream_->write(as_bytes("never seen"));
  stream_->abort();
  EXPECT_FALSE(ended_);  // Not from inside abort().
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(ended_with_, Stream::Input::kClosed);
  EXPECT_FALSE(peer_sees_end());
}

TEST_F(StreamTest, AbortWithoutAReaderTellsTheObserver) {
  stream_->abort();
  ASSERT_TRUE(run_until([&] { return closed_ == 1; }));
}

TEST_F(StreamTest, ResetByThePeerIsAFailure) {
  spawn(collect());
  loop_.poll();
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(peer_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(std::exchange(peer_, -1));
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(ended_with_, Stream::Input::kClosed);
  EXPECT_EQ(stream_->failure(), "reset by peer");
}

TEST_F(StreamTest, AFastSenderDoesNotKeepTheLoop) {
  spawn(collect());
  const std::string chunk(64 * 1024, 'c');
  std::size_t sent = 0;
  int turns = 0;
  bool other = false;
  loop_.post([&] { other = true; });
  ASSERT_TRUE(run_until([&] {
    while (sent < 8'000'000) {
      const ssize_t put = ::send(peer_, chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (put <= 0) break;
      sent += std::size_t(put);
    }
    const std::size_t before = collected_.size();
    loop_.poll();
    EXPECT_LE(collected_.size() - before, 600U * 1024);  // Twice the budget: once for the event, once posted.
    ++turns;
    return sent >= 8'000'000 && collected_.size() == sent;
  }));
  EXPECT_TRUE(other);
  EXPECT_GT(turns, 10);
}

TEST(Listener, RefusesAPortInUseAndBadAddresses) {
  Loop loop;
  auto first = Listener::open(loop, "127.0.0.1:0", {}, [](int fd, std::string_view) { ::close(fd); });
  ASSERT_TRUE(first);
  auto second = Listener::open(loop, (*first)->address(), {}, [](int fd, std::string_view) { ::close(fd); });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, code::kExists);
  EXPECT_NE(second.error().detail.find((*first)->address()), std::string::npos);
  auto shared =
      Listener::open(loop, (*first)->address(), {.share = true}, [](int fd, std::string_view) { ::close(fd); });
  EXPECT_TRUE(shared);
  for (const char* bad : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x", "::1:80", "[::1]"}) {
    auto opened = Listener::open(loop, bad, {}, [](int, std::string_view) {});
    ASSERT_FALSE(opened) << bad;
    EXPECT_EQ(opened.error().code, code::kInvalid) << bad;
    EXPECT_NE(opened.error().detail.find(bad), std::string::npos);
  }
}

TEST(Listener, SurvivesTheLackOfDescriptors) {
  Loop loop;
  std::vector<int> taken;
  auto listener = Listener::open(loop, "127.0.0.1:0", {}, [&](int fd, std::string_view) { taken.push_back(fd); });
  ASSERT_TRUE(listener);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons((*listener)->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // One the ordinary way first: the sanitizer's look at a new type needs descriptors itself.
  const int ordinary = ::socket(AF_INET, SOCK_STREAM, 0);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  const int second = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(ordinary, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (taken.empty() && std::chrono::steady_clock::now() < end) loop.poll();
  ASSERT_EQ(taken.size(), 1U);
  std::vector<int> filler;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) filler.push_back(fd);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  for (int i = 0; i < 10; ++i) loop.poll();
  EXPECT_EQ(taken.size(), 1U);
  EXPECT_EQ((*listener)->refused(), 1U);
  for (const int fd : filler) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_EQ(::connect(second, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  while (taken.size() < 2 && std::chrono::steady_clock::now() < end) loop.poll();
  EXPECT_EQ(taken.size(), 2U);
  for (const int fd : taken) ::close(fd);
  ::close(ordinary);
  ::close(client);
  ::close(second);
}

}  // namespace
}  // namespace mg
