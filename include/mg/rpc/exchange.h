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
  const MessageLite* request_type() const noexcept { return core_->request; }
  const MessageLite* reply_type() const noexcept { return core_->reply; }
  // Whoever the pool is of.
  void* owner() const noexcept { return core_->owner; }

 private:
  friend class ExchangePool;
  friend class ExchangePtr;
  // What a pool is; stays until the pool and all that were taken from it are gone.
  struct Core {
    const MessageLite* request;
    const MessageLite* reply;
    void* owner;
    Exchange* free = nullptr;
    std::uint32_t free_count = 0;
    std::uint32_t taken = 0;
    bool closed = false;
  };
  void release() noexcept;
  bool worth_keeping() const;

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

// Free exchanges of one pair of message types. Messages keep the room they once took, up to kKeepOctets each; the last
// few lie free unmeasured, for mostly only these are used.
// Threads: loop. Cost: take and return about 5 ns each.
class ExchangePool {
 public:
  using MessageLite = google::protobuf::MessageLite;
  static constexpr std::uint32_t kKeep = 4096;           // Exchanges lying free at most.
  static constexpr std::uint32_t kKeepUnmeasured = 4;    // So many of any size.
  static constexpr std::uint32_t kKeepLarge = 64;        // Over this many only small ones are kept.
  static constexpr std::size_t kKeepOctets = 64 * 1024;  // A larger message is freed.
  static constexpr std::size_t kSmallOctets = 1024;

  // `request` and `reply` are default instances of the types. `owner` is only kept.
  ExchangePool(const MessageLite& request, const MessageLite& reply, void* owner = nullptr);
  ExchangePool(const ExchangePool&) = delete;
  ExchangePool& operator=(const ExchangePool&) = delete;
  ~ExchangePool();

  ExchangePtr take() {
    if (!core_->free) [[unlikely]] {
      return make();
    }
    ++core_->taken;
    --core_->free_count;
    return ExchangePtr(std::exchange(core_->free, core_->free->next_));
  }
  bool makes(const MessageLite* request, const MessageLite* reply) const noexcept {
    return core_->request == request && core_->reply == reply;
  }

 private:
  ExchangePtr make();

  Exchange::Core* core_;
};

}  // namespace mg::rpc
