#include "mg/store/lock.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>

#include "mg/base/random.h"
#include "mg/runtime/event.h"
#include "mg/runtime/in_flight.h"

namespace mg::lock {
namespace {

// 16 random octets in base64 for URLs, without padding. Source: redislock 0.7.
std::string new_token() {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::byte, 16> raw;
  SystemRandom().fill(raw);
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::byte octet : raw) {
    bits = bits << 8 | std::to_integer<std::uint32_t>(octet);
    for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
  }
  out += kDigits[bits << (6 - count) & 63];
  return out;
}

}  // namespace

std::string lock_name(std::string_view key, std::string_view index) {
  return fmt::format("LOCK:{}:{}", key, index);
}

namespace detail {

struct Turn {
  Completion<bool> come;
};

struct Shared {
  Loop& loop;
  Backend& backend;
  Stats stats;
  InFlight background;
  std::map<std::string, std::deque<Turn*>> queues;  // Who waits for a lock, in turn; the first asks the backend.

  Deadline within(Ms time) const { return Deadline::after(loop.now(), time); }
};

struct Held : std::enable_shared_from_this<Held> {
  Held(std::shared_ptr<Shared> s, Options o) : shared(std::move(s)), options(std::move(o)) {}

  std::shared_ptr<Shared> shared;
  Options options;
  std::string name, token, value;
  std::uint64_t fence = 0;
  Deadline until = Deadline::past();
  bool ours = true;  // As far as is known.
  bool renewing = false;
  Timer timer{[](void* self) { static_cast<Held*>(self)->on_timer(); }, this};

  bool expired() const { return until.expired(shared->loop.clock().now()); }

  void arm() {
    if (!ours) return;
    const TimePoint now = shared->loop.now();
    // At a third of its time, and at its end.
    const auto third = std::chrono::duration_cast<Clock::Duration>(options.ttl) / 3;
    timer.arm(shared->loop, options.renew && !renewing ? std::min(now + third, until.time()) : until.time());
  }

  void lose(std::string_view why) {
    if (!std::exchange(ours, false)) return;
    timer.cancel();
    ++shared->stats.lost;
    if (const auto told = std::exchange(options.on_lost, nullptr)) told(why);
  }

  void on_timer() {
    if (expired()) return lose("it expired before it was renewed");
    if (!options.renew || renewing) return arm();
    spawn(renew_later(shared_from_this()));
  }

  static Task<void> renew_later(std::shared_ptr<Held> self) {
    auto token = self->shared->background.enter();
    if (!token) co_return;
    self->renewing = true;
    self->arm();
    const auto renewed = co_await self->renew(self->options.ttl);
    self->renewing = false;
    if (!self->ours) co_return;
    if (renewed) {
      ++self->shared->stats.renewed;
      self->arm();
    } else {
      // Again soon: what is left of its time is there for that.
      const auto pause = std::chrono::duration_cast<Clock::Duration>(self->options.ttl) / 10;
      self->timer.arm(self->shared->loop, std::min(self->shared->loop.now() + pause, self->until.time()));
    }
  }

  // Errors: kFinished  it is another's, or nobody's
  Task<Result<void>> renew(Ms ttl) {
    const auto self = shared_from_this();
    const TimePoint asked = shared->loop.clock().now();
    const Deadline deadline = std::min(shared->within(options.timeout), until);
    auto got = co_await shared->backend.renew(name, value, ttl, deadline);
    if (!got) co_return std::unexpected(std::move(got).error());
    if (!*got) {
      lose("somebody else has it, or its record is gone");
      co_return fail(code::kFinished, "{}: not held any more", name);
    }
    // It may be ours again at the backend after we have said that it is lost: then it stays lost here.
    if (!ours) co_return fail(code::kFinished, "{}: not held any more", name);
    until = Deadline::after(asked, ttl);
    co_return Result<void>();
  }

  static Task<Result<void>> release(std::shared_ptr<Held> self) {
    auto busy = self->shared->background.enter();
    const bool was_ours = std::exchange(self->ours, false);
    self->options.on_lost = nullptr;
    self->timer.cancel();
    // Also when it has expired by our clock: the record may still be there, and is then in the way of others.
    auto gone =
        co_await self->shared->backend.give(self->name, self->value, self->shared->within(self->options.timeout));
    if (!gone) co_return std::unexpected(std::move(gone).error());
    if (!was_ours || !*gone) co_return fail(code::kFinished, "{}: not held any more", self->name);
    ++self->shared->stats.released;
    co_return Result<void>();
  }

