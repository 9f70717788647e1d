#include "mg/app/process.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/app_impl.h"
#include "app/out_of_memory.h"
#include "app/process_impl.h"
#include "app/remote.h"
#include "mg/base/check.h"
#include "mg/base/log.h"
#include "mg/broker/local/local_broker.h"
#include "mg/registry/local/local_registry.h"
#include "mg/rpc/local/network.h"
#include "mg/runtime/event.h"
#include "mg/runtime/signals.h"
#include "mg/utils/errors/language.h"

namespace mg {

Process::Impl::Impl(Process& p, ProcessOptions o)
    : self(&p), options(std::move(o)), flags(options.name, options.version, options.about) {
  common.add_to(flags);
}

Result<void> Process::Impl::set_up() {
  check(!runtime, "Process: run() or start() twice");
  if (flags.given("lang")) {
    if (auto set = errors::set_language(common.lang); !set) return set;
  }
  runtime.emplace(RuntimeOptions{.loops = common.loops, .clock = options.clock});
  if (make_backends) {
    Result<Backends> made = make_backends(common, *runtime);
    if (!made) return std::unexpected(std::move(made.error()));
    backends = std::move(*made);
  }
  if (auto made = make_remote(backends, common, options.name, *runtime); !made) return made;
  if (!backends.registry) backends.registry = std::make_shared<registry::LocalRegistry>(runtime->loop(0));
  if (!backends.broker) backends.broker = std::make_shared<broker::LocalBroker>();
  if (backends.transports.empty()) {
    std::vector<Loop*> loops;
    for (std::size_t i = 0; i < runtime->size(); ++i) loops.push_back(&runtime->loop(i));
    backends.transports.push_back(std::make_shared<rpc::LocalNetwork>(loops));
  }
  for (App::Impl* app : apps) app->prepare();
  return {};
}

Task<Result<void>> Process::Impl::connect_broker() {
  if (broker_connected) co_return Result<void>();
  Result<void> done =
      co_await backends.broker->connect(Deadline::after(runtime->loop(0).now(), std::chrono::seconds(10)));
  broker_connected = done.has_value();
  co_return done;
}

void Process::Impl::report_started(Result<void> outcome) {
  const std::lock_guard lock(mutex);
  if (!started) started = std::move(outcome);
  changed.notify_all();
}

// The app's start; when a stop is asked for meanwhile, it has the time of a stop to come to its end.
Task<Result<void>> Process::Impl::start_app(App::Impl& app) {
  struct Start {
    static Task<void> run(Process::Impl& self, App::Impl& app, std::shared_ptr<Completion<Result<void>>> done) {
      Result<void> outcome = co_await app.start();
      done->set(std::move(outcome));
      self.wake.ring();
    }
  };
  auto done = std::make_shared<Completion<Result<void>>>();
  spawn(Start::run(*this, app, done));
  while (!done->is_set() && !stop_requested) co_await wake.wait();
  Loop& home = runtime->loop(0);
  std::optional<Result<void>> outcome =
      co_await done->wait(home, Deadline::after(home.clock().now(), common.stop_timeout));
  if (outcome) co_return std::move(*outcome);
  app.abandoned = true;
  co_return fail(code::kTimeout, "told to stop, but its start does not end");
}

Task<void> Process::Impl::live() {
  Loop& home = runtime->loop(0);
  Result<void> outcome;
  for (std::size_t i = 0; i < apps.size() && !stop_requested; ++i) {
    outcome = co_await start_app(*apps[i]);
    apps[i]->phase = App::Impl::Phase::kStarted;  // As far as it came: stop() undoes that.
    if (!outcome) {
      log::error("{}: start failed: {}", apps[i]->options.name, to_json(outcome.error()));
      code = stop_requested ? exit_code::kStopFailed : exit_code::kStartFailed;
      stop_requested = true;
      break;
    }
    log::info("{} {} started, node {}", apps[i]->options.name, apps[i]->options.version, apps[i]->uuid);
  }
  if (outcome) report_started({});

  Deadline all_end = Deadline::never();  // When everything is to have stopped.
  for (;;) {
    App::Impl* stopping = nullptr;
    bool any = false;
    for (App::Impl* app : apps) {
      if (app->phase != App::Impl::Phase::kStarted) continue;
      any = true;
      if (stop_requested || app->stop_requested) stopping = app;
    }
    if (!any) break;
    if (!stopping) {
      co_await wake.wait();
      continue;
    }
    Deadline end = Deadline::after(home.clock().now(), common.stop_timeout);
    if (stop_requested) end = all_end = std::min(all_end, end);
    const Result<void> stopped = co_await stopping->stop(end);
    stopping->phase = App::Impl::Phase::kStopped;
    if (!stopped) {
      log::error("{}: stop: {}", stopping->options.name, to_json(stopped.error()));
      if (code == exit_code::kStopped) code = exit_code::kStopFailed;
    } else {
      log::info("{} stopped", stopping->options.name);
    }
  }
  if (broker_connected) {
    co_await backends.broker->disconnect(Deadline::after(home.clock().now(), std::chrono::seconds(1)));
  }
  report_started(std::move(outcome));
  runtime->stop();
}

void Process::Impl::request_stop() {
  stop_requested = true;
  look_again();
}

void Process::Impl::look_again() {
  if (runtime) runtime->loop(0).post_always([this] { wake.ring(); });
}

void Process::Impl::on_signal(int signal) {
  if (++signals_seen > 1) {
    std::fprintf(stderr, "%s: a second signal (%d): ending at once\n", options.name.c_str(), signal);
    std::_Exit(128 + signal);
  }
  log::info("signal {}: stopping; once more to end at once", signal);
  request_stop();
}

Process::Process(ProcessOptions options) : impl_(std::make_unique<Impl>(*this, std::move(options))) {}

Process::~Process() {
  if (impl_->threads_run) stop();
  check(impl_->apps.empty(), "a Process was destroyed before its apps");
}

Flags& Process::flags() {
  return impl_->flags;
}
const CommonFlags& Process::common() const {
  return impl_->common;
}
void Process::set_backends(BackendsFactory factory) {
  impl_->make_backends = std::move(factory);
}
Runtime& Process::runtime() {
  check(impl_->runtime.has_value(), "Process::runtime() before run() or start()");
  return *impl_->runtime;
}
const Backends& Process::backends() const {
  return impl_->backends;
}
Random& Process::random() {
  return impl_->options.random ? *impl_->options.random : impl_->system_random;
}

int Process::run(int argc, const char* const* argv) {
  end_when_out_of_memory();
  if (const auto exit = impl_->flags.parse(argc, argv)) return *exit;
  if (const auto ready = impl_->set_up(); !ready) {
    log::error("{}: start failed: {}", impl_->options.name, to_json(ready.error()));
    return exit_code::kStartFailed;
  }
  ignore_signals({SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2});
  Loop& home = impl_->runtime->loop(0);
  const Signals signals(home, {SIGTERM, SIGINT, SIGQUIT}, [this](int signal) { impl_->on_signal(signal); });
  home.post_always([this] { spawn(impl_->live()); });
  if (const auto ran = impl_->runtime->run(); !ran) {
    log::error("{}: start failed: {}", impl_->options.name, to_json(ran.error()));
    return exit_code::kStartFailed;
  }
  return impl_->code;
}

Result<void> Process::start(std::span<const char* const> arguments) {
  const Flags::Outcome read = impl_->flags.read(arguments, {});
  if (read.exit) return fail(code::kInvalid, "{}", read.err.empty() ? read.out : read.err);
  if (auto ready = impl_->set_up(); !ready) return ready;
  impl_->runtime->loop(0).post_always([this] { spawn(impl_->live()); });
  if (auto ran = impl_->runtime->start(); !ran) return ran;
  impl_->threads_run = true;
  Result<void> outcome;
  {
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait(lock, [&] { return impl_->started.has_value(); });
    outcome = *impl_->started;
  }
  if (!outcome) wait();
  return outcome;
}

int Process::wait() {
  if (impl_->threads_run) impl_->runtime->join();
  impl_->threads_run = false;
  return impl_->code;
}

void Process::request_stop() {
  impl_->request_stop();
}

}  // namespace mg
