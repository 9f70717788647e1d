#include "tools/client/commands.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "base/escape.h"

namespace mgclient {
namespace {

enum class Takes : std::uint8_t { kNothing, kText, kAnyText, kOptionalNumber, kNumberAndHex };

struct Spec {
  Verb verb;
  std::string_view name;
  Takes takes;
  std::string_view usage;
  std::string_view meaning;
  std::uint64_t fallback = 0;  // Of an optional number.
};

constexpr Spec kSpecs[] = {
    {Verb::kLogin, "login", Takes::kNothing, "login", "log in (done by itself at the start, unless --no_login)"},
    {Verb::kCreate, "create", Takes::kText, "create NAME", "create a role"},
    {Verb::kSelect, "select", Takes::kOptionalNumber, "select [ID]",
     "play a role, by default the first: enters the lobby"},
    {Verb::kEcho, "echo", Takes::kAnyText, "echo TEXT", "have TEXT sent back"},
    {Verb::kSay, "say", Takes::kText, "say TEXT", "say TEXT to all in the room"},
    {Verb::kRoom, "room", Takes::kText, "room NAME", "enter a room, leaving the one before"},
    {Verb::kAlive, "alive", Takes::kNothing, "alive", "a sign of life"},
    {Verb::kSend, "send", Takes::kNumberAndHex, "send CMD [HEX]",
     "send any command; HEX is its body: send 10005 0a026869"},
    {Verb::kWait, "wait", Takes::kOptionalNumber, "wait [N]", "wait until N pushes (1) have come since the last wait",
     1},
    {Verb::kHelp, "help", Takes::kNothing, "help", "this list"},
    {Verb::kQuit, "quit", Takes::kNothing, "quit", "leave"},
};

const Spec* find(std::string_view word) {
  const auto found = std::ranges::find(kSpecs, word, &Spec::name);
  return found == std::end(kSpecs) ? nullptr : &*found;
}

std::optional<std::uint64_t> number_of(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || stop != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::optional<std::string> octets_of(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const auto [stop, fault] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    if (fault != std::errc() || stop != hex.data() + i + 2) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view verb_name(Verb verb) {
  return std::ranges::find(kSpecs, verb, &Spec::verb)->name;
}

std::string commands_help() {
  std::string out;
  for (const Spec& spec : kSpecs) out += fmt::format("  {:<14}  {}\n", spec.usage, spec.meaning);
  return out;
}

bool is_command(std::string_view word) {
  return find(word) != nullptr;
}

mg::Result<Command> take_command(std::span<const std::string>& words) {
  const auto next = [&words]() -> std::string_view { return words.empty() ? std::string_view() : words.front(); };
  const Spec* const spec = find(next());
  if (spec == nullptr) {
    std::string names;
    for (const Spec& each : kSpecs) names += fmt::format("{}{}", names.empty() ? "" : " ", each.name);
    return mg::fail(mg::code::kInvalid, "{} is no command: there are {} (a text of several words needs quotes)",
                    mg::quote(next()), names);
  }
  words = words.subspan(1);
  const auto wrong = [spec](std::string_view why) {
    return mg::fail(mg::code::kInvalid, "{}: {}; usage: {}", spec->name, why, spec->usage);
  };
  Command command{.verb = spec->verb, .number = spec->fallback};
  switch (spec->takes) {
    case Takes::kNothing:
      return command;
    case Takes::kText:
    case Takes::kAnyText:
      if (words.empty()) return wrong("something is missing");
      if (words.front().empty() && spec->takes == Takes::kText) return wrong("the text is empty");
      command.text = words.front();
      words = words.subspan(1);
      return command;
    case Takes::kOptionalNumber:
      if (next().empty() || next().find_first_not_of("0123456789") != std::string_view::npos) return command;
      if (const auto number = number_of(next(), std::numeric_limits<std::int64_t>::max())) {
        command.number = *number;
        words = words.subspan(1);
        return command;
      }
      return wrong(fmt::format("{} is too large", mg::quote(next())));
    case Takes::kNumberAndHex:
      break;
  }
  const auto number = number_of(next(), std::numeric_limits<std::uint32_t>::max());
  if (!number) return wrong(fmt::format("{} is no command number", mg::quote(next())));
  command.number = *number;
  words = words.subspan(1);
  if (words.empty() || is_command(next()) || next().starts_with("--")) return command;
  auto body = octets_of(next());
  if (!body) return wrong(fmt::format("{} is not the hex of octets", mg::quote(next())));
  command.text = *std::move(body);
  words = words.subspan(1);
  return command;
}

mg::Result<Command> parse_line(std::string_view line) {
  line = trim(line);
  const std::string_view name = line.substr(0, line.find_first_of(" \t"));
  std::string_view rest = trim(line.substr(name.size()));
  std::vector<std::string> words{std::string(name)};
  const Spec* const spec = find(name);
  if (spec != nullptr && spec->takes == Takes::kNumberAndHex) {
    words.emplace_back(rest.substr(0, rest.find_first_of(" \t")));
    rest.remove_prefix(words.back().size());
    std::string hex(rest);
    std::erase_if(hex, [](char c) { return c == ' ' || c == '\t'; });
    if (!hex.empty()) words.push_back(std::move(hex));
  } else if (!rest.empty() || (spec != nullptr && spec->takes == Takes::kAnyText)) {
    words.emplace_back(rest);
  }
  std::span<const std::string> left(words);
  auto command = take_command(left);
  if (command && !left.empty()) {
    return mg::fail(mg::code::kInvalid, "{}: {} is too much; usage: {}", name, mg::quote(left.front()), spec->usage);
  }
  return command;
}

}  // namespace mgclient
