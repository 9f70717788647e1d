#include "mg/store/tick_lock.h"

#include <algorithm>
#include <utility>

#include "mg/base/random.h"
#include "mg/base/uuid.h"

namespace mg::lock {

Task<Result<bool>> TickLock::claim(std::string key, std::chrono::nanoseconds keep) {
  const Ms ttl = std::max(std::chrono::ceil<Ms>(keep), Ms(1));
  SystemRandom random;
  auto fence = co_await backend_.take(lock_name("tick", key), Uuid::v4(random).text(), ttl, 0,
                                      Deadline::after(loop_.now(), timeout_));
  if (!fence) co_return std::unexpected(std::move(fence).error());
  co_return fence->has_value();
}

}  // namespace mg::lock
