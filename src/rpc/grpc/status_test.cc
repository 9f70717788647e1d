#include "rpc/grpc/status.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

#include "mg/rpc/errors.h"
#include "rpc_wire.pb.h"

namespace mg::rpc::grpc {
namespace {

using ::grpc::Status;
using ::grpc::StatusCode;

std::string from_hex(std::string_view text) {
  std::string out, digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
    if (digits.size() == 2) {
      out += static_cast<char>(std::stoi(digits, nullptr, 16));
      digits.clear();
    }
  }
  return out;
}

TEST(GrpcStatus, IsOctetForOctetWhatAGoServerSends) {
  const Error error{"4cc7889a-e24a-4738-bc10-4d2df67ea42f", 3, "bad 7", "invalid"};
  const Status status = to_status(error);
  const std::string json =
      R"({"id":"4cc7889a-e24a-4738-bc10-4d2df67ea42f","code":3,"detail":"bad 7","status":"invalid"})";
  EXPECT_EQ(status.error_code(), StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), json);
  EXPECT_EQ(status.error_details(), from_hex("08 02 12 5a") + json + from_hex("1a 5c 0a 20") +
                                        "type.googleapis.com/errors.Error" + from_hex("12 38 0a 24") + error.id +
                                        from_hex("10 03 1a 05") + "bad 7" + from_hex("22 07") + "invalid");
}

TEST(GrpcStatus, CodeFollowsTheErrors) {
  const std::pair<std::int32_t, int> codes[] = {{400, 3}, {401, 16},  {403, 7},  {404, 5},  {408, 4}, {409, 6},
                                                {412, 9}, {500, 13},  {501, 12}, {503, 14}, {429, 2}, {1, 2},
                                                {99, 2},  {10001, 2}, {200, 2},  {-1, 2},   {0, 2}};
  for (const auto& [code, expected] : codes) EXPECT_EQ(to_status(make_error(code, "x")).error_code(), expected) << code;
}

TEST(GrpcStatus, KeepsErrorsThatAreNoUtf8Readable) {
  const Status status = to_status(Error{"n", 3, "bad \xff name", "s"});
  wire::Status whole;
  ASSERT_TRUE(whole.ParseFromString(status.error_details()));
  EXPECT_EQ(from_status(status).detail, "bad \xEF\xBF\xBD name");
}

TEST(GrpcStatus, ComesBackAsTheSameError) {
  for (const Error& error : {Error{"id", 404, "role <missing> & \"x\"", "Not Found"}, Error{"", 1, "", ""},
                             Error{"n", -5, "negative", "s"}, Error{"n", 10001, "张三", "own"}}) {
    EXPECT_EQ(from_status(to_status(error)), error) << to_json(error);
  }
}

// ---- what a Go client makes of other servers' replies ----

std::string read(StatusCode code, std::string message, const std::string& details = "") {
  return to_json(from_status(Status(code, std::move(message), details)));
}
std::string client(std::string_view detail) {
  return fmt::format(R"({{"id":"go.micro.client","code":500,{}"status":"Internal Server Error"}})",
                     detail.empty() ? "" : fmt::format(R"("detail":"{}",)", detail));
}
std::string details(std::string_view url, std::string_view value, std::string_view message) {
  wire::Status status;
  status.set_code(2);
  status.set_message(std::string(message));
  if (!url.empty()) {
    auto& any = *status.add_details();
    any.set_type_url(std::string(url));
    any.set_value(std::string(value));
  }
  return status.SerializeAsString();
}

TEST(GrpcStatus, PlainTextLosesItsCode) {
  EXPECT_EQ(read(StatusCode::NOT_FOUND, "plain text"), client("plain text"));
  EXPECT_EQ(read(StatusCode::UNAVAILABLE, ""), client(""));
}

TEST(GrpcStatus, MessageMayBeTheError) {
  const std::string json = R"({"id":"py","code":404,"detail":"nf","status":"Not Found"})";
  EXPECT_EQ(read(StatusCode::UNKNOWN, json), json);
  EXPECT_EQ(read(StatusCode::UNKNOWN, R"({"code":0,"detail":"x"})"), client(R"({\"code\":0,\"detail\":\"x\"})"));
  EXPECT_EQ(read(StatusCode::UNKNOWN, R"({"code":-1,"detail":"x"})"), client(R"({\"code\":-1,\"detail\":\"x\"})"));
  EXPECT_EQ(read(StatusCode::UNKNOWN, "{"), client("{"));
}

TEST(GrpcStatus, DetailsReplaceCodeAndMessage) {
  wire::Error error;
  error.set_id("py");
  error.set_code(3);
  error.set_detail("det");
  error.set_status("invalid");
  const std::string expected = R"({"id":"py","code":3,"detail":"det","status":"invalid"})";
  EXPECT_EQ(read(StatusCode::INTERNAL, "other",
                 details("type.googleapis.com/errors.Error", error.SerializeAsString(), "msg")),
            expected);
  EXPECT_EQ(read(StatusCode::INTERNAL, R"({"id":"py","code":404})", details("", "", "msg")), client("msg"));
}

TEST(GrpcStatus, StrangeDetailsAreLeftOut) {
  EXPECT_EQ(read(StatusCode::INTERNAL, "grpc", details("type.googleapis.com/pb.None", "", "msg")), client("msg"));
  EXPECT_EQ(read(StatusCode::INTERNAL, "grpc", details("type.googleapis.com/errors.Error", "\xff\xff", "msg")),
            client("msg"));
  EXPECT_EQ(read(StatusCode::INTERNAL, "grpc", "\xff\xff\xff"), client("grpc"));
}

TEST(GrpcStatus, NamesThatAreNotServed) {
  EXPECT_EQ(name_status(client_error(500, "unknown service Nope")).error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(name_status(client_error(500, "malformed method name: \"/a/b/c\"")).error_code(),
            StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace mg::rpc::grpc
