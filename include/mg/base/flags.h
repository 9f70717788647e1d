// mg/base/flags.h -- options of a program from its command line and environment, checked before it starts.
//
//   Flags flags("gate", "1.0");
//   flags.add("agent_auth_time", &options.auth_time, "Time a client has to log in", {.min = 1s, .max = 10min});
//   if (auto exit = flags.parse(argc, argv)) return *exit;         // 0 after --help, 2 after a bad flag
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mg {

// What a flag may be.
template <class T>
concept FlagType =
    std::same_as<T, bool> || std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t> ||
    std::same_as<T, std::uint16_t> || std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t> ||
    std::same_as<T, double> || std::same_as<T, std::string> || std::same_as<T, std::vector<std::string>> ||
    std::same_as<T, std::chrono::seconds> || std::same_as<T, std::chrono::milliseconds> ||
    std::same_as<T, std::chrono::microseconds> || std::same_as<T, std::chrono::nanoseconds>;

// How a value is written, beyond what its type says.
enum class FlagForm : std::uint8_t {
  kPlain,    // A duration: 10s, 1m30s. std::chrono::seconds also takes a plain number.
  kSeconds,  // A duration for which a plain number means seconds.
  kBytes,    // A whole number of octets: 1048576, 1MiB.
};

template <class T>
struct FlagRules {
  // Arithmetic types and durations have an order; a duration has min 0 when none is given.
  static constexpr bool kOrdered =
      !std::same_as<T, bool> && !std::same_as<T, std::string> && !std::same_as<T, std::vector<std::string>>;
  using Limit = std::conditional_t<kOrdered, std::optional<T>, std::nullopt_t>;

  FlagForm form = FlagForm::kPlain;
  Limit min = std::nullopt;  // Smallest and largest value allowed.
  Limit max = std::nullopt;
  std::vector<std::string> words = {};              // The only texts allowed (string, or each of a list).
  std::function<std::string(const T&)> check = {};  // "" when the value is fine, else what is expected.
  bool required = false;                            // The default does not count.
  bool secret = false;                              // Never shown.
  std::vector<std::string> aliases = {};            // Other names, as of a misspelt one; not in the help.
  std::vector<std::string> env = {};  // Variables, first one set wins. Empty: GAME_<NAME>, of aliases too.
};

// A program's flags. A value comes from the command line, else the environment, else is what the variable held.
// An empty environment variable counts as not set. Values go straight into the variables given.
// Lifetime: those variables must outlive parse(). Threads: one at a time.
class Flags {
 public:
  // What reading the flags came to.
  struct Outcome {
    std::optional<int> exit;  // The exit code when the program should not go on.
    std::string out, err;     // For stdout (help, version) and stderr (the fault, or warnings).
  };

  Flags(std::string program, std::string version, std::string about = {});
  ~Flags();
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;

  // Starts a group in the help: "Agent".
  void section(std::string title);

  // Shape: `name` is snake_case. The value of `target` is the default; `meaning` one line, without the default.
  // Requires: no flag, alias or variable twice.
  template <FlagType T>
  void add(std::string name, T* target, std::string meaning, FlagRules<std::type_identity_t<T>> rules = {});

  // A flag that is one of a few words, each for a value.
  template <class E>
    requires std::is_enum_v<E>
  void add(std::string name, E* target, std::string meaning,
           std::vector<std::pair<std::string, std::type_identity_t<E>>> words, FlagRules<std::string> rules = {}) {
    std::string word;
    for (auto& [text, value] : words) {
      rules.words.push_back(text);
      if (value == *target) word = text;
    }
    add_words(std::move(name), std::move(word), std::move(meaning), std::move(rules),
              [target, words = std::move(words)](std::size_t i) { *target = words[i].second; });
  }

  // Environment variables that are no flags here but known: no warning about them.
  void know_env(std::span<const std::string_view> names);

  // Reads the flags of the process, prints what there is to print.
  // Returns: the exit code with which main should end, or nothing. Errors: 2, one message on stderr.
  std::optional<int> parse(int argc, const char* const* argv);

  // The same from texts and without printing. Shape: arguments without the program's name; environment "NAME=value".
  Outcome read(std::span<const char* const> arguments, std::span<const char* const> environment);

  // True when the flag was on the command line or in the environment. Requires: a flag of that name, after parse().
  bool given(std::string_view name) const;

  std::string help() const;

 private:
  class Impl;
  void add_words(std::string name, std::string word, std::string meaning, FlagRules<std::string> rules,
                 std::function<void(std::size_t)> set);

  std::unique_ptr<Impl> impl_;
};

}  // namespace mg
