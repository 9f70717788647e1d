// mg/meta/data_meta.h -- metadata of a call about one record.
//
//   DataMeta meta("db", node_id, 10042);
//   if (!meta.is_valid()) return fail(code::kInvalid, "no record named");
//   load(meta.data_id());
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "mg/meta/meta.h"

namespace mg {

// Metadata of a call about one record: Node-Name, Node-Id and Data-Id.
class DataMeta : public Meta {
 public:
  DataMeta() = default;
  explicit DataMeta(Meta meta) : Meta(std::move(meta)) {}
  template <class T>
  DataMeta(std::string_view node_name, std::string_view node_id, const T& data_id) : Meta(node_name, node_id) {
    set_data_id(data_id);
  }

  std::string_view data_id() const { return get(meta_key::kDataId); }
  std::int64_t data_id_int() const { return get_int64(meta_key::kDataId); }
  template <class T>
  bool set_data_id(const T& id) {
    return set(meta_key::kDataId, id);
  }

  // Whether it names a record: Data-Id is not empty, "0" or "null" (the Go original lets the last two pass).
  bool is_valid() const {
    const std::string_view id = data_id();
    return !id.empty() && id != "0" && id != "null";
  }
};

}  // namespace mg
