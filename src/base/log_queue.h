// base/log_queue.h -- lines that wait for the thread that writes them: a ring of octets, the oldest give way.
//
//   queue.push(head, octets);                                      // any thread
//   std::string batch; while (queue.take(batch, 1h)) for (Line line; next_line(batch_view, line);) write(line);
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/log_line.h"

namespace mg::log {

// Threads: shared, take() one.
class LineQueue {
 public:
  explicit LineQueue(std::size_t bytes);

  // `octets`: the text and then the fields. Cost: a lock, a copy; a system call only when the taker sleeps, which it
  // does 100 ms after the last line.
  void push(const LineHead& head, std::string_view octets);

  // Replaces `batch` by lines that wait, some 64 KiB at most; waits for one up to `wait`, or until wake().
  // False: closed, and none waits.
  bool take(std::string& batch, std::chrono::nanoseconds wait);
  void wake();
  // Nothing is taken in any more.
  void close();

  // Lines that gave way, or were too long for the whole queue.
  std::uint64_t dropped() const;

 private:
  void copy_in(std::uint64_t at, const void* from, std::size_t size);
  void copy_out(std::uint64_t at, void* to, std::size_t size) const;
  std::uint32_t size_at(std::uint64_t at) const;

  mutable std::mutex mutex_;  // docs/threads.md: "log queue"
  std::condition_variable changed_;
  const std::size_t capacity_;
  const std::unique_ptr<char[]> ring_;
  std::uint64_t begin_ = 0;  // Of the oldest line; octet i is at i % capacity_.
  std::uint64_t end_ = 0;
  std::uint64_t dropped_ = 0;
  bool sleeping_ = false;  // The taker must be woken.
  bool woken_ = false;
  bool closed_ = false;
};

// Takes the next line off a batch. Lifetime: views of it. False: none is left.
bool next_line(std::string_view& batch, Line& line);

}  // namespace mg::log
