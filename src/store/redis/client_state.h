// store/redis/client_state.h -- a client's connections: those that calls share, and those lent to one user each.
//
//   Result<std::shared_ptr<Connection>> lent = co_await state.lend(deadline);
//   ...
//   state.give_back(std::move(*lent), clean);
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "store/redis/connection.h"

namespace mg::redis {

class Client::State {
 public:
  State(Loop& loop, Options options);
  ~State();

  Loop& loop() { return loop_; }
  const Options& options() const { return *options_; }
  // Why nothing can be done at all.
  const std::optional<Error>& fault() const { return fault_; }
  Connection& next_shared();
  std::vector<std::shared_ptr<Connection>>& shared() { return shared_; }

  // A dedicated connection, ready. Errors: kTooMany  max_pool are in use and none came back in time · why not
  Task<Result<std::shared_ptr<Connection>>> lend(Deadline deadline);
  // `clean`: it is as it was lent, nothing on its way.
  void give_back(std::shared_ptr<Connection> connection, bool clean);
  // A listener, not opened, that counts as one in use until give_back().
  Result<std::shared_ptr<Connection>> listener();

  Task<void> close(Deadline deadline);
  ClientStats stats() const;

 private:
  struct Live {
    std::uint32_t count = 0;  // Connections whose coroutine has not ended.
    std::optional<Completion<bool>> none;
    std::optional<Completion<bool>> quieter;  // A connection has nothing on its way any more, or came back.
  };
  static void tell_quieter(Loop& loop, const std::shared_ptr<Live>& live);
  std::shared_ptr<Connection> make(Connection::Kind kind);
  void close_all();
  void wake_one();
  void close_idle();

  Loop& loop_;
  std::shared_ptr<const Options> options_;
  std::shared_ptr<const Endpoint> endpoint_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::shared_ptr<Live> live_ = std::make_shared<Live>();
  std::optional<Error> fault_;
  bool closed_ = false;
  std::vector<std::shared_ptr<Connection>> shared_;
  std::uint32_t turn_ = 0;
  std::vector<std::shared_ptr<Connection>> idle_;  // The one used last is last.
  std::vector<std::weak_ptr<Connection>> lent_;    // To be closed with the client.
  std::uint32_t in_use_ = 0;
  std::deque<Completion<bool>*> queue_;  // Who waits for one to come back.
  Timer sweep_{[](void* self) { static_cast<State*>(self)->close_idle(); }, this};
};

}  // namespace mg::redis
