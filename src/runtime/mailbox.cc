#include "mg/runtime/mailbox.h"

#include <bit>

#include "mg/base/check.h"

namespace mg {
namespace {

constexpr std::size_t kFirstSlots = 256;
constexpr std::size_t kKeptSlots = 64 * 1024;  // A table that a burst made larger is given back once it is empty.

}  // namespace

Mailbox::Mailbox(Loop& loop, MailboxOptions options) : loop_(loop), max_waiters_(options.max_waiters) {
  resize(kFirstSlots);
}

Mailbox::~Mailbox() {
  check(used_ == 0 && waiting_ == 0, "a turn outlives its mailbox");
}

Mailbox::Slot* Mailbox::find(std::uint64_t key) noexcept {
  Slot* const slots = slots_.data();
  for (std::size_t i = place_of(key);; i = (i + 1) & mask_) {
    if (!slots[i].used) return nullptr;
    if (slots[i].key == key) return &slots[i];
  }
}

bool Mailbox::take(std::uint64_t key) {
  if (used_ * 2 > mask_) [[unlikely]]
    resize((mask_ + 1) * 2);
  Slot* const slots = slots_.data();
  for (std::size_t i = place_of(key);; i = (i + 1) & mask_) {
    Slot& slot = slots[i];
    if (!slot.used) {
      slot.key = key;
      slot.used = true;
      ++used_;
      return true;
    }
    if (slot.key == key) return false;
  }
}

void Mailbox::erase(Slot* slot) noexcept {
  // Whoever stands behind and would not be found across the gap moves into it.
  Slot* const slots = slots_.data();
  std::size_t gap = static_cast<std::size_t>(slot - slots);
  for (std::size_t i = (gap + 1) & mask_; slots[i].used; i = (i + 1) & mask_) {
    const std::size_t home = place_of(slots[i].key);
    if (((i - home) & mask_) >= ((i - gap) & mask_)) {
      slots[gap] = slots[i];
      gap = i;
    }
  }
  slots[gap] = {};
  if (--used_ == 0 && mask_ >= kKeptSlots) [[unlikely]]
    resize(kFirstSlots);
}

void Mailbox::resize(std::size_t count) {
  std::vector<Slot> old(count);
  old.swap(slots_);
  mask_ = count - 1;
  shift_ = 65u - static_cast<unsigned>(std::bit_width(count));
  for (const Slot& slot : old) {
    if (!slot.used) continue;
    std::size_t i = place_of(slot.key);
    while (slots_[i].used) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

void Mailbox::leave(std::uint64_t key) noexcept {
  Slot* const slot = find(key);
  if (slot->last) [[unlikely]]
    return pass_on(*slot);
  erase(slot);
}

void Mailbox::pass_on(Slot& slot) noexcept {
  Entry* const first = slot.last->next_;
  if (--slot.waiters == 0) {
    slot.last = nullptr;
  } else {
    slot.last->next_ = first->next_;
  }
  first->timer_.cancel();
  first->state_ = Entry::State::kGiven;
  first->next_ = nullptr;
  (ready_first_ ? ready_last_->next_ : ready_first_) = first;
  ready_last_ = first;
  if (!continuing_) loop_.flush_later(*this);
}

void Mailbox::flush() {
  continuing_ = true;
  while (Entry* entry = ready_first_) {
    ready_first_ = entry->next_;
    --waiting_;
    entry->state_ = Entry::State::kIn;
    entry->awaiter_.resume();
  }
  continuing_ = false;
}

void Mailbox::forget(Entry& entry) noexcept {
  --waiting_;
  if (entry.state_ == Entry::State::kGiven) {
    Entry** link = &ready_first_;
    Entry* before = nullptr;
    while (*link != &entry) {
      before = *link;
      link = &before->next_;
    }
    *link = entry.next_;
    if (ready_last_ == &entry) ready_last_ = before;
    leave(entry.key_);
    return;
  }
  Slot* const slot = find(entry.key_);
  if (--slot->waiters == 0) {
    slot->last = nullptr;
    return;
  }
  Entry* before = slot->last;
  while (before->next_ != &entry) before = before->next_;
  before->next_ = entry.next_;
  if (slot->last == &entry) slot->last = before;
}

bool Mailbox::Entry::await_ready() {
  if (mailbox_.take(key_)) {
    state_ = State::kIn;
    return true;
  }
  if (mailbox_.find(key_)->waiters >= mailbox_.max_waiters_) {
    state_ = State::kRefused;
    return true;
  }
  if (deadline_.expired(mailbox_.loop_.now())) {
    state_ = State::kLate;
    return true;
  }
  return false;
}

void Mailbox::Entry::await_suspend(std::coroutine_handle<> awaiter) {
  awaiter_ = awaiter;
  state_ = State::kWaiting;
  Slot& slot = *mailbox_.find(key_);
  if (slot.last) {
    next_ = slot.last->next_;
    slot.last->next_ = this;
  } else {
    next_ = this;
  }
  slot.last = this;
  ++slot.waiters;
  ++mailbox_.waiting_;
  if (!deadline_.is_never()) timer_.arm(mailbox_.loop_, deadline_.time());
}

Result<Mailbox::Turn> Mailbox::Entry::await_resume() {
  if (state_ != State::kIn) [[unlikely]]
    return Mailbox::refuse(*this);
  return Turn(mailbox_, key_);
}

Result<Mailbox::Turn> Mailbox::refuse(const Entry& entry) {
  if (entry.state_ == Entry::State::kRefused) {
    return fail(code::kTooMany, "mailbox: {} messages of this client wait already", entry.mailbox_.max_waiters_);
  }
  return fail(code::kTimeout, "mailbox: an earlier message of this client is still at work at the deadline");
}

void Mailbox::Entry::on_deadline() {
  mailbox_.forget(*this);
  state_ = State::kLate;
  awaiter_.resume();
}

}  // namespace mg
