// What every registry::Registry does; a test of an adapter includes this and names itself:
//
//   INSTANTIATE_TEST_SUITE_P(Local, RegistryContract, ::testing::Values(RegistryBackend{...}), registry_backend_name);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mg/registry/registry.h"
#include "runtime/testing.h"

namespace mg::registry {

// One registry, as two processes see it, and its time.
class RegistryUnderTest {
 public:
  virtual ~RegistryUnderTest() = default;
  virtual Loop& loop() = 0;
  virtual Registry& one() = 0;
  virtual Registry& other() = 0;
  // Lets so much time pass for leases.
  virtual void pass(Clock::Duration time) = 0;
};
struct RegistryBackend {
  std::string name;
  std::function<std::unique_ptr<RegistryUnderTest>()> make;
};
inline std::string registry_backend_name(const ::testing::TestParamInfo<RegistryBackend>& info) {
  return info.param.name;
}
inline void PrintTo(const RegistryBackend& backend, std::ostream* out) {
  *out << backend.name;
}

class RegistryContract : public ::testing::TestWithParam<RegistryBackend> {
 protected:
  static constexpr Clock::Duration kTtl = std::chrono::seconds(4);

  static Service node(std::string service, std::string uuid, std::string address = "127.0.0.1:1",
                      std::string version = "latest") {
    Service made{.name = service, .version = std::move(version), .metadata = {}, .endpoints = {}, .nodes = {}};
    made.nodes.push_back(
        {.id = service + "-" + uuid, .address = std::move(address), .metadata = {{"protocol", "grpc"}}});
    return made;
  }

  Loop& loop() { return made_->loop(); }
  Registry& one() { return made_->one(); }
  Registry& other() { return made_->other(); }

  Result<void> add(Registry& registry, Service service, Clock::Duration ttl = std::chrono::seconds(60)) {
    return testing::await_on(loop(), registry.add(std::move(service), {.ttl = ttl, .deadline = deadline()}));
  }
  Result<void> remove(Registry& registry, std::string service, std::string id) {
    return testing::await_on(loop(), registry.remove(std::move(service), std::move(id), deadline()));
  }
  Result<Services> get(Registry& registry, std::string service) {
    return testing::await_on(loop(), registry.get(std::move(service), deadline()));
  }
  // "game latest: game-a game-b" for each version, or the error's detail.
  std::string shown(Registry& registry, std::string service) { return show(get(registry, std::move(service))); }
  static std::string show(const Result<Services>& services) {
    if (!services) return services.error().detail;
    std::string text;
    for (const Service& service : **services) {
      if (!text.empty()) text += ", ";
      text += service.name + " " + service.version + ":";
      for (const Node& each : service.nodes) text += " " + each.id;
    }
    return text;
  }
  void until_shown(Registry& registry, const std::string& service, const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    while (shown(registry, service) != text && std::chrono::steady_clock::now() < end) {
    }
    EXPECT_EQ(shown(registry, service), text);
  }

  // A watch that writes down "create game-a 127.0.0.1:1".
  struct Log {
    std::vector<std::string> lines;
    std::vector<Event> events;
    std::unique_ptr<Watch> watch;
  };
  std::unique_ptr<Log> watch(Registry& registry, std::string service) {
    auto log = std::make_unique<Log>();
    log->watch = registry.watch(std::move(service), loop(), [to = log.get()](const Event& event) {
      constexpr const char* kActions[] = {"create", "update", "delete", "reset"};
      std::string line = kActions[static_cast<int>(event.action)];
      for (const Node& each : event.service.nodes) line += " " + each.id + " " + each.address;
      to->lines.push_back(std::move(line));
      to->events.push_back(event);
    });
    return log;
  }
  void until_lines(const Log& log, std::size_t count) {
    EXPECT_TRUE(testing::run_until(loop(), [&] { return log.lines.size() >= count; }));
  }
  Deadline deadline() { return Deadline::after(loop().clock(), std::chrono::seconds(10)); }

  std::unique_ptr<RegistryUnderTest> made_ = GetParam().make();
};

TEST_P(RegistryContract, OthersSeeWhatWasAdded) {
  Service game = node("game", "a", "[fd00::2]:39261", "v1.2");
  game.nodes[0].metadata = {{"agent", "127.0.0.1:9000"}, {"Type", "<ws> & \"tcp\""}, {"empty", ""}};
  game.endpoints = {
      {.name = "Pub.Json",
       .request = Value{.name = "JReq", .type = "JReq", .values = {{.name = "a", .type = "int32", .values = {}}}},
       .response = std::nullopt,
       .metadata = {{"stream", "true"}}}};
  ASSERT_TRUE(add(one(), game));
  until_shown(other(), "game", "game v1.2: game-a");
  const auto found = get(other(), "game");
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)->at(0), game);
}

TEST_P(RegistryContract, UnknownServiceIsNotFound) {
  const auto found = get(one(), "nope");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, code::kNotFound);
  EXPECT_EQ(found.error().detail, "service nope: not found");
}

