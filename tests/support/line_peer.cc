#include "tests/support/line_peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <stdexcept>

namespace mg::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

LinePeer::LinePeer(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
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
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(to[0]);
  ::close(from[1]);
  in_ = to[1];
  out_ = from[0];
  if (pid_ < 0) throw std::runtime_error("fork fails");
}

LinePeer::~LinePeer() {
  if (pid_ > 0) kill();
  ::close(in_);
  ::close(out_);
}

void LinePeer::say(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t put = ::write(in_, text.data() + at, text.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw std::runtime_error("the peer has gone: " + text);
    at += static_cast<std::size_t>(put);
  }
}

std::string LinePeer::read(std::chrono::seconds patience) {
  const auto end = Clock::now() + patience;
  for (;;) {
    if (const std::size_t line = buffer_.find('\n'); line != buffer_.npos) {
      std::string words = buffer_.substr(0, line);
      buffer_.erase(0, line + 1);
      return words;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd poll{.fd = out_, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0) throw std::runtime_error("no answer of the peer");
    char text[65536];
    const ssize_t got = ::read(out_, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the peer has ended; its own words are above");
    buffer_.append(text, static_cast<std::size_t>(got));
  }
}

void LinePeer::pause() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  if (::waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status))
    throw std::runtime_error("the peer has ended");
}

void LinePeer::resume() {
  ::kill(pid_, SIGCONT);
}

int LinePeer::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int LinePeer::stop() {
  ::kill(pid_, SIGTERM);
  return wait();
}

int LinePeer::wait() {
  // Its output ends with it.
  for (const auto end = Clock::now() + kPatience;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd poll{.fd = out_, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0) throw std::runtime_error("the peer does not end");
    char text[4096];
    if (::read(out_, text, sizeof text) <= 0) return reap();
  }
}

void LinePeer::kill() {
  ::kill(pid_, SIGKILL);
  reap();
}

}  // namespace mg::testing
