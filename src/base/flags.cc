#include "mg/base/flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

#include "base/escape.h"
#include "mg/base/check.h"
#include "mg/base/units.h"

namespace mg {
namespace {

constexpr std::size_t kMaxValueBytes = 64 * 1024;
constexpr std::size_t kMaxListItems = 1024;
constexpr std::size_t kMaxWarnings = 16;
constexpr std::string_view kEnvPrefix = "GAME_";

// What services of one cluster share in their environment, though not every one has the flag. Source: wire.md 9.
constexpr std::string_view kSharedEnv[] = {
    "GAME_DEV",
    "GAME_GOPS",
    "GAME_LANG",
    "GAME_DEBUG_PROFILE",
    "GAME_RUNTIME",
    "GAME_RUNTIME_SOURCE",
    "GAME_CLIENT_REQUEST_TIMEOUT",
    "GAME_CLIENT_POOL_SIZE",
    "GAME_CLIENT_POOL_TTL",
    "GAME_REGISTRY_ADDRESS",
    "GAME_REGISTER_TTL",
    "GAME_REGISTER_INTERVAL",
    "GAME_BROKER_ADDRESS",
    "GAME_SELECTOR",
    "GAME_TRACER",
    "GAME_TRACER_ADDRESS",
    "GAME_REDIS_URL",
    "GAME_REDIS_DB",
    "GAME_REDIS_IDE_CONNS",
    "GAME_REDIS_MAX_POOL",
    "GAME_MONGO_URL",
    "GAME_MONGO_MIN_POOL",
    "GAME_MONGO_MAX_POOL",
    "GAME_AGENT_TYPE",
    "GAME_AGENT_HOST",
    "GAME_AGENT_HEARTBEAT_INTERVAL",
    "GAME_AGENT_HEARTBEAT_DEADLINE",
    "GAME_AGENT_CONN_MAX",
    "GAME_AGENT_AUTH_TIME",
    "GAME_LOG_LEVEL",
    "GAME_ERROR_STACK",
};

std::string env_name(std::string_view flag) {
  std::string out(kEnvPrefix);
  for (char c : flag) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

// How many letters must be typed otherwise: changed, left out, added, or two neighbours swapped.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

// The name that was probably meant, or "".
std::string_view nearest(std::string_view name, const std::vector<std::string_view>& names) {
  if (name.size() > 64) return "";
  std::string plain;
  for (char c : name) plain += c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string_view best;
  std::size_t best_distance = name.size() < 6 ? 2 : name.size() < 12 ? 3 : 4;  // Must be less.
  for (std::string_view candidate : names) {
    std::string lower;
    for (char c : candidate) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (const std::size_t d = distance(plain, lower); d < best_distance) best_distance = d, best = candidate;
  }
  return best;
}

std::string join(const std::vector<std::string>& words, std::string_view last_separator) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last_separator : ", ";
    out += words[i];
  }
  return out;
}

template <class T>
constexpr bool kIsDuration = false;
template <class Rep, class Period>
constexpr bool kIsDuration<std::chrono::duration<Rep, Period>> = true;
template <class T>
constexpr bool kIsList = std::same_as<T, std::vector<std::string>>;
template <class T>
constexpr bool kIsText = std::same_as<T, std::string>;

template <class T>
std::optional<T> parse_value(std::string_view text, FlagForm form) {
  if constexpr (std::same_as<T, bool>) {  // The words of Go's ParseBool.
    for (auto yes : {"1", "t", "T", "true", "TRUE", "True"}) {
      if (text == yes) return true;
    }
    for (auto no : {"0", "f", "F", "false", "FALSE", "False"}) {
      if (text == no) return false;
    }
    return std::nullopt;
  } else if constexpr (kIsText<T>) {
    return std::string(text);
  } else if constexpr (kIsList<T>) {
    T items;
    while (!text.empty()) {
      std::string_view item = text.substr(0, text.find(','));
      text.remove_prefix(std::min(item.size() + 1, text.size()));
      while (item.starts_with(' ')) item.remove_prefix(1);
      while (item.ends_with(' ')) item.remove_suffix(1);
      if (!item.empty()) items.emplace_back(item);
    }
    return items;
  } else if constexpr (kIsDuration<T>) {
    std::chrono::nanoseconds value{};
    std::int64_t seconds = 0;
    const char* begin = text.data();
    const char* end = begin + text.size();
    const auto number = std::from_chars(begin, end, seconds);
    if (form == FlagForm::kSeconds && number.ec == std::errc() && number.ptr == end) {
      constexpr auto kMax = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::nanoseconds::max()).count();
      if (seconds > kMax || seconds < -kMax) return std::nullopt;
      value = std::chrono::seconds(seconds);
    } else if (auto duration = parse_duration(text)) {
      value = *duration;
    } else {
      return std::nullopt;
    }
    const T whole = std::chrono::duration_cast<T>(value);
    if (whole != value) return std::nullopt;  // Finer than the option can hold.
    return whole;
  } else {
    if (std::integral<T> && form == FlagForm::kBytes) {
      const auto bytes = parse_bytes(text);
      if (!bytes || !std::in_range<std::conditional_t<std::integral<T>, T, int>>(*bytes)) return std::nullopt;
      return static_cast<T>(*bytes);
    }
    T value{};
    auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    if constexpr (std::floating_point<T>) {
      if (!std::isfinite(value)) return std::nullopt;
    }
    return value;
  }
}

