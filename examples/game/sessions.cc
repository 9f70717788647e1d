#include "examples/game/sessions.h"

#include <algorithm>
#include <functional>

#include "examples/proto/gate.rpc.pb.h"
#include "examples/proto/msg.pb.h"
#include "mg/base/log.h"

namespace example {
namespace {

constexpr std::uint32_t kReplaced = 20002;  // The push S2C_20002.
constexpr std::string_view kReason = "replaced by a newer login";

}  // namespace

void Sessions::start(mg::Runtime& runtime) {
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    turns_.push_back(std::make_unique<mg::Mailbox>(runtime.loop(i)));
  }
}

mg::Task<mg::Result<void>> Sessions::claim_at_home(const mg::AgentMeta& player, std::int64_t account,
                                                   game::OutSessionsClaim& out) {
  mg::Meta meta = player;
  meta.set(mg::meta_key::kAccountId, account);  // What chooses the home.
  game::InSessionsClaim in;
  in.set_account(account);
  in.set_gatename(std::string(player.node_name()));
  in.set_gateid(std::string(player.node_id()));
  in.set_clientid(std::string(player.client_id()));
  const mg::rpc::Context context(meta);
  co_return co_await app_.call(app_.name(), game::Sessions::kClaim, context, in, out);
}

mg::Task<mg::Result<void>> Sessions::claim(const mg::rpc::Context& context, const game::InSessionsClaim& in,
                                           game::OutSessionsClaim& out) {
  const std::int64_t account = in.account();
  // All claims of an account meet on one loop.
  const std::size_t home = static_cast<std::uint64_t>(account) % turns_.size();
  co_await app_.runtime().loop(home).resume_here();
  const auto turn = co_await turns_[home]->enter(static_cast<std::uint64_t>(account), context.deadline());
  if (!turn) co_return std::unexpected(turn.error());

  const Session before = known(account);
  Place now{in.gatename(), in.gateid(), co_await game_nodes()};
  // First it is the account's, then the others go: of two that come at once at least one sees the other.
  gate::InGateBind bind;
  bind.set_clientid(in.clientid());
  (*bind.mutable_meta())[std::string(mg::meta_key::kAccountId)] = std::to_string(account);
  bind.set_authstate(gate::InGateBind::CONFIRM);
  gate::OutGateBind bound;
  if (auto done = co_await app_.call_node(now.gate_name, now.gate_id, gate::GateService::kBind, context, bind, bound);
      !done) {
    co_return done;
  }
  if (auto closed = co_await close_others(account, now, in.clientid(), before, out); !closed) {
    co_return closed;
  }
  remember(account, std::move(now), in.clientid());
  // What only this process writes is read once.
  if (players_.kept() && !(players_.alone() && world_.knows_all(account))) {
    const auto roles = co_await players_.of(account);
    if (!roles) co_return std::unexpected(roles.error());
    world_.know_all(account, *roles);
  }
  msg::S2C_10001 login;
  login.set_accountid(account);
  for (const Role& role : world_.roles(account)) fill(*login.add_roles(), role);
  login.SerializeToString(out.mutable_login());
  co_return mg::Result<void>();
}

mg::Task<mg::Result<void>> Sessions::close_others(std::int64_t account, const Place& now, const std::string& client_id,
                                                  const Session& before, game::OutSessionsClaim& out) {
  const std::string old = before.place ? before.client.text() : "";
  if (old == client_id) co_return mg::Result<void>();  // A second login of the same.
  msg::S2C_20002 told;
  told.set_reason(std::string(kReason));
  gate::InGateKick one;
  one.set_reason(std::string(kReason));
  one.set_cmd(kReplaced);
  told.SerializeToString(one.mutable_data());
  if (before.place && before.place->nodes == now.nodes) {
    gate::InGateKick direct = one;
    direct.set_clientid(old);
    const auto closed = co_await kick(before.place->gate_name, before.place->gate_id, std::move(direct));
    out.set_replaced(closed.value_or(0));
    if (closed && *closed > 0) co_return mg::Result<void>();
  }
  // It may be on any gate, or there may be none.
  one.set_metakey(std::string(mg::meta_key::kAccountId));
  one.set_metavalue(std::to_string(account));
  one.set_except(client_id);
  const auto gates = co_await app_.nodes().ids(now.gate_name);
  if (!gates) co_return std::unexpected(gates.error());
  for (const std::string& gate : *gates) {
    const auto closed = co_await kick(now.gate_name, gate, one);
    if (closed) {
      out.set_replaced(out.replaced() + *closed);
    } else {  // A gate that cannot be reached is ending, with its players, or cut off.
      mg::log::warn("closing older sessions of account {} on gate {}: {}", account, gate, mg::to_json(closed.error()));
    }
  }
  co_return mg::Result<void>();
}

mg::Task<mg::Result<std::uint32_t>> Sessions::kick(std::string gate_name, std::string gate_id, gate::InGateKick kick) {
  gate::OutGateKick done;
  const mg::rpc::Context context;
  if (auto sent = co_await app_.call_node(gate_name, gate_id, gate::GateService::kKick, context, kick, done); !sent) {
    co_return std::unexpected(sent.error());
  }
  co_return done.count();
}

mg::Task<std::size_t> Sessions::game_nodes() {
  auto ids = co_await app_.nodes().ids(app_.name());
  if (!ids) co_return 0;
  std::ranges::sort(*ids);
  std::string all;
  for (const std::string& id : *ids) all += id;
  co_return std::hash<std::string>()(all) | 1;
}

Sessions::Session Sessions::known(std::int64_t account) const {
  const std::lock_guard lock(mutex_);
  const auto found = directory_.find(account);
  return found == directory_.end() ? Session() : found->second;
}

void Sessions::remember(std::int64_t account, Place place, std::string_view client_id) {
  const auto client = mg::Uuid::parse(client_id);
  const std::lock_guard lock(mutex_);
  if (!client ||
      client->text() != client_id) {  // Of a gate that names its clients in its own way: all gates are asked.
    directory_.erase(account);
    return;
  }
  auto at = std::ranges::find_if(places_, [&](const auto& one) { return *one == place; });
  if (at == places_.end()) {
    std::erase_if(places_, [](const auto& one) { return one.use_count() == 1; });  // Nobody is there any more.
    at = places_.insert(places_.end(), std::make_shared<const Place>(std::move(place)));
  }
  directory_[account] = {*at, *client};
}

void Sessions::ended(std::int64_t account, std::string_view client_id) {
  const auto client = mg::Uuid::parse(client_id);
  const std::lock_guard lock(mutex_);
  const auto found = directory_.find(account);
  if (found != directory_.end() && found->second.client == client) directory_.erase(found);
}

}  // namespace example
