// mgclient: the command-line player. `mgclient --help` says it all.
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "fmt/core.h"
#include "tools/client/connection.h"
#include "tools/client/options.h"
#include "tools/client/session.h"

namespace {

using mgclient::Verb;

mg::Result<void> play(const mgclient::Options& options) {
  auto connection =
      mgclient::Connection::open(options.url, {.ca = options.ca, .insecure = options.insecure}, options.timeout);
  if (!connection) return std::unexpected(std::move(connection.error()));
  mgclient::Session session(options, **connection);
  const bool by_itself =
      !options.no_login && (options.commands.empty() || options.commands.front().verb != Verb::kLogin);
  if (by_itself) {
    if (auto in = session.login(); !in) return in;
  }
  auto done = options.commands.empty() ? session.run_terminal() : session.run(options.commands);
  (*connection)->close();
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  mgclient::Options options;
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  std::size_t variables = 0;
  while (environ[variables] != nullptr) ++variables;
  const auto exit = mgclient::read_options(arguments, {environ, variables}, options);
  fmt::print("{}", exit.out);
  fmt::print(stderr, "{}", exit.err);
  if (exit.code) return *exit.code;
  if (options.print_token) {
    fmt::print("{}\n", options.make_token());
    return 0;
  }
  const auto done = play(options);
  if (done) return 0;
  fmt::print(stderr, "mgclient: {}\n", done.error().detail);
  return 1;
}