template <class T>
std::string format_value(const T& value, FlagForm form) {
  if constexpr (std::same_as<T, bool>)
    return value ? "true" : "false";
  else if constexpr (kIsText<T>)
    return value;
  else if constexpr (kIsList<T>)
    return fmt::format("{}", fmt::join(value, ","));
  else if constexpr (kIsDuration<T>)
    return format_duration(value);
  else if constexpr (std::floating_point<T>)
    return fmt::format("{}", value);
  else
    return form == FlagForm::kBytes ? format_bytes(static_cast<std::uint64_t>(value)) : std::to_string(value);
}

// ", from 1s to 10m0s"
template <class T>
std::string range_text(const FlagRules<T>& rules) {
  if constexpr (FlagRules<T>::kOrdered) {
    auto text = [&](const T& value) { return format_value<T>(value, rules.form); };
    if (rules.min && rules.max) return fmt::format("from {} to {}", text(*rules.min), text(*rules.max));
    if (rules.min) return fmt::format("{} or more", text(*rules.min));
    if (rules.max) return fmt::format("at most {}", text(*rules.max));
  }
  return "";
}

template <class T>
std::string expected_text(const FlagRules<T>& rules) {
  std::string out;
  if constexpr (std::same_as<T, bool>)
    out = "true or false";
  else if constexpr (kIsText<T>)
    out = rules.words.empty() ? "a text" : join(rules.words, " or ");
  else if constexpr (kIsList<T>)
    out = rules.words.empty() ? fmt::format("at most {} texts with commas between", kMaxListItems)
                              : fmt::format("a comma list of {}", join(rules.words, " or "));
  else if constexpr (kIsDuration<T>)
    out = rules.form == FlagForm::kSeconds ? "seconds, or a duration such as 10s or 1m30s"
                                           : "a duration such as 10s or 1m30s";
  else if constexpr (std::floating_point<T>)
    out = "a number";
  else
    out = rules.form == FlagForm::kBytes ? "a size such as 65536, 64KiB or 1MiB" : "a whole number";
  const std::string range = range_text(rules);
  if (range.empty()) return out;
  const bool reads_on = range.starts_with("from") && !out.contains(',') && !out.contains(" or ");
  return out + (reads_on ? " " : ", ") + range;
}

