#include "mg/utils/pb/pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>

#include "base/escape.h"
#include "mg/utils/dtype/number.h"

namespace mg::pb {

namespace proto = google::protobuf;

Result<std::string> encode(const proto::Message& message) {
  if (!message.IsInitialized()) {
    return fail(code::kInvalid, "{} has no {}", message.GetTypeName(), message.InitializationErrorString());
  }
  if (message.ByteSizeLong() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return fail(code::kInvalid, "{} has {} octets", message.GetTypeName(), message.ByteSizeLong());
  }
  std::string out;
  proto::io::StringOutputStream stream(&out);
  proto::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  const bool good = message.SerializeToCodedStream(&coded);
  coded.Trim();
  if (!good) return fail(code::kInvalid, "{} cannot be encoded", message.GetTypeName());
  return out;
}

Result<void> decode(std::string_view octets, proto::Message& out) {
  if (octets.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
      out.ParseFromArray(octets.data(), static_cast<int>(octets.size()))) {
    return {};
  }
  return fail(code::kInvalid, "{} octets are no {}", octets.size(), out.GetTypeName());
}

Result<proto::Any> pack(const proto::Message& message) {
  auto octets = encode(message);
  if (!octets) return std::unexpected(std::move(octets).error());
  proto::Any any;
  any.set_type_url("type.googleapis.com/" + message.GetTypeName());
  any.set_value(*std::move(octets));
  return any;
}

Result<void> unpack(const proto::Any& any, proto::Message& out) {
  const std::string_view url = any.type_url();
  const std::string_view name = url.substr(url.rfind('/') + 1);
  if (name != out.GetTypeName()) return fail(code::kInvalid, "an Any of {} is no {}", quote(url), out.GetTypeName());
  return decode(any.value(), out);
}

const proto::ListValue* View::list() const {
  if (value_ != nullptr) return value_->has_list_value() ? &value_->list_value() : nullptr;
  return list_;
}
const proto::Struct* View::fields() const {
  if (value_ != nullptr) return value_->has_struct_value() ? &value_->struct_value() : nullptr;
  return struct_;
}

View::Kind View::kind() const {
  if (list() != nullptr) return Kind::kList;
  if (fields() != nullptr) return Kind::kStruct;
  if (value_ == nullptr) return Kind::kUnset;
  switch (value_->kind_case()) {
    case proto::Value::kNullValue:
      return Kind::kNull;
    case proto::Value::kNumberValue:
      return Kind::kNumber;
    case proto::Value::kStringValue:
      return Kind::kText;
    case proto::Value::kBoolValue:
      return Kind::kBool;
    default:
      return Kind::kUnset;
  }
}

bool View::get_bool() const {
  return value_ != nullptr && value_->bool_value();
}
double View::get_float64() const {
  return value_ != nullptr ? value_->number_value() : 0;
}
float View::get_float32() const {
  return dtype::to_float<float>(get_float64());
}
std::int32_t View::get_int32() const {
  return dtype::to_integer<std::int32_t>(get_float64());
}
std::int64_t View::get_int64() const {
  return dtype::to_integer<std::int64_t>(get_float64());
}
std::string_view View::get_str() const {
  return value_ != nullptr ? std::string_view(value_->string_value()) : std::string_view();
}

View View::field(std::string_view name) const {
  const proto::Struct* const from = fields();
  if (from == nullptr) return {};
  const auto found = from->fields().find(std::string(name));
  return found != from->fields().end() ? View(found->second) : View();
}
View View::index(std::ptrdiff_t index) const {
  const proto::ListValue* const from = list();
  if (from == nullptr || index < 0 || index >= from->values_size()) return {};
  return View(from->values(static_cast<int>(index)));
}
std::size_t View::size() const {
  if (const auto* const from = list()) return static_cast<std::size_t>(from->values_size());
  if (const auto* const from = fields()) return from->fields().size();
  return 0;
}

dtype::Value View::value() const {
  if (const auto* const from = list()) {
    dtype::List out;
    for (const proto::Value& item : from->values()) out.push_back(View(item).value());
    return out;
  }
  if (const auto* const from = fields()) {
    std::vector<dtype::Dict::Entry> out;
    for (const auto& [key, item] : from->fields()) out.emplace_back(key, View(item).value());
    return dtype::Dict(std::move(out));
  }
  switch (kind()) {
    case Kind::kNumber:
      return get_float64();
    case Kind::kText:
      return get_str();
    case Kind::kBool:
      return get_bool();
    default:
      return nullptr;
  }
}

proto::Value to_value(const dtype::Value& value) {
  proto::Value out;
  switch (value.kind()) {
    case dtype::Kind::kNull:
      out.set_null_value(proto::NULL_VALUE);
      break;
    case dtype::Kind::kBool:
      out.set_bool_value(value.as_bool());
      break;
    case dtype::Kind::kInt:
      out.set_number_value(static_cast<double>(value.as_int()));
      break;
    case dtype::Kind::kUint:
      out.set_number_value(static_cast<double>(value.as_uint()));
      break;
    case dtype::Kind::kDouble:
      out.set_number_value(value.as_double());
      break;
    case dtype::Kind::kText:
      out.set_string_value(value.as_text());
      break;
    case dtype::Kind::kList:
      *out.mutable_list_value() = to_list(value.as_list());
      break;
    case dtype::Kind::kDict:
      *out.mutable_struct_value() = to_struct(value.as_dict());
      break;
  }
  return out;
}

proto::ListValue to_list(const dtype::List& list) {
  proto::ListValue out;
  for (const dtype::Value& item : list) *out.add_values() = to_value(item);
  return out;
}

proto::Struct to_struct(const dtype::Dict& dict) {
  proto::Struct out;
  for (const auto& [key, item] : dict) (*out.mutable_fields())[key] = to_value(item);
  return out;
}

}  // namespace mg::pb
