// BSON of any octets: what is taken is a document that comes back the same, can be compared, matched and changed.
#include <cstdint>

#include "mg/base/check.h"
#include "mg/store/documents/bson.h"
#include "mg/store/documents/order.h"
#include "store/documents/apply.h"
#include "store/documents/match.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mg::documents;
  auto document = decode({reinterpret_cast<const std::byte*>(data), size}, {.max_bytes = 1 << 16});
  if (!document) return 0;
  auto again = decode(encode(*document));
  mg::check(again.has_value() && compare(Value(*again), Value(*document)) == 0, "a document changes on its way");
  (void)to_json(*document);
  (void)check_storable(*document);
  (void)matches(*document, where("a.b").gt(1) && !where("l").any(where("k").eq("x")));
  (void)index_keys(*document, {{"a.b", false}, {"l", true}});
  (void)apply(*document, Update().inc("a.b", 1).push("l", 2).set("x.0.y", 3), false);
  return 0;
}
