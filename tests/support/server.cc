#include "tests/support/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace mg::testing {
namespace {

using Clock = std::chrono::steady_clock;

// Lets a little time pass between two looks at something that has no descriptor to wait on.
void breathe() {
  ::poll(nullptr, 0, 2);
}

// Forks and executes; the child dies with this thread. stdout and stderr go to `fd`.
pid_t spawn_program(const std::vector<std::string>& command, int fd) {
  // Everything that allocates happens before the fork: other threads may hold the allocator's locks.
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  std::string path = std::string(::getenv("PATH") ? ::getenv("PATH") : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
  std::string program = command[0];
  if (!program.contains('/')) {
    std::istringstream folders(path);
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (const std::string full = folder + "/" + command[0]; ::access(full.c_str(), X_OK) == 0) {
        program = full;
        break;
      }
    }
  }
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::setpgid(0, 0);  // Ctrl-C of a terminal is for the test.
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    for (int other = 3; other < 1024; ++other) ::close(other);
    ::execv(program.c_str(), arguments.data());
    constexpr char kText[] = "cannot be executed\n";
    if (::write(2, kText, sizeof kText - 1) < 0) ::_exit(125);
    ::_exit(127);
  }
  return child;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string tail(const std::string& text) {
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

}  // namespace

// ---- TempDir ------------------------------------------------------------------------------------------------------

TempDir::TempDir() {
  // In memory where there is such a folder: servers that sync every write are many times quicker there.
  const bool memory = ::access("/dev/shm", W_OK) == 0;
  const std::filesystem::path base = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string pattern = (base / "mg-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp " + pattern + ": " + std::strerror(errno));
  path_ = pattern;
}
TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}
TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}
std::string TempDir::write(std::string_view name, std::string_view text) const {
  std::string path = path_ + "/" + std::string(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

// ---- functions ----------------------------------------------------------------------------------------------------

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port: " + std::string(std::strerror(errno)));
  return ntohs(at.sin_port);
}

Output run_program(std::vector<std::string> command) {
  const TempDir dir;
  const std::string file = dir.path() + "/output";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t child = spawn_program(command, fd);
  ::close(fd);
  const auto end = Clock::now() + std::chrono::seconds(30);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() > end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
    breathe();
  }
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), .text = read_file(file)};
}

// ---- Server -------------------------------------------------------------------------------------------------------

Server Server::etcd(std::vector<std::string> extra, std::string scheme) {
  const std::string peer = "http://127.0.0.1:" + std::to_string(free_port());
  auto command = [extra, scheme, peer](std::uint16_t port, const std::string& dir) {
    const std::string url = scheme + "://127.0.0.1:" + std::to_string(port);
    std::vector<std::string> all{"etcd",
                                 "--name=test",
                                 "--data-dir=" + dir,
                                 "--logger=zap",
                                 "--heartbeat-interval=20",
                                 "--election-timeout=200",
                                 "--listen-client-urls=" + url,
                                 "--advertise-client-urls=" + url,
                                 "--listen-peer-urls=" + peer,
                                 "--initial-advertise-peer-urls=" + peer,
                                 "--initial-cluster=test=" + peer};
    all.insert(all.end(), extra.begin(), extra.end());
    return all;
  };
  return Server({.name = "etcd", .command = std::move(command), .ready = "serving client traffic"});
}

Server Server::nats(std::vector<std::string> extra) {
  auto command = [extra](std::uint16_t port, const std::string& dir) {
    std::vector<std::string> all{"nats-server", "-a", "127.0.0.1", "-p", std::to_string(port), "-sd", dir};
    all.insert(all.end(), extra.begin(), extra.end());
    return all;
  };
  return Server({.name = "nats-server", .command = std::move(command), .ready = "Server is ready"});
}

Server Server::redis(std::vector<std::string> extra) {
  auto command = [extra](std::uint16_t port, const std::string& dir) {
    std::vector<std::string> all{"redis-server", "--bind", "127.0.0.1",   "--port", std::to_string(port), "--dir", dir,
                                 "--save",       "",       "--daemonize", "no"};
    all.insert(all.end(), extra.begin(), extra.end());
    return all;
  };
  return Server({.name = "redis-server", .command = std::move(command), .ready = "Ready to accept connections"});
}

Server::Server(Kind kind, bool started) : kind_(std::move(kind)), port_(free_port()) {
  if (started) start();
}

Server::Server(Server&& other) noexcept
    : kind_(std::move(other.kind_)),
      dir_(std::move(other.dir_)),
      port_(other.port_),
      pid_(std::exchange(other.pid_, -1)),
      has_run_(other.has_run_) {}

Server::~Server() {
  if (pid_ > 0) end(SIGKILL, std::chrono::seconds(10));
}

std::string Server::output() const {
  return read_file(dir_.path() + "/output");
}

void Server::start() {
  if (running()) throw std::runtime_error(kind_.name + " runs already");
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (launch()) return;
    if (!has_run_) port_ = free_port();  // Somebody was quicker.
  }
  throw std::runtime_error(kind_.name + " does not come up:\n" + tail(output()));
}

bool Server::launch() {
  const std::string data = dir_.path() + "/data";
  std::filesystem::create_directories(data);
  const std::string file = dir_.path() + "/output";
  const std::size_t before = output().size();
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_ = spawn_program(kind_.command(port_, data), fd);
  ::close(fd);
  const auto limit = Clock::now() + std::chrono::seconds(30);
  while (Clock::now() < limit) {
    if (output().find(kind_.ready, before) != std::string::npos) {
      has_run_ = true;
      return true;
    }
    if (reap(false)) return false;
    breathe();
  }
  end(SIGKILL, std::chrono::seconds(10));
  return false;
}

bool Server::reap(bool block) {
  if (::waitpid(pid_, nullptr, block ? 0 : WNOHANG) == 0) return false;
  pid_ = -1;
  return true;
}

void Server::end(int signal, std::chrono::milliseconds patience) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  if (signal != SIGKILL) ::kill(pid_, SIGCONT);
  const auto limit = Clock::now() + patience;
  while (!reap(false)) {
    if (Clock::now() > limit) {
      ::kill(pid_, SIGKILL);
      reap(true);
      return;
    }
    breathe();
  }
}

void Server::stop() {
  end(SIGTERM, std::chrono::seconds(10));
}
void Server::kill() {
  end(SIGKILL, std::chrono::seconds(10));
}

void Server::pause() {
  if (!running()) throw std::runtime_error(kind_.name + " does not run");
  ::kill(pid_, SIGSTOP);
  int status = 0;
  if (::waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status)) {
    pid_ = -1;
    throw std::runtime_error(kind_.name + " has ended:\n" + tail(output()));
  }
}
void Server::resume() {
  if (running()) ::kill(pid_, SIGCONT);
}

void Server::wipe() {
  if (running()) throw std::runtime_error(kind_.name + " runs: stop it before its data is removed");
  std::filesystem::remove_all(dir_.path() + "/data");
}

}  // namespace mg::testing
