#include "mg/utils/dtype/value.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "base/escape.h"
#include "base/utf8.h"
#include "mg/utils/dtype/json_text.h"

namespace mg::dtype {
namespace {

const Value kNull;

// Where `key` is or belongs.
auto place(auto& entries, std::string_view key) {
  return std::lower_bound(entries.begin(), entries.end(), key,
                          [](const Dict::Entry& entry, std::string_view wanted) { return entry.first < wanted; });
}

// Sorts, and of equal keys keeps the last.
void normalise(std::vector<Dict::Entry>& entries) {
  const auto in_order = [](const Dict::Entry& a, const Dict::Entry& b) { return a.first < b.first; };
  if (std::ranges::adjacent_find(entries, std::not_fn(in_order)) == entries.end()) return;
  std::vector<Dict::Entry*> order;
  order.reserve(entries.size());
  for (Dict::Entry& entry : entries) order.push_back(&entry);
  std::ranges::sort(order, [](const Dict::Entry* a, const Dict::Entry* b) {
    const int way = a->first.compare(b->first);
    return way != 0 ? way < 0 : a < b;  // In one block, so that the address is the place.
  });
  std::vector<Dict::Entry> sorted;
  sorted.reserve(entries.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i + 1 == order.size() || order[i]->first != order[i + 1]->first) sorted.push_back(std::move(*order[i]));
  }
  entries = std::move(sorted);
}

class Reader {
 public:
  Reader(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool value(Value& out, std::size_t depth) {
    skip_space();
    switch (peek()) {
      case '{':
        return dict(out, depth);
      case '[':
        return list(out, depth);
      case '"': {
        std::string text;
        if (!quoted(text)) return false;
        out = std::move(text);
        return true;
      }
      case 't':
        return word("true", out, true);
      case 'f':
        return word("false", out, false);
      case 'n':
        return word("null", out, nullptr);
      default:
        return number(out);
    }
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  std::string_view rest() const { return text_.substr(at_); }

  Error error() const { return fail(code::kInvalid, "not JSON at octet {}: {}", at_, fault_).error(); }
  // Everything but white space is a fault.
  bool at_end() {
    skip_space();
    return at_ == text_.size() || stop("a second value");
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  bool stop(std::string_view what) {
    if (fault_.empty()) fault_ = what;
    return false;
  }
  bool expected(std::string_view what) {
    if (at_ == text_.size()) return stop("the text ends too early");
    return stop(fmt::format("{} where {} should be", quote(text_.substr(at_, 1)), what));
  }

  template <class T>
  bool word(std::string_view wanted, Value& out, T meaning) {
    if (!text_.substr(at_).starts_with(wanted)) return expected("a value");
    at_ += wanted.size();
    out = meaning;
    return true;
  }

  bool list(Value& out, std::size_t depth) {
    if (depth == limits_.max_depth) return stop(fmt::format("more than {} levels", limits_.max_depth));
    ++at_;
    List items;
    skip_space();
    if (!eat(']')) {
      do {
        if (!value(items.emplace_back(), depth + 1)) return false;
        skip_space();
      } while (eat(','));
      if (!eat(']')) return expected("',' or ']'");
    }
    out = std::move(items);
    return true;
  }

  bool dict(Value& out, std::size_t depth) {
    if (depth == limits_.max_depth) return stop(fmt::format("more than {} levels", limits_.max_depth));
    ++at_;
    std::vector<Dict::Entry> entries;
    skip_space();
    if (!eat('}')) {
      do {
        Dict::Entry& entry = entries.emplace_back();
        skip_space();
        if (peek() != '"') return expected("a key in quotes");
        if (!quoted(entry.first)) return false;
        skip_space();
        if (!eat(':')) return expected("':'");
        if (!value(entry.second, depth + 1)) return false;
        skip_space();
      } while (eat(','));
      if (!eat('}')) return expected("',' or '}'");
    }
    const std::size_t written = entries.size();
    Dict made(std::move(entries));
    if (limits_.unique_keys && made.size() != written) return stop("a key twice in one dictionary, which ends here");
    out = std::move(made);
    return true;
  }

  bool digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != begin || expected("a digit");
  }

  bool number(Value& out) {
    const std::size_t begin = at_;
    const bool negative = eat('-');
    if (!negative && (peek() < '0' || peek() > '9')) return expected("a value");
    if (!eat('0') && !digits()) return false;
    bool whole = true;
    if (eat('.')) {
      whole = false;
      if (!digits()) return false;
    }
    if (eat('e') || eat('E')) {
      whole = false;
      if (!eat('+')) eat('-');
      if (!digits()) return false;
    }
    const std::string_view text = text_.substr(begin, at_ - begin);
    if (whole && negative) {
      if (const auto got = scan<std::int64_t>(text); got.fault == Fault::kNone && got.value != 0) {
        out = got.value;
        return true;
      }
    } else if (whole) {
      if (const auto got = scan<std::uint64_t>(text); got.fault == Fault::kNone) {
        out = got.value;
        return true;
      }
    }
    const auto got = scan<double>(text);  // -0 too, which has no integer.
    if (!std::isfinite(got.value)) {
      at_ = begin;
      return stop(fmt::format("{} is too large a number", quote(text, 40)));
    }
    out = got.value;
    return true;
  }

  bool quoted(std::string& out) {
    ++at_;
    for (;;) {
      // A run of plain ASCII at once.
      const std::size_t begin = at_;
      while (at_ < text_.size() && plain(text_[at_])) ++at_;
      out += text_.substr(begin, at_ - begin);
      if (at_ == text_.size()) return stop("the text ends inside quotes");
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (c == '\\') {
        ++at_;
        if (!escape(out)) return false;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        return stop("a control character inside quotes");
      } else {
        const utf8::Rune rune = utf8::decode_rune(text_.substr(at_));
        utf8::append_rune(out, rune.value);
        at_ += rune.size;
      }
    }
  }
  static bool plain(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet >= 0x20 && octet < 0x80 && c != '"' && c != '\\';
  }

  bool escape(std::string& out) {
    static constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (const auto found = kEscapes.find(peek()); at_ < text_.size() && found != kEscapes.npos) {
      ++at_;
      out += kMeanings[found];
      return true;
    }
    if (!eat('u')) return expected("an escape");
    std::optional<char32_t> value = hex4();
    if (!value) return expected("four hex digits");
    if (*value >= 0xD800 && *value < 0xE000) {  // A surrogate means something only as the first of a pair.
      const std::size_t before = at_;
      std::optional<char32_t> low;
      if (*value < 0xDC00 && eat('\\') && eat('u')) low = hex4();
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

  std::optional<char32_t> hex4() {
    if (text_.size() - at_ < 4) return std::nullopt;
    char32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = text_[at_ + static_cast<std::size_t>(i)];
      const char small = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
      if (small >= '0' && small <= '9') {
        value = value * 16 + static_cast<char32_t>(small - '0');
      } else if (small >= 'a' && small <= 'f') {
        value = value * 16 + static_cast<char32_t>(small - 'a' + 10);
      } else {
        return std::nullopt;
      }
    }
    at_ += 4;
    return value;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  std::size_t at_ = 0;
  std::string fault_;
};

}  // namespace

Dict::Dict(std::initializer_list<Entry> entries) : Dict(std::vector<Entry>(entries)) {}

Dict::Dict(std::vector<Entry> entries) : entries_(std::move(entries)) {
  normalise(entries_);
}

const Value* Dict::find(std::string_view key) const {
  const auto at = place(entries_, key);
  return at != entries_.end() && at->first == key ? &at->second : nullptr;
}

Value& Dict::operator[](std::string_view key) {
  auto at = place(entries_, key);
  if (at == entries_.end() || at->first != key) at = entries_.emplace(at, std::string(key), Value());
  return at->second;
}

bool Dict::erase(std::string_view key) {
  const auto at = place(entries_, key);
  if (at == entries_.end() || at->first != key) return false;
  entries_.erase(at);
  return true;
}

bool operator==(const Dict& a, const Dict& b) {
  return a.entries_ == b.entries_;
}

Value::Value(float value) : data_(std::isfinite(value) ? scan<double>(float_text(value)).value : double{value}) {}

const Value& Value::at(std::string_view key) const {
  const Value* const found = is_dict() ? as_dict().find(key) : nullptr;
  return found != nullptr ? *found : kNull;
}

const Value& Value::at(std::size_t index) const {
  return is_list() && index < as_list().size() ? as_list()[index] : kNull;
}

void append_json(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kNull:
      out += "null";
      break;
    case Kind::kBool:
      out += value.as_bool() ? "true" : "false";
      break;
    case Kind::kInt:
      json_text::append(out, value.as_int());
      break;
    case Kind::kUint:
      json_text::append(out, value.as_uint());
      break;
    case Kind::kDouble:
      json_text::append_number(out, value.as_double());
      break;
    case Kind::kText:
      json_text::append_quoted(out, value.as_text());
      break;
    case Kind::kList: {
      char before = '[';
      for (const Value& item : value.as_list()) {
        out += before;
        append_json(out, item);
        before = ',';
      }
      out += before == '[' ? "[]" : "]";
      break;
    }
    case Kind::kDict: {
      char before = '{';
      for (const auto& [key, item] : value.as_dict()) {
        out += before;
        json_text::append_quoted(out, key);
        out += ':';
        append_json(out, item);
        before = ',';
      }
      out += before == '{' ? "{}" : "}";
      break;
    }
  }
}

std::string_view kind_name(Kind kind) {
  constexpr std::string_view kNames[] = {"null", "bool", "number", "number", "number", "text", "list", "dictionary"};
  return kNames[static_cast<std::size_t>(kind)];
}

Result<Value> parse_json_prefix(std::string_view text, std::string_view& rest, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(code::kInvalid, "JSON of {} octets is longer than {}", text.size(), limits.max_bytes);
  }
  Reader reader(text, limits);
  Result<Value> got;
  if (!reader.value(*got, 0)) return std::unexpected(reader.error());
  rest = reader.rest();
  return got;
}

Result<Value> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(code::kInvalid, "JSON of {} octets is longer than {}", text.size(), limits.max_bytes);
  }
  Reader reader(text, limits);
  Result<Value> got;
  if (!reader.value(*got, 0) || !reader.at_end()) return std::unexpected(reader.error());
  return got;
}

}  // namespace mg::dtype
