#include "mg/base/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

namespace mg {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

enum class Slow { kClose, kDrop };

struct Options {
  bool dev = false;
  bool deflate = true;
  std::int32_t db = 0;
  std::int64_t big = 0;
  std::uint16_t port = 0;
  std::uint32_t conn_max = 100000;
  std::uint64_t max_message = 1 << 20;
  double rate = 1.5;
  std::string host = "127.0.0.1";
  std::string secret = "hunter2";
  std::vector<std::string> types = {"websocket"};
  std::vector<std::string> ports;
  std::chrono::seconds auth_time{5};
  std::chrono::milliseconds timeout{10s};
  std::chrono::milliseconds interval{30s};
  Slow slow = Slow::kClose;
};

// A set of flags, what it reads, and what it says.
struct Reader {
  Options options;
  Flags flags{"gate", "1.2.3", "a gate"};

  Reader() {
    flags.add("dev", &options.dev, "Log each request");
    flags.add("deflate", &options.deflate, "Compress");
    flags.add("redis_db", &options.db, "Database", {.min = 0, .max = 15});
    flags.add("big", &options.big, "Large");
    flags.add("port", &options.port, "Port");
    flags.section("Agent");
    flags.add("agent_conn_max", &options.conn_max, "Most clients");
    flags.add("agent_max_message", &options.max_message, "Largest message",
              {.form = FlagForm::kBytes, .min = 64, .max = 1 << 30});
    flags.add("rate", &options.rate, "Rate", {.min = 0.5});
    flags.add("agent_host", &options.host, "Public host",
              {.check = [](const std::string& host) { return host.contains(' ') ? "a host name" : ""; }});
    flags.add(
        "token_secret", &options.secret, "Key",
        {.check = [](const std::string& key) { return key.size() < 3 ? "3 letters or more" : ""; }, .secret = true});
    flags.add("agent_type", &options.types, "Listeners", {.words = {"websocket", "tcp"}});
    flags.add("agent_port", &options.ports, "Addresses", {.aliases = {"agent_prot"}});
    flags.add("agent_auth_time", &options.auth_time, "Time to log in", {.max = 600s});
    flags.add("client_request_timeout", &options.timeout, "Time of a call", {.min = 1ms});
    flags.add("agent_heartbeat_interval", &options.interval, "Time between pings", {.form = FlagForm::kSeconds});
    flags.add("agent_slow_client", &options.slow, "What happens to slow clients",
              {{"close", Slow::kClose}, {"drop", Slow::kDrop}}, {.env = {"WEB_SLOW", "WEB_SOLW"}});
  }

