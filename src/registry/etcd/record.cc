#include "registry/etcd/record.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "mg/utils/dtype/json_text.h"

namespace mg::registry::etcd {
namespace {

namespace json = boost::json;

constexpr int kMaxDepth = 32;

// ---- keys ---------------------------------------------------------------------------------------------------------

void join(std::string& path, std::string_view name) {
  path += '/';
  const std::size_t at = path.size();
  path += name;
  std::replace(path.begin() + static_cast<std::ptrdiff_t>(at), path.end(), '/', '-');
}

// ---- writing ------------------------------------------------------------------------------------------------------

void quoted(std::string& out, std::string_view key, std::string_view text) {
  out += key;
  json_text::append_quoted(out, text);
}

void append(std::string& out, const Metadata& metadata) {
  json_text::append(out, metadata);
}

void append(std::string& out, const std::optional<Value>& value);
void append(std::string& out, const Value& value) {
  quoted(out, "{\"name\":", value.name);
  quoted(out, ",\"type\":", value.type);
  out += ",\"values\":";
  char before = '[';
  for (const Value& each : value.values) {
    out += std::exchange(before, ',');
    append(out, each);
  }
  out += before == '[' ? "null}" : "]}";
}
void append(std::string& out, const std::optional<Value>& value) {
  if (value) {
    append(out, *value);
  } else {
    out += "null";
  }
}

// ---- reading ------------------------------------------------------------------------------------------------------

// Thrown and caught in this file.
struct Wrong {
  std::string what;
};

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// Null when it is missing or null.
const json::value* member(const json::object& object, std::string_view key) {
  const json::value* found = nullptr;
  for (const auto& each : object) {
    if (same_word(each.key(), key)) found = &each.value();
  }
  return found && !found->is_null() ? found : nullptr;
}

const json::object& object_of(const json::value& value, std::string_view what) {
  if (!value.is_object()) throw Wrong{std::string(what) + " is no object"};
  return value.get_object();
}
const json::array& array_of(const json::value& value, std::string_view what) {
  if (!value.is_array()) throw Wrong{std::string(what) + " is no list"};
  return value.get_array();
}
std::string text_of(const json::value& value, std::string_view what) {
  if (!value.is_string()) throw Wrong{std::string(what) + " is no text"};
  return std::string(value.get_string());
}
std::string text(const json::object& object, std::string_view key) {
  const json::value* const value = member(object, key);
  return value ? text_of(*value, key) : std::string();
}
Metadata metadata(const json::object& object) {
  Metadata all;
  if (const json::value* const value = member(object, "metadata")) {
    for (const auto& each : object_of(*value, "metadata")) {
      all.insert_or_assign(std::string(each.key()),
                           each.value().is_null() ? "" : text_of(each.value(), "a value of metadata"));
    }
  }
  return all;
}

Value value_of(const json::value& from) {
  const json::object& object = object_of(from, "a value");
  Value value{.name = text(object, "name"), .type = text(object, "type"), .values = {}};
  if (const json::value* const values = member(object, "values")) {
    for (const json::value& each : array_of(*values, "values")) {
      if (!each.is_null()) value.values.push_back(value_of(each));
    }
  }
  return value;
}

Service service_of(const json::value& from) {
  const json::object& object = object_of(from, "the record");
  Service service{.name = text(object, "name"),
                  .version = text(object, "version"),
                  .metadata = metadata(object),
                  .endpoints = {},
                  .nodes = {}};
  if (service.name.empty()) throw Wrong{"no name"};
  if (const json::value* const endpoints = member(object, "endpoints")) {
    for (const json::value& each : array_of(*endpoints, "endpoints")) {
      if (each.is_null()) continue;
      const json::object& endpoint = object_of(each, "an endpoint");
      Endpoint made{.name = text(endpoint, "name"), .request = {}, .response = {}, .metadata = metadata(endpoint)};
      if (const json::value* const request = member(endpoint, "request")) made.request = value_of(*request);
      if (const json::value* const response = member(endpoint, "response")) made.response = value_of(*response);
      service.endpoints.push_back(std::move(made));
    }
  }
  if (const json::value* const nodes = member(object, "nodes")) {
    for (const json::value& each : array_of(*nodes, "nodes")) {
      if (each.is_null()) continue;
      const json::object& node = object_of(each, "a node");
      service.nodes.push_back({.id = text(node, "id"), .address = text(node, "address"), .metadata = metadata(node)});
      if (service.nodes.back().id.empty()) throw Wrong{"a node without id"};
    }
  }
  if (service.nodes.empty()) throw Wrong{"no node"};
  return service;
}

}  // namespace

std::string service_prefix(std::string_view prefix, std::string_view service) {
  std::string path(prefix);
  while (path.ends_with('/')) path.pop_back();
  join(path, service);
  path += '/';
  return path;
}

std::string node_key(std::string_view prefix, std::string_view service, std::string_view node_id) {
  std::string path = service_prefix(prefix, service);
  path.pop_back();
  join(path, node_id);
  return path;
}

std::string range_end(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');  // To etcd: all keys from the first on.
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::string encode_record(const Service& service) {
  std::string out;
  quoted(out, "{\"name\":", service.name);
  quoted(out, ",\"version\":", service.version);
  out += ",\"metadata\":";
  if (service.metadata.empty()) {
    out += "null";
  } else {
    append(out, service.metadata);
  }
  out += ",\"endpoints\":";
  char before = '[';
  for (const Endpoint& endpoint : service.endpoints) {
    out += std::exchange(before, ',');
    quoted(out, "{\"name\":", endpoint.name);
    out += ",\"request\":";
    append(out, endpoint.request);
    out += ",\"response\":";
    append(out, endpoint.response);
    out += ",\"metadata\":";
    append(out, endpoint.metadata);
    out += '}';
  }
  out += before == '[' ? "[]" : "]";
  out += ",\"nodes\":";
  before = '[';
  for (const Node& node : service.nodes) {
    out += std::exchange(before, ',');
    quoted(out, "{\"id\":", node.id);
    quoted(out, ",\"address\":", node.address);
    out += ",\"metadata\":";
    append(out, node.metadata);
    out += '}';
  }
  out += before == '[' ? "[]}" : "]}";
  return out;
}

Result<Service> decode_record(std::string_view value, std::size_t max_bytes) {
  if (value.size() > max_bytes) {
    return fail(code::kInvalid, "registry record of {} octets, more than {}", value.size(), max_bytes);
  }
  json::parse_options options;
  options.max_depth = kMaxDepth;
  options.allow_invalid_utf8 = true;
  boost::system::error_code error;
  json::value parsed;
  try {
    parsed = json::parse(json::string_view(value.data(), value.size()), error, {}, options);
    if (error) return fail(code::kInvalid, "registry record: no JSON: {}", error.message());
    return service_of(parsed);
  } catch (const Wrong& wrong) {
    return fail(code::kInvalid, "registry record: {}", wrong.what);
  } catch (const std::exception& e) {
    return fail(code::kInvalid, "registry record: {}", e.what());
  }
}

}  // namespace mg::registry::etcd
