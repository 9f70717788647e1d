#include "base/log_repeats.h"

#include <cstddef>

namespace mg::log {

Repeats::Site* Repeats::site_of(const char* text) {
  const auto place = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(text)) * 0x9E3779B97F4A7C15u;
  for (std::size_t i = 0; i < 8; ++i) {
    Site& site = sites_[((place >> 40) + i) % sites_.size()];
    const char* known = site.text.load(std::memory_order_relaxed);
    if (known == nullptr) site.text.compare_exchange_strong(known, text, std::memory_order_relaxed);
    if (known == nullptr || known == text) return &site;
  }
  return nullptr;
}

bool Repeats::pass(std::string_view text, const char* module, std::uint32_t second) {
  if (most_ == 0) return true;
  Site* const site = site_of(text.data());
  if (site == nullptr) return true;
  std::uint64_t state = site->state.load(std::memory_order_relaxed);
  while (true) {
    const bool fresh = static_cast<std::uint32_t>(state >> 32) != second;
    if (!fresh && static_cast<std::uint32_t>(state) >= most_) break;
    const std::uint64_t next = fresh ? static_cast<std::uint64_t>(second) << 32 | 1 : state + 1;
    if (site->state.compare_exchange_weak(state, next, std::memory_order_relaxed)) return true;
  }
  total_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  LeftOut& call = left_out_[text.data()];
  if (call.count++ == 0) {
    call.text = text.substr(0, 80);  // A copy: the text may be gone when it is told.
    call.module = module;
  }
  call.second = second;
  waiting_ = true;
  return false;
}

}  // namespace mg::log
