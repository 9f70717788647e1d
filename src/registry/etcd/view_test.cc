#include "registry/etcd/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mg::registry::etcd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ViewTest : public ::testing::Test {
 protected:
  static Service game(std::string uuid, std::string address = "h:1") {
    return {.name = "game",
            .version = "latest",
            .metadata = {},
            .endpoints = {},
            .nodes = {{.id = "game-" + uuid, .address = std::move(address), .metadata = {}}}};
  }
  static View::Record record(std::string uuid, std::int64_t revision, std::string address = "h:1") {
    return {.key = key(uuid), .service = game(uuid, std::move(address)), .revision = revision};
  }
  static std::string key(const std::string& uuid) { return "/r/game/game-" + uuid; }

  // "create a h:1" for each change since the last call.
  std::vector<std::string> told() { return std::exchange(told_, {}); }

  std::vector<std::string> told_;
  View view_{[this](Action action, const Service& service) {
    constexpr const char* kActions[] = {"create", "update", "delete", "reset"};
    told_.push_back(std::string(kActions[static_cast<int>(action)]) + " " + service.nodes.at(0).id.substr(5) + " " +
                    service.nodes[0].address);
  }};
};

TEST_F(ViewTest, TellsWhatChanges) {
  view_.put(key("a"), game("a"), 5);
  view_.put(key("a"), game("a"), 6);  // A refresh.
  view_.put(key("a"), game("a", "h:2"), 7);
  view_.erase(key("b"), 8);
  view_.erase(key("a"), 9);
  EXPECT_THAT(told(), ElementsAre("create a h:1", "update a h:2", "delete a h:2"));
  EXPECT_EQ(view_.size(), 0);
  EXPECT_THAT(view_.of("game"), IsEmpty());
}

TEST_F(ViewTest, OlderNewsIsIgnored) {
  view_.put(key("a"), game("a", "new"), 7);
  view_.put(key("a"), game("a", "old"), 6);
  view_.erase(key("a"), 5);
  EXPECT_THAT(told(), ElementsAre("create a new"));
}

TEST_F(ViewTest, QuestionBringsTheDifference) {
  view_.put(key("a"), game("a"), 1);
  view_.put(key("b"), game("b"), 2);
  (void)told();
  view_.merge("/r/game/", {record("c", 4), record("b", 3, "h:2")}, 5);
  EXPECT_THAT(told(), ElementsAre("delete a h:1", "update b h:2", "create c h:1"));
}

TEST_F(ViewTest, WatchThatComesLaterThanTheAnswerSaysNothingNew) {
  view_.merge("/r/game/", {record("b", 3)}, 5);
  (void)told();
  view_.put(key("a"), game("a"), 2);  // It was there between, and was gone at 5.
  view_.erase(key("a"), 4);
  view_.put(key("b"), game("b"), 3);
  EXPECT_THAT(told(), IsEmpty());
  view_.put(key("a"), game("a"), 6);
  view_.erase(key("b"), 7);
  EXPECT_THAT(told(), ElementsAre("create a h:1", "delete b h:1"));
}

TEST_F(ViewTest, AnswerThatComesLaterThanTheWatchSaysNothingOld) {
  view_.put(key("a"), game("a"), 6);
  view_.merge("/r/game/", {}, 5);
  EXPECT_TRUE(view_.knows(key("a")));
  view_.merge("/r/", {}, 9);
  EXPECT_FALSE(view_.knows(key("a")));
  view_.merge("/r/game/", {record("a", 6)}, 8);
  EXPECT_FALSE(view_.knows(key("a")));
}

TEST_F(ViewTest, AnswerOfOneServiceLeavesOthersAlone) {
  Service gamer = game("x");
  gamer.name = "gamer";
  view_.put("/r/gamer/x", gamer, 1);
  view_.merge("/r/game/", {}, 5);
  EXPECT_TRUE(view_.knows("/r/gamer/x"));
}

TEST_F(ViewTest, WhatALostEtcdHadStaysForATime) {
  view_.put(key("a"), game("a"), 100);
  view_.put(key("b"), game("b"), 101);
  (void)told();
  const Clock::TimePoint end{std::chrono::seconds(60)};
  view_.doom(end);
  view_.merge("/r/", {record("a", 2)}, 3);
  EXPECT_THAT(told(), IsEmpty());
  view_.merge("/r/game/", {record("a", 2)}, 4);
  view_.erase_doomed(end - std::chrono::nanoseconds(1));
  EXPECT_TRUE(view_.knows(key("b")));
  view_.erase_doomed(end);
  EXPECT_THAT(told(), ElementsAre("delete b h:1"));
  EXPECT_TRUE(view_.knows(key("a")));
}

TEST_F(ViewTest, RecordOfSeveralNodesIsToldNodeByNode) {
  Service two = game("a");
  two.nodes.push_back(game("b").nodes[0]);
  view_.put("/r/game/x", two, 1);
  EXPECT_EQ(view_.of("game").at(0).nodes.size(), 2);
  view_.put("/r/game/x", game("b", "h:2"), 2);
  EXPECT_THAT(told(), ElementsAre("create a h:1", "create b h:1", "delete a h:1", "delete b h:1", "create b h:2"));
}

TEST_F(ViewTest, GroupsByVersionInOrderOfKeys) {
  Service newer = game("c");
  newer.version = "v2";
  view_.put(key("c"), newer, 1);
  view_.put(key("b"), game("b"), 2);
  view_.put(key("a"), game("a"), 3);
  const auto found = view_.of("game");
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].version, "latest");
  EXPECT_EQ(found[0].nodes[0].id, "game-a");
  EXPECT_EQ(found[0].nodes[1].id, "game-b");
  EXPECT_EQ(found[1].nodes[0].id, "game-c");
  EXPECT_EQ(view_.all(), found);
}

}  // namespace
}  // namespace mg::registry::etcd