TEST_P(RegistryContract, RefusesIncompleteRecords) {
  EXPECT_EQ(add(one(), node("", "a")).error().code, code::kInvalid);
  Service none = node("game", "a");
  none.nodes.clear();
  EXPECT_EQ(add(one(), none).error().code, code::kInvalid);
  Service two = node("game", "a");
  two.nodes.push_back(two.nodes[0]);
  EXPECT_EQ(add(one(), two).error().code, code::kInvalid);
  Service nameless = node("game", "a");
  nameless.nodes[0].id.clear();
  EXPECT_EQ(add(one(), nameless).error().code, code::kInvalid);
}

TEST_P(RegistryContract, GroupsNodesByVersion) {
  ASSERT_TRUE(add(one(), node("game", "b", "h:1", "v1")));
  ASSERT_TRUE(add(one(), node("game", "c", "h:2", "v2")));
  ASSERT_TRUE(add(other(), node("game", "a", "h:3", "v1")));
  const auto as_set = [](const Result<Services>& services) {
    std::vector<std::string> lines;
    for (const Service& service : **services) lines.push_back(show(std::make_shared<std::vector<Service>>(1, service)));
    return lines;
  };
  until_shown(one(), "nope", "service nope: not found");
  EXPECT_TRUE(testing::run_until(loop(), [&] { return shown(one(), "game").size() > 30; }));
  EXPECT_THAT(as_set(get(one(), "game")), ::testing::UnorderedElementsAre("game v1: game-a game-b", "game v2: game-c"));
}

TEST_P(RegistryContract, ListsAllServicesByNameAndVersion) {
  ASSERT_TRUE(add(one(), node("game", "a", "h:1", "v2")));
  ASSERT_TRUE(add(one(), node("game", "b", "h:2", "v1")));
  ASSERT_TRUE(add(one(), node("db", "c")));
  ASSERT_TRUE(add(one(), node("a/b", "d")));
  const auto all = testing::await_on(loop(), one().list(deadline()));
  EXPECT_EQ(show(all), "a/b latest: a/b-d, db latest: db-c, game v1: game-b, game v2: game-a");
  EXPECT_EQ(shown(one(), "a/b"), "a/b latest: a/b-d");
}

TEST_P(RegistryContract, RemovedNodesAreGone) {
  ASSERT_TRUE(add(one(), node("game", "a")));
  ASSERT_TRUE(add(one(), node("game", "b")));
  EXPECT_TRUE(remove(one(), "game", "game-a"));
  until_shown(other(), "game", "game latest: game-b");
  EXPECT_TRUE(remove(one(), "game", "game-b"));
  until_shown(other(), "game", "service game: not found");
  EXPECT_TRUE(remove(one(), "game", "game-b"));
  EXPECT_TRUE(remove(one(), "nope", "nope-1"));
}

TEST_P(RegistryContract, LastRegistrationOfANodeWins) {
  ASSERT_TRUE(add(one(), node("game", "a", "old:1")));
  ASSERT_TRUE(add(other(), node("game", "a", "new:2")));
  const auto found = get(one(), "game");
  ASSERT_TRUE(found);
  ASSERT_EQ((*found)->size(), 1);
  ASSERT_EQ((*found)->at(0).nodes.size(), 1);
  EXPECT_EQ((*found)->at(0).nodes[0].address, "new:2");
}

TEST_P(RegistryContract, VersionGrowsWithChanges) {
  const std::uint64_t before = one().version();
  ASSERT_TRUE(add(other(), node("game", "a")));
  EXPECT_TRUE(testing::run_until(loop(), [&] { return one().version() > before; }));
  const std::uint64_t added = one().version();
  ASSERT_TRUE(remove(other(), "game", "game-a"));
  EXPECT_TRUE(testing::run_until(loop(), [&] { return one().version() > added; }));
}

// ---- leases -----------------------------------------------------------------------------------------------------

TEST_P(RegistryContract, NodeThatIsNotRefreshedVanishes) {
  const auto log = watch(other(), "game");
  ASSERT_TRUE(add(one(), node("game", "a"), kTtl));
  ASSERT_TRUE(add(one(), node("game", "b"), std::chrono::hours(1)));
  const std::uint64_t version = other().version();
  made_->pass(kTtl + std::chrono::seconds(2));
  until_shown(other(), "game", "game latest: game-b");
  until_lines(*log, 3);
  EXPECT_THAT(log->lines, ::testing::ElementsAre("create game-a 127.0.0.1:1", "create game-b 127.0.0.1:1",
                                                 "delete game-a 127.0.0.1:1"));
  EXPECT_GT(other().version(), version);
}

