#include "examples/game/players.h"

#include <utility>

#include "mg/store/documents/collection.h"
#include "mg/store/documents/tables.h"

namespace example {

constexpr auto mg_fields(std::type_identity<Role>) {
  return mg::fields(mg::field("id", &Role::id).bson("_id"), mg::field("account_id", &Role::account),
                    mg::field("name", &Role::name), mg::field("level", &Role::level));
}

namespace {

using mg::documents::Collection;
using mg::documents::Index;
using mg::documents::Sort;
using mg::documents::where;

constexpr const char* kRoles = "role";

}  // namespace

mg::Task<mg::Result<void>> Players::open() {
  if (auto opened = co_await store_.open(); !opened || !store_.is_open()) co_return opened;
  std::vector<mg::documents::Table> tables;
  tables.push_back(mg::documents::table_of<Role>(
      {.name = kRoles,
       .primary_key = "_id",
       .foreign_key = "account_id",
       .indexes = {Index::on(Sort().up("name")).make_unique(), Index::on(Sort().up("account_id"))}}));
  co_return co_await mg::documents::create_tables(*store_, std::move(tables),
                                                  mg::Deadline::after(mg::system_clock(), std::chrono::seconds(10)));
}

mg::Task<mg::Result<std::vector<Role>>> Players::of(std::int64_t account) {
  Collection<Role> roles(*store_, kRoles);
  co_return co_await roles.find(where(&Role::account).eq(account),
                                {.sort = Sort().up(&Role::id), .limit = World::kMaxRoles});
}

mg::Task<mg::Result<Role>> Players::add(Role role) {
  Collection<Role> roles(*store_, kRoles);
  const auto there = co_await roles.count(where(&Role::account).eq(role.account));
  if (!there) co_return std::unexpected(there.error());
  if (*there >= static_cast<std::int64_t>(World::kMaxRoles))
    co_return mg::fail(mg::code::kTooMany, "an account has at most {} roles", World::kMaxRoles);
  const auto id = co_await mg::documents::get_inc_id(*store_, kRoles);
  if (!id) co_return std::unexpected(id.error());
  role.id = *id;
  const auto done = co_await roles.insert(role);
  if (!done && mg::documents::is_duplicate_key(done.error()))
    co_return mg::fail(mg::code::kExists, "role name \"{}\" is taken", role.name);
  if (!done) co_return std::unexpected(done.error());
  co_return role;
}

}  // namespace example
