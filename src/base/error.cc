#include "mg/base/error.h"

#include <atomic>
#include <charconv>
#include <cstddef>
#include <optional>

#include "base/error_text.h"
#include "base/escape.h"
#include "base/utf8.h"

namespace mg {
namespace {

constinit std::atomic<StatusLookup> status_lookup{nullptr};

// Reads one JSON object into an Error with the rules of Go's json.Unmarshal. An own reader, because a general library
// loses what those rules need: the number as it was written, keys that repeat or differ in case, broken UTF-8.
class ErrorReader {
 public:
  explicit ErrorReader(std::string_view text) : text_(text) {}

  ErrorText read() {
    skip_space();
    if (!read_object()) return {};
    skip_space();
    found_.object = at_ == text_.size();
    return std::move(found_);
  }

 private:
  static constexpr std::size_t kMaxDepth = 10000;  // As Go's decoder.

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  bool eat_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
  }

  bool read_object() {
    if (!eat('{')) return false;
    skip_space();
    if (eat('}')) return true;
    std::string key;
    do {
      skip_space();
      if (!read_string(key)) return false;
      skip_space();
      if (!eat(':')) return false;
      skip_space();
      if (!read_field(key)) return false;
      skip_space();
    } while (eat(','));
    return eat('}');
  }

  // A value of another type leaves the field as it is, and so does a null.
  bool read_field(std::string_view key) {
    Error& error = found_.error;
    if (same_name(key, "id")) {
      if (peek() == '"') return read_string(error.id);
      found_.id_is_text = found_.id_is_text && peek() == 'n';
      return skip_value();
    }
    const bool is_code = same_name(key, "code");
    std::string* text = same_name(key, "detail") ? &error.detail : same_name(key, "status") ? &error.status : nullptr;
    if (!is_code && text == nullptr) return skip_value();
    if (eat_word("null")) return true;
    if (text != nullptr && peek() == '"') return read_string(*text);
    const std::size_t begin = at_;
    if (!skip_value()) return false;
    const char* const end = text_.data() + at_;
    std::int32_t number = 0;
    auto [stop, fault] = std::from_chars(text_.data() + begin, end, number);
    if (is_code && fault == std::errc() && stop == end) {
      error.code = number;
    } else {
      found_.types = false;
    }
    return true;
  }

  // Equal but for case, as Go folds it: of all letters beyond ASCII only the long s (U+017F) folds into our names.
  static bool same_name(std::string_view key, std::string_view name) {
    for (char want : name) {
      if (want == 's' && key.starts_with("\u017F")) {
        key.remove_prefix(2);
        continue;
      }
      if (key.empty() || (key[0] >= 'A' && key[0] <= 'Z' ? key[0] - 'A' + 'a' : key[0]) != want) return false;
      key.remove_prefix(1);
    }
    return key.empty();
  }