template <class T>
std::string_view placeholder(const FlagRules<T>& rules) {
  if constexpr (std::same_as<T, bool>)
    return "";
  else if constexpr (kIsText<T>)
    return rules.words.empty() ? "TEXT" : "WORD";
  else if constexpr (kIsList<T>)
    return "LIST";
  else if constexpr (kIsDuration<T>)
    return rules.form == FlagForm::kSeconds ? "SECONDS" : "DURATION";
  else
    return rules.form == FlagForm::kBytes ? "BYTES" : "NUMBER";
}

// Reads, checks and stores a value. Returns: "" or what was expected.
template <class T>
std::string assign(std::string_view text, T& target, const FlagRules<T>& rules) {
  auto value = parse_value<T>(text, rules.form);
  if (!value) return expected_text(rules);
  auto allowed = [&](const std::string& word) {
    return rules.words.empty() || std::ranges::find(rules.words, word) != rules.words.end();
  };
  if constexpr (FlagRules<T>::kOrdered) {
    if ((rules.min && *value < *rules.min) || (rules.max && *value > *rules.max)) return expected_text(rules);
  } else if constexpr (kIsText<T>) {
    if (!allowed(*value)) return expected_text(rules);
  } else if constexpr (kIsList<T>) {
    if (value->size() > kMaxListItems || !std::ranges::all_of(*value, allowed)) return expected_text(rules);
  }
  if (rules.check) {
    if (std::string expected = rules.check(*value); !expected.empty()) return expected;
  }
  target = *std::move(value);
  return "";
}

struct Flag {
  std::string section, name, meaning, default_text, placeholder;
  std::vector<std::string> aliases, env;
  bool is_bool = false, is_list = false, required = false, secret = false, given = false;
  std::function<std::string(std::string_view)> assign;  // "" or what was expected.
};

std::string_view variable_name(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

}  // namespace

class Flags::Impl {
 public:
  std::string program, version, about, section;
  std::vector<Flag> flags;
  std::vector<std::string> known_env{std::begin(kSharedEnv), std::end(kSharedEnv)};

  Flag* find(std::string_view name) {
    for (Flag& flag : flags) {
      if (flag.name == name || std::ranges::find(flag.aliases, name) != flag.aliases.end()) return &flag;
    }
    return nullptr;
  }

  void add(Flag flag) {
    check(!flag.name.empty() && flag.name != "help" && flag.name != "version", "a flag needs a name of its own");
    check(find(flag.name) == nullptr, ("flag declared twice: " + flag.name).c_str());
    for (const auto& alias : flag.aliases) check(find(alias) == nullptr, ("flag declared twice: " + alias).c_str());
    flag.section = section;
    if (flag.env.empty()) {
      flag.env.push_back(env_name(flag.name));
      for (const auto& alias : flag.aliases) flag.env.push_back(env_name(alias));
    }
    flags.push_back(std::move(flag));
  }

  template <class T>
  static Flag describe(std::string name, std::string meaning, std::string default_text, FlagRules<T>& rules) {
    Flag flag;
    flag.name = std::move(name);
    flag.meaning = std::move(meaning);
    if constexpr (kIsText<T> || kIsList<T>) {
      if (!rules.words.empty()) flag.meaning += " (" + join(rules.words, " or ") + ")";
    } else if (auto range = range_text(rules); !range.empty()) {
      flag.meaning += " (" + range + ")";
    }
    flag.default_text = rules.required         ? "required"
                        : default_text.empty() ? "-"
                        : rules.secret         ? "(hidden)"
                                               : std::move(default_text);
    flag.placeholder = placeholder(rules);
    flag.aliases = rules.aliases;
    flag.env = rules.env;
    flag.is_bool = std::same_as<T, bool>;
    flag.is_list = kIsList<T>;
    flag.required = rules.required;
    flag.secret = rules.secret;
    return flag;
  }

  std::string fault(std::string_view text) const { return fmt::format("{}: {}\n", program, text); }

