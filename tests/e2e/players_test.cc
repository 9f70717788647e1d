// The example's players: what they are is on disk.
#include "examples/game/players.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "runtime/testing.h"
#include "tests/support/server.h"

namespace example {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ExamplePlayers : public ::testing::Test {
 protected:
  ~ExamplePlayers() override { close(); }
  template <class T>
  T run(mg::Task<T> task) {
    return mg::testing::await_on(loop_, std::move(task));
  }
  void open(std::vector<const char*> arguments = {}) {
    close();
    players_ = std::make_unique<Players>();
    mg::Flags flags("game", "1");
    players_->add_flags(flags);
    arguments.insert(arguments.begin(), "game");
    ASSERT_FALSE(flags.parse(static_cast<int>(arguments.size()), arguments.data()));
    const auto opened = run(players_->open());
    ASSERT_TRUE(opened) << opened.error().detail;
  }
  void close() {
    if (players_) players_->close();
    while (loop_.poll()) {
    }
    players_.reset();
  }
  std::vector<std::string> names(std::int64_t account) {
    std::vector<std::string> out;
    const auto roles = run(players_->of(account));
    EXPECT_TRUE(roles);
    if (!roles) return out;
    for (const Role& role : *roles) out.push_back(role.name);
    return out;
  }

  mg::testing::TempDir dir_;
  mg::Loop loop_;
  std::unique_ptr<Players> players_;
};

TEST_F(ExamplePlayers, AreThereAfterARestart) {
  const std::string file = dir_.path() + "/game.db";
  const std::vector<const char*> arguments{"--db_file", file.c_str()};
  open(arguments);
  ASSERT_TRUE(players_->kept());
  const auto ann = run(players_->add({.account = 1, .name = "Ann"}));
  ASSERT_TRUE(ann) << ann.error().detail;
  EXPECT_GT(ann->id, 0);
  EXPECT_TRUE(run(players_->add({.account = 1, .name = "Bob"})));
  open(arguments);
  EXPECT_THAT(names(1), ElementsAre("Ann", "Bob"));
  EXPECT_THAT(names(2), IsEmpty());
  EXPECT_EQ(run(players_->add({.account = 2, .name = "Ann"})).error().code, mg::code::kExists);
  const auto third = run(players_->add({.account = 2, .name = "Cleo"}));
  ASSERT_TRUE(third);
  EXPECT_GT(third->id, ann->id + 1) << "numbers are not given twice";
}

TEST_F(ExamplePlayers, AnAccountHasSoManyRoles) {
  const std::string file = dir_.path() + "/game.db";
  open({"--db_file", file.c_str()});
  for (std::size_t i = 0; i < World::kMaxRoles; ++i) {
    EXPECT_TRUE(run(players_->add({.account = 1, .name = "r" + std::to_string(i)})));
  }
  EXPECT_EQ(run(players_->add({.account = 1, .name = "one more"})).error().code, mg::code::kTooMany);
  EXPECT_EQ(names(1).size(), World::kMaxRoles);
}

TEST_F(ExamplePlayers, AGameWithoutAStoreKeepsNone) {
  open();
  EXPECT_FALSE(players_->kept());
}

}  // namespace
}  // namespace example
