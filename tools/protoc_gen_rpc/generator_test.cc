#include "tools/protoc_gen_rpc/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tools/protoc_gen_rpc/names.h"
#include "tools/protoc_gen_rpc/options.h"
#include "tools/protoc_gen_rpc/services.h"
#include "tools/protoc_gen_rpc/test_files.h"

namespace rpcgen {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Each golden/x.proto gives golden/x.rpc.pb.h.txt or golden/x.errors.txt. MG_UPDATE_GOLDEN=1 writes them anew.
TEST(GoldenProtocGenRpc, Cases) {
  const fs::path folder = MG_SOURCE_DIR "/tools/protoc_gen_rpc/golden";
  const bool update = std::getenv("MG_UPDATE_GOLDEN") != nullptr;
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".proto") continue;
    ++cases;
    const std::string name = entry.path().filename();
    const std::string stem = entry.path().stem();
    const std::string proto = read(entry.path());
    std::string parameter;
    const std::string_view mark = "// --rpc_opt=";
    if (proto.starts_with(mark)) parameter = proto.substr(mark.size(), proto.find('\n') - mark.size());
    const Generated run = TestFiles({{name, proto}}).generate(parameter);
    const fs::path errors = folder / (stem + ".errors.txt");
    const fs::path header = folder / (stem + ".rpc.pb.h.txt");
    const fs::path& expected = run.ok ? header : errors;
    const fs::path& other = run.ok ? errors : header;
    const std::string text = run.ok ? run.made.at(stem + ".rpc.pb.h") : run.error + "\n";
    if (update) {
      std::ofstream(expected, std::ios::binary) << text;
      fs::remove(other);
    }
    EXPECT_EQ(text, read(expected)) << name << ": if that is meant: MG_UPDATE_GOLDEN=1 protoc_gen_rpc_test";
    EXPECT_FALSE(fs::exists(other)) << other << " is of no case";
    EXPECT_EQ(run.ok, run.error.empty()) << name;
    EXPECT_EQ(run.made.size(), run.ok ? 1U : 0U) << name;
  }
  EXPECT_GE(cases, 8);
}

TEST(ProtocGenRpc, TellsTheFaultsOfAllFilesAndWritesNothing) {
  const TestFiles files({{"a.proto", "syntax = \"proto3\"; message M {} service A { rpc Goto(M) returns (M); }"},
                         {"b.proto", "syntax = \"proto3\"; message N {} service B { rpc Go(N) returns (N); }"},
                         {"c.proto", "syntax = \"proto3\"; message O {}\nservice\n  Client {}"}});
  const Generated run = files.generate("");
  EXPECT_FALSE(run.ok);
  EXPECT_TRUE(run.made.empty());
  EXPECT_THAT(run.error, HasSubstr("\na.proto:1:49: method A.Goto: "));
  EXPECT_THAT(run.error, HasSubstr("\nc.proto:3:3: service Client: "));
}

TEST(ProtocGenRpc, CheckWritesNothing) {
  const Generated run = TestFiles({{"a.proto", "syntax = \"proto3\";"}}).generate("check");
  EXPECT_TRUE(run.ok) << run.error;
  EXPECT_TRUE(run.made.empty());
}

TEST(ProtocGenRpcOptions, AreRead) {
  const auto all = parse_options("baseline=x/y.binpb,compat=wire,check,names=underscore,namespace=rpc");
  ASSERT_TRUE(all) << all.error().detail;
  EXPECT_EQ(all->baseline, "x/y.binpb");
  EXPECT_TRUE(all->wire_only);
  EXPECT_TRUE(all->check);
  EXPECT_TRUE(all->underscore);
  EXPECT_EQ(all->scope, "rpc");
  const auto defaults = parse_options("compat=json,names=refuse");
  ASSERT_TRUE(defaults);
  EXPECT_FALSE(defaults->wire_only);
  EXPECT_FALSE(defaults->underscore);
}

TEST(ProtocGenRpcOptions, RefuseWhatTheyDoNotKnow) {
  for (const char* bad : {"base=x", "baseline", "baseline=", "compat=yes", "compat", "check=1",
                          "names=", "namespace=", "namespace=a.b", "namespace=new", "namespace=1"}) {
    const auto options = parse_options(bad);
    ASSERT_FALSE(options) << bad;
    EXPECT_THAT(options.error().detail, HasSubstr("--rpc_opt=")) << bad;
    const Generated run = TestFiles({{"a.proto", "syntax = \"proto3\";"}}).generate(bad);
    EXPECT_FALSE(run.ok) << bad;
    EXPECT_EQ(run.error, options.error().detail);
  }
}

TEST(ProtocGenRpcOptions, AreAllInTheHelp) {
  for (const char* key : {"baseline=", "compat=", "check ", "names=", "namespace="}) {
    EXPECT_THAT(std::string(help()), HasSubstr(key));
  }
}

TEST(ProtocGenRpcNames, BecomeSnakeCase) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"Protocol", "protocol"},
      {"GetHTTPInfo", "get_http_info"},
      {"V2Get", "v2_get"},
      {"getUser", "get_user"},
      {"Get_User", "get_user"},
      {"ID", "id"},
      {"UserID", "user_id"},
      {"already_snake", "already_snake"},
      {"A", "a"},
      {"ABTest", "ab_test"},
      {"Do", "do"},
      {"Log2File", "log2_file"},
  };
  for (const auto& [name, snake] : cases) EXPECT_EQ(snake_case(name), snake);
}

TEST(ProtocGenRpcNames, CommandsAreAsTheRouterReadsThem) {
  EXPECT_EQ(parse_command_name("Login_10001").command, 10001U);
  EXPECT_EQ(parse_command_name("Login_007").command, 7U);
  EXPECT_TRUE(parse_command_name("Login_4294967295").fault.empty());
  for (const char* plain : {"Login", "Log_in", "Login_", "Login_7a", "Login_0x7", "Login_-1", ""}) {
    EXPECT_FALSE(parse_command_name(plain).is_command) << plain;
  }
  for (const char* bad : {"Log_in_7", "_7", "__7", "A_4294967296", "A_18446744073709551616"}) {
    EXPECT_TRUE(parse_command_name(bad).is_command) << bad;
    EXPECT_FALSE(parse_command_name(bad).fault.empty()) << bad;
  }
}

}  // namespace
}  // namespace rpcgen
