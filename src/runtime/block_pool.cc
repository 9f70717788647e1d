#include "mg/runtime/block_pool.h"

#include <bit>
#include <cstdio>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MG_PLAIN_BLOCKS 1  // So that a use after give() is found; MG_POOLS=1 in the environment pools all the same.
#endif
#endif

namespace mg {
namespace {

std::size_t class_of(std::size_t size) {
  return static_cast<std::size_t>(std::bit_width(size) - std::bit_width(BlockPool::kSmallest));
}

}  // namespace

BlockPool::~BlockPool() {
  for (Class& c : classes_) {
    while (c.head) std::free(std::exchange(c.head, c.head->next));
  }
}

Block BlockPool::take(std::size_t size) {
  const std::size_t rounded = std::bit_ceil(size < kSmallest ? kSmallest : size);
  if (rounded <= kLargestPooled) {
    Class& c = classes_[class_of(rounded)];
    if (c.head) {
      --c.count;
      Node* node = std::exchange(c.head, c.head->next);
      return {reinterpret_cast<std::byte*>(node), rounded};
    }
  }
  auto* data = static_cast<std::byte*>(std::malloc(rounded));
  if (!data) {
    std::fprintf(stderr, "mg: out of memory (a buffer of %zu octets)\n", rounded);
    std::abort();
  }
  return {data, rounded};
}

void BlockPool::give(Block&& block) noexcept {
  Block taken = std::move(block);
#ifdef MG_PLAIN_BLOCKS
  static const bool pools_wanted = std::getenv("MG_POOLS") != nullptr;
  if (!pools_wanted) return;
#endif
  if (!taken || taken.size_ > kLargestPooled) return;
  Class& c = classes_[class_of(taken.size_)];
  if ((c.count + 1) * taken.size_ > kKeepOctets) return;
  c.head = new (std::exchange(taken.data_, nullptr)) Node{c.head};
  ++c.count;
}

}  // namespace mg