  // Stores a value that came from `source`. Returns: the message of what is wrong with it, or "".
  std::string store(Flag& flag, const std::string& source, std::string_view text) {
    if (text.size() > kMaxValueBytes) {
      return fault(fmt::format("{} has {} octets: at most {} are read", source, text.size(), kMaxValueBytes));
    }
    const std::string expected = flag.assign(text);
    if (expected.empty()) {
      flag.given = true;
      return "";
    }
    return fault(
        fmt::format("{}: {} is not valid: expected {}", source, flag.secret ? "the value" : quote(text), expected));
  }

  std::string unknown_argument(const std::string& argument) {
    if (!argument.starts_with('-') || argument == "-") {
      return fault(
          fmt::format("unexpected argument {}: values are given as --flag value or --flag=value", quote(argument)));
    }
    std::string_view name = std::string_view(argument).substr(
        argument.find_first_not_of('-') == argument.npos ? argument.size() : argument.find_first_not_of('-'));
    name = name.substr(0, name.find('='));
    std::vector<std::string_view> names{"help", "version"};
    for (const Flag& flag : flags) names.push_back(flag.name);
    const std::string_view meant = nearest(name, names);
    return fault(fmt::format("unknown flag {}: {}", quote(argument.substr(0, argument.find('='))),
                             meant.empty() ? "--help lists all flags" : fmt::format("did you mean --{}?", meant)));
  }

  // The environment variables that look like ours and are nobody's.
  std::string warnings(std::span<const char* const> environment) {
    std::vector<std::string_view> names;
    for (const Flag& flag : flags) names.insert(names.end(), flag.env.begin(), flag.env.end());
    names.insert(names.end(), known_env.begin(), known_env.end());
    std::string out;
    std::size_t count = 0;
    for (const char* entry : environment) {
      const std::string_view name = variable_name(entry);
      if (!name.starts_with(kEnvPrefix) || std::ranges::find(names, name) != names.end()) {
        continue;
      }
      if (++count > kMaxWarnings) continue;
      const std::string_view meant = nearest(name, names);
      out += fault(fmt::format("warning: environment variable {} is not known{}", quote(name),
                               meant.empty() ? std::string() : fmt::format(": did you mean {}?", meant)));
    }
    if (count > kMaxWarnings) out += fault(fmt::format("warning: and {} more", count - kMaxWarnings));
    return out;
  }

  std::string help() const;
  Outcome read(std::span<const char* const> arguments, std::span<const char* const> environment);
};

std::string Flags::Impl::help() const {
  struct Row {
    std::string_view section;
    std::string flag, env, fallback;
    std::string_view meaning;
  };
  std::vector<Row> rows{{"", "-h, --help", "", "", "Print this and end"},
                        {"", "-v, --version", "", "", "Print the version and end"}};
  for (const Flag& flag : flags) {
    rows.push_back({flag.section, "--" + flag.name + (flag.placeholder.empty() ? "" : " ") + flag.placeholder,
                    flag.env.front(), flag.default_text, flag.meaning});
  }
  std::size_t flag_width = 0, env_width = 0, fallback_width = 7;
  for (const Row& row : rows) {
    flag_width = std::max(flag_width, row.flag.size());
    env_width = std::max(env_width, row.env.size());
    fallback_width = std::max(fallback_width, std::min<std::size_t>(row.fallback.size(), 32));
  }
  std::string out = fmt::format("{} {}{}{}\n\n", program, version, about.empty() ? "" : ": ", about);
  out += fmt::format("Usage: {} [--flag value | --flag=value]...\n", program);
  out += "The command line comes before the environment, the environment before the default.\n\n";
  auto line = [&](const Row& row) {
    std::string text = fmt::format("  {:<{}}  {:<{}}  {:<{}}  {}", row.flag, flag_width, row.env, env_width,
                                   row.fallback, fallback_width, row.meaning);
    text.erase(text.find_last_not_of(' ') + 1);
    (out += text) += '\n';
  };
  line({"", "Flag", "Environment", "Default", "Meaning"});
  std::string_view section_now;
  for (const Row& row : rows) {
    if (row.section != section_now) out += fmt::format("\n{}\n", row.section);
    section_now = row.section;
    line(row);
  }
  return out;
}

