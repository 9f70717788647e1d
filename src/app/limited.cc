#include "app/limited.h"

#include <exception>
#include <memory>
#include <utility>

#include "mg/runtime/event.h"

namespace mg {
namespace {

struct Outcomes {
  std::size_t left;
  Result<void> first;
  Completion<bool> done;
};

Task<void> drive(Loop& loop, std::shared_ptr<Outcomes> outcomes, Task<Result<void>> task, std::string what) {
  Result<void> done;
  try {
    done = co_await std::move(task);
  } catch (const std::exception& e) {
    done = fail(code::kServer, "{}: panic recovered: {}", what, e.what());
  } catch (...) {
    done = fail(code::kServer, "{}: panic recovered: unknown exception", what);
  }
  co_await loop.resume_here();
  if (!done && outcomes->first) outcomes->first = std::move(done);
  if (--outcomes->left == 0) outcomes->done.set(true);
}

}  // namespace

Task<Result<void>> all_of(Loop& loop, std::vector<Task<Result<void>>> tasks, Deadline deadline, std::string_view what) {
  if (tasks.empty()) co_return Result<void>();
  auto outcomes = std::make_shared<Outcomes>(tasks.size());
  for (Task<Result<void>>& task : tasks) spawn(drive(loop, outcomes, std::move(task), std::string(what)));
  if (!co_await outcomes->done.wait(loop, deadline)) {
    if (!outcomes->first) co_return std::move(outcomes->first);
    co_return fail(code::kTimeout, "{}: not done in time", what);
  }
  co_return std::move(outcomes->first);
}

Task<Result<void>> limited(Loop& loop, Task<Result<void>> task, Deadline deadline, std::string_view what) {
  std::vector<Task<Result<void>>> one;
  one.push_back(std::move(task));
  return all_of(loop, std::move(one), deadline, what);
}

}  // namespace mg
