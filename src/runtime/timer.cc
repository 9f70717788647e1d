#include "mg/runtime/timer.h"

#include <algorithm>

#include "mg/runtime/loop.h"

namespace mg {

void Timer::arm(Loop& loop, TimePoint when) {
  TimerHeap& heap = loop.timers();
  if (heap_ && heap_ != &heap) cancel();
  heap.arm(*this, when);
}

void Timer::cancel() noexcept {
  if (heap_) heap_->remove(*this);
}

TimerHeap::~TimerHeap() {
  for (Entry& entry : heap_) entry.timer->heap_ = nullptr;
}

void TimerHeap::place(std::size_t index, Entry entry) noexcept {
  heap_[index] = entry;
  entry.timer->index_ = static_cast<std::uint32_t>(index);
}

void TimerHeap::sift_up(std::size_t index, Entry entry) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 4;
    if (heap_[parent].when <= entry.when) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(std::size_t index, Entry entry) noexcept {
  for (;;) {
    const std::size_t first = index * 4 + 1;
    if (first >= heap_.size()) break;
    std::size_t best = first;
    const std::size_t last = std::min(first + 4, heap_.size());
    for (std::size_t child = first + 1; child < last; ++child) {
      if (heap_[child].when < heap_[best].when) best = child;
    }
    if (entry.when <= heap_[best].when) break;
    place(index, heap_[best]);
    index = best;
  }
  place(index, entry);
}

void TimerHeap::arm(Timer& timer, TimePoint when) {
  when = std::max(when, not_before_);
  if (timer.heap_) {
    const std::size_t index = timer.index_;
    const TimePoint before = heap_[index].when;
    if (when < before) {
      sift_up(index, {when, &timer});
    } else {
      sift_down(index, {when, &timer});
    }
    return;
  }
  heap_.push_back({when, &timer});
  timer.heap_ = this;
  sift_up(heap_.size() - 1, {when, &timer});
}

void TimerHeap::remove(Timer& timer) noexcept {
  const std::size_t index = timer.index_;
  timer.heap_ = nullptr;
  const Entry moved = heap_.back();
  heap_.pop_back();
  if (index == heap_.size()) return;
  if (index > 0 && moved.when < heap_[(index - 1) / 4].when) {
    sift_up(index, moved);
  } else {
    sift_down(index, moved);
  }
}

void TimerHeap::fire(TimePoint now) {
  // A callback may arm timers for `now` again and again: these wait, so that I/O gets its turn.
  not_before_ = now + std::chrono::nanoseconds(1);
  while (!heap_.empty() && heap_.front().when <= now) {
    Timer& timer = *heap_.front().timer;
    remove(timer);
    timer.callback_(timer.context_);
  }
  not_before_ = TimePoint::min();
}

}  // namespace mg
