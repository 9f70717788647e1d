// A node as a peer sees it that is none of ours: requests made by hand.
#include <gmock/gmock.h>
#include <google/protobuf/source_context.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/rpc/grpc/transport.h"
#include "mg/runtime/event.h"
#include "rpc_wire.pb.h"
#include "runtime/testing.h"
#include "tests/support/rounds.h"

namespace mg::rpc::grpc {
namespace {

using google::protobuf::SourceContext;
using google::protobuf::StringValue;
using ::grpc::StatusCode;
using ::testing::HasSubstr;
using Headers = std::vector<std::pair<std::string, std::string>>;

::grpc::ByteBuffer buffer_of(std::string_view octets) {
  const ::grpc::Slice slice(octets.data(), octets.size());
  return {&slice, 1};
}
std::string text_of(const ::grpc::ByteBuffer& buffer) {
  std::vector<::grpc::Slice> slices;
  std::string out;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return out;
  for (const auto& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

class GrpcServer : public ::testing::Test {
 protected:
  struct Answer {
    ::grpc::Status status;
    std::string body;
    std::multimap<std::string, std::string> trailers;
  };
  struct Raw {
    ::grpc::ClientContext context;
    ::grpc::ByteBuffer request, reply;
    ::grpc::Status status;
    std::atomic<bool> done{false};
  };

  GrpcServer() {
    const auto add = [&](std::string_view name, auto fn) { EXPECT_TRUE(handlers_.add(name, std::move(fn))); };
    add("Test.Echo", [this](const Context& context, const StringValue& in, StringValue& out) -> Result<void> {
      ++calls_;
      left_ = context.deadline().remaining(loop_.clock().now());
      shown_.clear();
      context.meta().for_each([&](std::string_view key, std::string_view value) { shown_.emplace(key, value); });
      out.set_value(in.value());
      return {};
    });
    add("Test.Json", [](const Context&, const SourceContext& in, SourceContext& out) -> Result<void> {
      out.set_file_name(in.file_name() + "!");
      return {};
    });
    add("Test.Fail", [](const Context&, const StringValue& in, StringValue&) -> Result<void> {
      return std::unexpected(parse_error(in.value()));
    });
    add("Test.Hold", [this](const Context&, const StringValue&, StringValue&) { return hold(*this); });
  }
  ~GrpcServer() override { stop(); }

  void start(GrpcOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto transport = make_transport(std::move(options), loops_);
    ASSERT_TRUE(transport) << to_json(transport.error());
    transport_ = std::move(*transport);
    auto served = testing::await_on(
        loop_, transport_->serve({.service = "game", .uuid = "node-1", .handlers = &handlers_, .observer = {}}));
    ASSERT_TRUE(served) << to_json(served.error());
    served_ = std::move(*served);
    ::grpc::ChannelArguments args;
    args.SetMaxReceiveMessageSize(-1);
    args.SetMaxSendMessageSize(-1);
    args.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 24);
    stub_ = std::make_unique<::grpc::GenericStub>(
        ::grpc::CreateCustomChannel(served_->address(), ::grpc::InsecureChannelCredentials(), args));
  }
  void stop() {
    released_ = true;
    if (served_)
      EXPECT_TRUE(testing::await_on(loop_, served_->stop(Deadline::after(loop_.clock(), std::chrono::seconds(10)))));
    served_.reset();
  }

  std::unique_ptr<Raw> begin(const std::string& path, std::string_view body, const Headers& headers = {}) {
    auto raw = std::make_unique<Raw>();
    for (const auto& [key, value] : headers) raw->context.AddMetadata(key, value);
    raw->request = buffer_of(body);
    stub_->UnaryCall(&raw->context, path, ::grpc::StubOptions(), &raw->request, &raw->reply,
                     [to = raw.get()](::grpc::Status status) {
                       to->status = std::move(status);
                       to->done = true;
                     });
    return raw;
  }
  Answer end(Raw& raw) {
    EXPECT_TRUE(testing::run_until(loop_, [&] { return raw.done.load(); }));
    Answer answer{raw.status, text_of(raw.reply), {}};
    for (const auto& [key, value] : raw.context.GetServerTrailingMetadata()) {
      answer.trailers.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
    }
    return answer;
  }
  Answer call(const std::string& path, std::string_view body, const Headers& headers = {}) {
    return end(*begin(path, body, headers));
  }
  static std::string value(std::string text) {
    StringValue message;
    message.set_value(std::move(text));
    return message.SerializeAsString();
  }
  template <class Reply>
  Reply read(const Answer& answer) {
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    Reply reply;
    EXPECT_TRUE(reply.ParseFromString(answer.body));
    return reply;
  }
  std::string echo(std::string text, const Headers& headers = {}) {
    return read<StringValue>(call("/game.Test/Echo", value(std::move(text)), headers)).value();
  }

  static Task<Result<void>> hold(GrpcServer& self) {
    ++self.held_;
    while (!self.released_) co_await Loop::current()->yield();
    co_return Result<void>();
  }

  Loop loop_;
  Loop* loops_[1] = {&loop_};
  Handlers handlers_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Served> served_;
  std::unique_ptr<::grpc::GenericStub> stub_;

  int calls_ = 0;
  int held_ = 0;
  bool released_ = false;
  Clock::Duration left_{};
  std::map<std::string, std::string> shown_;
};

// ---- paths and messages -----------------------------------------------------------------------------------------

TEST_F(GrpcServer, ServesByTheLastPartOfThePath) {
  start();
  for (const char* path : {"/game.Test/Echo", "/Test/Echo", "/other.pkg.Test/Echo"}) {
    EXPECT_EQ(read<StringValue>(call(path, value("hi"))).value(), "hi") << path;
  }
}

TEST_F(GrpcServer, SaysWhatIsWrongWithANameAsAGoServerDoes) {
  start();
  const struct {
    const char* path;
    StatusCode code;
    const char* message;
  } cases[] = {
      {"/game.Nope/Echo", StatusCode::UNIMPLEMENTED, "unknown service Nope"},
      {"/game.Test/Nope", StatusCode::UNIMPLEMENTED, "unknown service Test.Nope"},
      {"/game.test/Echo", StatusCode::UNIMPLEMENTED, "unknown service test"},
      {"/a/b.Test/Echo", StatusCode::INVALID_ARGUMENT, "malformed method name: \"/a/b.Test/Echo\""},
      {"/Test.Echo", StatusCode::RESOURCE_EXHAUSTED, "malformed method name: \"/Test.Echo\""},
      {"/grpc.health.v1.Health/Check", StatusCode::UNIMPLEMENTED, "unknown service Health"},
  };
  for (const auto& each : cases) {
    const Answer answer = call(each.path, value("x"));
    EXPECT_EQ(answer.status.error_code(), each.code) << each.path;
    EXPECT_EQ(answer.status.error_message(), each.message);
    EXPECT_EQ(answer.status.error_details(), "");
  }
}

TEST_F(GrpcServer, RefusesWhatCannotBeDecoded) {
  start();
  // A length past the end; a varint of 11 octets; a wrong wire type is an unknown field, and kept.
  for (const std::string_view bad :
       {std::string_view("\x0a\x05hi"), std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string_view("\x0b\x0b\x0b")}) {
    const Answer answer = call("/game.Test/Echo", bad);
    EXPECT_EQ(answer.status.error_code(), StatusCode::INTERNAL);
    EXPECT_EQ(answer.status.error_message(), "grpc: failed to unmarshal the received message unexpected EOF");
  }
  EXPECT_EQ(call("/game.Test/Echo", std::string(10'000, '\x0b')).status.error_code(), StatusCode::INTERNAL);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(read<StringValue>(call("/game.Test/Echo", "")).value(), "");
  EXPECT_EQ(read<StringValue>(call("/game.Test/Echo", std::string_view("\x08\x01", 2))).value(), "");
}

TEST_F(GrpcServer, AnswersJsonWithJson) {
  start();
  for (const char* body : {R"({"file_name":"a"})", R"({"fileName":"a"})"}) {
    const Answer answer = call("/game.Test/Json", body, {{"x-content-type", "application/grpc+json"}});
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.body, R"({"file_name":"a!"})");
  }
  EXPECT_EQ(call("/game.Test/Json", " \n{ }", {{"x-content-type", "application/json"}}).body, R"({"file_name":"!"})");
  const Answer unknown = call("/game.Test/Json", R"({"nope":1})");
  EXPECT_EQ(unknown.status.error_code(), StatusCode::INTERNAL);
  EXPECT_THAT(unknown.status.error_message(), HasSubstr("nope"));
}

TEST_F(GrpcServer, KeepsTheLimitOfMessages) {
  start({.max_message_bytes = 4096});
  const std::string fits = value(std::string(4093, 'x'));
  ASSERT_EQ(fits.size(), 4096);
  EXPECT_TRUE(call("/game.Test/Echo", fits).status.ok());
  const Answer over = call("/game.Test/Echo", value(std::string(4094, 'x')));
  EXPECT_EQ(over.status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(over.status.error_message(), HasSubstr("larger than max (4097 vs. 4096)"));
  EXPECT_EQ(calls_, 1);
  // Of a reply: the error's text is longer than any reply may be, but it is no message.
  const Answer reply =
      call("/game.Test/Json", SourceContext().SerializeAsString() + "\x0a\xfd\x1f" + std::string(4093, 'x'));
  EXPECT_EQ(reply.status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(reply.status.error_message(), HasSubstr("trying to send message larger than max (4097 vs. 4096)"));
}

TEST_F(GrpcServer, RefusesHeadersOverTheLimit) {
  start({.max_metadata_bytes = 16 * 1024});
  EXPECT_EQ(echo("x", {{"large", std::string(8 * 1024, 'v')}}), "x");
  const Answer over = call("/game.Test/Echo", value("x"), {{"large", std::string(64 * 1024, 'v')}});
  EXPECT_FALSE(over.status.ok());
  // The library may end the connection with it: calls fail until the channel has another.
  Answer after = call("/game.Test/Echo", value("x"));
  for (int i = 0; i < 100 && after.status.error_code() == ::grpc::StatusCode::UNAVAILABLE; ++i) {
    after = call("/game.Test/Echo", value("x"));
  }
  EXPECT_EQ(read<StringValue>(after).value(), "x");
  EXPECT_EQ(calls_, 2);
}

// ---- metadata, deadlines ----------------------------------------------------------------------------------------

TEST_F(GrpcServer, MetadataIsReadAsByAGoHandler) {
  start();
  EXPECT_EQ(echo("x", {{"client-id", "cid-1"},
                       {"dot.key", "v4"},
                       {"list", "[1,2]"},
                       {"snake_key", "v2"},
                       {"camelcasekey", "v"},
                       {"empty", ""},
                       {"twice", "a"},
                       {"twice", "b"},
                       {"key-bin", std::string("\x00\xff", 2)},
                       {"timeout", "10000000000"},
                       {"x-content-type", "application/grpc+proto"},
                       {"micro-from-service", "gate"}}),
            "x");
  for (const auto& [key, text] :
       std::initializer_list<std::pair<const char*, std::string>>{{"Client-Id", "cid-1"},
                                                                  {"Dot.Key", "v4"},
                                                                  {"List", "[1,2]"},
                                                                  {"Snake_key", "v2"},
                                                                  {"Camelcasekey", "v"},
                                                                  {"Empty", ""},
                                                                  {"Twice", "a, b"},
                                                                  {"Key-Bin", std::string("\x00\xff", 2)},
                                                                  {"Micro-From-Service", "gate"},
                                                                  {"Content-Type", "application/grpc+proto"},
                                                                  {":Authority", served_->address()}}) {
    ASSERT_TRUE(shown_.contains(key)) << key;
    EXPECT_EQ(shown_[key], text) << key;
  }
  EXPECT_THAT(shown_["Remote"], ::testing::StartsWith("127.0.0.1:"));
  EXPECT_THAT(shown_["User-Agent"], HasSubstr("grpc"));
  EXPECT_FALSE(shown_.contains("Timeout"));
  EXPECT_FALSE(shown_.contains("X-Content-Type"));
}

TEST_F(GrpcServer, ACallWithoutMetadataHasADeadline) {
  start();
  EXPECT_EQ(echo("x"), "x");
  EXPECT_GT(left_, std::chrono::seconds(30));
  EXPECT_LE(left_, std::chrono::minutes(1));
}

TEST_F(GrpcServer, TheEarlierOfTheDeadlinesCounts) {
  start();
  EXPECT_EQ(echo("x", {{"timeout", "20000000000"}}), "x");
  EXPECT_LE(left_, std::chrono::seconds(20));
  EXPECT_GT(left_, std::chrono::seconds(1));
  for (const char* junk : {"", "abc", "-5", "+5", "1.5", "99999999999999999999999", " 5"}) {
    EXPECT_EQ(echo("x", {{"timeout", junk}}), "x") << junk;
    EXPECT_GT(left_, std::chrono::seconds(30)) << junk;
  }
  const int before = calls_;
  for (const char* past : {"0", "9223372036854775808", "18446744073709551615"}) {
    EXPECT_EQ(call("/game.Test/Echo", value("x"), {{"timeout", past}}).status.error_code(),
              StatusCode::DEADLINE_EXCEEDED)
        << past;
  }
  EXPECT_EQ(calls_, before);
}

// ---- errors -----------------------------------------------------------------------------------------------------

TEST_F(GrpcServer, AnErrorIsWhatAGoServerSends) {
  start();
  const Answer answer = call("/game.Test/Fail", value(R"({"code":404,"detail":"role missing"})"));
  const std::string json = R"({"id":"node-1","code":404,"detail":"role missing","status":"Not Found"})";
  EXPECT_EQ(answer.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(answer.status.error_message(), json);
  wire::Status status;
  ASSERT_TRUE(status.ParseFromString(answer.status.error_details()));
  EXPECT_EQ(status.code(), 5);
  EXPECT_EQ(status.message(), json);
  ASSERT_EQ(status.details_size(), 1);
  EXPECT_EQ(status.details(0).type_url(), "type.googleapis.com/errors.Error");
  EXPECT_TRUE(answer.trailers.empty() || !answer.trailers.contains("mg-not-run"));
}

TEST_F(GrpcServer, AuthorisationIsThatOfAServerWhereNobodySetItUp) {
  start();
  const Answer basic = call("/game.Test/Echo", value("x"), {{"authorization", "Basic abc"}});
  EXPECT_EQ(basic.status.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(basic.status.error_message(),
              HasSubstr(R"({"id":"game","code":401,"detail":"invalid authorization header)"));
  const Answer foreign =
      call("/game.Test/Echo", value("x"), {{"authorization", "Bearer abc"}, {"micro-namespace", "other"}});
  EXPECT_EQ(foreign.status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(foreign.status.error_message(), HasSubstr("Account was not issued by other"));
  EXPECT_EQ(echo("x", {{"authorization", "Bearer abc"}}), "x");
  EXPECT_EQ(echo("x", {{"micro-namespace", "go.micro"}}), "x");
  EXPECT_TRUE(call("/game.Debug/Health", "", {{"authorization", "Basic abc"}}).status.ok());
}

TEST_F(GrpcServer, ARequestForTheNodeThatWasHereBeforeDoesNotRun) {
  start();
  const Answer answer = call("/game.Test/Echo", value("x"), {{"mg-node", "game-node-0"}});
  EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(answer.trailers.contains("mg-not-run"));
  EXPECT_THAT(answer.status.error_message(), HasSubstr("game-node-0"));
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(echo("x", {{"mg-node", "game-node-1"}}), "x");
  EXPECT_FALSE(shown_.contains("Mg-Node"));
}

TEST_F(GrpcServer, MoreRequestsThanMayRunAreRefused) {
  start({.max_running = 2});
  std::vector<std::unique_ptr<Raw>> held;
  for (int i = 0; i < 2; ++i) held.push_back(begin("/game.Test/Hold", value("x")));
  ASSERT_TRUE(testing::run_until(loop_, [&] { return held_ == 2; }));
  EXPECT_THAT(call("/game.Test/Echo", value("x")).status.error_message(), HasSubstr(R"("code":429)"));
  released_ = true;
  for (const auto& each : held) EXPECT_TRUE(end(*each).status.ok());
  EXPECT_EQ(echo("x"), "x");
}

TEST_F(GrpcServer, ACallerThatLeavesDoesNotEndTheHandler) {
  start();
  auto raw = begin("/game.Test/Hold", value("x"));
  ASSERT_TRUE(testing::run_until(loop_, [&] { return held_ == 1; }));
  raw->context.TryCancel();
  EXPECT_EQ(end(*raw).status.error_code(), StatusCode::CANCELLED);
  EXPECT_FALSE(testing::await_on(loop_, served_->stop(Deadline::after(loop_.clock(), std::chrono::milliseconds(10)))));
  released_ = true;
  EXPECT_TRUE(testing::await_on(loop_, served_->stop(Deadline::after(loop_.clock(), std::chrono::seconds(10)))));
}

TEST_F(GrpcServer, ManyCancelledCallsLeaveNothingBehind) {
  start();
  SeededRandom random(3);
  for (int round = 0; round < testing::rounds(40, 2000); ++round) {
    std::vector<std::unique_ptr<Raw>> calls;
    for (int i = 0; i < 50; ++i) {
      calls.push_back(
          begin("/game.Test/Echo", value("x"), {{"client-id", std::to_string(i)}, {"some-key", "some value"}}));
      if (random.below(2) == 0) loop_.poll();
      if (random.below(3) != 0) calls[random.below(calls.size())]->context.TryCancel();
    }
    for (const auto& each : calls) end(*each);
  }
  EXPECT_EQ(echo("x"), "x");
}

// ---- the Debug handler ------------------------------------------------------------------------------------------

TEST_F(GrpcServer, DebugTellsHealthAndStats) {
  start();
  EXPECT_EQ(call("/game.Debug/Health", "").body, "\x0a\x02ok");
  EXPECT_EQ(echo("x"), "x");
  call("/game.Test/Fail", value("{}"));
  call("/game.Test/Nope", value("x"));
  const auto stats = read<wire::StatsResponse>(call("/game.Debug/Stats", ""));
  EXPECT_EQ(stats.requests(), 4);
  EXPECT_EQ(stats.errors(), 2);
  EXPECT_GE(stats.timestamp(), stats.started());
  EXPECT_EQ(stats.uptime(), stats.timestamp() - stats.started());
  EXPECT_GT(stats.memory(), 1'000'000);
  EXPECT_GT(stats.threads(), 1);
  EXPECT_EQ(call("/game.Debug/Cache", "").body, "");
}

TEST_F(GrpcServer, DebugTracesRequests) {
  start();
  EXPECT_EQ(echo("x", {{"micro-trace-id", "trace-1"}, {"micro-span-id", "span-1"}}), "x");
  EXPECT_EQ(echo("x", {{"micro-trace-id", "trace-2"}}), "x");
  EXPECT_EQ(read<wire::TraceResponse>(call("/game.Debug/Trace", "")).spans_size(), 2);
  wire::TraceRequest one;
  one.set_id("trace-1");
  const auto traced = read<wire::TraceResponse>(call("/game.Debug/Trace", one.SerializeAsString()));
  ASSERT_EQ(traced.spans_size(), 1);
  EXPECT_EQ(traced.spans(0).trace(), "trace-1");
  EXPECT_EQ(traced.spans(0).parent(), "span-1");
  EXPECT_EQ(traced.spans(0).name(), "Test.Echo");
  EXPECT_EQ(traced.spans(0).type(), wire::INBOUND);
  EXPECT_GT(traced.spans(0).started(), 0);
}

}  // namespace
}  // namespace mg::rpc::grpc
