// mg/runtime/block_pool.h -- buffers leased by the connections of a loop while they have octets in hand.
//
//   Block block = pool.take(4096);     // at least 4096 octets
//   ...                                // block.data(), block.size()
//   pool.give(std::move(block));       // or let it die: it frees itself
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace mg {

// A piece of memory, owned. Shape: empty, or a power of two of octets, at least BlockPool::kSmallest.
class Block {
 public:
  Block() = default;
  Block(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Block() { std::free(data_); }

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  friend class BlockPool;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Free blocks by size, last in first out, so that the next taker finds them in the cache.
// Threads: loop. Cost: about 1 ns for a pooled block; what lies free is bounded by kKeepOctets per size.
class BlockPool {
 public:
  static constexpr std::size_t kSmallest = 256;
  static constexpr std::size_t kLargestPooled = 64 * 1024;  // Larger blocks are plain allocations.
  static constexpr std::size_t kKeepOctets = 1024 * 1024;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  // A block of at least `size` octets. Aborts when memory has run out.
  Block take(std::size_t size);
  void give(Block&& block) noexcept;

 private:
  struct Node {
    Node* next;
  };
  static constexpr std::size_t kClasses = 9;  // 256 .. 64 KiB
  struct Class {
    Node* head = nullptr;
    std::uint32_t count = 0;
  };
  std::array<Class, kClasses> classes_{};
};

}  // namespace mg