  bool read_string(std::string& out) {
    if (!eat('"')) return false;
    out.clear();
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\') {
        ++at_;
        if (!read_escape(out)) return false;
        continue;
      }
      const utf8::Rune rune = utf8::decode_rune(text_.substr(at_));
      utf8::append_rune(out, rune.value);
      at_ += rune.size;
    }
    return false;
  }

  bool read_escape(std::string& out) {
    static constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ >= text_.size()) return false;
    const char c = text_[at_++];
    if (auto found = kEscapes.find(c); found != kEscapes.npos) return out += kMeanings[found], true;
    if (c != 'u') return false;
    auto value = read_hex4();
    if (!value) return false;
    if (*value >= 0xD800 && *value < 0xE000) {  // A surrogate means something only as the first of a pair.
      const std::size_t before = at_;
      std::optional<char32_t> low;
      if (*value < 0xDC00 && eat_word("\\u")) low = read_hex4();
      if (low && *low >= 0xDC00 && *low < 0xE000) {
        value = 0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00);
      } else {
        at_ = before;
        value = 0xFFFD;
      }
    }
    utf8::append_rune(out, *value);
    return true;
  }

  std::optional<char32_t> read_hex4() {
    if (text_.size() - at_ < 4) return std::nullopt;
    std::uint32_t value = 0;
    const char* begin = text_.data() + at_;
    auto [stop, fault] = std::from_chars(begin, begin + 4, value, 16);
    if (fault != std::errc() || stop != begin + 4) return std::nullopt;
    at_ += 4;
    return value;
  }

  bool skip_digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != begin;
  }

  bool skip_number() {
    eat('-');
    if (!eat('0') && !skip_digits()) return false;
    if (eat('.') && !skip_digits()) return false;
    if (eat('e') || eat('E')) {
      if (!eat('+')) eat('-');
      return skip_digits();
    }
    return true;
  }

  // One value of any kind. No recursion: the depth comes from the other side.
  bool skip_value() {
    std::string open, unused;  // The brackets that wait for their end.
    for (;;) {
      skip_space();
      if (peek() == '{' || peek() == '[') {
        if (open.size() + 1 >= kMaxDepth) return false;
        open += text_[at_++] == '{' ? '}' : ']';
        skip_space();
        if (peek() != open.back()) {
          if (open.back() == '}' && !skip_key(unused)) return false;
          continue;
        }
      } else if (peek() == '"') {
        if (!read_string(unused)) return false;
      } else if (!eat_word("null") && !eat_word("true") && !eat_word("false") && !skip_number()) {
        return false;
      }
      // After a value: close what ends here, then go on with the next member of what is still open.
      for (;;) {
        if (open.empty()) return true;
        skip_space();
        if (eat(open.back())) {
          open.pop_back();
          continue;
        }
        if (!eat(',')) return false;
        if (open.back() == '}' && !skip_key(unused)) return false;
        break;
      }
    }
  }

  bool skip_key(std::string& unused) {
    skip_space();
    if (!read_string(unused)) return false;
    skip_space();
    return eat(':');
  }

  std::string_view text_;
  std::size_t at_ = 0;
  ErrorText found_;
};

}  // namespace

ErrorText read_error_text(std::string_view text) {
  return ErrorReader(text).read();
}

// The phrases of Go's http.StatusText.
std::string_view http_reason(std::int32_t code) {
  switch (code) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 305:
      return "Use Proxy";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 414:
      return "Request URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Requested Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 418:
      return "I'm a teapot";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Entity";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 510:
      return "Not Extended";
    case 511:
      return "Network Authentication Required";
    default:
      return "unknown";
  }
}

void set_status_lookup(StatusLookup lookup) {
  status_lookup.store(lookup, std::memory_order_release);
}

std::string_view status_text(std::int32_t code) {
  if (const StatusLookup lookup = status_lookup.load(std::memory_order_acquire)) {
    if (const std::string_view text = lookup(code); !text.empty()) return text;
  }
  switch (code) {
    case code::kUniversal:
      return "universal";
    case code::kUnknown:
      return "unknown";
    case code::kInvalid:
      return "invalid";
    case code::kExists:
      return "exists";
    case code::kStarted:
      return "started";
    case code::kFinished:
      return "finished";
    case code::kOther:
      return "other";
    default:
      return http_reason(code);
  }
}

Error make_error(std::int32_t code, std::string detail) {
  return {.id = {}, .code = code, .detail = std::move(detail), .status = std::string(status_text(code))};
}

std::string to_json(const Error& error) {
  std::string out = "{";
  auto key = [&](std::string_view name) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":", out.size() > 1 ? "," : "", name);
  };
  auto text = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    append_json_string(out, value);
  };
  text("id", error.id);
  if (error.code != 0) {
    key("code");
    out += std::to_string(error.code);
  }
  text("detail", error.detail);
  text("status", error.status);
  return out += '}';
}

Error parse_error(std::string_view text) {
  // An id of another type is no fault: Go's Parse has no such field.
  ErrorText found = read_error_text(text);
  if (found.object && found.types && found.error.code != 0) return std::move(found.error);
  return make_error(code::kUnknown, std::string(text));
}

}  // namespace mg
