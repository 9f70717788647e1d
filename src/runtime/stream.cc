#include "mg/runtime/stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "mg/runtime/fetch.h"
#include "runtime/ip_text.h"

namespace mg {
namespace {

constexpr std::size_t kReadBlock = 16 * 1024;
constexpr std::size_t kFirstWriteBlock = 2 * 1024;
// After so many octets in one turn a stream lets the others go first.
constexpr std::uint32_t kOctetsPerTurn = 256 * 1024;

}  // namespace

struct Stream::Tls {
  TlsSession session;
  Block cipher;  // Encrypted octets on their way out.
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  explicit Tls(const TlsContext& context) : session(context) {}
};

Stream::Stream(Loop& loop, int fd, StreamObserver* observer, const TlsContext* tls)
    : fd_(fd), loop_(loop), observer_(observer) {
  if (tls) tls_ = std::make_unique<Tls>(*tls);
  // Edge-triggered with everything asked for at once: no epoll_ctl until the end of the connection.
  loop_.watch(fd_, *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

Stream::~Stream() {
  close_fd();
  loop_.blocks().give(std::move(in_));
  loop_.blocks().give(std::move(out_));
  if (tls_) loop_.blocks().give(std::move(tls_->cipher));
}

void Stream::close_fd() noexcept {
  if (fd_ < 0) return;
  loop_.unwatch(fd_, *this);
  ::close(fd_);
  fd_ = -1;
}

std::string Stream::peer_ip() const {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (fd_ < 0 || ::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  return ip_text(peer);
}

// --- reading ---------------------------------------------------------------------------------------------------------

void Stream::consume(std::size_t octets) noexcept {
  in_begin_ += static_cast<std::uint32_t>(octets);
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
}

// Space behind what is unconsumed, for at least one more octet and, if asked for, `want` octets in all; but in
// proportion to what has come: a peer that states a long message and sends nothing costs nothing.
MutableBytes Stream::make_room(std::size_t want) {
  const std::size_t held = in_end_ - in_begin_;
  const std::size_t needed = std::max(std::min(want, std::max(kReadBlock, 4 * held)), held + 1);
  if (!in_) {
    in_ = loop_.blocks().take(std::max(needed, kReadBlock));
  } else if (in_.size() - in_begin_ < needed || in_end_ == in_.size() || (held == 0 && in_.size() < kReadBlock)) {
    if (in_.size() >= std::max(needed, kReadBlock)) {
      std::memmove(in_.data(), in_.data() + in_begin_, held);
    } else {
      Block larger = loop_.blocks().take(std::max({needed, kReadBlock, held * 2}));
      std::memcpy(larger.data(), in_.data() + in_begin_, held);
      loop_.blocks().give(std::exchange(in_, std::move(larger)));
    }
    in_begin_ = 0;
    in_end_ = static_cast<std::uint32_t>(held);
  }
  return {in_.data() + in_end_, in_.size() - in_end_};
}

// A stream that waits keeps no more memory than what it has in hand needs.
void Stream::shrink_input() noexcept {
  const std::size_t held = in_end_ - in_begin_;
  if (held == 0) {
    in_begin_ = in_end_ = 0;
    if (in_) loop_.blocks().give(std::exchange(in_, {}));
    return;
  }
  if (want_ > 0 || in_.size() <= 2 * std::max(held, BlockPool::kSmallest)) return;  // A long message is on its way.
  Block smaller = loop_.blocks().take(held);
  std::memcpy(smaller.data(), in_.data() + in_begin_, held);
  loop_.blocks().give(std::exchange(in_, std::move(smaller)));
  in_begin_ = 0;
  in_end_ = static_cast<std::uint32_t>(held);
}

bool Stream::start_fill(std::size_t want) {
  want_ = static_cast<std::uint32_t>(want);
  if (input_ != Input::kMore) return input_ == Input::kClosed || !finishing_;
  if (!readable_) return false;
  count_turn();
  if (octets_in_turn_ >= kOctetsPerTurn) return false;
  return receive();
}

void Stream::wait_fill(std::coroutine_handle<> awaiter) {
  reader_ = awaiter;
  shrink_input();
  if (!readable_ || again_) return;
  again_ = true;
  loop_.post([this] {
    again_ = false;
    if (input_ != Input::kMore) return resume_reader();
    turn_ = static_cast<std::uint32_t>(loop_.turn());
    octets_in_turn_ = 0;
    if (receive()) resume_reader();
  });
}

void Stream::count_turn() {
  const auto turn = static_cast<std::uint32_t>(loop_.turn());
  if (turn_ == turn) return;
  turn_ = turn;
  octets_in_turn_ = 0;
}

void Stream::resume_reader() {
  if (reader_ && !again_) std::exchange(reader_, {}).resume();
}

// One recv. True when a waiting reader has something to see.
bool Stream::receive() {
  if (tls_) return receive_tls();
  const MutableBytes room = make_room(want_);
  const ssize_t got = ::recv(fd_, room.data(), room.size(), 0);
  if (got > 0) {
    const auto octets = static_cast<std::uint32_t>(got);
    in_end_ += octets;
    octets_in_turn_ += octets;
    // A short read has emptied the socket; the next octets bring the next event. An end behind it has been told
    // already.
    readable_ = octets == room.size() || hung_up_;
    return true;
  }
  if (got == 0) {
    end_input();
    return input_ == Input::kClosed || !finishing_;
  }
  if (errno == EINTR) return receive();
  readable_ = false;
  if (errno == EAGAIN) return false;
  fail(errno == ECONNRESET ? "reset by peer" : "receive failed");
  return true;
}

bool Stream::receive_tls() {
  static thread_local std::array<std::byte, 17 * 1024> cipher;
  const ssize_t got = ::recv(fd_, cipher.data(), cipher.size(), 0);
  if (got < 0) {
    if (errno == EINTR) return receive_tls();
    readable_ = false;
    if (errno == EAGAIN) return false;
    fail(errno == ECONNRESET ? "reset by peer" : "receive failed");
    return true;
  }
  if (got == 0) {
    end_input();
    return input_ == Input::kClosed || !finishing_;
  }
  const auto octets = static_cast<std::size_t>(got);
  octets_in_turn_ += static_cast<std::uint32_t>(octets);
  readable_ = octets == cipher.size() || hung_up_;
  tls_->session.feed({cipher.data(), octets});
  bool news = false;
  for (;;) {
    const MutableBytes room = make_room(want_);
    std::size_t size = 0;
    const TlsSession::Status status = tls_->session.read(room, &size);
    if (status == TlsSession::Status::kOk) {
      in_end_ += static_cast<std::uint32_t>(size);
      news = true;
      continue;
    }
    if (status == TlsSession::Status::kEnd) {
      end_input();
      news = input_ == Input::kClosed || !finishing_;
    } else if (status == TlsSession::Status::kFailed) {
      if (tls_->session.pending() > 0) send_queued();  // The alert.
      fail(tls_->session.error().data());
      return true;
    }
    break;
  }
  // Handshake messages and key updates, and output that waited for the handshake.
  if (tls_->session.pending() > 0 || out_end_ > out_begin_) loop_.flush_later(*this);
  return news;
}

void Stream::on_ready(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0 || input_ != Input::kMore) return;
  readable_ = true;
  if (!reader_ || again_) return;
  constexpr std::size_t kFrame = 128;
  fetch(reader_.address(), kFrame);
  if (observer_) observer_->on_soon();
  count_turn();
  news_ = receive();
  if (fd_ < 0) loop_.flush_later(*this);  // Closed, so on_events() does not come any more: flush() tells the reader.
}

void Stream::on_events(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    send_queued();
    if (fd_ < 0) return;
  }
  if (std::exchange(news_, false)) resume_reader();
}

// --- writing ---------------------------------------------------------------------------------------------------------

std::byte* Stream::reserve(std::size_t octets) {
  if (shared_) unshare();
  if (!out_) {
    out_ = loop_.blocks().take(std::max(octets, kFirstWriteBlock));
  } else if (out_.size() - out_end_ < octets) {
    const std::size_t held = out_end_ - out_begin_;
    if (out_begin_ >= held && out_.size() >= held + octets) {
      std::memcpy(out_.data(), out_.data() + out_begin_, held);
    } else {
      Block larger = loop_.blocks().take(std::max(held + octets, out_.size() * 2));
      std::memcpy(larger.data(), out_.data() + out_begin_, held);
      loop_.blocks().give(std::exchange(out_, std::move(larger)));
    }
    out_begin_ = 0;
    out_end_ = static_cast<std::uint32_t>(held);
  }
  return out_.data() + out_end_;
}

void Stream::write(Bytes octets) {
  if (fd_ < 0 || finishing_ || octets.empty()) return;
  std::memcpy(reserve(octets.size()), octets.data(), octets.size());
  commit(octets.size());
}

void Stream::write_shared(const SharedBytes& octets) {
  if (fd_ < 0 || finishing_ || octets.size() == 0) return;
  if (tls_ || shared_ || out_end_ != out_begin_) return write(octets.bytes());
  shared_ = octets;
  shared_sent_ = 0;
  if (!blocked_) ask_flush();
}

// What is left of the shared octets becomes ordinary output, so that more can follow it.
void Stream::unshare() {
  const SharedBytes shared = std::exchange(shared_, {});
  const Bytes left = shared.bytes().subspan(shared_sent_);
  std::memcpy(reserve(left.size()), left.data(), left.size());
  out_end_ += static_cast<std::uint32_t>(left.size());
}

std::size_t Stream::queued() const noexcept {
  std::size_t octets = out_end_ - out_begin_ + (shared_ ? shared_.size() - shared_sent_ : 0);
  if (tls_) octets += tls_->end - tls_->begin + tls_->session.pending();
  return octets;
}

void Stream::flush_now() {
  if (!blocked_ && fd_ >= 0) send_queued();
}

void Stream::flush() {
  if (fd_ < 0) {
    if (reader_) {
      resume_reader();
    } else if (observer_) {
      observer_->on_closed();
    }
    return;
  }
  if (!blocked_) send_queued();
}

// Sends from data[*done..size); false when the socket is full or failed.
bool Stream::send_octets(const std::byte* data, std::size_t size, std::uint32_t* done) {
  while (*done < size) {
    const ssize_t put = ::send(fd_, data + *done, size - *done, MSG_NOSIGNAL);
    if (put >= 0) {
      *done += static_cast<std::uint32_t>(put);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      blocked_ = true;
      blocked_since_ = loop_.now();
      if (observer_) observer_->on_blocked();
      return false;
    }
    fail(errno == EPIPE || errno == ECONNRESET ? "reset by peer" : "send failed");
    return false;
  }
  return true;
}

bool Stream::send_tls() {
  for (;;) {
    if (tls_->end > tls_->begin) {
      if (!send_octets(tls_->cipher.data(), tls_->end, &tls_->begin)) return false;
      tls_->begin = tls_->end = 0;
    }
    if (tls_->session.pending() > 0) {
      if (!tls_->cipher) tls_->cipher = loop_.blocks().take(kReadBlock);
      tls_->end = static_cast<std::uint32_t>(tls_->session.take({tls_->cipher.data(), tls_->cipher.size()}));
      continue;
    }
    if (out_end_ == out_begin_) break;
    // One record at a time, so that a blocked socket leaves little encrypted.
    const std::size_t size = std::min<std::size_t>(out_end_ - out_begin_, kReadBlock);
    const TlsSession::Status status = tls_->session.write({out_.data() + out_begin_, size});
    if (status == TlsSession::Status::kFailed) {
      fail(tls_->session.error().data());
      return false;
    }
    if (status == TlsSession::Status::kMore) return false;  // Goes on when the handshake is over.
    out_begin_ += static_cast<std::uint32_t>(size);
  }
  if (tls_->cipher) loop_.blocks().give(std::exchange(tls_->cipher, {}));
  return true;
}

void Stream::send_queued() {
  const bool was_blocked = blocked_since_ != TimePoint();
  if (tls_) {
    if (!send_tls()) return;
  } else {
    if (shared_) {
      if (!send_octets(shared_.bytes().data(), shared_.size(), &shared_sent_)) return;
      shared_ = {};
    }
    if (out_end_ > out_begin_ && !send_octets(out_.data(), out_end_, &out_begin_)) return;
  }
  out_begin_ = out_end_ = 0;
  if (out_) loop_.blocks().give(std::exchange(out_, {}));
  blocked_since_ = {};
  if (was_blocked && observer_) observer_->on_drained();
  if (finishing_ && fd_ >= 0 && queued() == 0) done_sending();
}

void Stream::done_sending() {
  if (tls_) {
    tls_->session.shutdown();
    if (!send_tls()) return;
  }
  shut_down_ = true;
  if (input_ == Input::kEnd) {
    close_fd();
    input_ = Input::kClosed;
    loop_.flush_later(*this);
    return;
  }
  ::shutdown(fd_, SHUT_WR);
}

// The peer sends no more.
void Stream::end_input() {
  readable_ = false;
  input_ = Input::kEnd;
  if (!shut_down_) return;
  close_fd();
  input_ = Input::kClosed;
}

// --- closing ---------------------------------------------------------------------------------------------------------

void Stream::finish() {
  if (fd_ < 0 || finishing_) return;
  finishing_ = true;
  if (!blocked_) loop_.flush_later(*this);
}

void Stream::fail(const char* what) {
  if (*failure_ == '\0') failure_ = what;
  abort();
}

void Stream::abort() {
  if (fd_ < 0) return;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close();
}

void Stream::close() {
  if (fd_ < 0) return;
  close_fd();
  input_ = Input::kClosed;
  readable_ = false;
  blocked_ = false;
  out_begin_ = out_end_ = 0;
  shared_ = {};
  loop_.flush_later(*this);  // Which resumes the reader, when nobody above is in the middle of something.
}

}  // namespace mg
