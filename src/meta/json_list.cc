#include "meta/json_list.h"

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/utf8.h"
#include "mg/utils/dtype/number.h"

namespace mg {
namespace {

// Reads lists of scalars; anything nested is of the wrong kind and need not be understood.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : text_(text) {}

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  // A JSON number; empty when there is none.
  std::string_view take_number() {
    const std::size_t first = at_;
    const auto digits = [&] {
      const std::size_t from = at_;
      while (peek() >= '0' && peek() <= '9') ++at_;
      return at_ > from;
    };
    take("-");
    if (!take("0") && !digits()) return {};
    if (take(".") && !digits()) return {};
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      if (!digits()) return {};
    }
    return text_.substr(first, at_ - first);
  }

  // The rest of a JSON text after its opening quote. Lone surrogates and octets that are no UTF-8 become U+FFFD.
  bool take_text(std::string& out) {
    while (!at_end()) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        const utf8::Rune letter = utf8::decode_rune(text_.substr(at_));
        utf8::append_rune(out, letter.value);
        at_ += letter.size;
        continue;
      }
      ++at_;
      if (!take_escape(out)) return false;
    }
    return false;
  }

  std::size_t position() const { return at_; }

 private:
  bool take_escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t named = at_end() ? kNames.npos : kNames.find(text_[at_]);
    if (named != kNames.npos) {
      out += kMeanings[named];
      ++at_;
      return true;
    }
    char32_t unit = 0;
    if (!take_unit(unit)) return false;
    if (unit >= 0xD800 && unit < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      const std::size_t back = at_++;
      char32_t low = 0;
      if (!take_unit(low)) return false;
      if (low >= 0xDC00 && low < 0xE000) {
        utf8::append_rune(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
        return true;
      }
      at_ = back;  // No pair: the second escape speaks for itself.
    }
    utf8::append_rune(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : unit);
    return true;
  }

  bool take_unit(char32_t& unit) {
    if (!take("u") || text_.size() - at_ < 4) return false;
    std::uint32_t value = 0;
    const char* first = text_.data() + at_;
    const auto got = std::from_chars(first, first + 4, value, 16);
    if (got.ec != std::errc() || got.ptr != first + 4) return false;
    at_ += 4;
    unit = value;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <std::signed_integral T>
bool read_number(std::string_view number, T& value) {
  const auto got = std::from_chars(number.data(), number.data() + number.size(), value);
  return got.ec == std::errc() && got.ptr == number.data() + number.size();
}
template <std::floating_point T>
bool read_number(std::string_view number, T& value) {
  const auto found = dtype::scan<T>(number);
  value = found.value;
  return found.fault != dtype::Fault::kNotANumber && std::isfinite(value);
}

template <class T>
constexpr std::string_view kKind = std::integral<T> ? "a whole number in range" : "a number in range";
template <>
constexpr std::string_view kKind<std::string> = "a text";

}  // namespace

template <class T>
Result<std::vector<T>> parse_json_list(std::string_view text) {
  ListReader in(text);
  const auto malformed = [&](std::string_view wanted) {
    return fail(code::kInvalid, "no JSON list: {} expected at octet {}", wanted, in.position());
  };
  std::vector<T> list;
  in.skip_space();
  if (in.take("null")) {
    in.skip_space();
    if (!in.at_end()) return malformed("the end");
    return list;
  }
  if (!in.take("[")) return malformed("[");
  in.skip_space();
  bool more = !in.take("]");
  while (more) {
    in.skip_space();
    T item{};
    bool good = in.take("null");
    if (!good) {
      if constexpr (std::same_as<T, std::string>) {
        good = in.take("\"") && in.take_text(item);
      } else {
        const std::string_view number = in.take_number();
        good = !number.empty() && read_number(number, item);
      }
    }
    if (!good) {
      return fail(code::kInvalid, "element {} of the JSON list, before octet {}, is not {}", list.size(), in.position(),
                  kKind<T>);
    }
    list.push_back(std::move(item));
    in.skip_space();
    more = in.take(",");
    if (!more && !in.take("]")) return malformed(", or ]");
  }
  in.skip_space();
  if (!in.at_end()) return malformed("the end");
  return list;
}

template Result<std::vector<std::int32_t>> parse_json_list(std::string_view);
template Result<std::vector<std::int64_t>> parse_json_list(std::string_view);
template Result<std::vector<float>> parse_json_list(std::string_view);
template Result<std::vector<double>> parse_json_list(std::string_view);
template Result<std::vector<std::string>> parse_json_list(std::string_view);

}  // namespace mg
