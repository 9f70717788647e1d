// Steps of a stop: a task that is waited for until a deadline, several at once.
//
//   Result<void> done = co_await limited(loop, hook(deadline), deadline, "before_stop hook");
#pragma once

#include <string_view>
#include <vector>

#include "mg/base/deadline.h"
#include "mg/base/error.h"
#include "mg/runtime/loop.h"
#include "mg/runtime/task.h"

namespace mg {

// The outcome of `task`; a throw is an error. Errors: kTimeout  not done at the deadline: it goes on by itself.
Task<Result<void>> limited(Loop& loop, Task<Result<void>> task, Deadline deadline, std::string_view what);

// Runs all at once; the first error, if any.
Task<Result<void>> all_of(Loop& loop, std::vector<Task<Result<void>>> tasks, Deadline deadline, std::string_view what);

}  // namespace mg
