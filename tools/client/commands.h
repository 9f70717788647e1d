// tools/client/commands.h -- what a user can tell the client to do.
//
//   auto commands = take_commands(words);              // of a command line: {"create", "Ann", "select"}
//   auto command = parse_line("say hello there");      // of the terminal: the rest of the line is the text
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mgclient {

enum class Verb : std::uint8_t { kLogin, kCreate, kSelect, kEcho, kSay, kRoom, kAlive, kSend, kWait, kHelp, kQuit };

struct Command {
  Verb verb = Verb::kQuit;
  std::string text{};        // create, echo, say, room: as given. send: the octets of the body.
  std::uint64_t number = 0;  // select: the role (0: the first). send: the command. wait: how many pushes.
};

// As the user types it: "say".
std::string_view verb_name(Verb verb);

// All commands, one a line, with two blanks before each.
std::string commands_help();

// True for the first word of a command.
bool is_command(std::string_view word);

// Reads the command at the front of `words`, which loses the words that belong to it; a text is one word.
// Errors: kInvalid  no command, or not its arguments; says what is expected
mg::Result<Command> take_command(std::span<const std::string>& words);

// Reads a line; a text is all that follows the first word. Errors: as above.
mg::Result<Command> parse_line(std::string_view line);

}  // namespace mgclient
