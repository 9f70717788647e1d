#include "store/redis/reply_parser.h"

#include <gtest/gtest.h>

#include <limits>

#include "mg/base/random.h"
#include "mg/store/redis/args.h"
#include "mg/store/redis/options.h"

namespace mg::redis {
namespace {

// All replies of a text that comes in pieces of `step` octets.
std::vector<Reply> parse(std::string_view text, std::size_t step, std::string* error = nullptr) {
  ReplyParser parser({.max_bulk_bytes = 1 << 20, .max_reply_bytes = 1 << 20, .max_line_bytes = 1000});
  std::vector<Reply> out;
  std::string held;
  for (std::size_t at = 0; at < text.size(); at += step) {
    held += text.substr(at, step);
    for (;;) {
      std::size_t used = 0;
      const auto status = parser.next(as_bytes(held), &used);
      held.erase(0, used);
      if (status == ReplyParser::Status::kMore) break;
      if (status == ReplyParser::Status::kBroken) {
        if (error) *error = parser.error();
        return out;
      }
      out.push_back(parser.take());
    }
  }
  return out;
}

TEST(ReplyParser, ReadsRepliesHoweverTheyAreCut) {
  const std::string text =
      "+OK\r\n-ERR bad\r\n:-42\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
      "*3\r\n*2\r\n:1\r\n$1\r\nx\r\n*0\r\n*1\r\n*1\r\n+deep\r\n+END\r\n";
  const std::vector<Reply> want{Reply::status("OK"),
                                Reply::error("ERR bad"),
                                Reply::number(-42),
                                Reply::bulk("a\r\nbc"),
                                Reply::bulk(""),
                                Reply::null(),
                                Reply::null(),
                                Reply::array({}),
                                Reply::array({Reply::array({Reply::number(1), Reply::bulk("x")}), Reply::array({}),
                                              Reply::array({Reply::array({Reply::status("deep")})})}),
                                Reply::status("END")};
  for (std::size_t step = 1; step <= text.size(); ++step) EXPECT_EQ(parse(text, step), want) << step;
}

TEST(ReplyParser, RefusesWhatIsNoReply) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "*1\r\n";
  for (const std::string& text :
       {std::string("x\r\n"), std::string("$1000000000000\r\n"), std::string("$-2\r\n"), std::string("$1x\r\n"),
        std::string("*-2\r\n"), std::string(":\r\n"), std::string(":1 \r\n"), std::string("$2\r\nabc\r\n"), deep,
        std::string("+a\n"), std::string(2000, '+'), std::string("\r\n"), std::string("\n")}) {
    std::string error;
    EXPECT_TRUE(parse(text, 7, &error).empty()) << text.substr(0, 20);
    EXPECT_NE(error, "") << text.substr(0, 20);
  }
}

TEST(ReplyParser, AClaimCostsNothingUntilItIsKept) {
  ReplyParser parser;
  std::size_t used = 0;
  EXPECT_EQ(parser.next(as_bytes("*1000000000\r\n*1000000000\r\n$500000000\r\nabc"), &used),
            ReplyParser::Status::kMore);
  EXPECT_EQ(parser.want(), 12 + 500'000'000 + 2);
}

TEST(ReplyParser, ArraysCountAgainstTheLimit) {
  std::string text = "*1000000\r\n";
  for (int i = 0; i < 1'000'000; ++i) text += ":1\r\n";
  std::string error;
  EXPECT_TRUE(parse(text, 65'536, &error).empty());
  EXPECT_EQ(error, "a reply beyond the limit");
}

TEST(Command, IsEncodedAsItIsSent) {
  EXPECT_EQ(Command("SET", "k", std::string("a\r\nb\0", 5), -5, true, 1.5, nullptr).encoded(),
            std::string(
                "*7\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\0\r\n$2\r\n-5\r\n$1\r\n1\r\n$3\r\n1.5\r\n$0\r\n\r\n", 61));
  EXPECT_EQ(Command("A").then(Command("B", 1)).encoded(), "*1\r\n$1\r\nA\r\n*2\r\n$1\r\nB\r\n$1\r\n1\r\n");
  const Command command("GET", "key");
  EXPECT_EQ(command.arguments(), (std::vector<std::string_view>{"GET", "key"}));
  EXPECT_EQ(Command("A", 1e21, 0.1f, 1e-7).arguments(),
            (std::vector<std::string_view>{"A", "1000000000000000000000", "0.10000000149011612", "0.0000001"}));
}

TEST(Url, PartsOfIt) {
  const auto full = parse_url("redis://us%2Fer:p%40w:x@[::1]:5/3");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "::1");
  EXPECT_EQ(full->port, 5);
  EXPECT_EQ(full->user, "us/er");
  EXPECT_EQ(full->password, "p@w:x");
  for (const char* bad : {"rediss://h", "http://h:1", "h:0", "h:65536", "h:", "[::1", "[::1]x", "h/notadb", ":%4@h",
                          "user@h", "h?x=1", "h:1:2"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

TEST(TimeText, ReadsWhatItWrites) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    const Clock::WallTime time(std::chrono::nanoseconds(static_cast<std::int64_t>(random.next() >> 2)));
    EXPECT_EQ(parse_time(time_text(time)), time) << time_text(time);
  }
  EXPECT_EQ(parse_time("1970-01-01T01:00:00.5+01:00"), Clock::WallTime(std::chrono::milliseconds(500)));
  for (const char* bad : {"", "1970-01-01", "1970-13-01T00:00:00Z", "1970-02-30T00:00:00Z", "1970-01-01T00:00:00",
                          "1970-01-01T24:00:00Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00Zx"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

}  // namespace
}  // namespace mg::redis
