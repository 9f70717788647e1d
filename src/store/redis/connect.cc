#include "store/redis/connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/connecting.h"

namespace mg::redis {

struct Connector::Lookup {
  boost::asio::ip::tcp::resolver resolver;
  Completion<std::string> done;  // Empty, or what went wrong.
  std::vector<Address> found;
  explicit Lookup(Loop& loop) : resolver(loop.asio()) {}
};

Connector::Connector(Loop& loop, std::string host, std::uint16_t port)
    : loop_(loop), host_(std::move(host)), port_(port) {}

Connector::~Connector() {
  if (fd_ < 0) return;
  loop_.unwatch(fd_, *this);
  ::close(fd_);
}

void Connector::cancel() {
  cancelled_ = true;
  const auto lookup = lookup_;
  // Whoever waits may destroy this object as it goes on.
  if (lookup) {
    lookup->resolver.cancel();
    lookup->done.set("called off");
  } else if (arrived_) {
    arrived_->set(ECANCELED);
  }
}

Task<Result<std::vector<Connector::Address>>> Connector::resolve(Deadline deadline) {
  std::vector<Address> out(1);
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&out[0].at);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&out[0].at);
  if (::inet_pton(AF_INET, host_.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port_);
    out[0].size = sizeof *v4;
    co_return out;
  }
  if (::inet_pton(AF_INET6, host_.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port_);
    out[0].size = sizeof *v6;
    co_return out;
  }
  lookup_ = std::make_shared<Lookup>(loop_);
  lookup_->resolver.async_resolve(
      host_, std::to_string(port_),
      [lookup = lookup_](const boost::system::error_code& error, boost::asio::ip::tcp::resolver::results_type results) {
        for (const auto& entry : results) {
          Address address;
          address.size = static_cast<socklen_t>(entry.endpoint().size());
          std::memcpy(&address.at, entry.endpoint().data(), address.size);
          lookup->found.push_back(address);
        }
        lookup->done.set(error ? error.message() : "");
      });
  const auto lookup = lookup_;
  const auto done = co_await lookup->done.wait(loop_, deadline);
  lookup->resolver.cancel();
  lookup_.reset();
  if (!done) co_return fail(code::kUnavailable, "{}: its name was not resolved in time", host_);
  if (!done->empty()) co_return fail(code::kUnavailable, "{}: {}", host_, *done);
  co_return std::move(lookup->found);
}

Task<Result<int>> Connector::connect(Deadline deadline) {
  auto addresses = co_await resolve(deadline);
  if (!addresses) co_return std::unexpected(std::move(addresses).error());
  Result<int> last = fail(code::kUnavailable, "{}: no address", host_);
  for (const auto& address : *addresses) {
    if (cancelled_) co_return fail(code::kUnavailable, "called off");
    last = co_await try_one(address, deadline);
    if (last) break;
  }
  co_return last;
}

Task<Result<int>> Connector::try_one(const Address& address, Deadline deadline) {
  fd_ = ::socket(address.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd_ < 0) co_return fail(code::kUnavailable, "no socket ({})", std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address.at), address.size) != 0 && errno != EINPROGRESS) {
    const int why = errno;
    ::close(std::exchange(fd_, -1));
    co_return fail(code::kUnavailable, "cannot connect ({})", std::strerror(why));
  }
  arrived_.emplace();
  loop_.watch(fd_, *this, EPOLLOUT | EPOLLET);
  const auto error = co_await arrived_->wait(loop_, deadline);
  arrived_.reset();
  loop_.unwatch(fd_, *this);
  const int fd = std::exchange(fd_, -1);
  if (error && *error == 0) co_return fd;
  ::close(fd);
  if (!error) co_return fail(code::kUnavailable, "no connection in time");
  co_return fail(code::kUnavailable, "cannot connect ({})", std::strerror(*error));
}

void Connector::on_events(std::uint32_t /*events*/) {
  const int error = connect_result(fd_);
  if (error != EINPROGRESS && arrived_) arrived_->set(error);
}

}  // namespace mg::redis
