#include "mg/rpc/link/link.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "mg/base/check.h"
#include "mg/base/random.h"
#include "rpc/link/advertise.h"
#include "rpc/link/caller.h"
#include "rpc/link/node.h"
#include "rpc/link/options.h"

namespace mg::rpc {

using link::Caller;
using link::Callers;
using link::Place;
using link::ServedNode;
using link::Shared;

class LinkNetwork::State {
 public:
  State(std::span<Loop* const> l, std::shared_ptr<Shared> s) : loops(l.begin(), l.end()), shared(std::move(s)) {
    for (Loop* const loop : loops) callers.push_back(std::make_unique<Callers>(*loop, *shared));
  }

  const std::vector<Loop*> loops;
  const std::shared_ptr<Shared> shared;
  std::vector<std::unique_ptr<Callers>> callers;  // Each used on its loop.
  std::mutex mutex;                               // docs/threads.md: "link network"; start and stop of nodes.
  std::vector<std::shared_ptr<ServedNode>> nodes;
};

namespace {

constexpr std::size_t kShortestSecret = 16;

Result<void> check_options(const LinkOptions& o) {
  const auto in = [](auto value, auto low, auto high) { return value >= low && value <= high; };
  if (!in(o.max_message, 1024U, 1U << 30))
    return fail(code::kInvalid, "link: max_message {}: 1 KiB to 1 GiB", o.max_message);
  if (!in(o.max_calls, 1U, 1U << 20)) return fail(code::kInvalid, "link: max_calls {}: 1 to 1048576", o.max_calls);
  if (!in(o.max_metas, 1U, 1U << 24)) return fail(code::kInvalid, "link: max_metas {}: 1 to 2^24", o.max_metas);
  if (!in(o.max_meta_octets, link::kMaxMetaSize, 1U << 30)) {
    return fail(code::kInvalid, "link: max_meta_octets {}: 64 KiB to 1 GiB", o.max_meta_octets);
  }
  if (!in(o.max_output, 4096U, 1U << 27))
    return fail(code::kInvalid, "link: max_output {}: 4 KiB to 128 MiB", o.max_output);
  if (o.max_links == 0) return fail(code::kInvalid, "link: max_links 0: 1 or more");
  if (!o.secret.empty() && o.secret.size() < kShortestSecret) {
    return fail(code::kInvalid, "link: the secret has {} octets: 16 or more", o.secret.size());
  }
  for (const Clock::Duration time : {o.handshake_timeout, o.ping_interval, o.silence, o.idle_close}) {
    if (time <= Clock::Duration::zero()) return fail(code::kInvalid, "link: a time that is not above zero");
  }
  return {};
}

class LinkRoute final : public Route {
 public:
  LinkRoute(LoopPtr<Caller> caller, Caller::Way& way) : caller_(std::move(caller)), way_(way) { caller_->add_route(); }
  ~LinkRoute() override { caller_->drop_route(); }

  Task<Result<void>> call(const Context& context, const Messages& messages) override {
    return caller_->call(way_, context, messages);
  }

 private:
  const LoopPtr<Caller> caller_;
  Caller::Way& way_;
};

class LinkServed final : public Served {
 public:
  LinkServed(std::shared_ptr<LinkNetwork::State> state, std::shared_ptr<ServedNode> node)
      : state_(std::move(state)), node_(std::move(node)) {}
  ~LinkServed() override {
    // What is left of its links goes with the network.
  }

  std::string address() const override { return node_->address(); }
  std::vector<std::pair<std::string, std::string>> metadata() const override {
    return {{std::string(LinkNetwork::kMetadataKey), node_->place()}};
  }
  Task<Result<void>> stop(Deadline deadline) override { return node_->stop(deadline); }

 private:
  const std::shared_ptr<LinkNetwork::State> state_;
  const std::shared_ptr<ServedNode> node_;
};

}  // namespace

LinkNetwork::LinkNetwork(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<LinkNetwork>> LinkNetwork::make(std::span<Loop* const> loops, LinkOptions options) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    check(loops[i]->index() == i, "rpc::LinkNetwork: the loops must be all of one Runtime, in their order");
  }
  if (auto good = check_options(options); !good) return std::unexpected(std::move(good.error()));
  auto shared = std::make_shared<Shared>();
  SystemRandom random;
  shared->instance = random.next();
  shared->options = std::move(options);
  if (const LinkTls& tls = shared->options.tls; tls.enabled()) {
    if (tls.ca_file.empty() || tls.cert_file.empty()) {
      return fail(code::kInvalid, "link: TLS needs ca_file, cert_file and key_file, on every node");
    }
    auto context = TlsContext::server({.cert_file = tls.cert_file, .key_file = tls.key_file, .ca_file = tls.ca_file});
    if (!context) return std::unexpected(std::move(context.error()));
    shared->node_tls = std::move(*context);
  }
  return std::unique_ptr<LinkNetwork>(new LinkNetwork(std::make_shared<State>(loops, std::move(shared))));
}

LinkNetwork::~LinkNetwork() {
  for (const auto& node : state_->nodes) node->destroy();
  state_->callers.clear();
}

// A coroutine, so that it runs where it is awaited: on a loop.
Task<Result<std::unique_ptr<Served>>> LinkNetwork::serve(Serving serving) {
  const std::shared_ptr<State> state = state_;
  Loop* const here = Loop::current();
  check(here && here->index() < state->loops.size() && state->loops[here->index()] == here,
        "rpc::LinkNetwork::serve() outside its loops");
  auto node = std::make_shared<ServedNode>(state->loops, state->shared, std::move(serving));
  if (auto listening = node->listen(); !listening) co_return std::unexpected(std::move(listening.error()));
  {
    const std::lock_guard lock(state->mutex);
    state->nodes.push_back(node);
  }
  co_return std::make_unique<LinkServed>(state, std::move(node));
}

std::unique_ptr<Route> LinkNetwork::open(const Node& node, EndpointName endpoint, std::string_view caller, Loop& loop) {
  const std::string_view text = node.get(kMetadataKey);
  if (text.empty() || node.id.empty() || node.id.size() > link::kMaxName || endpoint.handler.size() > link::kMaxName ||
      endpoint.method.size() > link::kMaxName) {
    return nullptr;
  }
  if (loop.index() >= state_->loops.size() || state_->loops[loop.index()] != &loop) return nullptr;
  const Result<Place> place = link::decode_place(text);
  if (!place) return nullptr;
  LoopPtr<Caller> link = state_->callers[loop.index()]->find_or_make(node.id, text, *place);
  Caller::Way& way = link->way(endpoint, caller);
  return std::make_unique<LinkRoute>(std::move(link), way);
}

bool LinkNetwork::can_advertise(std::string_view text) {
  return !text.empty() && link::advertised_ip(text, "").has_value();
}

LinkStats LinkNetwork::stats() const {
  const auto& counters = state_->shared->counters;
  return {
      .opened = counters.opened, .lost = counters.lost, .refused = counters.refused, .violations = counters.violations};
}

}  // namespace mg::rpc
