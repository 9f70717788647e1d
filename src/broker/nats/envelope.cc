#include "broker/nats/envelope.h"

#include <openssl/evp.h>

#include <boost/json.hpp>

#include "mg/base/error.h"

namespace mg::broker {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 32;

bool same_key(std::string_view key, std::string_view lower) {
  if (key.size() != lower.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i] >= 'A' && key[i] <= 'Z' ? static_cast<char>(key[i] + ('a' - 'A')) : key[i];
    if (c != lower[i]) return false;
  }
  return true;
}

std::string to_base64(std::string_view octets) {
  std::string text((octets.size() + 2) / 3 * 4 + 1, '\0');  // The library ends it with a zero.
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// Strict: the standard alphabet, padded. Line breaks are ignored, as Go's decoder does.
Result<std::string> from_base64(std::string_view given) {
  std::string text;
  if (given.find_first_of("\r\n") != std::string_view::npos) {
    for (const char c : given) {
      if (c != '\r' && c != '\n') text += c;
    }
    given = text;
  }
  if (given.empty()) return std::string();
  const std::size_t padding = given.ends_with("==") ? 2 : given.ends_with("=") ? 1 : 0;
  const bool letters = given.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") >=
                       given.size() - padding;
  if (given.size() % 4 != 0 || !letters) return fail(code::kInvalid, "the body is not standard base64");
  std::string octets(given.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(octets.data()),
                      reinterpret_cast<const unsigned char*>(given.data()), static_cast<int>(given.size()));
  if (size < 0) return fail(code::kInvalid, "the body is not standard base64");
  octets.resize(octets.size() - padding);
  return octets;
}

// What is no UTF-8 replaced, octet by octet.
std::string valid_utf8(std::string_view text) {
  std::string good;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t size = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
    bool whole = size != 0 && i + size <= text.size();
    for (std::size_t k = 1; whole && k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      const unsigned low = k == 1 && first == 0xE0 ? 0xA0 : k == 1 && first == 0xF0 ? 0x90 : 0x80;
      const unsigned high = k == 1 && first == 0xED ? 0x9F : k == 1 && first == 0xF4 ? 0x8F : 0xBF;
      whole = next >= low && next <= high;
    }
    if (whole) {
      good.append(text.substr(i, size));
      i += size;
    } else {
      good += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return good;
}

}  // namespace

std::string encode_envelope(const Message& message) {
  json::object header;
  for (const auto& [key, value] : message.headers) header[valid_utf8(key)] = valid_utf8(value);
  json::object envelope;
  envelope["Header"] = std::move(header);
  if (message.body.empty()) {
    envelope["Body"] = nullptr;
  } else {
    envelope["Body"] = to_base64(message.body);
  }
  return json::serialize(envelope);
}

Result<Message> decode_envelope(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error, {}, {.max_depth = kMaxDepth});
  if (error) return fail(code::kInvalid, "no JSON: {}", error.message());
  if (!value.is_object()) return fail(code::kInvalid, "no JSON object");
  Message message;
  for (const auto& [key, part] : value.get_object()) {
    const std::string_view name(key.data(), key.size());
    if (part.is_null()) continue;
    if (same_key(name, "header")) {
      if (!part.is_object()) return fail(code::kInvalid, "Header is no object");
      for (const auto& [k, v] : part.get_object()) {
        if (v.is_null()) {
          message.headers[std::string(k)] = "";
        } else if (v.is_string()) {
          message.headers[std::string(k)] = std::string(v.get_string());
        } else {
          return fail(code::kInvalid, "a value of Header is no text");
        }
      }
    } else if (same_key(name, "body")) {
      if (!part.is_string()) return fail(code::kInvalid, "Body is no text");
      auto body = from_base64({part.get_string().data(), part.get_string().size()});
      if (!body) return std::unexpected(std::move(body.error()));
      message.body = std::move(*body);
    }
  }
  return message;
}

}  // namespace mg::broker
