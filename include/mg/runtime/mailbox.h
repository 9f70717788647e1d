// mg/runtime/mailbox.h -- turns per key: a player's messages one at a time and in order.
//
//   auto turn = co_await mailbox.enter(hash_of(client_id));   // Result<Mailbox::Turn>
//   if (!turn) co_return std::unexpected(turn.error());
//   co_await handle(message);                                 // the next one of this player waits until `turn` dies
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"

namespace mg {

struct MailboxOptions {
  std::uint32_t max_waiters = 256;  // Who may wait behind one turn; 0: nobody waits, the second is refused.
};

// One turn per key at a time, given on in the order of asking. A key is a hash: a collision only makes two players
// wait for each other.
// Who waited is continued when the loop flushes, never inside the end of somebody else's turn; so a thousand
// waiters need no more stack than one.
// Threads: loop. Lifetime: outlives all turns and waits.
// Cost: no allocation and about 15 ns when nobody else is in (24 octets for each key that is in).
class Mailbox final : private Flushable {
 public:
  class Turn;
  class Entry;

  explicit Mailbox(Loop& loop, MailboxOptions options = {});
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox();

  // Awaits the turn of `key`.
  // Errors: kTooMany  max_waiters wait already
  //         kTimeout  the turn was not free at `deadline`
  // Cancellation: destroying the waiting coroutine gives up its place.
  Entry enter(std::uint64_t key, Deadline deadline = Deadline::never()) noexcept;

  // The turn of `key` if nobody has it.
  std::optional<Turn> try_enter(std::uint64_t key);

  std::size_t keys() const noexcept { return used_; }        // Turns taken.
  std::size_t waiting() const noexcept { return waiting_; }  // Coroutines waiting for one.

 private:
  struct Slot {
    std::uint64_t key = 0;
    Entry* last = nullptr;      // The waiters are a ring: last->next_ is the first.
    std::uint32_t waiters = 0;  // In that ring.
    bool used = false;
  };

  std::size_t place_of(std::uint64_t key) const noexcept { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  Slot* find(std::uint64_t key) noexcept;
  bool take(std::uint64_t key);  // False when somebody is in.
  void erase(Slot* slot) noexcept;
  void resize(std::size_t slots);
  void leave(std::uint64_t key) noexcept;
  void pass_on(Slot& slot) noexcept;
  static Result<Turn> refuse(const Entry& entry);
  void forget(Entry& entry) noexcept;
  void flush() override;

  Loop& loop_;
  std::uint32_t max_waiters_;
  std::vector<Slot> slots_;  // Open addressing with linear probing; at most half full.
  std::size_t mask_;         // slots_.size() - 1
  unsigned shift_;
  std::size_t used_ = 0;
  std::size_t waiting_ = 0;
  Entry* ready_first_ = nullptr;  // Have the turn and wait to be continued.
  Entry* ready_last_ = nullptr;
  bool continuing_ = false;
};

// Having the turn of a key; its end lets the next one in.
class [[nodiscard]] Mailbox::Turn {
 public:
  Turn() noexcept : mailbox_(nullptr), key_(0) {}  // Of nobody.
  Turn(Turn&& other) noexcept : mailbox_(std::exchange(other.mailbox_, nullptr)), key_(other.key_) {}
  Turn& operator=(Turn&& other) noexcept {
    if (this != &other) {
      release();
      mailbox_ = std::exchange(other.mailbox_, nullptr);
      key_ = other.key_;
    }
    return *this;
  }
  ~Turn() { release(); }

  // Lets the next one in now: for a handler that does not need the player to itself any longer.
  void release() noexcept {
    if (mailbox_) std::exchange(mailbox_, nullptr)->leave(key_);
  }

 private:
  friend class Mailbox;
  Turn(Mailbox& mailbox, std::uint64_t key) noexcept : mailbox_(&mailbox), key_(key) {}
  Mailbox* mailbox_;
  std::uint64_t key_;
};

// What enter() returns: the awaiter, in the frame of the awaiting coroutine.
class [[nodiscard]] Mailbox::Entry {
 public:
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    if (state_ == State::kWaiting || state_ == State::kGiven) mailbox_.forget(*this);
  }
  bool await_ready();
  void await_suspend(std::coroutine_handle<> awaiter);
  Result<Turn> await_resume();

 private:
  friend class Mailbox;
  enum class State : std::uint8_t {
    kNew,
    kWaiting,  // In the ring of its key.
    kGiven,    // Has the turn, in the list of those to be continued.
    kIn,       // Has the turn and runs.
    kRefused,
    kLate,
  };
  Entry(Mailbox& mailbox, std::uint64_t key, Deadline deadline) noexcept
      : mailbox_(mailbox), key_(key), deadline_(deadline) {}
  void on_deadline();

  Mailbox& mailbox_;
  std::uint64_t key_;
  Deadline deadline_;
  Entry* next_ = nullptr;
  std::coroutine_handle<> awaiter_;
  Timer timer_{[](void* self) { static_cast<Entry*>(self)->on_deadline(); }, this};
  State state_ = State::kNew;
};

inline std::optional<Mailbox::Turn> Mailbox::try_enter(std::uint64_t key) {
  if (!take(key)) return std::nullopt;
  return Turn(*this, key);
}

inline Mailbox::Entry Mailbox::enter(std::uint64_t key, Deadline deadline) noexcept {
  return {*this, key, deadline};
}

}  // namespace mg
