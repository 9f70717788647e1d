// mg/runtime/shared_bytes.h -- octets written once and sent to many.
//
//   SharedBytes frame = SharedBytes::make(size);
//   encode(frame.writable());
//   for (auto& connection : connections) connection.write_shared(frame);
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "mg/base/bytes.h"

namespace mg {

// A counted reference to octets that no longer change.
// Threads: const-shared; the count is atomic. Cost: one allocation for count and octets together.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes& other) noexcept : rep_(other.rep_) {
    if (rep_) rep_->references.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~SharedBytes() {
    if (rep_ && rep_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) ::operator delete(rep_);
  }

  static SharedBytes make(std::size_t size) {
    SharedBytes made;
    made.rep_ = new (::operator new(sizeof(Rep) + size)) Rep{{1}, size};
    return made;
  }

  // Requires: nobody else has a reference yet.
  MutableBytes writable() const noexcept { return {octets(), rep_->size}; }
  Bytes bytes() const noexcept { return rep_ ? Bytes(octets(), rep_->size) : Bytes(); }
  std::size_t size() const noexcept { return rep_ ? rep_->size : 0; }
  explicit operator bool() const noexcept { return rep_ != nullptr; }

 private:
  struct Rep {
    std::atomic<std::uint32_t> references;
    std::size_t size;
  };
  std::byte* octets() const noexcept { return reinterpret_cast<std::byte*>(rep_ + 1); }
  Rep* rep_ = nullptr;
};

}  // namespace mg
