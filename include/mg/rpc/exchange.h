// mg/rpc/exchange.h -- the two messages of a call, leased from a pool of the loop and shared while either side works.
//
//   ExchangePool pool(Echo::default_instance(), Echo::default_instance());
//   ExchangePtr exchange = pool.take();       // both messages empty
//   static_cast<Echo&>(exchange->request()).set_text("hi");
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace mg::rpc {

class ExchangePool;

// Threads: loop. Lifetime: until the last ExchangePtr goes; then it returns to its pool, or is freed when that is gone.
class Exchange {
 public:
  using MessageLite = google::protobuf::MessageLite;

  MessageLite& request() noexcept { return *request_; }
  MessageLite& reply() noexcept { return *reply_; }
  // Default instances of the two types; an address stands for a type.
  const MessageLite* request_type() const noexcept;
  const MessageLite* reply_type() const noexcept;

 private:
  friend class ExchangePool;
  friend class ExchangePtr;
  struct Core;
  void release() noexcept;

  std::unique_ptr<MessageLite> request_;
  std::unique_ptr<MessageLite> reply_;
  Core* core_ = nullptr;
  Exchange* next_ = nullptr;  // In the pool's free list.
  std::uint32_t references_ = 0;
};

// Shared ownership, counted without atomics.
class ExchangePtr {
 public:
  ExchangePtr() = default;
  explicit ExchangePtr(Exchange* exchange) noexcept : exchange_(exchange) {
    if (exchange_) ++exchange_->references_;
  }
  ExchangePtr(const ExchangePtr& other) noexcept : ExchangePtr(other.exchange_) {}
  ExchangePtr(ExchangePtr&& other) noexcept : exchange_(std::exchange(other.exchange_, nullptr)) {}
  ExchangePtr& operator=(ExchangePtr other) noexcept {
    std::swap(exchange_, other.exchange_);
    return *this;
  }
  ~ExchangePtr() {
    if (exchange_ && --exchange_->references_ == 0) exchange_->release();
  }

  Exchange* get() const noexcept { return exchange_; }
  Exchange* operator->() const noexcept { return exchange_; }
  explicit operator bool() const noexcept { return exchange_ != nullptr; }

 private:
  Exchange* exchange_ = nullptr;
};

// Free exchanges of one pair of message types. Messages keep the room they once took, up to kKeepOctets each.
// Threads: loop. Cost: take and return about 5 ns each.
class ExchangePool {
 public:
  using MessageLite = google::protobuf::MessageLite;
  static constexpr std::uint32_t kKeep = 4096;           // Exchanges lying free at most.
  static constexpr std::uint32_t kKeepLarge = 64;        // Over this many only small ones are kept.
  static constexpr std::size_t kKeepOctets = 64 * 1024;  // A larger message is freed.
  static constexpr std::size_t kSmallOctets = 1024;

  // `request` and `reply` are default instances of the types.
  ExchangePool(const MessageLite& request, const MessageLite& reply);
  ExchangePool(const ExchangePool&) = delete;
  ExchangePool& operator=(const ExchangePool&) = delete;
  ~ExchangePool();

  ExchangePtr take();
  bool makes(const MessageLite* request, const MessageLite* reply) const noexcept;

 private:
  Exchange::Core* core_;
};

}  // namespace mg::rpc
