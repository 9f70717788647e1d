#include "examples/db/db_service.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mg/store/documents/collection.h"
#include "mg/store/documents/tables.h"

namespace example {
namespace {

using mg::documents::by_id;
using mg::documents::Collection;
using mg::documents::Documents;
using mg::documents::Index;
using mg::documents::Sort;
using mg::documents::Transaction;
using mg::documents::Update;
using mg::documents::where;

struct Account {
  std::int64_t id = 0;
  std::string name;
};
constexpr auto mg_fields(std::type_identity<Account>) {
  return mg::fields(mg::field("id", &Account::id).bson("_id"), mg::field("name", &Account::name));
}

struct Hero {
  std::int64_t id = 0;
  std::int64_t account = 0;
  std::string name;
  std::int64_t gold = 0;
};
constexpr auto mg_fields(std::type_identity<Hero>) {
  return mg::fields(mg::field("id", &Hero::id).bson("_id"), mg::field("account_id", &Hero::account),
                    mg::field("name", &Hero::name), mg::field("gold", &Hero::gold));
}

// A trade that was done, under the id that its caller gave it.
struct Deal {
  std::string id;
  std::int64_t from = 0, to = 0, gold = 0;
  std::int64_t from_gold = 0, to_gold = 0;  // What they had then.
  mg::documents::Date at;
};
constexpr auto mg_fields(std::type_identity<Deal>) {
  return mg::fields(mg::field("id", &Deal::id).bson("_id"), mg::field("from", &Deal::from), mg::field("to", &Deal::to),
                    mg::field("gold", &Deal::gold), mg::field("from_gold", &Deal::from_gold),
                    mg::field("to_gold", &Deal::to_gold), mg::field("at", &Deal::at));
}

constexpr const char* kDeals = "trade";
constexpr std::chrono::hours kDealsKept{24 * 7};  // A caller that asks again asks sooner.
constexpr const char* kAccounts = "account";
constexpr const char* kHeroes = "hero";
constexpr const char* kBoard = "leaderboard";

void fill(db::Role& out, const Hero& hero) {
  out.set_id(hero.id);
  out.set_account(hero.account);
  out.set_name(hero.name);
  out.set_gold(hero.gold);
}

struct Fences {
  std::int64_t from = 0, to = 0;  // Numbers of the locks.
};

// `deal` with what both have then; done once, however often it is asked for.
mg::Task<mg::Result<Deal>> make(Documents& in, Transaction& transaction, Deal deal, Fences fences) {
  Collection<Deal> deals(in, kDeals);
  auto before = co_await deals.find_one(by_id(deal.id), {}, {.transaction = &transaction});
  if (before) {
    if (before->from == deal.from && before->to == deal.to && before->gold == deal.gold) co_return before;
    co_return mg::fail(mg::code::kExists, "\"{}\" was another trade", deal.id);
  }
  if (!mg::documents::is_no_document(before.error())) co_return before;

  Collection<Hero> heroes(in, kHeroes);
  const auto giver = co_await heroes.find_one(by_id(deal.from), {}, {.transaction = &transaction});
  if (!giver) co_return std::unexpected(giver.error());
  if (giver->gold < deal.gold) {
    co_return mg::fail(mg::code::kForbidden, "role {} has {} gold, not {}", giver->id, giver->gold, deal.gold);
  }
  const auto taker = co_await heroes.find_one(by_id(deal.to), {}, {.transaction = &transaction});
  if (!taker) co_return std::unexpected(taker.error());
  // A holder that slept through the end of its lock has an older number than the role has seen.
  const auto given = co_await heroes.update_one(by_id(deal.from), Update().inc(&Hero::gold, -deal.gold),
                                                {.guard = fences.from, .transaction = &transaction});
  if (!given) co_return std::unexpected(given.error());
  const auto taken = co_await heroes.update_one(by_id(deal.to), Update().inc(&Hero::gold, deal.gold),
                                                {.guard = fences.to, .transaction = &transaction});
  if (!taken) co_return std::unexpected(taken.error());
  deal.from_gold = giver->gold - deal.gold;
  deal.to_gold = taker->gold + deal.gold;
  const auto noted = co_await deals.insert(deal, {.transaction = &transaction});
  if (!noted) co_return std::unexpected(noted.error());
  co_return deal;
}

}  // namespace

DbService::DbService(mg::App& app) {
  app.flags().section("Data");
  store_.add_flags(app.flags());
  redis_.add_to(app.flags());
  db::Db::add_to(app, *this);
  app.before_start([this, &app] { return open(app.runtime()); });
  app.after_stop([this](mg::Deadline deadline) { return redis_.close(deadline); });
  app.after_stop([this] { store_.close(); });
}

DbService::Outcome DbService::open(mg::Runtime& runtime) {
  if (auto done = co_await store_.open(); !done) co_return done;
  mg::documents::Tables tables;
  tables.push_back(mg::documents::table_of<Account>(
      {.name = kAccounts, .primary_key = "_id", .indexes = {Index::on(Sort().up("name")).make_unique()}}));
  tables.push_back(mg::documents::table_of<Hero>(
      {.name = kHeroes,
       .primary_key = "_id",
       .foreign_key = "account_id",
       .indexes = {Index::on(Sort().up("name")).make_unique(), Index::on(Sort().up("account_id"))}}));
  tables.push_back(mg::documents::table_of<Deal>(
      {.name = kDeals, .primary_key = "_id", .indexes = {Index::on(Sort().up("at")).expires(kDealsKept)}}));
  const auto deadline = mg::Deadline::after(mg::system_clock(), std::chrono::seconds(10));
  if (auto made = co_await mg::documents::create_tables(*store_, std::move(tables), deadline); !made) co_return made;
  co_return co_await redis_.open(runtime);
}

DbService::Outcome DbService::account(const Context& context, const db::InDbAccount& in, db::OutDbAccount& out) {
  if (in.name().empty()) co_return mg::fail(mg::code::kInvalid, "an account has a name");
  Collection<Account> accounts(*store_, kAccounts);
  for (;;) {
    const auto found =
        co_await accounts.find_one(where(&Account::name).eq(in.name()), {}, {.deadline = context.deadline()});
    if (found) {
      out.set_id(found->id);
      co_return mg::Result<void>();
    }
    if (!mg::documents::is_no_document(found.error())) co_return std::unexpected(found.error());
    const auto id = co_await mg::documents::get_inc_id(*store_, kAccounts, context.deadline());
    if (!id) co_return std::unexpected(id.error());
    const auto made = co_await accounts.insert({.id = *id, .name = in.name()}, {.deadline = context.deadline()});
    if (made) {
      out.set_id(*id);
      co_return mg::Result<void>();
    }
    // Somebody else was faster: it is there now.
    if (!mg::documents::is_duplicate_key(made.error())) co_return std::unexpected(made.error());
  }
}

DbService::Outcome DbService::create(const Context& context, const db::InDbCreate& in, db::OutDbCreate& out) {
  if (in.name().empty() || in.account() <= 0) {
    co_return mg::fail(mg::code::kInvalid, "a role has a name and an account");
  }
  const auto id = co_await mg::documents::get_inc_id(*store_, kHeroes, context.deadline());
  if (!id) co_return std::unexpected(id.error());
  const Hero hero{.id = *id, .account = in.account(), .name = in.name(), .gold = kFirstGold};
  const auto made = co_await Collection<Hero>(*store_, kHeroes).insert(hero, {.deadline = context.deadline()});
  if (!made && mg::documents::is_duplicate_key(made.error())) {
    co_return mg::fail(mg::code::kExists, "role name \"{}\" is taken", in.name());
  }
  if (!made) co_return std::unexpected(made.error());
  fill(*out.mutable_role(), hero);
  co_return mg::Result<void>();
}

DbService::Outcome DbService::roles(const Context& context, const db::InDbRoles& in, db::OutDbRoles& out) {
  const auto found = co_await Collection<Hero>(*store_, kHeroes)
                         .find(where(&Hero::account).eq(in.account()), {.sort = Sort().up(&Hero::id), .limit = 100},
                               {.deadline = context.deadline()});
  if (!found) co_return std::unexpected(found.error());
  for (const Hero& hero : *found) fill(*out.add_roles(), hero);
  co_return mg::Result<void>();
}

DbService::Outcome DbService::trade(const Context& context, const db::InDbTrade& in, db::OutDbTrade& out) {
  if (in.id().empty()) co_return mg::fail(mg::code::kInvalid, "a trade has an id, so that it can be asked for again");
  if (in.gold() <= 0 || in.from() == in.to()) co_return mg::fail(mg::code::kInvalid, "nothing to trade");
  // In the order of their numbers: two trades never wait for each other.
  const auto [low, high] = std::minmax({in.from(), in.to()});
  auto& locks = redis_.locks();
  auto first = co_await locks.obtain("role", low);
  if (!first) co_return std::unexpected(std::move(first).error());
  auto second = co_await locks.obtain("role", high);
  if (!second) co_return std::unexpected(std::move(second).error());
  Fences fences{.from = static_cast<std::int64_t>(first->fence()), .to = static_cast<std::int64_t>(second->fence())};
  if (in.from() != low) std::swap(fences.from, fences.to);
  const Deal deal{.id = in.id(),
                  .from = in.from(),
                  .to = in.to(),
                  .gold = in.gold(),
                  .at = std::chrono::floor<std::chrono::milliseconds>(mg::system_clock().wall())};
  const auto made = co_await mg::documents::with_transaction(
      *store_, [this, deal, fences](Transaction& t) { return make(*store_, t, deal, fences); }, context.deadline());
  // That a lock had run out is no matter: the roles have checked its number.
  (void)co_await second->release();
  (void)co_await first->release();
  if (!made) co_return std::unexpected(made.error());
  out.set_fromgold(made->from_gold);
  out.set_togold(made->to_gold);
  co_return mg::Result<void>();
}

DbService::Outcome DbService::score(const Context& context, const db::InDbScore& in, db::OutDbScore& out) {
  const auto hero =
      co_await Collection<Hero>(*store_, kHeroes).find_one(by_id(in.role()), {}, {.deadline = context.deadline()});
  if (!hero) co_return std::unexpected(hero.error());
  auto& redis = redis_.here();
  const std::string member = std::to_string(in.role());
  const auto score = co_await redis.zincrby(kBoard, static_cast<double>(in.points()), member, context.deadline());
  if (!score) co_return std::unexpected(score.error());
  const auto rank = co_await redis.zrevrank(kBoard, member, context.deadline());
  if (!rank) co_return std::unexpected(rank.error());
  out.set_score(static_cast<std::int64_t>(*score));
  out.set_rank(rank->value_or(0) + 1);
  co_return mg::Result<void>();
}

DbService::Outcome DbService::top(const Context& context, const db::InDbTop& in, db::OutDbTop& out) {
  const std::int64_t count = std::clamp<std::int64_t>(in.count(), 1, 100);
  const auto best = co_await redis_.here().zrevrange_with_scores(kBoard, 0, count - 1, context.deadline());
  if (!best) co_return std::unexpected(best.error());
  mg::documents::Array ids;
  for (const auto& each : *best) {
    std::int64_t id = 0;
    std::from_chars(each.member.data(), each.member.data() + each.member.size(), id);
    ids.emplace_back(id);
  }
  const auto found = co_await Collection<Hero>(*store_, kHeroes)
                         .find(where("_id").in(std::move(ids)), {}, {.deadline = context.deadline()});
  if (!found) co_return std::unexpected(found.error());
  std::unordered_map<std::string, const Hero*> heroes;
  for (const Hero& hero : *found) heroes.emplace(std::to_string(hero.id), &hero);
  for (const auto& each : *best) {
    const auto hero = heroes.find(each.member);
    if (hero == heroes.end()) continue;  // Its role has gone.
    auto& place = *out.add_places();
    place.set_role(hero->second->id);
    place.set_name(hero->second->name);
    place.set_score(static_cast<std::int64_t>(each.score));
  }
  co_return mg::Result<void>();
}

}  // namespace example
