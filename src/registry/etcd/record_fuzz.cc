// What anybody may have written to etcd: read, and what was read comes back when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "registry/etcd/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mg::registry::etcd;
  constexpr std::size_t kMax = 1 << 20;
  if (const auto service = decode_record({reinterpret_cast<const char*>(data), size}, kMax)) {
    const auto again = decode_record(encode_record(*service), kMax * 8);
    if (!again || again->nodes.size() != service->nodes.size()) std::abort();
  }
  return 0;
}