Flags::Outcome Flags::Impl::read(std::span<const char* const> arguments, std::span<const char* const> environment) {
  for (Flag& flag : flags) flag.given = false;

  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  CLI::Option* help_flag = app.add_flag("--help,-h");
  CLI::Option* version_flag = app.add_flag("--version,-v");
  std::vector<CLI::Option*> options;
  for (const Flag& flag : flags) {
    std::string names = "--" + flag.name;
    for (const auto& alias : flag.aliases) names += ",--" + alias;
    options.push_back(flag.is_bool ? app.add_flag(names) : app.add_option(names));
    options.back()->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  std::vector<std::string> args;
  for (const char* argument : arguments) {
    const std::string_view text = argument;
    const auto equals = text.find('=');
    Flag* flag = text.starts_with("--") && equals != text.npos ? find(text.substr(2, equals - 2)) : nullptr;
    if (flag != nullptr && flag->is_bool && equals + 1 == text.size()) {  // CLI11 takes it for --flag alone.
      return {2, "", fault(fmt::format("--{}: \"\" is not valid: expected true or false", flag->name))};
    }
    if (flag != nullptr && !flag->is_bool) {  // In two, for CLI11 takes the next argument for an empty value.
      args.emplace_back(text.substr(0, equals));
      args.emplace_back(text.substr(equals + 1));
    } else {
      args.emplace_back(text);
    }
  }
  const std::string last = args.empty() ? "" : args.back();
  std::ranges::reverse(args);  // As CLI11 wants them.
  try {
    app.parse(args);
  } catch (const CLI::ArgumentMismatch&) {
    return {2, "", fault(fmt::format("{} needs a value", last))};
  } catch (const CLI::Error& error) {
    return {2, "", fault(quote(error.what(), 200))};
  }
  if (help_flag->count() > 0) return {0, help(), ""};
  if (version_flag->count() > 0) return {0, fmt::format("{} version {}\n", program, version), ""};
  if (auto unknown = app.remaining(); !unknown.empty()) return {2, "", unknown_argument(unknown.front())};

  std::vector<std::string> missing;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    Flag& flag = flags[i];
    const std::vector<std::string> values = options[i]->results();
    std::string wrong;
    if (!values.empty()) {
      const std::string source = "--" + flag.name;
      const std::string text = flag.is_list ? fmt::format("{}", fmt::join(values, ",")) : values.back();
      if (text.starts_with("--") && find(std::string_view(text).substr(2)) != nullptr) {
        return {2, "", fault(fmt::format("{} needs a value: {} is a flag", source, text))};
      }
      wrong = store(flag, source, text);
    } else {
      for (const auto& name : flag.env) {
        const auto entry = std::ranges::find(environment, name, variable_name);
        if (entry == environment.end()) continue;
        const std::string_view text =
            std::string_view(*entry).substr(std::min(name.size() + 1, std::string_view(*entry).size()));
        if (text.empty()) continue;
        wrong = store(flag, fmt::format("--{} (environment variable {})", flag.name, name), text);
        break;
      }
    }
    if (!wrong.empty()) return {2, "", wrong};
    if (flag.required && !flag.given) missing.push_back(flag.name);
  }
  if (!missing.empty()) {
    return {2, "",
            fault(fmt::format("Required flag{} \"{}\" not set", missing.size() > 1 ? "s" : "", join(missing, ", ")))};
  }
  return {std::nullopt, "", warnings(environment)};
}

Flags::Flags(std::string program, std::string version, std::string about) : impl_(std::make_unique<Impl>()) {
  impl_->program = std::move(program);
  impl_->version = std::move(version);
  impl_->about = std::move(about);
}

Flags::~Flags() = default;

void Flags::section(std::string title) {
  impl_->section = std::move(title);
}

