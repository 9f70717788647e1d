// mg/runtime/listener.h -- a listening TCP socket of a loop; several loops share a port (SO_REUSEPORT).
//
//   auto first = Listener::open(loop_a, "127.0.0.1:0", {}, on_accept);        // Result
//   auto second = Listener::open(loop_b, (*first)->address(), {.share = true}, on_accept);
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/runtime/loop.h"

namespace mg {

struct ListenOptions {
  int backlog = 4096;         // Connections that wait to be accepted; the kernel may allow fewer.
  int accepts_per_turn = 64;  // Then the loop's other work gets its turn.
  bool share = false;         // Another listener of this process has the port already.
};

// Accepts connections and gives them away. When descriptors run out it drops the newcomer and rests for 50 ms, so
// that the process neither spins nor stops serving.
// Threads: loop.
class Listener final : private IoHandler {
 public:
  // `fd` is non-blocking, no-delay, close-on-exec; `peer` is the address as text, without port ("::ffff:" removed).
  using OnAccept = std::move_only_function<void(int fd, std::string_view peer)>;

  // `address`: "host:port", ":port" (all interfaces, IPv6 and IPv4), "[::1]:port"; port 0 picks a free one.
  // Errors: kInvalid not such an address; kExists somebody listens there; kServer anything else, with the reason.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, std::string_view address, ListenOptions options,
                                                OnAccept on_accept);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  // "host:port" with the port that is listened on, the host as given.
  const std::string& address() const noexcept { return address_; }
  std::uint16_t port() const noexcept { return port_; }
  std::uint64_t refused() const noexcept { return refused_; }  // For want of descriptors.

 private:
  Listener(Loop& loop, int fd, ListenOptions options, OnAccept on_accept);
  void on_events(std::uint32_t events) override;
  void out_of_descriptors();

  Loop& loop_;
  int fd_;
  int reserve_fd_ = -1;  // Given up for a moment to accept and drop one connection when no other descriptor is left.
  bool resting_ = false;
  ListenOptions options_;
  OnAccept on_accept_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::uint64_t refused_ = 0;
  Timer rest_;
};

}  // namespace mg
