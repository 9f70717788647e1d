// mg/utils/multi/single_flight.h -- of many who ask for the same at once, one asks and all get the answer.
//
//   SingleFlight<Role> roles(loop);
//   auto role = co_await roles.run(key, deadline, [key] { return load_role(key); });   // Result<Role>
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/event.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg::multi {

// Nothing is kept once a flight has ended: the next one asks again. T is copied to each who waits.
// Threads: loop. Lifetime: what still flies when it dies ends by itself; who waits must be gone by then.
template <class T>
class SingleFlight {
 public:
  using Work = std::move_only_function<Task<Result<T>>()>;

  explicit SingleFlight(Loop& loop, std::size_t max_keys = 100'000) : loop_(loop), max_keys_(max_keys) {}
  SingleFlight(const SingleFlight&) = delete;
  SingleFlight& operator=(const SingleFlight&) = delete;

  // The result of the work under way for `key`, which is begun if there is none.
  // Errors: kTimeout  not there at the deadline; the work goes on for the others
  //         kTooMany  max_keys are under way
  //         kServer   the work threw
  // Cancellation: destroying the Task gives up the wait, not the work.
  Task<Result<T>> run(std::string key, Deadline deadline, Work work) {
    auto found = flights_->find(key);
    if (found == flights_->end()) {
      if (flights_->size() >= max_keys_) {
        co_return fail(code::kTooMany, "{} keys are under way already", max_keys_);
      }
      const auto flight = std::make_shared<Flight>();
      flights_->emplace(key, flight);
      mg::spawn(fly(flights_, key, flight, std::move(work)));
      if (flight->result) co_return *flight->result;  // It did not wait for anything.
      found = flights_->find(key);
    }
    const auto flight = found->second;
    Completion<Result<T>> mine;
    const typename Waiters::iterator place = flight->waiters.insert(flight->waiters.end(), &mine);
    const Leaving leaving{*flight, place};
    auto got = co_await mine.wait(loop_, deadline);
    if (!got) co_return fail(code::kTimeout, "no result for the key at the deadline");
    co_return *std::move(got);
  }

  std::size_t under_way() const noexcept { return flights_->size(); }

 private:
  using Waiters = std::list<Completion<Result<T>>*>;
  struct Flight {
    std::optional<Result<T>> result;
    Waiters waiters;
  };
  using Flights = std::map<std::string, std::shared_ptr<Flight>, std::less<>>;
  struct Leaving {
    Flight& flight;
    typename Waiters::iterator place;
    ~Leaving() { flight.waiters.erase(place); }
  };

  static Task<void> fly(std::shared_ptr<Flights> flights, std::string key, std::shared_ptr<Flight> flight, Work work) {
    Result<T> got = fail(code::kServer, "the work threw what is no std::exception");
    try {
      got = co_await work();
    } catch (const std::exception& thrown) {
      got = fail(code::kServer, "the work threw: {}", thrown.what());
    } catch (...) {  // The text above.
    }
    flights->erase(key);
    flight->result = std::move(got);
    // Each one that goes on may end others, which then leave the list.
    while (true) {
      const auto next = std::ranges::find_if(flight->waiters, [](auto* waiter) { return !waiter->is_set(); });
      if (next == flight->waiters.end()) break;
      (*next)->set(*flight->result);
    }
  }

  Loop& loop_;
  const std::size_t max_keys_;
  std::shared_ptr<Flights> flights_ = std::make_shared<Flights>();
};

}  // namespace mg::multi
