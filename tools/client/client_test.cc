// What mgclient makes of its command line and of lines typed; the network is tests/e2e/client_test.py's.
#include <gtest/gtest.h>

#include "examples/proto/msg.pb.h"
#include "tools/client/describe.h"
#include "tools/client/options.h"

namespace mgclient {
namespace {

struct Read {
  Options options;
  Exit exit;
};

Read read(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
  Read out;
  out.exit = read_options(arguments, environment, out.options);
  return out;
}

std::string error_of(std::vector<const char*> arguments) {
  const Read got = read(std::move(arguments));
  EXPECT_EQ(got.exit.code, 2);
  return got.exit.err;
}

TEST(ClientOptions, NothingMeansTheTerminalAtTheDemosAddress) {
  const Read got = read({});
  EXPECT_FALSE(got.exit.code);
  EXPECT_EQ(got.options.url.text, "ws://127.0.0.1:9000");
  EXPECT_EQ(got.options.account, "player");
  EXPECT_TRUE(got.options.commands.empty());
}

TEST(ClientOptions, FlagsStandAnywhereButATextIsNeverAFlag) {
  const Read got = read({"--account", "ann", "tcp://[::1]:9001", "say", "--role", "--no_login", "send", "10004",
                         "--role=x", "select", "wait", "3", "quit"});
  ASSERT_FALSE(got.exit.code) << got.exit.err;
  EXPECT_EQ(got.options.account, "ann");
  EXPECT_EQ(got.options.role, "x");
  EXPECT_TRUE(got.options.no_login);
  EXPECT_EQ(got.options.url.host, "::1");
  EXPECT_EQ(got.options.url.port, "9001");
  EXPECT_FALSE(got.options.url.ws);
  const auto& commands = got.options.commands;
  ASSERT_EQ(commands.size(), 5u);
  EXPECT_EQ(commands[0].verb, Verb::kSay);
  EXPECT_EQ(commands[0].text, "--role");
  EXPECT_EQ(commands[1].number, 10004u);
  EXPECT_EQ(commands[2].number, 0u);
  EXPECT_EQ(commands[3].number, 3u);
}

TEST(ClientOptions, FaultsAreNamed) {
  EXPECT_NE(error_of({"http://127.0.0.1:9000"}).find("http://127.0.0.1:9000"), std::string::npos);
  EXPECT_NE(error_of({"localhost:9000"}).find("ws|wss|tcp|tcps"), std::string::npos);
  EXPECT_NE(error_of({"--url", "tcp://127.0.0.1"}).find("--url"), std::string::npos);
  EXPECT_NE(error_of({"tcp://127.0.0.1:65536"}).find("65536"), std::string::npos);
  EXPECT_NE(error_of({"--acount", "x"}).find("--account"), std::string::npos);
  EXPECT_NE(error_of({"say", "hello", "there"}).find("quotes"), std::string::npos);
  EXPECT_NE(error_of({"create"}).find("create NAME"), std::string::npos);
  EXPECT_NE(error_of({"send", "x"}).find("send CMD"), std::string::npos);
  EXPECT_NE(error_of({"send", "1", "abc"}).find("hex"), std::string::npos);
  EXPECT_NE(error_of({"send", "4294967296"}).find("command number"), std::string::npos);
  EXPECT_NE(error_of({"select", "9999999999999999999"}).find("too large"), std::string::npos);
}

TEST(ClientOptions, ATokenIsPrintedForAnAccount) {
  const Read got = read({"token", "--token_secret", "s", "alice"});
  ASSERT_TRUE(got.options.print_token) << got.exit.err;
  EXPECT_EQ(example::check_token(got.options.make_token(), "s", mg::system_clock().wall()), "alice");
  EXPECT_EQ(read({"token"}).options.account, "player");
  EXPECT_NE(error_of({"token", "a", "b"}).find("\"b\""), std::string::npos);
}

TEST(ClientOptions, TheEnvironmentIsThatOfPlayers) {
  const Read got = read({}, {"GAME_TOKEN_SECRET=s", "MGCLIENT_ACCOUNT=bob", "GAME_URL=x", "GAME_AGENT_PORT=:1"});
  EXPECT_FALSE(got.exit.code);
  EXPECT_EQ(got.exit.err, "");
  EXPECT_EQ(got.options.token_secret, "s");
  EXPECT_EQ(got.options.account, "bob");
}

TEST(ClientOptions, HelpShowsUsageFlagsAndCommands) {
  const Read got = read({"--help"});
  EXPECT_EQ(got.exit.code, 0);
  for (const char* part : {"mgclient [flags] [URL] [command...]", "--token_secret", "send CMD [HEX]", "Exit code"}) {
    EXPECT_NE(got.exit.out.find(part), std::string::npos) << part;
  }
}

TEST(ClientLines, TheRestOfALineIsTheText) {
  EXPECT_EQ(parse_line("  say  hello  there \r")->text, "hello  there");
  EXPECT_EQ(parse_line("echo")->text, "");
  EXPECT_EQ(parse_line("send 10005 0a 02 68 69")->text, "\n\2hi");
  EXPECT_EQ(parse_line("select 7")->number, 7u);
  EXPECT_EQ(parse_line("wait")->number, 1u);
  EXPECT_EQ(parse_line("quit")->verb, Verb::kQuit);
  EXPECT_FALSE(parse_line("quit now"));
  EXPECT_FALSE(parse_line("select Ann"));
  EXPECT_FALSE(parse_line("say"));
  EXPECT_FALSE(parse_line("sya hello"));
}

TEST(Describe, FieldsOnOneLineSafeToShow) {
  msg::S2C_20001 said;
  said.set_room("大厅");
  said.set_text("a\n\x1b[31m");
  EXPECT_EQ(describe(20001, said.SerializeAsString()), "Room: \"大厅\" Text: \"a\\n\\x1b[31m\"");
  EXPECT_EQ(describe(4, "\x01\xff"), "2 octets 01ff");
  EXPECT_EQ(describe(20001, "\xff"), "1 octets ff");
}

}  // namespace
}  // namespace mgclient
