#include "examples/gate/gate_service.h"

#include "examples/proto/game.pb.h"
#include "mg/agent/tcp/transport.h"
#include "mg/agent/ws/transport.h"
#include "mg/base/log.h"
#include "mg/rpc/selector.h"

namespace example {

using mg::agent::Client;
using mg::agent::ClientPtr;

GateService::GateService(mg::App& app, mg::agent::AgentOptions defaults) : app_(app), options_(std::move(defaults)) {
  options_.add_flags(app.flags());
  app.add_handler("GateService.Push", *this, &GateService::push);
  app.add_handler("GateService.Bind", *this, &GateService::bind);
  app.add_handler("GateService.Kick", *this, &GateService::kick);
  app.add_handler("GateService.Broadcast", *this, &GateService::broadcast);
  app.before_start([this] { return start(); });
  app.before_stop([this]() -> mg::Task<mg::Result<void>> {
    if (!agent_ || co_await agent_->stop()) co_return mg::Result<void>();
    co_return mg::fail(mg::code::kTimeout, "the gate's clients did not all leave in time");
  });
}

mg::Result<void> GateService::start() {
  // A player's messages go to the game node that the account hashes to, unless a flag says otherwise. (Where there is
  // but one node there is nothing to choose.)
  const mg::CommonFlags& flags = app_.process().common();
  if (flags.selector.empty() && !flags.registry_address.empty()) {
    app_.client().set_picker("game", mg::rpc::consistent_hash(std::string(mg::meta_key::kAccountId)));
  }
  protocol_ = app_.method("game", "Forward.Protocol");
  std::vector<std::unique_ptr<mg::agent::Transport>> transports;
  transports.push_back(mg::agent::ws::make_transport());
  transports.push_back(mg::agent::tcp::make_transport());
  agent_ = std::make_unique<mg::agent::Agent>(options_, std::move(transports));
  agent_->on_receive(
      [this](Client& client, const mg::agent::Packet& in, mg::agent::Reply& out) { return forward(client, in, out); });
  agent_->on_disconnect([this](ClientPtr client, std::string) { return offline(std::move(client)); });
  if (auto started = agent_->start(app_.runtime(), app_.name(), app_.id()); !started) return started;
  app_.add_metadata("type", agent_->type());
  app_.add_metadata("agent", fmt::format("{}:{}", options_.host, agent_->port()));
  return {};
}

// A player's message goes to the game, and its answer back. An error closes the client.
mg::Task<mg::Result<void>> GateService::forward(Client& client, const mg::agent::Packet& in, mg::agent::Reply& out) {
  mg::rpc::Context context(client.meta_here());
  context.set_ordered();
  return protocol_.forward<game::InForwardProtocol, game::OutForwardProtocol>(
      context, {in.head.cmd, mg::as_text(in.payload)}, out.code, out.data);
}

mg::Task<void> GateService::offline(ClientPtr client) {
  const mg::AgentMeta player = client->meta();
  if (!player.is_online()) co_return;
  game::InForwardOffline in;
  game::OutForwardOffline out;
  mg::rpc::Context context(player);
  context.set_ordered();  // After the messages that are on their way.
  if (auto told = co_await app_.call("game", "Forward.Offline", context, in, out); !told) {
    mg::log::warn("offline notice of role {}: {}", player.role_id(), mg::to_json(told.error()));
  }
}

mg::Result<void> GateService::push(const Context&, const gate::InGatePush& in, gate::OutGatePush&) {
  const ClientPtr client = agent_->get_client(in.clientid());
  if (!client) return mg::fail(mg::code::kUnknown, "client [{}] not found", in.clientid());
  client->write({.cmd = in.cmd(), .code = in.code()}, in.data());
  return {};
}

mg::Task<mg::Result<void>> GateService::bind(const Context&, const gate::InGateBind& in, gate::OutGateBind&) {
  const ClientPtr client = agent_->get_client(in.clientid());
  if (!client) co_return mg::fail(mg::code::kUnknown, "client [{}] not found", in.clientid());
  // On the client's loop, so that all of it is done when the caller goes on.
  mg::Loop& here = *mg::Loop::current();
  co_await client->loop().resume_here();
  mg::Meta changes;
  for (const auto& [key, value] : in.meta()) changes.set(key, value);
  client->merge_meta(std::move(changes));
  if (in.authstate() != gate::InGateBind::KEEP) client->set_auth_state(in.authstate() == gate::InGateBind::CONFIRM);
  for (const std::string& group : in.leave()) client->leave(group);
  for (const std::string& group : in.join()) client->join(group);
  co_await here.resume_here();
  co_return mg::Result<void>();
}

mg::Result<void> GateService::kick(const Context&, const gate::InGateKick& in, gate::OutGateKick& out) {
  std::vector<ClientPtr> clients;
  if (!in.metakey().empty()) clients = agent_->find(in.metakey(), in.metavalue());
  if (ClientPtr one = agent_->get_client(in.clientid())) clients.push_back(std::move(one));
  std::uint32_t count = 0;
  for (const ClientPtr& client : clients) {
    if (client->id().text() == in.except()) continue;
    if (in.cmd() != 0) client->write({.cmd = in.cmd()}, in.data());
    client->close(in.reason());
    ++count;
  }
  out.set_count(count);
  return {};
}

mg::Result<void> GateService::broadcast(const Context&, const gate::InGateBroadcast& in, gate::OutGateBroadcast&) {
  const mg::codec::ServerHead head{.cmd = in.cmd(), .code = in.code()};
  if (in.group().empty()) {
    agent_->broadcast(head, mg::as_bytes(in.data()));
  } else {
    agent_->broadcast_group(in.group(), head, mg::as_bytes(in.data()));
  }
  return {};
}

}  // namespace example
