// parse_error and to_json on any text: what was parsed comes back from its own JSON.
#include <cstdint>
#include <cstdlib>

#include "mg/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mg::Error error = mg::parse_error({reinterpret_cast<const char*>(data), size});
  if (error.code == 0) std::abort();
  const mg::Error once = mg::parse_error(mg::to_json(error));  // Broken UTF-8 is replaced here at the latest.
  if (once.code != error.code || mg::parse_error(mg::to_json(once)) != once) std::abort();
  return 0;
}
