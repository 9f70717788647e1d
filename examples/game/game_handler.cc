#include "examples/game/game_handler.h"

#include "examples/common/token.h"
#include "examples/proto/gate.rpc.pb.h"
#include "mg/base/log.h"

namespace example {
namespace {

constexpr std::uint32_t kSaid = 20001;  // The push S2C_20001.
constexpr std::size_t kMaxSayBytes = 512;

std::string group_of(std::string_view room) {
  return fmt::format("room:{}", room);
}

}  // namespace

mg::Task<mg::Result<void>> GameHandler::bind(const mg::AgentMeta& player, gate::InGateBind change) {
  change.set_clientid(std::string(player.client_id()));
  gate::OutGateBind done;
  co_return co_await app_.call_node(player.node_name(), player.node_id(), gate::GateService::kBind,
                                    mg::rpc::Context(player), change, done);
}

mg::Task<mg::Result<void>> GameHandler::Login_10001(mg::AgentMeta& player, const msg::C2S_10001& in,
                                                    msg::S2C_10001& out) {
  const auto name = check_token(in.token(), token_secret_, mg::system_clock().wall());
  if (!name) co_return std::unexpected(name.error());
  const std::int64_t account = World::account(*name);
  if (player.account_id() != 0 && player.account_id() != account) {
    co_return mg::fail(mg::code::kForbidden, "logged in as another account already: leave first");
  }
  // One client an account: an older one is told and closed, whatever gate it is on.
  game::OutSessionsClaim claimed;
  if (auto done = co_await sessions_.claim_at_home(player, account, claimed); !done) co_return done;
  if (!out.ParseFromString(claimed.login()))
    co_return mg::fail(mg::code::kServer, "the account's home answers nonsense");
  co_return mg::Result<void>();
}

mg::Task<mg::Result<void>> GameHandler::CreateRole_10002(mg::AgentMeta& player, const msg::C2S_10002& in,
                                                         msg::S2C_10002& out) {
  mg::Result<Role> role;
  if (players_.kept()) {
    if (auto fine = World::check_role_name(in.name()); !fine) co_return fine;
    role = co_await players_.add({.account = player.account_id(), .name = in.name()});
    if (role) world_.know(*role);
  } else {
    role = world_.create_role(player.account_id(), in.name());
  }
  if (!role) co_return std::unexpected(role.error());
  fill(*out.mutable_created(), *role);
  co_return mg::Result<void>();
}

mg::Task<mg::Result<void>> GameHandler::SelectRole_10003(mg::AgentMeta& player, const msg::C2S_10003& in,
                                                         msg::S2C_10003& out) {
  const auto role = world_.role(player.account_id(), in.roleid());
  if (!role) co_return std::unexpected(role.error());
  if (player.role_id() != 0 && player.role_id() != role->id) world_.leave(player.role_id());
  const auto before = world_.enter(role->id, kLobby);
  if (!before) co_return std::unexpected(before.error());
  gate::InGateBind change;
  (*change.mutable_meta())["Role-Id"] = std::to_string(role->id);
  if (!before->empty()) change.add_leave(group_of(*before));
  change.add_join(group_of(kLobby));
  if (auto bound = co_await bind(player, std::move(change)); !bound) co_return bound;
  fill(*out.mutable_selected(), *role);
  co_return mg::Result<void>();
}

mg::Result<void> GameHandler::Alive_10004(mg::AgentMeta&, const msg::C2S_10004&, google::protobuf::Empty&) {
  return {};
}

mg::Result<void> GameHandler::Echo_10005(mg::AgentMeta&, const msg::C2S_10005& in, msg::S2C_10005& out) {
  out.set_data(in.data());
  return {};
}

mg::Task<mg::Result<void>> GameHandler::Say_10006(mg::AgentMeta& player, const msg::C2S_10006& in,
                                                  msg::S2C_10006& out) {
  const auto name = world_.role_name(player.role_id());
  if (!name) co_return mg::fail(mg::code::kForbidden, "select a role before you speak");
  if (in.text().size() > kMaxSayBytes) {
    co_return mg::fail(mg::code::kInvalid, "text: at most {} octets, not {}", kMaxSayBytes, in.text().size());
  }
  const std::string room = world_.room_of(player.role_id());
  if (room.empty() || (!in.room().empty() && in.room() != room)) {
    co_return mg::fail(mg::code::kForbidden, "you are not in room \"{}\"", in.room());
  }
  msg::S2C_20001 said;
  said.set_room(room);
  said.set_from(*name);
  said.set_text(in.text());
  gate::InGateBroadcast push;
  push.set_group(group_of(room));
  push.set_cmd(kSaid);
  said.SerializeToString(push.mutable_data());
  // Members may be on any gate.
  const auto gates = co_await app_.nodes().ids(std::string(player.node_name()));
  if (!gates) co_return std::unexpected(gates.error());
  for (const std::string& node : *gates) {
    gate::OutGateBroadcast sent;
    if (auto done = co_await app_.call_node(player.node_name(), node, gate::GateService::kBroadcast,
                                            mg::rpc::Context(player), push, sent);
        !done) {
      mg::log::warn("broadcast to gate {}: {}", node, mg::to_json(done.error()));
    }
  }
  out.set_members(world_.members(room));
  co_return mg::Result<void>();
}

mg::Task<mg::Result<void>> GameHandler::EnterRoom_10007(mg::AgentMeta& player, const msg::C2S_10007& in,
                                                        msg::S2C_10007& out) {
  if (player.role_id() == 0) co_return mg::fail(mg::code::kForbidden, "select a role before you enter a room");
  const std::string before = world_.room_of(player.role_id());
  if (auto entered = world_.enter(player.role_id(), in.room()); !entered) co_return std::unexpected(entered.error());
  gate::InGateBind change;
  if (!before.empty() && before != in.room()) change.add_leave(group_of(before));
  change.add_join(group_of(in.room()));
  if (auto bound = co_await bind(player, std::move(change)); !bound) co_return bound;
  out.set_room(in.room());
  out.set_members(world_.members(in.room()));
  co_return mg::Result<void>();
}

}  // namespace example
