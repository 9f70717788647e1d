#include "mg/protocol/router.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <bit>
#include <bitset>
#include <mutex>

#include "mg/base/check.h"
#include "mg/base/log.h"
#include "protocol/body_fault.h"

namespace mg::protocol {
namespace {

constexpr int kProtobufNesting = 100;         // What protobuf allows by itself.
constexpr std::size_t kWidestWindow = 65535;  // Commands that are further apart are hashed.
constexpr std::uint32_t kMaxRoutes = 65534;

// Small numbers of the threads that dispatch, given back at their end.
class ThreadNumber {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static std::size_t get() {
    thread_local ThreadNumber self;
    return self.number_;
  }

 private:
  struct Taken {
    std::mutex mutex;  // docs/threads.md: "router thread numbers"
    std::bitset<256> bits;
  };
  static Taken& taken() {
    static Taken* const numbers = new Taken;  // Threads may end after the static objects are gone.
    return *numbers;
  }
  ThreadNumber() {
    Taken& all = taken();
    const std::lock_guard lock(all.mutex);
    for (std::size_t i = 0; i < all.bits.size(); ++i) {
      if (all.bits[i]) continue;
      all.bits[i] = true;
      number_ = i;
      return;
    }
  }
  ~ThreadNumber() {
    if (number_ == kNone) return;
    Taken& all = taken();
    const std::lock_guard lock(all.mutex);
    all.bits[number_] = false;
    number_ = kNone;
  }
  std::size_t number_ = kNone;
};

// What protobuf has to say about a body is in our error already; from outside it could fill the log.
void quiet_protobuf() {
  static std::once_flag once;
  std::call_once(once, [] {
    google::protobuf::SetLogHandler([](google::protobuf::LogLevel level, const char*, int, const std::string& text) {
      log::write(level == google::protobuf::LOGLEVEL_FATAL ? log::Level::kFatal : log::Level::kDebug, "protobuf: {}",
                 text);
    });
  });
}

}  // namespace

bool MessagePair::clear(std::size_t max_bytes) {
  // A short encoding can fill much memory, and piece by piece more than any one call could: the real size is looked at
  // now and then.
  if (passed_bytes > max_bytes) return false;
  if (++uses_ >= kMeasureEvery) {
    uses_ = 0;
    if (!whole_request_ || !whole_reply_) return false;
    if (arena_.SpaceAllocated() + whole_request_->SpaceUsedLong() + whole_reply_->SpaceUsedLong() > max_bytes) {
      return false;
    }
  }
  passed_bytes = 0;
  request->Clear();
  reply->Clear();
  return true;
}

std::byte* ReplyTo::append(void* text, std::size_t size) {
  auto& out = *static_cast<std::string*>(text);
  const std::size_t before = out.size();
  const std::size_t after = before + size;
  // Not what the lambda is given: libstdc++ 12 gives it the new capacity.
  out.resize_and_overwrite(after, [after](char*, std::size_t) { return after; });
  return reinterpret_cast<std::byte*>(out.data() + before);
}

// Free messages of one thread, by route.
struct Router::Pool {
  static constexpr std::uint32_t kKeep = 128;  // A route; calls in flight may be more.
  struct List {
    MessagePair* head = nullptr;
    std::uint32_t count = 0;
  };
  explicit Pool(std::size_t routes) : lists(routes) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (List& list : lists) {
      while (list.head) delete std::exchange(list.head, list.head->next);
    }
  }
  std::vector<List> lists;
};

