#include "store/redis/local/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace mg::redis::local {
namespace {

const Table& table() {
  static const Table made = [] {
    Table out;
    add_strings(out);
    add_keys(out);
    add_hashes(out);
    add_lists(out);
    add_sets(out);
    add_sorted_sets(out);
    add_sorted_set_ranges(out);
    add_bits(out);
    add_geo(out);
    add_streams(out);
    return out;
  }();
  return made;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

void refuse(std::string text) {
  throw CommandError{std::move(text)};
}

std::optional<Reply> Engine::check(Args args) {
  const std::string name = upper(args[0]);
  const auto found = table().find(name);
  if (found == table().end()) {
    const bool script = name == "EVAL" || name == "EVALSHA" || name == "SCRIPT";
    return Reply::error(fmt::format("ERR unknown command '{}'{}", args[0].substr(0, 128),
                                    script ? ": the twin in this process has no scripts" : ""));
  }
  const auto size = static_cast<int>(args.size());
  if (size < found->second.least || (found->second.most >= 0 && size > found->second.most)) {
    return Reply::error(fmt::format("ERR wrong number of arguments for '{}' command", args[0]));
  }
  return std::nullopt;
}

Reply Engine::run(Args args) {
  if (auto refused = check(args)) return *std::move(refused);
  try {
    return table().find(upper(args[0]))->second.run(*this, args);
  } catch (CommandError& error) {
    return Reply::error(std::move(error.text));
  }
}

std::int64_t Engine::now_ms() const {
  return std::chrono::floor<std::chrono::milliseconds>(clock_.wall().time_since_epoch()).count();
}

Entry* Engine::entry(std::string_view key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return nullptr;
  if (at->second.until_ms != 0 && at->second.until_ms <= now_ms()) {
    entries_.erase(at);
    return nullptr;
  }
  return &at->second;
}

void Engine::sweep() {
  const std::int64_t now = now_ms();
  std::erase_if(entries_, [&](const auto& item) { return item.second.until_ms != 0 && item.second.until_ms <= now; });
}

std::uint64_t Engine::version(std::string_view key) {
  const Entry* const found = entry(key);
  return found ? found->version : 0;
}

bool Engine::remove(std::string_view key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return false;
  const bool there = entry(key) != nullptr;
  if (there) entries_.erase(at);
  changed_ = true;
  return there;
}

void Engine::put(std::string_view key, Data data, std::int64_t until_ms) {
  Entry& at = entries_.insert_or_assign(std::string(key), Entry{}).first->second;
  at.data = std::move(data);
  at.until_ms = until_ms;
  at.version = ++versions_;
  changed_ = true;
}

void Engine::touch(std::string_view key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  at->second.version = ++versions_;
  changed_ = true;
  const bool empty = std::visit(
      []<class T>(const T& data) {
        if constexpr (std::same_as<T, SortedSet>) {
          return data.scores.empty();
        } else if constexpr (std::same_as<T, Stream> || std::same_as<T, std::string>) {
          return false;
        } else {
          return data.empty();
        }
      },
      at->second.data);
  if (empty) entries_.erase(at);
}

// ---- parts of a command line ----------------------------------------------------------------------------------------

std::int64_t integer(std::string_view text) {
  std::int64_t out = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || done.ec != std::errc() || done.ptr != text.data() + text.size()) {
    refuse("ERR value is not an integer or out of range");
  }
  return out;
}

double real(std::string_view text) {
  double out = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto done = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || done.ec != std::errc() || done.ptr != text.data() + text.size() || std::isnan(out)) {
    refuse("ERR value is not a valid float");
  }
  return out;
}

std::string real_text(double value) {
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 400> out;
  const auto form = std::abs(value) < 1e17 ? std::chars_format::fixed : std::chars_format::general;
  const auto end = std::to_chars(out.data(), out.data() + out.size(), value, form).ptr;
  return {out.data(), end};
}

bool is(std::string_view text, std::string_view wanted) {
  return text.size() == wanted.size() && upper(text) == wanted;
}

// Source: the patterns of KEYS: ? * [ab] [^a] [a-c], a backslash before what is meant as it is.
bool matches(std::string_view pattern, std::string_view text) {
  while (!pattern.empty()) {
    switch (pattern[0]) {
      case '*': {
        while (pattern.starts_with('*')) pattern.remove_prefix(1);
        if (pattern.empty()) return true;
        for (std::size_t i = 0; i <= text.size(); ++i) {
          if (matches(pattern, text.substr(i))) return true;
        }
        return false;
      }
      case '?':
        if (text.empty()) return false;
        break;
      case '[': {
        if (text.empty()) return false;
        pattern.remove_prefix(1);
        const bool negated = pattern.starts_with('^');
        if (negated) pattern.remove_prefix(1);
        bool in = false;
        while (!pattern.empty() && pattern[0] != ']') {
          if (pattern[0] == '\\' && pattern.size() > 1) {
            pattern.remove_prefix(1);
            in = in || pattern[0] == text[0];
          } else if (pattern.size() > 2 && pattern[1] == '-') {
            const auto [low, high] =
                std::minmax({static_cast<unsigned char>(pattern[0]), static_cast<unsigned char>(pattern[2])});
            const auto c = static_cast<unsigned char>(text[0]);
            in = in || (c >= low && c <= high);
            pattern.remove_prefix(2);
          } else {
            in = in || pattern[0] == text[0];
          }
          pattern.remove_prefix(1);
        }
        if (in == negated) return false;
        if (pattern.empty()) return text.size() == 1;
        break;
      }
      default:
        if (pattern[0] == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
        if (text.empty() || pattern[0] != text[0]) return false;
    }
    pattern.remove_prefix(1);
    text.remove_prefix(1);
  }
  return text.empty();
}

Reply texts(std::vector<std::string> list) {
  Reply out = Reply::array({});
  for (auto& text : list) out.items.push_back(Reply::bulk(std::move(text)));
  return out;
}

std::pair<std::size_t, std::size_t> range(std::int64_t start, std::int64_t stop, std::size_t size) {
  const auto whole = static_cast<std::int64_t>(size);
  if (start < 0) start = std::max<std::int64_t>(0, start + whole);
  if (stop < 0) stop += whole;
  stop = std::min(stop, whole - 1);
  if (start > stop || start >= whole) return {0, 0};
  return {static_cast<std::size_t>(start), static_cast<std::size_t>(stop) + 1};
}

std::pair<std::size_t, std::size_t> text_range(std::int64_t start, std::int64_t stop, std::size_t size) {
  if (size > 0 && stop < -static_cast<std::int64_t>(size)) stop = 0;
  return range(start, stop, size);
}

}  // namespace mg::redis::local
