// The handler `Debug` that every node serves (wire.md 2.10), and what it tells of.
//
//   Debug debug(loops, options.log);
//   debug.note(loop.index(), meta, "game.Forward.Protocol", wall_start, took, failed);   // after each request
//   debug.handlers()                                                                      // Debug.Health …
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mg/base/random.h"
#include "mg/rpc/grpc/transport.h"
#include "mg/rpc/handlers.h"

namespace mg::rpc::grpc {

class Debug {
 public:
  static constexpr std::size_t kSpans = 64;  // The newest requests of a loop that Trace tells of.

  Debug(std::span<Loop* const> loops, decltype(GrpcOptions::log) log);
  Debug(const Debug&) = delete;
  Debug& operator=(const Debug&) = delete;

  const Handlers& handlers() const { return handlers_; }

  // A request whose handler has ended. Threads: on the loop of this index.
  void note(std::size_t loop, const Meta& meta, std::string_view name, Clock::WallTime started, Clock::Duration took,
            bool failed);
  // One that was refused before its handler. Threads: shared.
  void note_refused() {
    requests_.fetch_add(1, std::memory_order_relaxed);
    errors_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  struct Seen {
    std::string trace;
    std::string parent;
    std::string id;
    std::string name;
    Clock::WallTime started;
    Clock::Duration took;
  };
  struct alignas(64) PerLoop {
    Loop* loop = nullptr;
    std::unique_ptr<SeededRandom> random;
    std::vector<Seen> seen;
    std::size_t next = 0;
  };
  void add_handlers();

  const decltype(GrpcOptions::log) log_;
  const Clock& clock_;
  const Clock::WallTime started_;
  std::vector<PerLoop> loops_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> errors_{0};
  Handlers handlers_;
};

}  // namespace mg::rpc::grpc
