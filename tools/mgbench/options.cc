#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "fmt/core.h"

namespace mgbench {
namespace {

// "500ms", "2s", "1m", or plain seconds.
std::optional<std::chrono::nanoseconds> parse_duration(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  const std::string unit = text.substr(used);
  const double seconds = unit == "ms"                  ? 1e-3
                         : unit.empty() || unit == "s" ? 1
                         : unit == "m"                 ? 60
                         : unit == "us"                ? 1e-6
                                                       : 0;
  if (seconds == 0 || !(value >= 0) || value * seconds > 1e9) return std::nullopt;
  return std::chrono::nanoseconds(std::llround(value * seconds * 1e9));
}

void add_duration(CLI::App& cli, const std::string& name, std::chrono::nanoseconds& to, const std::string& help) {
  const auto take = [&to, name](const std::string& text) {
    const auto value = parse_duration(text);
    if (!value) throw CLI::ValidationError(name, fmt::format("'{}' is not a time such as 500ms, 2s or 1m", text));
    to = *value;
  };
  cli.add_option_function<std::string>(name, take, help)
      ->type_name("TIME")
      ->default_str(fmt::format("{}s", std::chrono::duration<double>(to).count()));
}

}  // namespace

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::kEcho:
      return "echo";
    case Mode::kIdle:
      return "idle";
    case Mode::kBroadcast:
      return "broadcast";
    case Mode::kChurn:
      return "churn";
  }
  return "?";
}

std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App cli{
      "mgbench: load for a game server, over ws, wss, tcp or tcps\n\n"
      "  echo       requests in a closed loop (--depth), or --rate R per second on a fixed schedule, latencies then\n"
      "             counted from the moment a request was due\n"
      "  idle       connect, log in, hold; memory per connection of --pid\n"
      "  broadcast  one client chats, all others count what arrives; CPU per recipient of --pid\n"
      "  churn      connect, log in, leave, --cycles times, --connections at once"};
  cli.option_defaults()->always_capture_default();
  cli.get_formatter()->column_width(34);
  std::string leave;
  const auto take_url = [&options](const std::string& text) {
    const auto url = mgtools::parse_url(text);
    if (!url) {
      throw CLI::ValidationError("url", fmt::format("'{}' is not of the form {}", text, mgtools::kUrlForm));
    }
    options.url = *url;
  };
  cli.add_option_function<std::string>("url", take_url, std::string(mgtools::kUrlForm))->required();
  cli.add_option("--mode,-m", options.mode, "echo | idle | broadcast | churn")
      ->transform(CLI::CheckedTransformer(std::vector<std::pair<std::string, Mode>>{
          {"echo", Mode::kEcho}, {"idle", Mode::kIdle}, {"broadcast", Mode::kBroadcast}, {"churn", Mode::kChurn}}))
      ->type_name("MODE")
      ->default_str("echo");
  bool idle = false;
  cli.add_flag("--idle", idle, "the same as --mode idle");
  cli.add_option("--connections,-c", options.connections, "connections")->check(CLI::Range(1, 1000000));
  cli.add_option("--depth,-d", options.depth, "requests in flight per connection")->check(CLI::Range(1, 16384));
  cli.add_option("--payload,-s", options.payload, "octets of data per request")->check(CLI::Range(1, 16 << 20));
  cli.add_option("--rate,-r", options.rate, "open loop: requests per second in all (0: closed loop)")
      ->check(CLI::Range(0.0, 1e9));
  add_duration(cli, "--duration,-t", options.duration, "measured time");
  add_duration(cli, "--warmup,-w", options.warmup, "load before it is measured");
  cli.add_option("--ramp", options.ramp, "new connections per second (0: as fast as accepted)")
      ->check(CLI::Range(0.0, 1e9));
  cli.add_option("--cycles,-n", options.cycles, "churn: how many connect-login-leave")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  add_duration(cli, "--period", options.period, "broadcast: from one to the next");
  add_duration(cli, "--timeout", options.timeout, "to connect and log in, and for a reply");
  cli.add_option("--threads", options.threads, "threads, each with its share of the connections")
      ->check(CLI::Range(1, 256));
  cli.add_option("--sources", options.sources, "loopback addresses to connect from (0: as many as needed)")
      ->check(CLI::Range(0, 250));
  cli.add_option("--leave", leave, "close (politely) | rst; default close, in churn mode rst")
      ->check(CLI::IsMember({"close", "rst"}));
  cli.add_flag(
      "--reconnect", options.reconnect,
      "echo: a connection that fails, or whose reply does not come within --timeout, is counted and comes back");
  cli.add_option("--pid", options.pids, "process ids of the server, comma list")->delimiter(',')->type_name("PID");
  cli.add_option("--account", options.account, "connection n logs in as ACCOUNTn");
  cli.add_option("--token_secret", options.token_secret, "secret that signs the login tokens")
      ->envname("GAME_TOKEN_SECRET");
  bool no_login = false;
  cli.add_flag("--no_login", no_login, "send requests without logging in");
  cli.add_flag("--role", options.role, "after the login, create and select a role (broadcast mode always does)");
  cli.add_option("--login_cmd", options.login_cmd, "command number of the login");
  cli.add_option("--echo_cmd", options.echo_cmd, "command number of the echo");
  cli.add_option("--chat_cmd", options.chat_cmd, "command number that makes the server broadcast");
  cli.add_option("--push_cmd", options.push_cmd, "command number of that broadcast's packets");
  cli.add_option("--ca", options.ca, "PEM file to verify the server with (default: not verified)")
      ->check(CLI::ExistingFile);
  cli.add_flag("--json", options.json, "result as JSON on stdout; the table goes to stderr");
  cli.add_flag("--quiet,-q", options.quiet, "no progress lines");
  try {
    cli.parse(argc, argv);
    if (options.open_loop() && options.mode != Mode::kEcho) {
      throw CLI::ValidationError("--rate", "only --mode echo has an open loop");
    }
    if (options.reconnect && (idle || options.mode != Mode::kEcho)) {
      throw CLI::ValidationError("--reconnect", "only connections of --mode echo come back");
    }
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;
  }
  if (idle) options.mode = Mode::kIdle;
  if (!leave.empty()) options.leave = leave == "rst" ? Leave::kReset : Leave::kClose;
  options.login = !no_login;
  options.threads = std::min(options.threads, options.connections);
  return std::nullopt;
}

}  // namespace mgbench
