// The Go original's protobuf wrappers (tests/golden/pb.json).
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "base/golden.h"
#include "mg/utils/dtype/convert.h"
#include "mg/utils/pb/pb.h"
#include "pb.pb.h"

namespace mg::pb {
namespace {

namespace proto = google::protobuf;

const dtype::List& golden_cases() {
  static const dtype::Value all = dtype::parse_json(golden::text("pb.json")).value_or(dtype::Value());
  static const dtype::List none;
  return all.at("cases").is_list() ? all.at("cases").as_list() : none;
}

std::string text(const dtype::Value& c, std::string_view key) {
  return c.at(key).is_text() ? c.at(key).as_text() : "";
}
std::string octets(const dtype::Value& c, std::string_view key) {
  const std::string hex = text(c, key);
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16));
  }
  return out;
}
std::string hex(std::string_view all) {
  std::string out;
  for (const char c : all) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

void each(std::string_view group, auto check) {
  std::size_t count = 0;
  for (const dtype::Value& c : golden_cases()) {
    if (c.at("group") != dtype::Value(group)) continue;
    ++count;
    const std::string wrong = check(c);
    if (!wrong.empty()) ADD_FAILURE() << text(c, "id") << ": " << wrong;
  }
  EXPECT_GT(count, 0u) << group;
}

// An empty message of a type; null: none that is linked in.
std::unique_ptr<proto::Message> make(const std::string& type) {
  (void)::pb::None::default_instance();
  (void)proto::StringValue::default_instance();
  const auto* found = proto::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (found == nullptr) return nullptr;
  return std::unique_ptr<proto::Message>(proto::MessageFactory::generated_factory()->GetPrototype(found)->New());
}

std::string kind_of(const View& view) {
  constexpr std::string_view kNames[] = {"unset", "null", "number", "string", "bool", "struct", "list"};
  return std::string(kNames[static_cast<std::size_t>(view.kind())]);
}

// Floats of the cases are {bits, g}.
dtype::Value plain(const dtype::Value& value) {
  if (value.is_dict() && value.as_dict().contains("bits") && text(value, "bits").size() == 16) {
    return std::bit_cast<double>(static_cast<std::uint64_t>(std::strtoull(text(value, "bits").c_str(), nullptr, 16)));
  }
  return value;
}
std::string same_json(const dtype::Value& got, const dtype::Value& want) {
  const std::string a = dtype::to_json(got);
  const std::string b = dtype::to_json(plain(want));
  return a == b ? "" : a + " where " + b + " should be; ";
}

TEST(GoldenPb, Messages) {
  each("msg", [](const dtype::Value& c) -> std::string {
    const auto message = make(text(c, "message"));
    if (message == nullptr) return "no type " + text(c, "message");
    for (const auto& [name, value] : c.at("fields").as_dict()) {
      const auto* field = message->GetDescriptor()->FindFieldByName(name.substr(0, name.find('(')));
      if (field == nullptr) return "no field " + name;
      message->GetReflection()->SetString(message.get(), field, value.as_text());
    }
    const std::string got = hex(*encode(*message));
    return got == text(c, "hex") ? "" : got;
  });
}

TEST(GoldenPb, Any) {
  each("any", [](const dtype::Value& c) -> std::string {
    if (!c.at("outcome").is_null()) return "";  // Go: nil. There is no such message here.
    const std::string url = text(c, "type_url");
    const auto message = make(url.substr(url.rfind('/') + 1));
    if (message == nullptr) return "no type " + url;
    if (!decode(octets(c, "value_hex"), *message)) return "value_hex is none of it";
    const auto any = pack(*message);
    if (!any || any->type_url() != url) return any ? any->type_url() : any.error().detail;
    const auto again = make(url.substr(url.rfind('/') + 1));
    if (!unpack(*any, *again) || *encode(*again) != *encode(*message)) return "does not come back";
    const std::string got = hex(*encode(*any));
    return got == text(c, "hex") ? "" : got;
  });
}

TEST(GoldenPb, UnmarshalAny) {
  each("unmarshal_any", [](const dtype::Value& c) -> std::string {
    ::pb::Cancel cancel;
    cancel.set_name("old");
    cancel.set_nodeid("old");
    proto::Any any;
    any.set_type_url(text(c, "type_url"));
    any.set_value(octets(c, "value_hex"));
    const auto done = unpack(any, cancel);
    if (done.has_value() != (text(c, "outcome") == "ok")) return done ? "should be an error" : done.error().detail;
    return !done || (cancel.name() == text(c, "Name") && cancel.nodeid() == text(c, "NodeId")) ? "" : "other fields";
  });
}

TEST(GoldenPb, Values) {
  each("value", [](const dtype::Value& c) -> std::string {
    proto::Value value;
    if (!decode(octets(c, "hex"), value)) return "cannot be read";
    if (hex(*encode(value)) != text(c, "hex")) return "encoded as " + hex(*encode(value));
    const View view(value);
    const auto is_chance = [&](std::string_view name) {
      if (!c.at("impl_defined").is_list()) return false;
      const auto& all = c.at("impl_defined").as_list();
      return std::ranges::find(all, dtype::Value(name)) != all.end();
    };
    std::string wrong = same_json(view.get_bool(), c.at("Bool")) + same_json(view.get_float64(), c.at("Float64")) +
                        same_json(view.get_str(), c.at("String")) + same_json(view.get_float64(), c.at("Number"));
    if (!is_chance("Int32")) wrong += same_json(view.get_int32(), c.at("Int32"));
    if (!is_chance("Int64")) wrong += same_json(view.get_int64(), c.at("Int64"));
    if (!is_chance("Int")) wrong += same_json(view.get_int64(), c.at("Int"));
    if (fmt::format("{:08x}", std::bit_cast<std::uint32_t>(view.get_float32())) != text(c.at("Float32"), "bits")) {
      wrong += "Float32";
    }
    // Go gives an empty list as nil; JSON has no infinity.
    const bool empty_list = view.kind() == View::Kind::kList && view.size() == 0;
    if (std::isfinite(view.get_float64()) && !empty_list) wrong += same_json(view.value(), c.at("Interface"));
    // Of another kind: Go's wrappers crash, ours are empty.
    const dtype::Value& first = c.at("List().Index(0) kind");
    const std::string want = first.is_text() ? first.as_text() : "unset";
    if (kind_of(view.index(0)) != want) wrong += kind_of(view.index(0)) + " at 0";
    const dtype::Value& length = c.at("List().Values() length");
    if (length.is_number() && static_cast<std::int64_t>(view.size()) != length.as_int()) wrong += "other length";
    const dtype::Value& a = c.at("Struct().Value(a) kind");
    if (kind_of(view.field("a")) != (a.is_text() ? a.as_text() : "unset")) wrong += kind_of(view.field("a")) + " in a";
    return wrong;
  });
}

TEST(GoldenPb, ListsAndStructs) {
  each("list", [](const dtype::Value& c) -> std::string {
    const auto list = to_list(dtype::parse_json(text(c, "list"))->as_list());
    const View view = View(list).index(c.at("Index").as_int());
    if (kind_of(view) != text(c, "kind")) return kind_of(view);
    return same_json(view.value(), c.at("Interface")) + same_json(view.get_str(), c.at("String")) +
           same_json(view.get_int64(), c.at("Int"));
  });
  each("struct", [](const dtype::Value& c) -> std::string {
    if (!c.at("call").is_null()) return "";  // Of nil.
    const auto made = to_struct(dtype::parse_json(text(c, "struct"))->as_dict());
    const View view = View(made).field(text(c, "field"));
    if (kind_of(view) != text(c, "kind")) return kind_of(view);
    return same_json(view.value(), c.at("Interface")) + same_json(view.get_str(), c.at("String")) +
           same_json(view.get_float64(), c.at("Number"));
  });
  EXPECT_EQ(View().kind(), View::Kind::kUnset);
  EXPECT_EQ(View().field("a").index(3).get_str(), "");
}

TEST(GoldenPb, Decode) {
  each("decode", [](const dtype::Value& c) -> std::string {
    const auto message = make(text(c, "message"));
    if (message == nullptr) return "no type";
    const auto done = decode(octets(c, "hex"), *message);
    if (done.has_value() != c.at("ok").as_bool()) return done ? "should be an error" : done.error().detail;
    if (!done) return "";
    if (hex(*encode(*message)) != text(c, "reencoded_hex")) return hex(*encode(*message));
    const auto* cancel = dynamic_cast<const ::pb::Cancel*>(message.get());
    return cancel == nullptr || (cancel->name() == text(c, "Name") && cancel->nodeid() == text(c, "NodeId")) ? ""
                                                                                                             : "fields";
  });
}

}  // namespace
}  // namespace mg::pb
