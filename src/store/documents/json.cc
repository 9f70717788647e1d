#include <cmath>
#include <iterator>
#include <utility>

#include "base/base64.h"
#include "mg/store/documents/bson.h"
#include "mg/utils/dtype/value.h"

namespace mg::documents {
namespace {

void append(std::string& out, const Value& value);

void append_text(std::string& out, std::string_view text) {
  dtype::append_json(out, dtype::Value(text));
}
void append_fields(std::string& out, const Document& document) {
  out += '{';
  bool first = true;
  for (const Field& each : document) {
    if (!std::exchange(first, false)) out += ',';
    append_text(out, each.name);
    out += ':';
    append(out, each.value);
  }
  out += '}';
}

void append(std::string& out, const Value& value) {
  switch (value.type()) {
    case Type::kNull:
      out += "null";
      return;
    case Type::kDouble: {
      const double number = value.as_double();
      if (std::isnan(number)) {
        out += R"({"$numberDouble":"NaN"})";
      } else if (std::isinf(number)) {
        out += number < 0 ? R"({"$numberDouble":"-Infinity"})" : R"({"$numberDouble":"Infinity"})";
      } else {
        fmt::format_to(std::back_inserter(out), "{}", number);
      }
      return;
    }
    case Type::kText:
      return append_text(out, value.as_text());
    case Type::kDocument:
      return append_fields(out, value.as_document());
    case Type::kArray: {
      out += '[';
      bool first = true;
      for (const Value& item : value.as_array()) {
        if (!std::exchange(first, false)) out += ',';
        append(out, item);
      }
      out += ']';
      return;
    }
    case Type::kBinary:
      fmt::format_to(std::back_inserter(out), R"({{"$binary":{{"base64":"{}","subType":"{:02x}"}}}})",
                     base64::encode(as_text(value.as_binary().octets), base64::kStandard), value.as_binary().subtype);
      return;
    case Type::kObjectId:
      out += R"({"$oid":")" + value.as_object_id().hex() + R"("})";
      return;
    case Type::kBool:
      out += value.as_bool() ? "true" : "false";
      return;
    case Type::kDate:
      fmt::format_to(std::back_inserter(out), R"({{"$date":{{"$numberLong":"{}"}}}})",
                     value.as_date().time_since_epoch().count());
      return;
    case Type::kRegex: {
      const std::string_view text = value.as<Regex>().text;
      out += R"({"$regularExpression":{"pattern":)";
      append_text(out, text.substr(0, text.find('\0')));
      out += R"(,"options":)";
      append_text(out, text.contains('\0') ? text.substr(text.find('\0') + 1) : std::string_view());
      out += "}}";
      return;
    }
    case Type::kInt32:
    case Type::kInt64:
      out += std::to_string(value.as_whole());
      return;
    case Type::kTimestamp: {
      const std::uint64_t bits = value.as<Timestamp>().bits;
      fmt::format_to(std::back_inserter(out), R"({{"$timestamp":{{"t":{},"i":{}}}}})", bits >> 32, bits & 0xFFFFFFFF);
      return;
    }
    case Type::kDecimal:
      out += R"({"$numberDecimal":"…"})";
      return;
    case Type::kMinKey:
      out += R"({"$minKey":1})";
      return;
    case Type::kMaxKey:
      out += R"({"$maxKey":1})";
      return;
  }
}

Value from(const dtype::Value& value) {
  switch (value.kind()) {
    case dtype::Kind::kNull:
      return {};
    case dtype::Kind::kBool:
      return value.as_bool();
    case dtype::Kind::kInt: {
      const std::int64_t number = value.as_int();
      if (std::in_range<std::int32_t>(number)) return static_cast<std::int32_t>(number);
      return number;
    }
    case dtype::Kind::kUint:
      return static_cast<double>(value.as_uint());
    case dtype::Kind::kDouble:
      return value.as_double();
    case dtype::Kind::kText:
      return value.as_text();
    case dtype::Kind::kList: {
      Array out;
      for (const dtype::Value& item : value.as_list()) out.push_back(from(item));
      return out;
    }
    case dtype::Kind::kDict: {
      Document out;
      for (const auto& [key, item] : value.as_dict()) out.append(key, from(item));
      return out;
    }
  }
  return {};
}

}  // namespace

std::string to_json(const Value& value) {
  std::string out;
  append(out, value);
  return out;
}

Result<Document> document_from_json(std::string_view text) {
  auto value = dtype::parse_json(text, {.max_depth = Limits().max_depth, .max_bytes = Limits().max_bytes});
  if (!value) return std::unexpected(std::move(value).error());
  if (!value->is_dict()) return fail(code::kInvalid, "not a JSON object, but a {}", dtype::kind_name(value->kind()));
  return std::move(from(*value).as_document());
}

}  // namespace mg::documents