  Flags::Outcome read(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
    return flags.read(arguments, environment);
  }
  std::string fault(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
    const auto outcome = read(std::move(arguments), std::move(environment));
    EXPECT_EQ(outcome.exit, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("gate: "));
    return outcome.err;
  }
  void fine(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
    const auto outcome = read(std::move(arguments), std::move(environment));
    EXPECT_EQ(outcome.exit, std::nullopt);
    EXPECT_EQ(outcome.out + outcome.err, "");
  }
};

TEST(Flags, DefaultsStay) {
  Reader r;
  r.fine({});
  EXPECT_EQ(r.options.conn_max, 100000u);
  EXPECT_THAT(r.options.types, ElementsAre("websocket"));
  EXPECT_FALSE(r.flags.given("agent_type"));
}

TEST(Flags, ReadsEveryTypeInBothForms) {
  Reader r;
  r.fine({"--redis_db", "3", "--big=-9223372036854775808", "--port=65535", "--agent_conn_max", "0", "--rate=2.5e1",
          "--agent_host", "-dash", "--agent_type=tcp, websocket", "--agent_port=[::1]:9000", "--agent_port", ":1,:2",
          "--agent_auth_time", "30", "--client_request_timeout=1m30s", "--agent_heartbeat_interval=1.5s",
          "--agent_slow_client=drop", "--agent_max_message=64KiB"});
  EXPECT_EQ(r.options.db, 3);
  EXPECT_EQ(r.options.big, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(r.options.port, 65535);
  EXPECT_EQ(r.options.conn_max, 0u);
  EXPECT_EQ(r.options.rate, 25);
  EXPECT_EQ(r.options.host, "-dash");
  EXPECT_THAT(r.options.types, ElementsAre("tcp", "websocket"));
  EXPECT_THAT(r.options.ports, ElementsAre("[::1]:9000", ":1", ":2"));
  EXPECT_EQ(r.options.auth_time, 30s);
  EXPECT_EQ(r.options.timeout, 90s);
  EXPECT_EQ(r.options.interval, 1500ms);
  EXPECT_EQ(r.options.slow, Slow::kDrop);
  EXPECT_EQ(r.options.max_message, 65536u);
  EXPECT_TRUE(r.flags.given("agent_type"));
}

TEST(Flags, SecondsTakeNumbersAndDurations) {
  Reader r;
  r.fine({"--agent_auth_time=2m", "--agent_heartbeat_interval=7"});
  EXPECT_EQ(r.options.auth_time, 2min);
  EXPECT_EQ(r.options.interval, 7s);
  EXPECT_THAT(r.fault({"--agent_auth_time=1500ms"}), HasSubstr("expected seconds, or a duration such as 10s or 1m30s"));
  EXPECT_THAT(r.fault({"--client_request_timeout=10"}),
              HasSubstr("expected a duration such as 10s or 1m30s, 1ms or more"));
  EXPECT_THAT(r.fault({"--agent_heartbeat_interval=99999999999999"}), HasSubstr("expected"));
}

TEST(Flags, BooleansNeedNoValue) {
  Reader r;
  r.fine({"--dev", "--deflate=false"});
  EXPECT_TRUE(r.options.dev);
  EXPECT_FALSE(r.options.deflate);
  r.fine({"--dev=F", "--deflate=T"});
  EXPECT_FALSE(r.options.dev);
  EXPECT_TRUE(r.options.deflate);
  r.fine({}, {"GAME_DEV=1", "GAME_DEFLATE=0"});
  EXPECT_TRUE(r.options.dev);
  EXPECT_FALSE(r.options.deflate);
  EXPECT_THAT(r.fault({"--dev=maybe"}), HasSubstr("--dev: \"maybe\" is not valid: expected true or false"));
  EXPECT_THAT(r.fault({"--dev="}), HasSubstr("--dev: \"\" is not valid: expected true or false"));
  EXPECT_THAT(r.fault({}, {"GAME_DEV=yes"}), HasSubstr("(environment variable GAME_DEV): \"yes\""));
}

TEST(Flags, CommandLineComesBeforeEnvironmentBeforeDefault) {
  Reader r;
  r.fine({"--agent_host=a"}, {"GAME_AGENT_HOST=b", "GAME_REDIS_DB=2", "GAME_AGENT_TYPE=tcp,websocket"});
  EXPECT_EQ(r.options.host, "a");
  EXPECT_EQ(r.options.db, 2);
  EXPECT_THAT(r.options.types, ElementsAre("tcp", "websocket"));
  EXPECT_TRUE(r.flags.given("redis_db"));
}

TEST(Flags, EmptyVariableCountsAsNotSet) {
  Reader r;
  r.fine({}, {"GAME_REDIS_DB=", "GAME_AGENT_HOST=", "GAME_DEV="});
  EXPECT_EQ(r.options.host, "127.0.0.1");
  EXPECT_FALSE(r.flags.given("agent_host"));
}

TEST(Flags, EmptyValueOnTheCommandLineIsAValue) {
  Reader r;
  r.fine({"--agent_host=", "--dev", "--agent_type", ""});
  EXPECT_EQ(r.options.host, "");
  EXPECT_TRUE(r.options.dev);
  EXPECT_THAT(r.options.types, IsEmpty());
}

TEST(Flags, LaterOneWins) {
  Reader r;
  r.fine({"--redis_db=1", "--redis_db=2", "--dev", "--dev=false"});
  EXPECT_EQ(r.options.db, 2);
  EXPECT_FALSE(r.options.dev);
}

TEST(Flags, AliasesAndOwnVariablesWork) {
  Reader r;
  r.fine({"--agent_prot=:1"}, {"WEB_SOLW=drop"});
  EXPECT_THAT(r.options.ports, ElementsAre(":1"));
  EXPECT_EQ(r.options.slow, Slow::kDrop);
  r.fine({}, {"GAME_AGENT_PROT=:7", "WEB_SOLW=drop", "WEB_SLOW=close"});
  EXPECT_THAT(r.options.ports, ElementsAre(":7"));
  EXPECT_EQ(r.options.slow, Slow::kClose);
}

TEST(Flags, ABadValueSaysFlagValueAndForm) {
  Reader r;
  EXPECT_EQ(r.fault({"--redis_db=16"}),
            "gate: --redis_db: \"16\" is not valid: expected a whole number from 0 to 15\n");
  EXPECT_EQ(
      r.fault({}, {"GAME_REDIS_DB=x\n\x1b"}),
      "gate: --redis_db (environment variable GAME_REDIS_DB): \"x\\n\\x1b\" is not valid: expected a whole number "
      "from 0 to 15\n");
  for (auto value : {"--redis_db=-1", "--redis_db=", "--redis_db=1.5", "--redis_db=1 ", "--redis_db=+1",
                     "--redis_db=0x1", "--redis_db=99999999999999999999"}) {
    EXPECT_THAT(r.fault({value}), HasSubstr("expected a whole number from 0 to 15")) << value;
  }
  EXPECT_THAT(r.fault({"--port=65536"}), HasSubstr("\"65536\" is not valid: expected a whole number from 0 to 65535"));
  EXPECT_THAT(r.fault({"--agent_conn_max=-1"}), HasSubstr("from 0 to 4294967295"));
  EXPECT_THAT(r.fault({"--big=9223372036854775808"}), EndsWith("expected a whole number\n"));
  EXPECT_THAT(r.fault({"--agent_max_message=1MB"}),
              HasSubstr("\"1MB\" is not valid: expected a size such as 65536, 64KiB or 1MiB, from 64 to 1GiB"));
  EXPECT_THAT(r.fault({"--rate=0.1"}), HasSubstr("expected a number, 0.5 or more"));
  EXPECT_THAT(r.fault({"--rate=nan"}), HasSubstr("expected a number"));
  EXPECT_THAT(r.fault({"--agent_auth_time=-1"}), HasSubstr("from 0s to 10m0s"));
  EXPECT_THAT(r.fault({"--agent_host=a b"}), HasSubstr("\"a b\" is not valid: expected a host name"));
  EXPECT_THAT(r.fault({"--agent_slow_client=Drop"}), HasSubstr("expected close or drop"));
  EXPECT_THAT(r.fault({"--agent_type=tcp,quic"}), HasSubstr("expected a comma list of websocket or tcp"));
  EXPECT_EQ(r.options.db, 0) << "a bad value changes nothing";
}

TEST(Flags, SecretsAreNotShown) {
  Reader r;
  EXPECT_THAT(r.fault({"--token_secret=qx"}), AllOf(HasSubstr("the value is not valid"), Not(HasSubstr("qx"))));
  EXPECT_THAT(r.flags.help(), Not(HasSubstr("hunter2")));
}

TEST(Flags, UnknownFlagsAreRefusedWithTheNearestName) {
  Reader r;
  EXPECT_EQ(r.fault({"--agent_tpye=tcp"}), "gate: unknown flag \"--agent_tpye\": did you mean --agent_type?\n");
  EXPECT_THAT(r.fault({"--agent-type", "tcp"}), HasSubstr("did you mean --agent_type?"));
  EXPECT_THAT(r.fault({"-agent_type", "tcp"}), HasSubstr("did you mean --agent_type?"));
  EXPECT_THAT(r.fault({"--Dev"}), HasSubstr("did you mean --dev?"));
  EXPECT_THAT(r.fault({"--hlep"}), HasSubstr("did you mean --help?"));
  EXPECT_THAT(r.fault({"--what_is_this_thing"}), HasSubstr("--help lists all flags"));
  EXPECT_THAT(r.fault({"-x"}), HasSubstr("unknown flag \"-x\""));
  EXPECT_THAT(r.fault({"--"}), HasSubstr("gate: "));
  EXPECT_THAT(r.fault({"--=3"}), HasSubstr("unknown flag"));
  EXPECT_THAT(r.fault({"--dev", "true"}), HasSubstr("unexpected argument \"true\""));
  EXPECT_THAT(r.fault({""}), HasSubstr("unexpected argument \"\""));
  EXPECT_THAT(r.fault({"a\nb"}), HasSubstr("unexpected argument \"a\\nb\""));
}

TEST(Flags, AFlagWithoutItsValueIsRefused) {
  Reader r;
  EXPECT_EQ(r.fault({"--dev", "--agent_host"}), "gate: --agent_host needs a value\n");
  EXPECT_EQ(r.fault({"--agent_host", "--dev"}), "gate: --agent_host needs a value: --dev is a flag\n");
}

TEST(Flags, HugeValuesAreRefused) {
  Reader r;
  const std::string huge = "GAME_AGENT_HOST=" + std::string(1 << 20, 'a');
  EXPECT_EQ(r.fault({}, {huge.c_str()}),
            "gate: --agent_host (environment variable GAME_AGENT_HOST) has 1048576 octets: at most 65536 are read\n");
  std::string commas = "--agent_port=";
  for (int i = 0; i < 1025; ++i) commas += "a,";
  EXPECT_THAT(r.fault({commas.c_str()}),
              AllOf(HasSubstr("expected at most 1024 texts"), testing::SizeIs(testing::Lt(250))));
  const std::string unknown = "--" + std::string(1 << 20, 'b');
  EXPECT_THAT(r.fault({unknown.c_str()}), testing::SizeIs(testing::Lt(200)));
}

TEST(Flags, MissingRequiredFlagsAreNamedAsInGo) {
  std::string type, host, other = "x";
  Flags flags("gate", "1");
  flags.add("agent_type", &type, "", {.required = true});
  flags.add("other", &other, "");
  flags.add("agent_host", &host, "", {.required = true});
  EXPECT_EQ(flags.read({}, {}).err, "gate: Required flags \"agent_type, agent_host\" not set\n");
  EXPECT_EQ(flags.read({}, {}).exit, 2);
  const char* one[] = {"--agent_type=tcp"};
  EXPECT_EQ(flags.read(one, {}).err, "gate: Required flag \"agent_host\" not set\n");
  const char* environment[] = {"GAME_AGENT_HOST=h"};
  EXPECT_EQ(flags.read(one, environment).exit, std::nullopt);
  EXPECT_EQ(type + host, "tcph");
}

TEST(Flags, UnknownVariablesAreWarnedAboutOnce) {
  Reader r;
  const auto outcome = r.read({}, {"GAME_AGENT_TPYE=tcp", "GAME_ZZZZZZZ=1", "PATH=/", "GAME_MONGO_URL=x",
                                   "GAME_LOG_LEVEL=info", "GAME_LOG_LEVE=info", "WEB_OTHER=1"});
  EXPECT_EQ(outcome.exit, std::nullopt);
  EXPECT_EQ(outcome.err,
            "gate: warning: environment variable \"GAME_AGENT_TPYE\" is not known: did you mean GAME_AGENT_TYPE?\n"
            "gate: warning: environment variable \"GAME_ZZZZZZZ\" is not known\n"
            "gate: warning: environment variable \"GAME_LOG_LEVE\" is not known: did you mean GAME_LOG_LEVEL?\n");
  const std::string_view mine[] = {"GAME_ZZZZZZZ"};
  r.flags.know_env(mine);
  r.fine({}, {"GAME_ZZZZZZZ=1"});
}

TEST(Flags, WarningsAreBounded) {
  Reader r;
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("GAME_QQQQQ" + std::to_string(i));
  std::vector<const char*> environment;
  for (const auto& name : names) environment.push_back(name.c_str());  // Without "=" too.
  const auto outcome = r.read({}, environment);
  EXPECT_EQ(outcome.exit, std::nullopt);
  EXPECT_THAT(outcome.err, EndsWith("and 84 more\n"));
}

TEST(Flags, HelpListsEverythingAligned) {
  Reader r;
  for (auto argument : {"--help", "-h"}) {
    const auto outcome = r.read({"--unknown", argument});
    EXPECT_EQ(outcome.exit, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.out, r.flags.help());
  }
  const std::string help = r.flags.help();
  EXPECT_THAT(help, StartsWith("gate 1.2.3: a gate\n"));
  EXPECT_THAT(help, HasSubstr("\nAgent\n"));
  std::vector<std::size_t> columns;
  for (std::size_t at = 0; (at = help.find("\n  --", at)) != help.npos; ++at) {
    const auto env = help.find("GAME_", at) != help.npos && help.find("GAME_", at) < help.find('\n', at + 1)
                         ? help.find("GAME_", at)
                         : help.find("WEB_", at);
    columns.push_back(env - at);
  }
  EXPECT_EQ(columns.size(), 16u);
  EXPECT_THAT(columns, testing::Each(columns.at(0)));
  EXPECT_THAT(help,
              testing::ContainsRegex(
                  "--agent_max_message BYTES +GAME_AGENT_MAX_MESSAGE +1MiB +Largest message \\(from 64 to 1GiB\\)"));
  EXPECT_THAT(help, testing::ContainsRegex("--agent_slow_client WORD +WEB_SLOW +close +What .* \\(close or drop\\)"));
  EXPECT_THAT(help, testing::ContainsRegex("--agent_auth_time SECONDS +GAME_AGENT_AUTH_TIME +5s +Time to log in"));
  EXPECT_THAT(help, testing::ContainsRegex("--token_secret TEXT +GAME_TOKEN_SECRET +\\(hidden\\) +Key"));
}

TEST(Flags, VersionIsPrinted) {
  Reader r;
  const auto outcome = r.read({"--version"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out, "gate version 1.2.3\n");
}

TEST(Flags, ParseReadsTheProcessAndPrints) {
  Reader r;
  setenv("GAME_REDIS_DB", "9", 1);
  const char* argv[] = {"gate", "--dev", nullptr};
  EXPECT_EQ(r.flags.parse(2, argv), std::nullopt);
  EXPECT_TRUE(r.options.dev);
  EXPECT_EQ(r.options.db, 9);
  unsetenv("GAME_REDIS_DB");
  testing::internal::CaptureStderr();
  const char* bad[] = {"gate", "--nope", nullptr};
  EXPECT_EQ(r.flags.parse(2, bad), 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("unknown flag \"--nope\""));
  testing::internal::CaptureStdout();
  const char* help[] = {"gate", "-h", nullptr};
  EXPECT_EQ(r.flags.parse(2, help), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), r.flags.help());
  EXPECT_EQ(r.flags.parse(0, nullptr), std::nullopt);
}

TEST(FlagsDeathTest, AFlagIsDeclaredOnce) {
  Reader r;
  EXPECT_DEATH(r.flags.add("dev", &r.options.dev, ""), "flag declared twice: dev");
  EXPECT_DEATH(r.flags.add("agent_prot", &r.options.dev, ""), "flag declared twice: agent_prot");
  EXPECT_DEATH(r.flags.add("new", &r.options.dev, "", {.aliases = {"dev"}}), "flag declared twice: dev");
  EXPECT_DEATH((void)r.flags.given("nope"), "given\\(\\) of a flag that was not added");
}

}  // namespace
}  // namespace mg
