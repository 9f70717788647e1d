#include "tools/client/options.h"

#include <algorithm>
#include <string_view>

#include "base/escape.h"
#include "mg/base/clock.h"
#include "mg/base/flags.h"

namespace mgclient {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kProgram = "mgclient";
constexpr std::string_view kDefaultUrl = "ws://127.0.0.1:9000";
constexpr std::string_view kSwitches[] = {"--help", "-h", "--version", "-v", "--insecure", "--no_login"};

// The command line, taken apart: flags with their values, and the rest.
struct Words {
  std::vector<const char*> flags;
  std::vector<std::string> others;
};

bool is_flag(std::string_view word) {
  return word.size() > 1 && word.starts_with('-');
}

// A text may begin with `-`: what follows `say` and its like is never a flag.
bool before_a_text(std::string_view word) {
  return word == "create" || word == "echo" || word == "say" || word == "room";
}

Words take_apart(std::span<const char* const> arguments) {
  Words words;
  bool text_next = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (text_next || !is_flag(word)) {
      text_next = !text_next && before_a_text(word);
      words.others.emplace_back(word);
      continue;
    }
    words.flags.push_back(arguments[i]);
    const bool alone = word.contains('=') || std::ranges::find(kSwitches, word) != std::end(kSwitches);
    if (!alone && i + 1 < arguments.size()) words.flags.push_back(arguments[++i]);
  }
  return words;
}

std::string help(const mg::Flags& flags) {
  std::string text = flags.help();
  const std::string usage = "\nUsage: ";
  const std::size_t from = text.find(usage);
  const std::size_t to = text.find("\n\n", from + usage.size());
  text.replace(
      from, to - from,
      "\nUsage: mgclient [flags] [URL] [command...]   run the commands, each after the reply to the one before\n"
      "       mgclient [flags] [URL]                read commands from the terminal, or from a pipe\n"
      "       mgclient [flags] token [ACCOUNT]      print a login token\n"
      "The command line comes before the environment, the environment before the default.");
  text += "\nCommands\n" + commands_help();
  text += "\nExit code: 0 all went well, 1 no connection or a request was refused, 2 bad flags or commands.\n";
  return text;
}

}  // namespace

std::string Options::make_token() const {
  if (!token.empty()) return token;
  return example::make_token(account, mg::system_clock().wall() + token_ttl, token_secret);
}

Exit read_options(std::span<const char* const> arguments, std::span<const char* const> environment, Options& options) {
  std::string url(kDefaultUrl);
  const auto is_url = [](const std::string& text) {
    return mgtools::parse_url(text) ? std::string() : fmt::format("an address {}", mgtools::kUrlForm);
  };
  const auto not_empty = [](const std::string& text) { return text.empty() ? "a name" : ""; };
  mg::Flags flags{std::string(kProgram), "0.1.0", "the command-line player of the example game"};
  flags.section("Connection");
  flags.add("url", &url, "Address of the gate, also without --url: ws, wss, tcp or tcps://HOST:PORT",
            {.check = is_url, .env = {"MGCLIENT_URL"}});
  flags.add("insecure", &options.insecure, "wss, tcps: take any certificate", {.env = {"MGCLIENT_INSECURE"}});
  flags.add("ca", &options.ca, "wss, tcps: PEM file with the authorities to trust; empty: the system's",
            {.env = {"MGCLIENT_CA"}});
  flags.add("timeout", &options.timeout, "Time to connect in, and for a reply",
            {.min = 1ms, .max = 24h, .env = {"MGCLIENT_TIMEOUT"}});
  flags.section("Login");
  flags.add("account", &options.account, "Who to log in as", {.check = not_empty, .env = {"MGCLIENT_ACCOUNT"}});
  flags.add("token", &options.token, "Login token to use; empty: one is made for the account",
            {.secret = true, .env = {"MGCLIENT_TOKEN"}});
  flags.add("token_secret", &options.token_secret, "Secret that a token is signed with: the server's",
            {.secret = true, .env = {"GAME_TOKEN_SECRET"}});
  flags.add("token_ttl", &options.token_ttl, "How long a made token is good",
            {.min = 1s, .max = 87600h, .env = {"MGCLIENT_TOKEN_TTL"}});
  flags.add("role", &options.role, "Role to play from the start, by name; created if need be",
            {.env = {"MGCLIENT_ROLE"}});
  flags.add("no_login", &options.no_login, "Do not log in by itself", {.env = {"MGCLIENT_NO_LOGIN"}});

  // What a shell has set up for services is none of a player's business.
  std::vector<const char*> ours;
  for (const char* entry : environment) {
    const std::string_view text = entry;
    if (text.starts_with("MGCLIENT_") || text.starts_with("GAME_TOKEN_SECRET=")) ours.push_back(entry);
  }
  const Words words = take_apart(arguments);
  mg::Flags::Outcome outcome = flags.read(words.flags, ours);
  if (outcome.exit) {
    if (outcome.out.contains("\nUsage: ")) outcome.out = help(flags);
    return {*outcome.exit, std::move(outcome.out), std::move(outcome.err)};
  }
  const auto refuse = [&](std::string_view why) {
    return Exit{2, "", fmt::format("{}: {}; --help lists all flags and commands\n", kProgram, why)};
  };

  std::span<const std::string> left(words.others);
  if (!left.empty() && left.front() == "token") {
    left = left.subspan(1);
    if (!left.empty()) {
      options.account = left.front();
      left = left.subspan(1);
    }
    if (!left.empty()) return refuse(fmt::format("token takes one account, {} is too much", mg::quote(left.front())));
    if (options.account.empty()) return refuse("the account's name is empty");
    options.print_token = true;
    return {};
  }
  if (!left.empty() && !is_command(left.front())) {
    if (const std::string expected = is_url(left.front()); left.front().contains(':') && !expected.empty()) {
      return refuse(fmt::format("{} is not valid: expected {}", mg::quote(left.front()), expected));
    } else if (expected.empty()) {
      url = left.front();
      left = left.subspan(1);
    }
  }
  while (!left.empty()) {
    auto command = take_command(left);
    if (!command) return refuse(command.error().detail);
    options.commands.push_back(*std::move(command));
  }
  options.url = *mgtools::parse_url(url);
  return {std::nullopt, "", std::move(outcome.err)};
}

}  // namespace mgclient