template <FlagType T>
void Flags::add(std::string name, T* target, std::string meaning, FlagRules<std::type_identity_t<T>> rules) {
  if constexpr (std::same_as<T, std::chrono::seconds>) rules.form = FlagForm::kSeconds;
  if constexpr (kIsDuration<T>) {
    if (!rules.min) rules.min = T::zero();
  }
  if constexpr (std::integral<T> && sizeof(T) <= 4 && !std::same_as<T, bool>) {  // So that a message can say them.
    if (!rules.min) rules.min = std::numeric_limits<T>::min();
    if (!rules.max) rules.max = std::numeric_limits<T>::max();
  }
  Flag flag = Impl::describe(std::move(name), std::move(meaning), format_value(*target, rules.form), rules);
  flag.assign = [target, rules = std::move(rules)](std::string_view text) { return assign(text, *target, rules); };
  impl_->add(std::move(flag));
}

template void Flags::add(std::string, bool*, std::string, FlagRules<bool>);
template void Flags::add(std::string, std::int32_t*, std::string, FlagRules<std::int32_t>);
template void Flags::add(std::string, std::int64_t*, std::string, FlagRules<std::int64_t>);
template void Flags::add(std::string, std::uint16_t*, std::string, FlagRules<std::uint16_t>);
template void Flags::add(std::string, std::uint32_t*, std::string, FlagRules<std::uint32_t>);
template void Flags::add(std::string, std::uint64_t*, std::string, FlagRules<std::uint64_t>);
template void Flags::add(std::string, double*, std::string, FlagRules<double>);
template void Flags::add(std::string, std::string*, std::string, FlagRules<std::string>);
template void Flags::add(std::string, std::vector<std::string>*, std::string, FlagRules<std::vector<std::string>>);
template void Flags::add(std::string, std::chrono::seconds*, std::string, FlagRules<std::chrono::seconds>);
template void Flags::add(std::string, std::chrono::milliseconds*, std::string, FlagRules<std::chrono::milliseconds>);
template void Flags::add(std::string, std::chrono::microseconds*, std::string, FlagRules<std::chrono::microseconds>);
template void Flags::add(std::string, std::chrono::nanoseconds*, std::string, FlagRules<std::chrono::nanoseconds>);

void Flags::add_words(std::string name, std::string word, std::string meaning, FlagRules<std::string> rules,
                      std::function<void(std::size_t)> set) {
  Flag flag = Impl::describe(std::move(name), std::move(meaning), std::move(word), rules);
  flag.assign = [rules = std::move(rules), set = std::move(set)](std::string_view text) {
    std::string value;
    std::string expected = assign(text, value, rules);
    if (expected.empty()) set(static_cast<std::size_t>(std::ranges::find(rules.words, value) - rules.words.begin()));
    return expected;
  };
  impl_->add(std::move(flag));
}

void Flags::know_env(std::span<const std::string_view> names) {
  impl_->known_env.insert(impl_->known_env.end(), names.begin(), names.end());
}

std::optional<int> Flags::parse(int argc, const char* const* argv) {
  std::size_t variables = 0;
  while (environ != nullptr && environ[variables] != nullptr) ++variables;
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(std::max(argc, 0)));
  const Outcome outcome = read(arguments.empty() ? arguments : arguments.subspan(1), {environ, variables});
  std::fwrite(outcome.out.data(), 1, outcome.out.size(), stdout);
  std::fwrite(outcome.err.data(), 1, outcome.err.size(), stderr);
  return outcome.exit;
}

Flags::Outcome Flags::read(std::span<const char* const> arguments, std::span<const char* const> environment) {
  return impl_->read(arguments, environment);
}

bool Flags::given(std::string_view name) const {
  const Flag* flag = impl_->find(name);
  check(flag != nullptr, "given() of a flag that was not added");
  return flag->given;
}

std::string Flags::help() const {
  return impl_->help();
}

}  // namespace mg
