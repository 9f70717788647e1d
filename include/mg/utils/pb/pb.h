// mg/utils/pb/pb.h -- protobuf's own message types with less ceremony: Any, Value, Struct, ListValue.
//
//   google::protobuf::Any any = pb::pack(cancel);
//   auto done = pb::unpack(any, cancel);                        // kInvalid: of another type, or broken
//   pb::View view(value); view.field("items").index(0).get_int64();
//   google::protobuf::Struct made = pb::to_struct({{"id", 7}, {"name", "x"}});
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/error.h"
#include "mg/utils/dtype/value.h"

namespace mg::pb {

// The octets of a message, maps in the order of their keys. Errors: kInvalid  a required field is missing, over 2 GiB
Result<std::string> encode(const google::protobuf::Message& message);
// Unknown fields are kept. Errors: kInvalid  no such message, text that is no UTF-8
Result<void> decode(std::string_view octets, google::protobuf::Message& out);

// type_url is type.googleapis.com/<name>. Errors: as encode
Result<google::protobuf::Any> pack(const google::protobuf::Message& message);
// The name is what follows the last /. Errors: kInvalid  another type, octets that are none of it; `out` is then unset
Result<void> unpack(const google::protobuf::Any& any, google::protobuf::Message& out);

// What a Value, ListValue or Struct holds, with forgiving getters: 0, "", false when it is of another kind; integers
// are cut toward zero, the nearest limit when out of range. A part that is not there is an empty view.
// Lifetime: the message outlives the view. Cost: a pointer.
class View {
 public:
  View() = default;
  explicit View(const google::protobuf::Value& value) : value_(&value) {}
  explicit View(const google::protobuf::ListValue& list) : list_(&list) {}
  explicit View(const google::protobuf::Struct& fields) : struct_(&fields) {}

  enum class Kind : std::uint8_t { kUnset, kNull, kNumber, kText, kBool, kStruct, kList };
  Kind kind() const;
  bool get_bool() const;
  double get_float64() const;
  float get_float32() const;
  std::int32_t get_int32() const;
  std::int64_t get_int64() const;
  std::string_view get_str() const;

  View field(std::string_view name) const;  // Of a struct.
  View index(std::ptrdiff_t index) const;   // Of a list.
  std::size_t size() const;                 // Elements of a list, fields of a struct; else 0.

  // The same as a value of ours; what is unset is null.
  dtype::Value value() const;

 private:
  const google::protobuf::ListValue* list() const;
  const google::protobuf::Struct* fields() const;

  const google::protobuf::Value* value_ = nullptr;
  const google::protobuf::ListValue* list_ = nullptr;
  const google::protobuf::Struct* struct_ = nullptr;
};

// Numbers become doubles: whole ones beyond 2^53 lose their last digits, as in JSON of others.
google::protobuf::Value to_value(const dtype::Value& value);
google::protobuf::ListValue to_list(const dtype::List& list);
google::protobuf::Struct to_struct(const dtype::Dict& dict);

}  // namespace mg::pb