Router::Router(RouterOptions options) : options_(options) {
  if (!options_.clock) options_.clock = &system_clock();
  options_.max_body_bytes = std::min(options_.max_body_bytes, 0x7FFF'FFFFu);
  options_.max_reply_bytes = std::min(options_.max_reply_bytes, 0x7FFF'FFFFu);
}

Router::~Router() {
  for (auto& pool : pools_) delete pool.load();
}

Router& Router::use(std::unique_ptr<Hook> hook) {
  check(!started_, "Router: use() after start()");
  check(hook != nullptr, "Router: use() without a hook");
  hooks_.push_back(std::move(hook));
  return *this;
}

void Router::add_one(RouteInfo info, Route route) {
  check(!started_, "Router: add_route() after start()");
  check(routes_.size() < kMaxRoutes, "Router: too many routes");
  route.cmd = info.cmd;
  routes_.push_back(route);
  infos_.push_back(std::move(info));
}

Result<void> Router::start() {
  if (started_) return {};
  const std::size_t count = infos_.size();
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t i = 0; i < count; ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::pair(infos_[i].cmd, i); });
  std::string twice;
  for (std::size_t i = 1; i < count; ++i) {
    const RouteInfo &one = infos_[order[i - 1]], &other = infos_[order[i]];
    if (one.cmd != other.cmd) continue;
    fmt::format_to(std::back_inserter(twice), "{}command {} has two handlers, {} and {}", twice.empty() ? "" : "; ",
                   one.cmd, one.name, other.name);
  }
  if (!twice.empty()) return fail(code::kExists, "router: {}: give one of them another number", twice);

  std::vector<RouteInfo> infos;
  std::vector<Route> routes;
  for (std::uint32_t i = 0; i < count; ++i) {
    infos.push_back(std::move(infos_[order[i]]));
    routes.push_back(routes_[order[i]]);
    infos.back().index = routes.back().index = i;
  }
  infos_ = std::move(infos);
  routes_ = std::move(routes);

  if (count > 0) {
    first_cmd_ = infos_.front().cmd;
    const std::size_t width = std::size_t{infos_.back().cmd} - first_cmd_ + 1;
    if (width <= kWidestWindow) {
      window_.resize(width);
      for (std::size_t i = 0; i < count; ++i) window_[infos_[i].cmd - first_cmd_] = static_cast<std::uint16_t>(i + 1);
    } else {
      const std::size_t size = std::bit_ceil(count * 2);
      slot_shift_ = 33u - static_cast<unsigned>(std::bit_width(size));
      slots_.resize(size);
      for (std::uint32_t i = 0; i < count; ++i) {
        std::size_t at = (infos_[i].cmd * 0x9E37'79B9u) >> slot_shift_;
        while (slots_[at].second != 0) at = (at + 1) & (size - 1);
        slots_[at] = {infos_[i].cmd, i + 1};
      }
    }
  }
  quiet_protobuf();
  for (auto& hook : hooks_) hook->start(infos_);
  started_ = true;
  return {};
}

const Router::Route* Router::find_slot(std::uint32_t cmd) const noexcept {
  for (std::size_t at = (cmd * 0x9E37'79B9u) >> slot_shift_;; at = (at + 1) & (slots_.size() - 1)) {
    const auto [key, number] = slots_[at];
    if (number == 0) return nullptr;
    if (key == cmd) return &routes_[number - 1];
  }
}

Router::Lease Router::take(const Route& route) const {
  const GiveBack back{this, &route};
  const std::size_t thread = ThreadNumber::get();
  if (thread < kThreads) [[likely]] {
    // Only this thread uses this pool; a later thread of the same number gets it by way of the mutex of the numbers.
    Pool* pool = pools_[thread].load(std::memory_order_relaxed);
    if (!pool) {
      pool = new Pool(routes_.size());
      pools_[thread].store(pool, std::memory_order_relaxed);
    }
    Pool::List& list = pool->lists[route.index];
    if (list.head) [[likely]] {
      --list.count;
      return Lease(std::exchange(list.head, list.head->next), back);
    }
  }
  return Lease(route.make(), back);
}

void Router::give(const Route& route, MessagePair* pair) const noexcept {
  const std::size_t thread = ThreadNumber::get();
  Pool* const pool = thread < kThreads ? pools_[thread].load(std::memory_order_relaxed) : nullptr;
  if (!pool || pool->lists[route.index].count >= Pool::kKeep || !pair->clear(options_.max_kept_bytes)) {
    delete pair;
    return;
  }
  Pool::List& list = pool->lists[route.index];
  pair->next = std::exchange(list.head, pair);
  ++list.count;
}

Result<void> Router::read(MessagePair& pair, std::string_view body) const {
  if (body.size() > options_.max_body_bytes) [[unlikely]] {
    return fail(413, "body of {} octets for {}: at most {} are read", body.size(), pair.request->GetTypeName(),
                options_.max_body_bytes);
  }
  pair.passed_bytes = body.size();
  bool good = false;
  if (options_.max_nesting == kProtobufNesting) [[likely]] {
    // Messages of the pool are empty: nothing has to be cleared.
    good = pair.request->ParseFrom<google::protobuf::MessageLite::kMerge>(
        google::protobuf::StringPiece(body.data(), body.size()));
  } else {
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(body.data()),
                                              static_cast<int>(body.size()));
    in.SetRecursionLimit(options_.max_nesting);
    good = pair.request->ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
  }
  if (!good) [[unlikely]] {
    if (is_cut_short(body)) return fail(code::kUnknown, "unexpected EOF");
    return fail(code::kUnknown, "proto: body of {} octets is no {}", body.size(), pair.request->GetTypeName());
  }
  return {};
}

Result<void> Router::finish(MessagePair& pair, Result<void> result, const ReplyTo& reply) const {
  if (!result) [[unlikely]] {
    Error& error = result.error();
    if (error.code <= 0) {
      error.code = code::kUnknown;
      if (error.status.empty()) error.status = status_text(code::kUnknown);
    }
    return result;
  }
  const std::size_t size = pair.reply->ByteSizeLong();
  if (size == 0) return result;
  if (size > options_.max_reply_bytes) [[unlikely]] {
    pair.passed_bytes += size;
    return fail(code::kServer, "reply {} of {} octets: at most {} are sent", pair.reply->GetTypeName(), size,
                options_.max_reply_bytes);
  }
  pair.passed_bytes += size;
  std::byte* const to = reply.grow(size);
  if (!to) [[unlikely]]
    return fail(code::kUnavailable, "no room for a reply of {} octets", size);
  pair.reply->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(to));
  return result;
}