TEST_P(RegistryContract, RefreshedNodeStaysAndNobodyHearsOfIt) {
  const auto log = watch(other(), "game");
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(add(one(), node("game", "a"), kTtl));
    made_->pass(kTtl / 2);
  }
  EXPECT_EQ(shown(other(), "game"), "game latest: game-a");
  ASSERT_TRUE(remove(one(), "game", "game-a"));
  until_lines(*log, 2);
  EXPECT_THAT(log->lines, ::testing::ElementsAre("create game-a 127.0.0.1:1", "delete game-a 127.0.0.1:1"));
}

TEST_P(RegistryContract, NodeThatVanishedComesBackWhenAddedAgain) {
  ASSERT_TRUE(add(one(), node("game", "a"), kTtl));
  made_->pass(kTtl + std::chrono::seconds(2));
  until_shown(one(), "game", "service game: not found");
  ASSERT_TRUE(add(one(), node("game", "a"), kTtl));
  EXPECT_EQ(shown(one(), "game"), "game latest: game-a");
}

TEST_P(RegistryContract, NodeWithoutTtlStays) {
  ASSERT_TRUE(add(one(), node("game", "a"), Clock::Duration(0)));
  made_->pass(kTtl * 2);
  EXPECT_EQ(shown(other(), "game"), "game latest: game-a");
}

// ---- watching ---------------------------------------------------------------------------------------------------

TEST_P(RegistryContract, WatchTellsEachChangeInOrder) {
  ASSERT_TRUE(add(one(), node("game", "before")));
  until_shown(other(), "game", "game latest: game-before");
  const auto log = watch(other(), "game");
  ASSERT_TRUE(add(one(), node("game", "a", "h:1")));
  ASSERT_TRUE(add(one(), node("game", "b", "h:2")));
  ASSERT_TRUE(add(one(), node("game", "a", "h:3")));
  ASSERT_TRUE(remove(one(), "game", "game-b"));
  ASSERT_TRUE(remove(one(), "game", "game-before"));
  until_lines(*log, 5);
  EXPECT_THAT(log->lines, ::testing::ElementsAre("create game-a h:1", "create game-b h:2", "update game-a h:3",
                                                 "delete game-b h:2", "delete game-before 127.0.0.1:1"));
  EXPECT_EQ(log->events[0].service.name, "game");
}

TEST_P(RegistryContract, WatchOfOneServiceHearsNothingOfOthers) {
  const auto games = watch(other(), "game");
  const auto all = watch(other(), "");
  ASSERT_TRUE(add(one(), node("gam", "a")));
  ASSERT_TRUE(add(one(), node("gamer", "a")));
  ASSERT_TRUE(add(one(), node("game", "a")));
  until_lines(*all, 3);
  until_lines(*games, 1);
  EXPECT_THAT(games->lines, ::testing::ElementsAre("create game-a 127.0.0.1:1"));
  EXPECT_EQ(all->lines.size(), 3);
}

TEST_P(RegistryContract, WhatWasToldIsWhatIsFound) {
  std::vector<std::string> found;
  const auto watch = other().watch("game", loop(), [&](const Event&) {
    struct Run {
      static Task<void> look(Registry& registry, std::vector<std::string>& out) {
        out.push_back(show(co_await registry.get("game", Deadline::never())));
      }
    };
    spawn(Run::look(other(), found));
  });
  ASSERT_TRUE(add(one(), node("game", "a")));
  EXPECT_TRUE(testing::run_until(loop(), [&] { return found.size() == 1; }));
  EXPECT_EQ(found[0], "game latest: game-a");
}

TEST_P(RegistryContract, EndedWatchHearsNothing) {
  auto ended = watch(other(), "");
  const auto log = watch(other(), "");
  ASSERT_TRUE(add(one(), node("game", "a")));
  until_lines(*ended, 1);
  ended->watch.reset();
  ASSERT_TRUE(add(one(), node("game", "b")));
  until_lines(*log, 2);
  EXPECT_EQ(ended->lines.size(), 1);
}

TEST_P(RegistryContract, WatchMayEndItself) {
  std::unique_ptr<Watch> watch_itself;
  int calls = 0;
  const auto log = watch(other(), "");
  watch_itself = other().watch("", loop(), [&](const Event&) {
    ++calls;
    watch_itself.reset();
  });
  ASSERT_TRUE(add(one(), node("game", "a")));
  ASSERT_TRUE(add(one(), node("game", "b")));
  until_lines(*log, 2);
  EXPECT_EQ(calls, 1);
}

TEST_P(RegistryContract, ManyChangesReachAllWatchers) {
  const auto first = watch(other(), "game");
  const auto second = watch(one(), "");
  constexpr int kFlaps = 200;
  for (int i = 0; i < kFlaps; ++i) {
    ASSERT_TRUE(add(one(), node("game", "a", "h:" + std::to_string(i))));
    ASSERT_TRUE(remove(one(), "game", "game-a"));
  }
  until_lines(*first, 2 * kFlaps);
  until_lines(*second, 2 * kFlaps);
  EXPECT_EQ(first->lines, second->lines);
  EXPECT_EQ(first->lines.back(), "delete game-a h:199");
}

}  // namespace mg::registry
