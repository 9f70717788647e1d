// tests/support/server.h -- real servers for tests: etcd, nats-server, redis-server, each on a free port of the
// loopback interface, with a folder that goes with it.
//
//   Server etcd = Server::etcd();              // runs and serves when this returns; a failure is thrown
//   registry.connect(etcd.address());          // "127.0.0.1:40123"
//   etcd.kill(); etcd.wipe(); etcd.start();    // the same port, another life
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mg::testing {

// An empty folder, removed with all that is in it. Movable.
class TempDir {
 public:
  TempDir();
  TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();
  const std::string& path() const { return path_; }
  // Writes `text` into the file `name`; returns its path.
  std::string write(std::string_view name, std::string_view text) const;

 private:
  std::string path_;
};

// A TCP port of 127.0.0.1 that nobody has at the moment.
std::uint16_t free_port();

struct Output {
  int status = -1;   // Exit code; -signal when it was killed.
  std::string text;  // What it wrote to stdout and stderr.
};
// Runs a program to its end, for 30 s at most.
Output run_program(std::vector<std::string> command);

// A server as a child process, which dies with the thread that started it (make it on the test's main thread).
// Throws std::runtime_error with the end of its output when it does not come up within 30 s, or cannot be ended.
class Server {
 public:
  // The command line for a port and a folder to keep data in; `ready` is a text of its output once it serves.
  struct Kind {
    std::string name;
    std::function<std::vector<std::string>(std::uint16_t port, const std::string& dir)> command;
    std::string ready;
  };

  // `extra` goes behind the usual arguments.
  static Server etcd(std::vector<std::string> extra = {}, std::string scheme = "http");
  static Server nats(std::vector<std::string> extra = {});
  static Server redis(std::vector<std::string> extra = {});

  // Starts it; on other ports than the given one when that is taken, unless it has run already.
  explicit Server(Kind kind, bool started = true);
  Server(Server&& other) noexcept;
  Server& operator=(Server&&) = delete;
  ~Server();

  void start();   // Again, on the same port with the data that is there. Requires: it does not run.
  void stop();    // SIGTERM; returns when it has ended, SIGKILL after 10 s.
  void kill();    // SIGKILL; returns when it has ended.
  void pause();   // SIGSTOP; returns when it stands.
  void resume();  // SIGCONT.
  void wipe();    // Removes its data. Requires: it does not run.

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& dir() const { return dir_.path(); }  // Its data is in the folder "data" of it.
  std::string output() const;                             // Of all its lives.

 private:
  bool launch();
  void end(int signal, std::chrono::milliseconds patience);
  bool reap(bool block);

  Kind kind_;
  TempDir dir_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  bool has_run_ = false;
};

}  // namespace mg::testing
