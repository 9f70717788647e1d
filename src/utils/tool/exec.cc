#include "mg/utils/tool/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/escape.h"
#include "mg/base/clock.h"
#include "mg/base/deadline.h"

extern char** environ;

namespace mg::tool {
namespace {

class Fd {
 public:
  Fd() = default;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }
  int* put() { return &fd_; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
  bool open() {
    int fds[2];
    return ::pipe2(fds, O_CLOEXEC) == 0 && take(fds);
  }
  // Sockets: writing to a reader that is gone is then an error and no signal.
  bool open_sockets() {
    int fds[2];
    return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 && take(fds);
  }

 private:
  bool take(const int (&fds)[2]) {
    *read.put() = fds[0];
    *write.put() = fds[1];
    return true;
  }
};

// Attributes and actions of posix_spawn, freed at the end.
struct Spawn {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  Spawn() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

void wait_for(pid_t child, int& status) {
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<ExecOutput> exec(const std::vector<std::string>& arguments, const ExecOptions& options) {
  if (arguments.empty() || arguments[0].empty()) return fail(code::kInvalid, "no program to run");
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    if (argument.contains('\0')) return fail(code::kInvalid, "an argument of {} has a zero octet", quote(arguments[0]));
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const auto no_process = [&](int error) {
    return fail(error == ENOENT ? code::kNotFound : code::kServer, "running {}: {}", quote(arguments[0]),
                std::generic_category().message(error));
  };
  Pipe in;
  Pipe out;
  Pipe err;
  if (!in.open_sockets() || !out.open() || !err.open()) return no_process(errno == ENOENT ? EIO : errno);
  Spawn spawn;
  posix_spawn_file_actions_adddup2(&spawn.actions, in.read.get(), 0);
  posix_spawn_file_actions_adddup2(&spawn.actions, out.write.get(), 1);
  posix_spawn_file_actions_adddup2(&spawn.actions, err.write.get(), 2);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&spawn.actions, options.folder.c_str());
  // A group of its own, so that all of it can be ended; signals as at the start of a program.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigemptyset(&all);
  for (const int number : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP}) sigaddset(&all, number);
  posix_spawnattr_setflags(&spawn.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&spawn.attributes, 0);
  posix_spawnattr_setsigmask(&spawn.attributes, &none);
  posix_spawnattr_setsigdefault(&spawn.attributes, &all);
  pid_t child = -1;
  if (const int error = posix_spawnp(&child, argv[0], &spawn.actions, &spawn.attributes, argv.data(), environ)) {
    return no_process(error);
  }
  in.read.close();
  out.write.close();
  err.write.close();
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);

  ExecOutput got;
  std::string_view input = options.input;
  if (input.empty()) in.write.close();
  const Deadline deadline = Deadline::after(system_clock(), options.timeout);
  std::optional<Error> error;
  while (!error && (out.read.get() >= 0 || err.read.get() >= 0)) {
    std::array<pollfd, 3> fds{{{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {in.write.get(), POLLOUT, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.remaining(system_clock().now()));
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (n == 0 && deadline.expired(system_clock().now())) {
      error = make_error(code::kTimeout,
                         fmt::format("{} is not done after {} ms", quote(arguments[0]), options.timeout.count()));
    }
    if (n <= 0) continue;
    for (auto [fd, text, revents] :
         {std::tuple(&out.read, &got.out, fds[0].revents), std::tuple(&err.read, &got.error, fds[1].revents)}) {
      if (revents == 0) continue;
      char block[16 * 1024];
      const ssize_t size = ::read(fd->get(), block, sizeof block);
      if (size > 0) text->append(block, static_cast<std::size_t>(size));
      if (size == 0 || (size < 0 && errno != EINTR)) fd->close();
      if (text->size() > options.max_output_bytes) {
        error = make_error(code::kTooMany,
                           fmt::format("{} writes more than {} octets", quote(arguments[0]), options.max_output_bytes));
      }
    }
    if (fds[2].revents != 0) {
      const ssize_t size = ::send(in.write.get(), input.data(), input.size(), MSG_NOSIGNAL);
      if (size > 0) input.remove_prefix(static_cast<std::size_t>(size));
      if (input.empty() || (size < 0 && errno != EINTR && errno != EAGAIN)) in.write.close();
    }
  }
  int status = 0;
  if (!error) {  // The outputs are closed; it may still run.
    for (int wait_ms = 1; ::waitpid(child, &status, WNOHANG) == 0; wait_ms = std::min(wait_ms * 2, 20)) {
      if (deadline.expired(system_clock().now())) {
        error = make_error(code::kTimeout,
                           fmt::format("{} is not done after {} ms", quote(arguments[0]), options.timeout.count()));
        break;
      }
      ::poll(nullptr, 0, wait_ms);
    }
  }
  if (error) {
    ::kill(-child, SIGKILL);
    wait_for(child, status);
    return std::unexpected(*std::move(error));
  }
  got.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return got;
}

Result<std::string> exec_output(const std::vector<std::string>& arguments, const ExecOptions& options) {
  auto got = exec(arguments, options);
  if (!got) return std::unexpected(std::move(got).error());
  if (got->status != 0) return fail(code::kUnknown, "exit status {}\n{}", got->status, got->error);
  return std::move(got->out);
}

}  // namespace mg::tool
