// examples/game/forward.h -- the RPC that gates call: one player's message in, its answer out.
//
//   Forward forward(router, runtime);
//   app.add_handler("Forward.Protocol", mg::rpc::forward_handler<In, Out>(forward, &Forward::protocol));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "examples/game/sessions.h"
#include "examples/game/world.h"
#include "examples/proto/game.pb.h"
#include "mg/protocol/router.h"
#include "mg/rpc/context.h"
#include "mg/rpc/forward.h"
#include "mg/runtime/mailbox.h"
#include "mg/runtime/runtime.h"

namespace example {

// Threads: shared.
class Forward {
 public:
  Forward(const mg::protocol::Router& router, World& world, Sessions& sessions)
      : router_(router), world_(world), sessions_(sessions) {}

  // Makes the players' mailboxes, one set for each loop. Before the first message.
  void start(mg::Runtime& runtime);

  // A handler's error becomes the reply's code, with no data; only the lack of a login is an error of the call, for
  // which the gate closes the client. Source: wire.md 6.
  mg::Task<mg::Result<void>> protocol(const mg::rpc::Context& context, const mg::rpc::Forwarded& in,
                                      mg::rpc::ForwardReply& out);
  // The player has gone.
  mg::Result<void> offline(const mg::rpc::Context& context, const game::InForwardOffline& in,
                           game::OutForwardOffline& out);

 private:
  mg::Task<mg::Result<void>> handle_in_turn(mg::Mailbox& mailbox, std::uint64_t key, const mg::rpc::Context& context,
                                            std::uint32_t cmd, std::string data, mg::rpc::ForwardReply& out);
  static mg::Task<mg::Result<void>> answer_later(mg::Mailbox::Turn turn, mg::Task<mg::Result<void>> called,
                                                 std::uint32_t cmd, mg::rpc::ForwardReply& out);
  static mg::Result<void> answer(const mg::Result<void>& done, std::uint32_t cmd, mg::rpc::ForwardReply& out);

  const mg::protocol::Router& router_;
  World& world_;
  Sessions& sessions_;
  std::vector<std::unique_ptr<mg::Mailbox>> mailboxes_;  // By loop.
};

}  // namespace example
