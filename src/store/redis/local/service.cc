#include "mg/store/redis/local/service.h"

#include <utility>

#include "mg/runtime/event.h"
#include "mg/store/redis/client.h"
#include "mg/store/redis/lock_backend.h"

namespace mg::redis {

struct Service::Here {
  std::unique_ptr<Client> client;  // One of these two.
  std::unique_ptr<Local> local;
  std::unique_ptr<LockBackend> backend;
  std::unique_ptr<lock::Locks> locks;

  static Task<Result<void>> open(Service& self, Loop& loop, Deadline deadline) {
    auto& here = self.heres_[loop.index()];
    here = std::make_unique<Here>();
    if (self.is_local()) {
      here->local = std::make_unique<Local>(loop, self.data_);
    } else {
      here->client = std::make_unique<Client>(loop, self.options_);
    }
    Redis& redis = self.is_local() ? static_cast<Redis&>(*here->local) : *here->client;
    here->backend = std::make_unique<LockBackend>(redis, LockBackendOptions{.scripts = !self.is_local()});
    here->locks = std::make_unique<lock::Locks>(loop, *here->backend);
    if (here->client) co_return co_await here->client->connect(deadline);
    co_return Result<void>();
  }
  static Task<Result<void>> close(Service& self, Loop& loop, Deadline deadline) {
    const auto here = std::exchange(self.heres_[loop.index()], nullptr);
    if (!here) co_return Result<void>();
    co_await here->locks->drain(deadline);
    here->locks.reset();
    here->backend.reset();
    if (here->client) co_await here->client->close(deadline);
    co_return Result<void>();
  }
};

Service::Service(Options defaults) : options_(std::move(defaults)) {}
Service::~Service() = default;

namespace {

struct Waiting {
  Waiting(Loop& loop, std::size_t count) : home(loop), left(count) {}
  Loop& home;
  std::size_t left;
  Result<void> outcome;
  Completion<bool> done;
};

}  // namespace

Task<Result<void>> Service::on_all(Work work, Deadline deadline) {
  static constexpr auto kCarry = [](Service& self, Loop& loop, Work what, Deadline until,
                                    std::shared_ptr<Waiting> waiting) -> Task<void> {
    auto outcome = co_await what(self, loop, until);
    waiting->home.post_always([waiting, outcome = std::move(outcome)]() mutable {
      if (!outcome && waiting->outcome) waiting->outcome = std::move(outcome);
      if (--waiting->left == 0) waiting->done.set(true);
    });
  };
  const auto waiting = std::make_shared<Waiting>(*Loop::current(), runtime_->size());
  for (std::size_t i = 0; i < runtime_->size(); ++i) {
    Loop& loop = runtime_->loop(i);
    loop.post_always([this, &loop, work, deadline, waiting] { spawn(kCarry(*this, loop, work, deadline, waiting)); });
  }
  (void)co_await waiting->done.wait(waiting->home, Deadline::never());
  co_return std::move(waiting->outcome);
}

Task<Result<void>> Service::open(Runtime& runtime) {
  runtime_ = &runtime;
  heres_.resize(runtime.size());
  return on_all(&Here::open, Deadline::after(Loop::current()->now(), options_.connect_timeout));
}

Task<Result<void>> Service::close(Deadline deadline) {
  if (!runtime_) return Result<void>();
  return on_all(&Here::close, deadline);
}

Redis& Service::here() {
  const auto& here = heres_[Loop::current()->index()];
  return here->local ? static_cast<Redis&>(*here->local) : *here->client;
}

lock::Locks& Service::locks() {
  return *heres_[Loop::current()->index()]->locks;
}

}  // namespace mg::redis
