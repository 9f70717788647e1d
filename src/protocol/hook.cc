#include "mg/protocol/hook.h"

#include <algorithm>

namespace mg::protocol {

void Hook::start(std::span<const RouteInfo>) {}
Result<void> Hook::before(AgentMeta&, const RouteInfo&, std::string_view) {
  return {};
}
void Hook::after(const AgentMeta&, const RouteInfo&, const Result<void>&, std::chrono::nanoseconds) {}

void LogHook::after(const AgentMeta& meta, const RouteInfo& route, const Result<void>& result,
                    std::chrono::nanoseconds elapsed) {
  if (!log::enabled(level_)) return;
  const std::string_view name = route.name.empty() ? "no route" : route.name;
  const double us = static_cast<double>(elapsed.count()) / 1000.0;
  if (result) {
    log::write(level_, "{} {} client {} account {}: ok in {:.1f} us", route.cmd, name, meta.client_id(),
               meta.account_id(), us);
  } else {
    log::write(level_, "{} {} client {} account {}: error {} \"{}\" in {:.1f} us", route.cmd, name, meta.client_id(),
               meta.account_id(), result.error().code, result.error().detail, us);
  }
}

AuthHook::AuthHook(std::vector<std::uint32_t> open_to_all) : open_(std::move(open_to_all)) {
  std::ranges::sort(open_);
}

Result<void> AuthHook::before(AgentMeta& meta, const RouteInfo& route, std::string_view) {
  if (meta.account_id() != 0 || std::ranges::binary_search(open_, route.cmd)) return {};
  return fail(code::kUnauthorized, "Game Login Unauthorized");
}

void TimingHook::start(std::span<const RouteInfo> routes) {
  routes_.assign(routes.begin(), routes.end());
  routes_.emplace_back().index = static_cast<std::uint32_t>(routes.size());
  cells_ = std::make_unique<Cell[]>(routes_.size());
}

void TimingHook::after(const AgentMeta&, const RouteInfo& route, const Result<void>& result,
                       std::chrono::nanoseconds elapsed) {
  Cell& cell = cells_[route.index];
  cell.calls.fetch_add(1, std::memory_order_relaxed);
  if (!result) cell.errors.fetch_add(1, std::memory_order_relaxed);
  cell.total_ns.fetch_add(elapsed.count(), std::memory_order_relaxed);
  std::int64_t longest = cell.longest_ns.load(std::memory_order_relaxed);
  while (elapsed.count() > longest &&
         !cell.longest_ns.compare_exchange_weak(longest, elapsed.count(), std::memory_order_relaxed)) {
  }
}

std::vector<TimingHook::Row> TimingHook::rows() const {
  std::vector<Row> rows;
  rows.reserve(routes_.size());
  for (const RouteInfo& route : routes_) {
    const Cell& cell = cells_[route.index];
    rows.push_back({.route = route,
                    .calls = cell.calls.load(std::memory_order_relaxed),
                    .errors = cell.errors.load(std::memory_order_relaxed),
                    .total = std::chrono::nanoseconds(cell.total_ns.load(std::memory_order_relaxed)),
                    .longest = std::chrono::nanoseconds(cell.longest_ns.load(std::memory_order_relaxed))});
  }
  return rows;
}

}  // namespace mg::protocol
