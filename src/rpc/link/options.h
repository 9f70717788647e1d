// rpc/link/options.h -- what all links of a network share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "mg/rpc/link/link.h"
#include "mg/runtime/tls.h"

namespace mg::rpc::link {

// Threads: shared; counters are for rare events.
struct Counters {
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> violations{0};
};

struct Shared {
  LinkOptions options;
  std::uint64_t instance = 0;  // Random: of this process.
  std::unique_ptr<TlsContext> node_tls;
  mutable Counters counters;
};

}  // namespace mg::rpc::link
