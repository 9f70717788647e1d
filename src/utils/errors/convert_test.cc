#include "mg/utils/errors/convert.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <vector>

namespace mg::errors {
namespace {

TEST(FromErrorCode, SaysWhatAndFindsTheCode) {
  const std::error_code missing(ENOENT, std::system_category());
  EXPECT_EQ(from(missing, "opening a.txt"), make_error(404, "opening a.txt: No such file or directory"));
  EXPECT_EQ(from(missing).detail, "No such file or directory");
  for (const auto& [error, code] :
       {std::pair(EEXIST, code::kExists), std::pair(EACCES, code::kForbidden), std::pair(ETIMEDOUT, code::kTimeout),
        std::pair(EINVAL, code::kInvalid), std::pair(ECONNREFUSED, code::kUnavailable),
        std::pair(EMFILE, code::kTooMany), std::pair(ENOSPC, code::kServer), std::pair(EXDEV, code::kUnknown)}) {
    EXPECT_EQ(from(std::error_code(error, std::generic_category())).code, code) << error;
  }
}

template <class E>
Error thrown(E exception) {
  return from(std::make_exception_ptr(std::move(exception)));
}

TEST(FromException, ByItsType) {
  EXPECT_EQ(thrown(std::invalid_argument("stoi")), make_error(code::kInvalid, "stoi"));
  EXPECT_EQ(thrown(std::bad_alloc()), make_error(code::kUnavailable, "out of memory"));
  EXPECT_EQ(thrown(std::system_error(ENOENT, std::generic_category(), "open")),
            make_error(code::kNotFound, "open: No such file or directory"));
  EXPECT_EQ(thrown(std::runtime_error("plain")), make_error(code::kUnknown, "plain"));
  EXPECT_EQ(thrown(std::runtime_error(R"({"code":7,"detail":"d","status":"s"})")), (Error{{}, 7, "d", "s"}));
  EXPECT_EQ(thrown(5), make_error(code::kUnknown, "unknown exception"));
}

TEST(Http, StatusAndBodyBecomeAnErrorAndBack) {
  EXPECT_EQ(from_http(404, "nothing here"), make_error(404, "nothing here"));
  EXPECT_EQ(from_http(502, R"({"id":"a","code":7,"detail":"d"})"), (Error{"a", 7, "d", {}}));
  EXPECT_EQ(from_http(302).code, code::kUnknown);
  EXPECT_EQ(from_http(500, std::string(5000, 'x')).detail.size(), 1024u);
  EXPECT_EQ(http_status(make_error(404, "")), 404);
  EXPECT_EQ(http_status(make_error(code::kInvalid, "")), 400);
  EXPECT_EQ(http_status(make_error(code::kExists, "")), 409);
  EXPECT_EQ(http_status(make_error(10001, "")), 500);
  EXPECT_EQ(http_status(make_error(200, "")), 500) << "an error is never a success";
}

TEST(Grpc, MessageCountsWhenItIsAnErrorElseTheCode) {
  EXPECT_EQ(from_grpc(2, R"({"id":"n","code":404,"detail":"x","status":"Not Found"})"),
            (Error{"n", 404, "x", "Not Found"}));
  EXPECT_EQ(from_grpc(5, "plain"), make_error(404, "plain"));
  EXPECT_EQ(from_grpc(14, ""), make_error(503, ""));
  EXPECT_EQ(from_grpc(2, R"({"code":0})"), make_error(code::kUnknown, R"({"code":0})"));
  EXPECT_EQ(from_grpc(77, "new"), make_error(code::kUnknown, "new"));
}

// wire.md 2.7: the whole table, and everything else as 2.
TEST(Grpc, CodeOfAnErrorIsThatOfTheWire) {
  const std::vector<std::pair<std::int32_t, std::int32_t>> table = {
      {400, 3},  {401, 16}, {403, 7}, {404, 5}, {408, 4}, {409, 6}, {412, 9},  {500, 13},
      {501, 12}, {503, 14}, {0, 2},   {3, 2},   {99, 2},  {429, 2}, {10001, 2}};
  for (const auto& [code, grpc] : table) EXPECT_EQ(grpc_code(make_error(code, "")), grpc) << code;
}

TEST(Mongo, ByTheServersNumber) {
  EXPECT_EQ(from_mongo(11000, "E11000 duplicate key").code, code::kExists);
  EXPECT_EQ(from_mongo(50, "").code, code::kTimeout);
  EXPECT_EQ(from_mongo(10107, "").code, code::kUnavailable);
  EXPECT_EQ(from_mongo(1, "x"), make_error(code::kServer, "mongo: (1) x"));
  EXPECT_EQ(mongo_no_document().code, code::kNotFound);
}

TEST(Redis, ByTheRepliesFirstWord) {
  EXPECT_EQ(from_redis("WRONGTYPE Operation against a key"),
            make_error(code::kInvalid, "redis: WRONGTYPE Operation against a key"));
  EXPECT_EQ(from_redis("NOAUTH").code, code::kUnauthorized);
  EXPECT_EQ(from_redis("LOADING x").code, code::kUnavailable);
  EXPECT_EQ(from_redis("WHAT").code, code::kServer);
  EXPECT_EQ(from_redis("").code, code::kServer);
  EXPECT_EQ(redis_nil().code, code::kNotFound);
}

TEST(ForWire, CompletesAnErrorAndNeverSendsSuccess) {
  EXPECT_EQ(for_wire(make_error(3, "d"), "n"), (Error{"n", 3, "d", "invalid"}));
  EXPECT_EQ(for_wire(Error{"own", 0, "d", "s"}, "n"), (Error{"own", 2, "d", "unknown"}));
  EXPECT_EQ(for_wire(R"({"code":5,"detail":7,"status":"s"})", "n"),
            (Error{"n", 5, R"({"code":5,"detail":7,"status":"s"})", "s"}))
      << "what could be read stays";
  EXPECT_EQ(for_wire(R"({"id":7,"code":5})", "n"), (Error{"n", 5, R"({"id":7,"code":5})", {}}));
  EXPECT_EQ(for_wire("null", "n"), (Error{"n", 2, {}, "unknown"}));
}

}  // namespace
}  // namespace mg::errors
