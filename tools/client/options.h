// tools/client/options.h -- what mgclient is asked to do: its flags, address and commands.
//
//   Options options;
//   if (auto exit = read_options(arguments, environment, options); exit.code) return *exit.code;
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "examples/common/token.h"
#include "tools/client/commands.h"
#include "tools/common/url.h"

namespace mgclient {

struct Options {
  mgtools::Url url;
  std::string account = "player";
  std::string token{};  // Empty: one is made for the account.
  std::string token_secret{example::kDemoSecret};
  std::chrono::seconds token_ttl{std::chrono::hours(24)};
  std::string role{};     // To play after the login; created when the account has none of that name.
  std::string ca{};       // PEM file; empty: the system's authorities.
  bool insecure = false;  // Take any certificate.
  bool no_login = false;
  std::chrono::milliseconds timeout{std::chrono::seconds(10)};  // Of connecting, and of a reply.
  bool print_token = false;                                     // Instead of all else.
  std::vector<Command> commands{};                              // None: from the terminal.

  // The token to log in with.
  std::string make_token() const;
};

struct Exit {
  std::optional<int> code;  // With which the program should end now.
  std::string out, err;     // For stdout and stderr.
};

// Flags may stand before, between and behind the commands. Shape: arguments without the program's name; environment
// "NAME=value", of which only MGCLIENT_... and GAME_TOKEN_SECRET are looked at.
Exit read_options(std::span<const char* const> arguments, std::span<const char* const> environment, Options& options);

}  // namespace mgclient