Task<Result<void>> Router::finish_later(Lease pair, Task<Result<void>> task, ReplyTo reply) {
  try {
    const Router& router = *pair.get_deleter().router;
    co_return router.finish(*pair, co_await std::move(task), reply);
  } catch (...) {
    co_return error_of(std::current_exception());
  }
}

std::unexpected<Error> Router::error_of(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    return std::unexpected(make_error(code::kServer, e.what()));
  } catch (...) {
    return std::unexpected(make_error(code::kServer, "an exception that is no std::exception"));
  }
}

Task<Result<void>> Router::invoke_or_refuse(const Route* route, AgentMeta& meta, std::uint32_t cmd,
                                            std::string_view body, ReplyTo reply, Mailbox::Turn* turn) const {
  if (route) return route->invoke(*this, *route, meta, body, reply, turn);
  if (!started_) return fail(code::kUnavailable, "router: not started, protocol {} cannot be served yet", cmd);
  return fail(code::kNotFound, "not found protocol {}", cmd);
}

Task<Result<void>> Router::call_slowly(const Route* route, AgentMeta& meta, std::uint32_t cmd, std::string_view body,
                                       ReplyTo reply, Mailbox::Turn* turn) const {
  if (hooks_.empty() || !started_) return invoke_or_refuse(route, meta, cmd, body, reply, turn);
  const Clock::TimePoint begin = options_.clock->now();
  // An unknown command has no line of its own in routes(), and nobody keeps the one it gets here: it ends in this call.
  RouteInfo unknown;
  unknown.cmd = cmd;
  unknown.index = static_cast<std::uint32_t>(infos_.size());
  const RouteInfo& info = route ? infos_[route->index] : unknown;
  std::size_t passed = 0;
  try {
    for (; passed < hooks_.size(); ++passed) {
      if (auto allowed = hooks_[passed]->before(meta, info, body); !allowed) {
        if (allowed.error().code <= 0) allowed.error().code = code::kUnknown;
        end_hooks(passed, meta, info, allowed, begin);
        return allowed;
      }
    }
  } catch (...) {
    Result<void> failed = error_of(std::current_exception());
    end_hooks(passed, meta, info, failed, begin);
    return failed;
  }
  Task<Result<void>> task = invoke_or_refuse(route, meta, cmd, body, reply, turn);
  if (!task.ready()) return end_hooks_later(this, &info, &meta, std::move(task), begin);
  Result<void> result = std::move(task).operator co_await().await_resume();
  end_hooks(passed, meta, info, result, begin);
  return result;
}

Task<Result<void>> Router::end_hooks_later(const Router* router, const RouteInfo* info, AgentMeta* meta,
                                           Task<Result<void>> task, Clock::TimePoint begin) {
  Result<void> result = co_await std::move(task);
  router->end_hooks(router->hooks_.size(), *meta, *info, result, begin);
  co_return result;
}

void Router::end_hooks(std::size_t passed, const AgentMeta& meta, const RouteInfo& info, const Result<void>& result,
                       Clock::TimePoint begin) const {
  const std::chrono::nanoseconds elapsed = options_.clock->now() - begin;
  while (passed-- > 0) {
    try {
      hooks_[passed]->after(meta, info, result, elapsed);
    } catch (const std::exception& e) {
      log::error("router: a hook threw after {}: {}", info.name, e.what());
    }
  }
}

}  // namespace mg::protocol
