#include "tests/interop/go_peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace mg::interop {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

GoPeer::GoPeer(const Options& options) {
  const char* const program = std::getenv("MG_INTEROP_GO");
  if (!program) throw std::runtime_error("MG_INTEROP_GO does not name the Go program");
  std::vector<std::string> words{program,          "-name",   options.name,   "-address", options.address, "-registry",
                                 options.registry, "-broker", options.broker, "-ttl",     options.ttl};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int to[2], from[2];
  if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::dup2(to[0], 0);
    ::dup2(from[1], 1);
    ::execv(program, arguments.data());
    ::_exit(127);
  }
  ::close(to[0]);
  ::close(from[1]);
  in_ = to[1];
  out_ = from[0];
  if (pid_ < 0) throw std::runtime_error("fork fails");
  const boost::json::object ready = read();
  id_ = ready.at("id").as_string();
  address_ = ready.at("address").as_string();
}

GoPeer::~GoPeer() {
  if (pid_ > 0) kill();
  ::close(in_);
  ::close(out_);
}

boost::json::object GoPeer::ask(boost::json::object command) {
  const std::string line = boost::json::serialize(command) + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t put = ::write(in_, line.data() + at, line.size() - at);
    if (put < 0) throw std::runtime_error("the Go peer has gone: " + line);
    at += static_cast<std::size_t>(put);
  }
  return read();
}

boost::json::object GoPeer::read() {
  const auto end = Clock::now() + kPatience;
  for (;;) {
    if (const std::size_t line = buffer_.find('\n'); line != buffer_.npos) {
      const std::string words = buffer_.substr(0, line);
      buffer_.erase(0, line + 1);
      if (words.starts_with('{')) return boost::json::parse(words).as_object();
      continue;  // A line of go-micro's log.
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd poll{.fd = out_, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0)
      throw std::runtime_error("no answer of the Go peer");
    char text[65536];
    const ssize_t got = ::read(out_, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the Go peer has ended; its own words are above");
    buffer_.append(text, static_cast<std::size_t>(got));
  }
}

int GoPeer::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int GoPeer::stop() {
  ::kill(pid_, SIGTERM);
  return wait();
}

int GoPeer::wait() {
  // Its output ends with it.
  for (const auto end = Clock::now() + kPatience;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd poll{.fd = out_, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0)
      throw std::runtime_error("the Go peer does not end");
    char text[4096];
    if (::read(out_, text, sizeof text) <= 0) return reap();
  }
}

void GoPeer::kill() {
  ::kill(pid_, SIGKILL);
  reap();
}

}  // namespace mg::interop
