// examples/game/sessions.h -- which session an account has: one in the whole cluster, the newest.
//
//   game::Sessions::add_to(app, sessions);                                  // Claim, called on the account's home node
//   co_await sessions.claim_at_home(player, account);                       // at a login, on any game node
//
// An account's home is the game node that its number hashes to; players' messages go there, too (GateService). The
// directory is in the home's memory: after the nodes have changed, and wherever it knows nothing, all gates are asked.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "examples/game/players.h"
#include "examples/game/world.h"
#include "examples/proto/game.rpc.pb.h"
#include "examples/proto/gate.pb.h"
#include "mg/app/app.h"
#include "mg/base/uuid.h"
#include "mg/meta/agent_meta.h"
#include "mg/runtime/mailbox.h"

namespace example {

// Threads: shared.
class Sessions {
 public:
  Sessions(mg::App& app, World& world, Players& players) : app_(app), world_(world), players_(players) {}

  // Before the first call.
  void start(mg::Runtime& runtime);

  // Makes the player's connection the account's session, wherever its home is; any other is told and closed.
  // Errors: those of the gate, which may not know the client any more
  mg::Task<mg::Result<void>> claim_at_home(const mg::AgentMeta& player, std::int64_t account,
                                           game::OutSessionsClaim& out);
  // The same, here. One after the other for an account.
  mg::Task<mg::Result<void>> claim(const mg::rpc::Context& context, const game::InSessionsClaim& in,
                                   game::OutSessionsClaim& out);
  // The connection has gone.
  void ended(std::int64_t account, std::string_view client_id);

 private:
  // A gate, while the game nodes were those.
  struct Place {
    std::string gate_name, gate_id;
    std::size_t nodes = 0;  // Which game nodes there were.
    bool operator==(const Place&) const = default;
  };
  // Of every player who is logged in: it is small.
  struct Session {
    std::shared_ptr<const Place> place;  // Null: nothing is known.
    mg::Uuid client;
  };

  mg::Task<mg::Result<void>> close_others(std::int64_t account, const Place& now, const std::string& client_id,
                                          const Session& before, game::OutSessionsClaim& out);
  // How many the gate has closed.
  mg::Task<mg::Result<std::uint32_t>> kick(std::string gate_name, std::string gate_id, gate::InGateKick kick);
  mg::Task<std::size_t> game_nodes();
  Session known(std::int64_t account) const;
  void remember(std::int64_t account, Place place, std::string_view client_id);

  mg::App& app_;
  World& world_;
  Players& players_;
  std::vector<std::unique_ptr<mg::Mailbox>> turns_;  // By loop; an account has one of them.
  mutable std::mutex mutex_;                         // docs/threads.md: "example sessions"
  std::unordered_map<std::int64_t, Session> directory_;
  std::vector<std::shared_ptr<const Place>> places_;  // Shared by the sessions.
};

}  // namespace example
