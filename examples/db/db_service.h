// examples/db/db_service.h -- accounts, roles, trades and a leaderboard, for the other services.
//
//   mg::App app({.name = "db"});
//   example::DbService db(app);                       // flags db_file or mongo, and redis
//   db::Db::Client(app, "db").trade(context, in, out);   // from any service
#pragma once

#include <cstdint>

#include "examples/common/store.h"
#include "examples/proto/db.rpc.pb.h"
#include "mg/app/app.h"
#include "mg/store/redis/local/service.h"

namespace example {

// Documents hold what must not be lost; the leaderboard is a sorted set of Redis, or of this process without one.
// Threads: shared. Lifetime: as long as the app runs.
class DbService {
 public:
  static constexpr std::int64_t kFirstGold = 100;  // Of a new role.

  explicit DbService(mg::App& app);

  using Outcome = mg::Task<mg::Result<void>>;
  using Context = mg::rpc::Context;
  // Errors of all: of the stores
  // Errors: kInvalid  no name
  Outcome account(const Context& context, const db::InDbAccount& in, db::OutDbAccount& out);
  // Errors: kInvalid  no account, no name · kExists  the name is taken
  Outcome create(const Context& context, const db::InDbCreate& in, db::OutDbCreate& out);
  Outcome roles(const Context& context, const db::InDbRoles& in, db::OutDbRoles& out);
  // Once for each id, however often it is asked for: a caller that does not know what became of it asks again. Under a
  // lock of both roles, whose fencing numbers the documents check. Errors: kInvalid  no id, nothing to give, or to
  // oneself · kNotFound  a role · kForbidden  not enough gold · kExists  the id was another trade's · kTimeout  others
  // trade with these roles
  Outcome trade(const Context& context, const db::InDbTrade& in, db::OutDbTrade& out);
  // Errors: kNotFound  the role
  Outcome score(const Context& context, const db::InDbScore& in, db::OutDbScore& out);
  // At most 100 places.
  Outcome top(const Context& context, const db::InDbTop& in, db::OutDbTop& out);

 private:
  Outcome open(mg::Runtime& runtime);

  Store store_{"game.db"};
  mg::redis::Service redis_;
};

}  // namespace example
