#include "rpc/grpc/node.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "mg/meta/meta.h"

namespace mg::rpc::grpc {

Node::Node(const GrpcOptions& options, std::span<Loop* const> l, Serving serving)
    : service(serving.service),
      uuid(serving.uuid),
      id(serving.service + "-" + serving.uuid),
      handlers(serving.handlers),
      observer(std::move(serving.observer)),
      max_message_bytes(options.max_message_bytes),
      max_metadata_bytes(options.max_metadata_bytes),
      max_running(options.max_running),
      loops(l.size()),
      debug(l, options.log) {
  for (std::size_t i = 0; i < l.size(); ++i) loops[i].loop = l[i];
}

Node::PerLoop& Node::loop_for(const Meta& meta) {
  const std::string_view client = meta.get(meta_key::kClientId);
  const std::size_t number =
      client.empty() ? turn_.fetch_add(1, std::memory_order_relaxed) : std::hash<std::string_view>()(client);
  return loops[number % loops.size()];
}

Deadline Node::deadline_of(gpr_timespec grpc, const Incoming& in, bool stream) const {
  constexpr Clock::Duration kYear = std::chrono::hours(24 * 365);
  // Read before the other clocks: what is left by those is then never more than the caller has.
  const Clock::TimePoint now = loops[0].loop->clock().now();
  std::optional<Clock::Duration> left = in.timeout;
  const auto at_most = [&left](Clock::Duration time) { left = left ? std::min(*left, time) : time; };
  if (in.deadline) at_most(*in.deadline - std::chrono::steady_clock::now());
  if (gpr_time_cmp(grpc, gpr_inf_future(grpc.clock_type)) != 0) {
    const gpr_timespec rest = gpr_time_sub(grpc, gpr_now(grpc.clock_type));
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
    at_most(std::chrono::seconds(std::clamp<std::int64_t>(rest.tv_sec, -kMost, kMost)) +
            std::chrono::nanoseconds(rest.tv_nsec));
  }
  if (!left) left = stream ? kYear : std::chrono::minutes(1);
  return Deadline::after(now, std::min(*left, kYear));
}

Error Node::stopped() const {
  return not_run(fmt::format("node {}: stopped, the request did not run", id));
}

Error Node::another(std::string_view meant) const {
  return not_run(fmt::format("node {}: is gone, {} has its address now; the request did not run", meant, id));
}

Error Node::too_many() const {
  Error error =
      make_error(code::kTooMany, fmt::format("node {}: {} requests run already (max_running)", id, max_running));
  error.id = kServerId;
  return error;
}

}  // namespace mg::rpc::grpc
