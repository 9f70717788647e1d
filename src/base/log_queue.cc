#include "base/log_queue.h"

#include <algorithm>
#include <cstring>

namespace mg::log {
namespace {

using namespace std::chrono_literals;

static_assert(std::is_trivially_copyable_v<LineHead>);
constexpr std::size_t kHeadBytes = sizeof(std::uint32_t) + sizeof(LineHead);
constexpr std::size_t kBatchBytes = 64 * 1024;

}  // namespace

LineQueue::LineQueue(std::size_t bytes) : capacity_(std::max<std::size_t>(bytes, 1)), ring_(new char[capacity_]) {}

void LineQueue::copy_in(std::uint64_t at, const void* from, std::size_t size) {
  const std::size_t place = at % capacity_;
  const std::size_t first = std::min(size, capacity_ - place);
  if (first != 0) std::memcpy(&ring_[place], from, first);
  if (first != size) std::memcpy(&ring_[0], static_cast<const char*>(from) + first, size - first);
}

void LineQueue::copy_out(std::uint64_t at, void* to, std::size_t size) const {
  const std::size_t place = at % capacity_;
  const std::size_t first = std::min(size, capacity_ - place);
  std::memcpy(to, &ring_[place], first);
  if (first != size) std::memcpy(static_cast<char*>(to) + first, &ring_[0], size - first);
}

std::uint32_t LineQueue::size_at(std::uint64_t at) const {
  std::uint32_t size;
  copy_out(at, &size, sizeof size);
  return size;
}

void LineQueue::push(const LineHead& head, std::string_view octets) {
  const std::size_t size = kHeadBytes + octets.size();
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || size > capacity_) {
      ++dropped_;
      return;
    }
    for (; end_ - begin_ + size > capacity_; ++dropped_) begin_ += size_at(begin_);
    const auto size32 = static_cast<std::uint32_t>(size);
    copy_in(end_, &size32, sizeof size32);
    copy_in(end_ + sizeof size32, &head, sizeof head);
    copy_in(end_ + kHeadBytes, octets.data(), octets.size());
    end_ += size;
    wake = std::exchange(sleeping_, false);
  }
  if (wake) changed_.notify_one();
}

bool LineQueue::take(std::string& batch, std::chrono::nanoseconds wait) {
  batch.clear();
  std::unique_lock lock(mutex_);
  // At first it looks by itself every 2 ms, so that no thread pays for waking it while lines are coming.
  for (int naps = 0; naps < 50 && begin_ == end_ && !closed_ && !woken_; ++naps) changed_.wait_for(lock, 2ms);
  if (begin_ == end_ && !closed_ && !woken_) {
    sleeping_ = true;
    changed_.wait_for(lock, wait, [this] { return begin_ != end_ || closed_ || woken_; });
    sleeping_ = false;
  }
  woken_ = false;
  std::uint64_t to = begin_;
  while (to != end_) {
    const std::uint32_t size = size_at(to);
    if (to != begin_ && to + size - begin_ > kBatchBytes) break;
    to += size;
  }
  batch.resize(to - begin_);
  if (to != begin_) copy_out(begin_, batch.data(), batch.size());
  begin_ = to;
  return !batch.empty() || !closed_;
}

void LineQueue::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void LineQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

std::uint64_t LineQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

bool next_line(std::string_view& batch, Line& line) {
  if (batch.empty()) return false;
  std::uint32_t size;
  std::memcpy(&size, batch.data(), sizeof size);
  std::memcpy(&line.head, batch.data() + sizeof size, sizeof line.head);
  line.text = batch.substr(kHeadBytes, line.head.text_bytes);
  line.fields = batch.substr(kHeadBytes + line.head.text_bytes, line.head.fields_bytes);
  batch.remove_prefix(size);
  return true;
}

}  // namespace mg::log
