#include "broker/nats/stored.h"

#include <gtest/gtest.h>

namespace mg::broker {
namespace {

TEST(StoredTopic, NamesAreAllowedAndDiffer) {
  EXPECT_EQ(stored_name("role"), "role");
  EXPECT_EQ(stored_name("role.level_up"), "role_2elevel_5fup");
  EXPECT_NE(stored_name("a.b"), stored_name("a_b"));
  EXPECT_EQ(deliver_subject("a.b", "q"), "_mg.deliver.a_2eb.q");
}

TEST(StoredTopic, AnswersOfTheServerAreRead) {
  EXPECT_TRUE(read_stored(R"({"stream":"s","seq":7})"));
  EXPECT_TRUE(read_stored(R"({"stream":"s","seq":7,"duplicate":true})"));
  EXPECT_FALSE(read_stored(R"({"type":"x","error":{"code":503,"err_code":10077,"description":"maximum bytes"}})"));
  for (const char* bad : {"", "x", "[]", "{}", R"({"error":7})", R"({"error":{"description":7}})"}) {
    EXPECT_FALSE(read_stored(bad)) << bad;
  }
}

TEST(StoredTopic, ReplySubjectsAreRead) {
  const auto short_form = read_delivered("$JS.ACK.stream.consumer.3.17.9.1600000000.4");
  ASSERT_TRUE(short_form);
  EXPECT_EQ(short_form->times, 3);
  EXPECT_EQ(short_form->sequence, 17);
  const auto long_form = read_delivered("$JS.ACK.hub.ACCHASH.stream.consumer.2.18.9.1600000000.4.rnd");
  ASSERT_TRUE(long_form);
  EXPECT_EQ(long_form->times, 2);
  EXPECT_EQ(long_form->sequence, 18);
  for (const char* bad : {"", "_INBOX.x", "$JS.ACK", "$JS.ACK.s.c.x.17.9.1.4", "$JS.ACK.s.c.1..9.1.4"}) {
    EXPECT_FALSE(read_delivered(bad)) << bad;
  }
}

TEST(Handled, WhatComesAgainIsKnownForAWhile) {
  Handled handled(2);
  EXPECT_EQ(handled.take({.sequence = 1}), Handled::State::kNew);
  EXPECT_EQ(handled.take({.sequence = 1}), Handled::State::kInHand);
  handled.done({.sequence = 1}, true);
  EXPECT_EQ(handled.take({.sequence = 1}), Handled::State::kDone);
  EXPECT_EQ(handled.take({.sequence = 2}), Handled::State::kNew);
  handled.done({.sequence = 2}, false);
  EXPECT_EQ(handled.take({.sequence = 2}), Handled::State::kNew);
  handled.done({.sequence = 2}, true);
  EXPECT_EQ(handled.take({.sequence = 3}), Handled::State::kNew);
  handled.done({.sequence = 3}, true);
  EXPECT_EQ(handled.take({.sequence = 1}), Handled::State::kNew);                // Too long ago.
  EXPECT_EQ(handled.take({.sequence = 3, .time_ns = 5}), Handled::State::kNew);  // Of a new stream.
}

}  // namespace
}  // namespace mg::broker
