#include "mg/app/app.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>

#include "app/app_impl.h"
#include "app/limited.h"
#include "app/process_impl.h"
#include "mg/base/check.h"
#include "mg/base/log.h"
#include "mg/base/units.h"
#include "mg/base/uuid.h"
#include "mg/meta/header.h"
#include "pb.pb.h"

namespace mg {
namespace {

constexpr std::string_view kCancelTopic = "cancel";
constexpr std::string_view kContentType = "Content-Type";
constexpr std::string_view kBuiltIn = "local";  // What a registry within the process says it is.
constexpr std::string_view kProtobuf = "application/grpc+proto";

enum class Form { kProtobuf, kJson, kUnknown };

// Source: wire.md 2.3, 3.2.
Form form_of(std::string_view content_type) {
  for (std::string_view each : {"", "application/grpc", "application/grpc+proto", "application/proto",
                                "application/protobuf", "application/octet-stream"}) {
    if (content_type == each) return Form::kProtobuf;
  }
  if (content_type == "application/json" || content_type == "application/grpc+json") return Form::kJson;
  return Form::kUnknown;
}

Result<void> decode(std::string_view content_type, const std::string& body, rpc::MessageLite& message) {
  switch (form_of(content_type)) {
    case Form::kProtobuf:
      if (message.ParseFromString(body)) return {};
      return fail(code::kInvalid, "the body is no {}", message.GetTypeName());
    case Form::kJson: {
      auto* const full = dynamic_cast<google::protobuf::Message*>(&message);
      if (full && google::protobuf::util::JsonStringToMessage(body, full).ok()) return {};
      return fail(code::kInvalid, "the body is no JSON of {}", message.GetTypeName());
    }
    case Form::kUnknown:
      break;
  }
  return fail(code::kInvalid, "Unsupported Content-Type: {}", content_type);
}

const char* const kHookNames[] = {"before_start", "after_start", "before_stop", "after_stop"};

}  // namespace

// ---- App --------------------------------------------------------------------------------------------------------

App::App(AppOptions options)
    : own_process_(std::make_unique<Process>(ProcessOptions{.name = options.name, .version = options.version})),
      impl_(std::make_unique<Impl>(*own_process_->impl_, std::move(options))) {}

App::App(Process& process, AppOptions options) : impl_(std::make_unique<Impl>(*process.impl_, std::move(options))) {}

App::~App() {
  if (impl_->process.threads_run) process().stop();  // A test that gave up, say.
  std::erase(impl_->process.apps, impl_.get());
}

const std::string& App::name() const {
  return impl_->options.name;
}
const std::string& App::version() const {
  return impl_->options.version;
}
const std::string& App::id() const {
  return impl_->uuid;
}
std::string App::node_id() const {
  return name() + "-" + id();
}
Process& App::process() {
  return *impl_->process.self;
}
void App::request_stop() {
  impl_->stop_requested = true;
  impl_->process.look_again();
}
rpc::Client& App::client() {
  check(impl_->client.has_value(), "App: calls are possible from before_start hooks on");
  return *impl_->client;
}
const Nodes& App::nodes() const {
  check(impl_->nodes.has_value(), "App: nodes are known from before_start hooks on");
  return *impl_->nodes;
}
rpc::Handlers& App::handlers() {
  return impl_->handlers;
}
void App::keep(Result<void> outcome) {
  if (!outcome) impl_->faults.push_back(std::move(outcome.error()));
}
void App::add_hook(HookKind kind, Hook hook) {
  impl_->hooks[kind].push_back(std::move(hook));
}
void App::add_metadata(std::string key, std::string value) {
  impl_->metadata.insert_or_assign(std::move(key), std::move(value));
}
void App::add_pub(std::string_view topic) {
  keep(broker::check_topic(topic));
  impl_->topics.emplace(topic);
}
Task<Result<void>> App::pub(std::string topic, const Meta& meta, const rpc::MessageLite& message) {
  return impl_->publish(std::move(topic), meta, message);
}
void App::add_subscription(std::string topic, bool queue, Subscriber subscriber) {
  keep(broker::check_topic(topic));
  impl_->subscribe(std::move(topic), queue, std::move(subscriber));
}
Task<Result<void>> App::cancel(std::string name, std::string uuid) {
  pb::Cancel message;
  message.set_name(std::move(name));
  message.set_nodeid(std::move(uuid));
  return impl_->publish(std::string(kCancelTopic), Meta(), message);
}

// ---- inside -----------------------------------------------------------------------------------------------------

App::Impl::Impl(Process::Impl& p, AppOptions o)
    : process(p), options(std::move(o)), uuid(Uuid::v4(p.self->random()).text()) {
  if (options.name.empty() || options.name.contains('/')) {
    faults.push_back(
        make_error(code::kInvalid, fmt::format("service name \"{}\": must not be empty or contain /", options.name)));
  }
  process.apps.push_back(this);
  topics.emplace(kCancelTopic);
  subscribe(std::string(kCancelTopic), false,
            {.type = &pb::Cancel::default_instance(),
             .handle = [this](const Meta&, const rpc::MessageLite& message) { return handle_cancel(message); }});
}

Loop& App::Impl::home() {
  return process.runtime->loop(0);
}

void App::Impl::prepare() {
  std::vector<Loop*> loops;
  for (std::size_t i = 0; i < process.runtime->size(); ++i) loops.push_back(&process.runtime->loop(i));
  std::vector<rpc::Transport*> transports;
  for (const auto& transport : process.backends.transports) transports.push_back(transport.get());
  resolver_ = std::make_unique<RegistryResolver>(*process.backends.registry);
  client.emplace(rpc::ClientOptions{.name = options.name,
                                    .timeout = process.common.client_request_timeout,
                                    .retries = process.common.client_retries,
                                    .picker = rpc::picker_of(process.common.selector).value_or(nullptr)},
                 loops, *resolver_, std::move(transports), process.self->random());
  nodes.emplace(*process.backends.registry, process.self->random(), options.name, uuid);
}

void App::Impl::subscribe(std::string topic, bool queue, Subscriber subscriber) {
  subscribers_.push_back({std::move(topic), queue, std::move(subscriber)});
}

Task<Result<void>> App::Impl::handle_cancel(const rpc::MessageLite& message) {
  const auto& cancel = static_cast<const pb::Cancel&>(message);
  if (cancel.name() == options.name && (cancel.nodeid().empty() || cancel.nodeid() == uuid)) {
    log::info("{}: cancelled", options.name);
    stop_requested = true;
    process.look_again();
  }
  return Result<void>();
}

Task<Result<void>> App::Impl::run_hooks(HookKind kind, Deadline deadline) {
  const bool starting = kind == kBeforeStart || kind == kAfterStart;
  Result<void> first;
  // By index: a hook may add others.
  for (std::size_t i = 0; i < hooks[kind].size(); ++i) {
    const std::size_t number = starting ? i : hooks[kind].size() - 1 - i;
    Hook& hook = hooks[kind][number];
    const std::string what = fmt::format("{} hook {}", kHookNames[kind], number + 1);
    Result<void> done;
    try {
      done = co_await limited(home(), hook(deadline), deadline, what);
    } catch (const std::exception& e) {
      done = fail(code::kServer, "{}: panic recovered: {}", what, e.what());
    }
    if (done && starting && abandoned) co_return fail(code::kTimeout, "given up");
    if (done) continue;
    if (starting) co_return done;
    log::error("{}: {}: {}", options.name, what, to_json(done.error()));
    if (first) first = std::move(done);
  }
  co_return first;
}

Task<Result<void>> App::Impl::start() {
  const auto given_up = [this](Result<void>& done) {
    if (done && abandoned) done = fail(code::kTimeout, "given up");
    return !done;
  };
  if (!faults.empty()) co_return std::unexpected(faults[0]);
  if (auto done = co_await run_hooks(kBeforeStart, Deadline::never()); given_up(done)) co_return done;
  if (!faults.empty()) co_return std::unexpected(faults[0]);  // Of what hooks registered.
  if (auto done = co_await serve(); given_up(done)) co_return done;
  if (auto done = co_await process.connect_broker(); given_up(done)) co_return done;
  registered_ = true;
  if (const auto done = co_await register_node(); !done) {
    log::error("{}: registration failed, tried again every {}: {}", options.name,
               format_duration(process.common.register_interval), to_json(done.error()));
  }
  if (abandoned) co_return fail(code::kTimeout, "given up");
  if (process.common.register_interval.count() > 0) {
    refresh_timer_.arm(home(), home().now() + process.common.register_interval);
  }
  if (auto done = open_subscriptions(); !done) co_return done;
  co_return co_await run_hooks(kAfterStart, Deadline::never());
}

Task<Result<void>> App::Impl::serve() {
  for (const auto& transport : process.backends.transports) {
    rpc::Serving serving{.service = options.name, .uuid = uuid, .handlers = &handlers, .observer = {}};
    if (process.common.dev) {
      serving.observer = [this](const rpc::Request& request) {
        log::info("{}: {} from {}: {}, {}", options.name, request.endpoint, request.context.caller(),
                  request.error ? to_json(*request.error) : "ok", format_duration(request.took));
      };
    }
    Result<std::unique_ptr<rpc::Served>> served = co_await transport->serve(std::move(serving));
    if (!served) co_return std::unexpected(std::move(served.error()));
    served_.push_back(std::move(*served));
  }
  co_return Result<void>();
}

Task<Result<void>> App::Impl::register_node() {
  registry::Node node{.id = options.name + "-" + uuid, .address = {}, .metadata = {}};
  for (const auto& [key, value] : metadata) node.metadata.insert_or_assign(key, value);
  node.metadata.insert_or_assign("broker", std::string(process.backends.broker->kind()));
  node.metadata.insert_or_assign("registry", std::string(process.backends.registry->kind()));
  for (const auto& served : served_) {
    for (auto& [key, value] : served->metadata()) node.metadata.insert_or_assign(key, value);
    if (std::string address = served->address(); !address.empty()) node.address = std::move(address);
  }
  return process.backends.registry->add(
      {.name = options.name, .version = options.version, .metadata = {}, .endpoints = {}, .nodes = {std::move(node)}},
      {.ttl = process.common.register_ttl, .deadline = Deadline::never()});
}

Task<void> App::Impl::refresh() {
  const std::shared_ptr<InFlight> refreshing = refreshing_;
  const auto token = refreshing->enter();
  if (!token) co_return;
  if (const auto done = co_await register_node(); !done) {
    log::error("{}: registration failed: {}", options.name, to_json(done.error()));
  }
  co_await home().resume_here();
  if (!refreshing->closed()) refresh_timer_.arm(home(), home().now() + process.common.register_interval);
}

Result<void> App::Impl::open_subscriptions() {
  std::size_t index = 0;
  for (const Topic& topic : subscribers_) {
    auto subscription = process.backends.broker->subscribe(
        {.topic = topic.name,
         .queue = topic.queue ? topic.name : "",
         .loop = &process.runtime->loop(index++ % process.runtime->size())},
        [this, &topic](const broker::Message& message) { return receive(topic, message); });
    if (!subscription) return std::unexpected(std::move(subscription.error()));
    subscriptions_.push_back(std::move(*subscription));
  }
  return {};
}

Task<Result<void>> App::Impl::receive(const Topic& topic, const broker::Message& message) {
  const auto type = message.headers.find(kContentType);
  const std::unique_ptr<rpc::MessageLite> body(topic.subscriber.type->New());
  if (auto ok = decode(type == message.headers.end() ? "" : std::string_view(type->second), message.body, *body); !ok) {
    co_return ok;
  }
  Meta meta;
  for (const auto& [key, value] : message.headers) {
    if (key != kContentType) meta.set(canonical_key(key), value);
  }
  if (!process.common.dev) co_return co_await topic.subscriber.handle(meta, *body);
  const Clock& clock = home().clock();
  const Clock::TimePoint started = clock.now();
  Result<void> done = co_await topic.subscriber.handle(meta, *body);
  log::info("{}: topic {}: {}, {}", options.name, topic.name, done ? "ok" : to_json(done.error()),
            format_duration(clock.now() - started));
  co_return done;
}

Task<Result<void>> App::Impl::publish(std::string topic, const Meta& meta, const rpc::MessageLite& message) {
  if (!topics.contains(topic)) {
    return fail(code::kInvalid, "topic {}: not added with add_pub", topic);
  }
  check(process.runtime.has_value(), "App: topics can be published to from before_start hooks on");
  broker::Message sent;
  meta.for_each([&](std::string_view key, std::string_view value) { sent.headers.emplace(canonical_key(key), value); });
  sent.headers.insert_or_assign(std::string(kContentType), std::string(kProtobuf));
  sent.headers.insert_or_assign("Micro-Topic", topic);
  sent.headers.insert_or_assign("Micro-From-Service", options.name);
  if (!message.SerializeToString(&sent.body)) {
    return fail(code::kInvalid, "topic {}: the {} cannot be encoded", topic, message.GetTypeName());
  }
  return process.backends.broker->publish(std::move(topic), std::move(sent),
                                          Deadline::after(home().clock(), process.common.client_request_timeout));
}

Task<Result<void>> App::Impl::stop(Deadline deadline) {
  Result<void> first;
  const auto keep = [&](Result<void> done) {
    if (!done && first) first = std::move(done);
  };
  keep(co_await run_hooks(kBeforeStop, deadline));

  refresh_timer_.cancel();
  refreshing_->close();
  if (!co_await refreshing_->drained(home(), deadline)) {
    keep(fail(code::kTimeout, "registration: still waits for the registry"));
  }
  if (registered_) {
    // Even when the time is up: others must not be sent here any more.
    const Deadline end = std::max(deadline, Deadline::after(home().now(), std::chrono::seconds(1)));
    keep(co_await limited(home(), process.backends.registry->remove(options.name, options.name + "-" + uuid, end), end,
                          "deregistration"));
  }

  // Callers elsewhere hear of it now, or with their next call; those of the Go original cannot try another node.
  if (registered_ && !served_.empty() && process.backends.registry->kind() != kBuiltIn) {
    const Clock::TimePoint until = home().now() + process.common.drain_delay;
    co_await home().sleep_until(deadline.is_never() ? until : std::min(until, deadline.time()));
  }

  std::vector<Task<Result<void>>> ending;
  for (const auto& subscription : subscriptions_) ending.push_back(subscription->stop(deadline));
  keep(co_await all_of(home(), std::move(ending), deadline, "subscriptions"));
  subscriptions_.clear();

  std::vector<Task<Result<void>>> serving;
  for (const auto& served : served_) serving.push_back(served->stop(deadline));
  const Deadline later = deadline.is_never() ? deadline : Deadline::after(deadline.time(), std::chrono::seconds(2));
  keep(co_await all_of(home(), std::move(serving), later, "requests"));
  served_.clear();

  keep(co_await run_hooks(kAfterStop, deadline));
  co_return first;
}

}  // namespace mg
