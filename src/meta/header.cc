#include "mg/meta/header.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "meta/title_case.h"

namespace mg {
namespace {

// Whether the letter after this character is a title letter. Source: Go's strings.Title.
bool separates(char32_t c) {
  if (c < 0x80) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_');
  }
  // Above ASCII only white space does: what is no letter and no digit does not.
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_canonical(std::string_view key) {
  char before = ' ';
  for (const char c : key) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
    if (c >= 'a' && c <= 'z' && separates(static_cast<char32_t>(before))) return false;
    before = c;
  }
  return true;
}

}  // namespace

std::string canonical_key(std::string_view key) {
  if (is_canonical(key)) return std::string(key);
  std::string out;
  out.reserve(key.size());
  char32_t before = ' ';
  for (std::size_t at = 0; at < key.size();) {
    const utf8::Rune c = utf8::decode_rune(key.substr(at));
    utf8::append_rune(out, separates(before) ? title_case(c.value) : c.value);
    before = c.value;
    at += c.size;
  }
  return out;
}

std::string header_key(std::string_view key) {
  std::string out(key);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

Result<void> check_header(std::string_view key, std::string_view value) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (key.empty() || !std::ranges::all_of(key, fits)) {
    return fail(code::kInvalid, "metadata key \"{}\" is no header name: use letters, digits, . _ -", key);
  }
  if (!key.ends_with("-bin") && !std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; })) {
    return fail(code::kInvalid, "metadata \"{}\" is not printable ASCII: send it as JSON escapes or base64", key);
  }
  return {};
}

Meta meta_from_headers(std::span<const Meta::Entry> headers, std::string_view remote) {
  std::vector<std::string> texts;  // Keys respelt and values joined; reserved, so that views into them stay good.
  texts.reserve(headers.size() * 2);
  std::vector<Meta::Entry> entries;
  entries.reserve(headers.size() + 1);
  for (const auto& [name, value] : headers) {
    const std::string_view key = texts.emplace_back(canonical_key(name));
    if (key == "Timeout" || key == "X-Content-Type") continue;
    const auto same = std::ranges::find(entries, key, &Meta::Entry::first);
    if (same == entries.end()) {
      entries.emplace_back(key, value);
    } else {
      std::string joined(same->second);
      same->second = texts.emplace_back(joined.append(", ").append(value));
    }
  }
  if (!remote.empty()) entries.emplace_back("Remote", remote);
  return Meta(entries);
}

Result<void> require_meta(const Meta& meta) {
  if (meta.empty()) return fail(code::kInvalid, "no meta context");
  return {};
}

}  // namespace mg