  static Task<void> release_quietly(std::shared_ptr<Held> self) { (void)co_await release(std::move(self)); }
};

namespace {

// A place among those who wait for a lock in this process; the next one comes when it dies.
class Place {
 public:
  Place(std::shared_ptr<Shared> shared, std::string name) : shared_(std::move(shared)), name_(std::move(name)) {
    shared_->queues[name_].push_back(&turn_);
    ++shared_->stats.waiting;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    --shared_->stats.waiting;
    const auto at = shared_->queues.find(name_);
    const bool first = at->second.front() == &turn_;
    std::erase(at->second, &turn_);
    if (at->second.empty()) {
      shared_->queues.erase(at);
    } else if (first) {
      at->second.front()->come.set(true);
    }
  }
  Task<bool> come(Deadline deadline) {
    if (shared_->queues[name_].front() == &turn_) co_return true;
    co_return (co_await turn_.come.wait(shared_->loop, deadline)).has_value();
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::string name_;
  Turn turn_;
};

}  // namespace
}  // namespace detail

// ---- guards ---------------------------------------------------------------------------------------------------------

Guard::Guard(std::shared_ptr<detail::Held> held) : held_(std::move(held)) {}

Guard& Guard::operator=(Guard&& other) noexcept {
  std::swap(held_, other.held_);
  return *this;
}

Guard::~Guard() {
  if (held_ && held_->ours) spawn(detail::Held::release_quietly(std::move(held_)));
}

bool Guard::held() const {
  return held_ && held_->ours && !held_->expired();
}
Deadline Guard::held_until() const {
  return held_ && held_->ours ? held_->until : Deadline::past();
}
std::uint64_t Guard::fence() const {
  return held_ ? held_->fence : 0;
}
const std::string& Guard::token() const {
  static const std::string kNone;
  return held_ ? held_->token : kNone;
}
const std::string& Guard::name() const {
  static const std::string kNone;
  return held_ ? held_->name : kNone;
}

Task<Result<void>> Guard::refresh(Ms ttl) {
  const auto held = held_;
  if (!held || !held->ours) co_return fail(code::kFinished, "{}: not held any more", name());
  auto done = co_await held->renew(ttl);
  if (done) {
    held->options.ttl = ttl;
    held->arm();
  }
  co_return done;
}

Task<Result<Ms>> Guard::ttl() {
  const auto held = held_;
  if (!held) co_return fail(code::kFinished, "no lock is held");
  auto left = co_await held->shared->backend.left(held->name, held->value, held->shared->within(held->options.timeout));
  if (!left) co_return std::unexpected(std::move(left).error());
  if (!*left) co_return fail(code::kFinished, "{}: not held any more", held->name);
  co_return **left;
}

Task<Result<void>> Guard::release() {
  const auto held = std::exchange(held_, nullptr);
  if (!held) co_return fail(code::kFinished, "no lock is held");
  co_return co_await detail::Held::release(held);
}

// ---- locks ----------------------------------------------------------------------------------------------------------

Locks::Locks(Loop& loop, Backend& backend)
    : shared_(new detail::Shared{.loop = loop, .backend = backend, .stats = {}, .background = {}, .queues = {}}) {}
Locks::~Locks() = default;

Stats Locks::stats() const {
  return shared_->stats;
}

Task<void> Locks::drain(Deadline deadline) {
  const auto shared = shared_;
  (void)co_await shared->background.drained(shared->loop, deadline);
}

Task<Result<Guard>> Locks::obtain(std::string key, std::string index, Options options) {
  const auto shared = shared_;
  if (options.ttl.count() < 1) co_return fail(code::kInvalid, "lock {}: its ttl is at least 1 ms", key);
  const std::string name = lock_name(key, index);
  const Deadline deadline = shared->within(options.wait.count() < 0 ? options.ttl : options.wait);
  const auto missed = [&] {
    ++shared->stats.missed;
    return fail(code::kTimeout, "{}: somebody else has it", name);
  };
  detail::Place place(shared, name);
  if (!co_await place.come(deadline)) co_return missed();

  auto held = std::make_shared<detail::Held>(shared, std::move(options));
  held->name = name;
  held->token = new_token();
  held->value = held->token + held->options.metadata;
  const Options& wanted = held->options;
  for (;;) {
    const TimePoint asked = shared->loop.clock().now();
    // At least once, and never shorter than one question takes.
    auto fence = co_await shared->backend.take(name, held->value, wanted.ttl, wanted.fence_after,
                                               shared->within(wanted.timeout));
    if (!fence) {
      // It may have been taken: not to be left in the way of others until it expires.
      spawn(detail::Held::release_quietly(held));
      co_return std::unexpected(std::move(fence).error());
    }
    if (*fence) {
      held->fence = **fence;
      held->until = Deadline::after(asked, wanted.ttl);
      if (held->expired()) {
        // It came so late that it is over.
        if (wanted.retry.count() <= 0 || deadline.expired(shared->loop.now())) co_return missed();
        continue;
      }
      ++shared->stats.obtained;
      held->arm();
      co_return Guard(std::move(held));
    }
    if (wanted.retry.count() <= 0 || deadline.expired(shared->loop.now())) co_return missed();
    co_await shared->backend.wait(name, std::min(deadline, shared->within(wanted.retry)));
  }
}

}  // namespace mg::lock
