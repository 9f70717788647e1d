#include "examples/game/forward.h"

#include "mg/base/bytes.h"
#include "mg/base/log.h"

namespace example {
namespace {

constexpr std::uint32_t kLogin = 10001;

// Whose turn it is: 64 of the random bits of a Client-Id, which is a UUID as text.
std::uint64_t mailbox_key(std::string_view client_id) {
  if (client_id.size() < 16) return std::hash<std::string_view>()(client_id);
  const auto* octets = reinterpret_cast<const std::byte*>(client_id.data());
  return mg::load<std::uint64_t>(octets, std::endian::native) * 31 +
         mg::load<std::uint64_t>(octets + 8, std::endian::native);
}

}  // namespace

void Forward::start(mg::Runtime& runtime) {
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    mailboxes_.push_back(std::make_unique<mg::Mailbox>(runtime.loop(i)));
  }
}

mg::Task<mg::Result<void>> Forward::protocol(const mg::rpc::Context& context, const game::InForwardProtocol& in,
                                             game::OutForwardProtocol& out) {
  mg::AgentMeta player{mg::Meta(context.meta())};
  if (in.cmd() != kLogin && player.account_id() == 0) {
    co_return mg::fail(mg::code::kUnauthorized, "Game Login Unauthorized");
  }
  // One message of a player at a time, in order.
  mg::Mailbox& mailbox = *mailboxes_[mg::Loop::current()->index()];
  const auto turn = co_await mailbox.enter(mailbox_key(player.client_id()), context.deadline());
  if (!turn) co_return std::unexpected(turn.error());

  const auto done = co_await router_.call(player, in.cmd(), in.data(), *out.mutable_data());
  if (!done) {
    mg::log::debug("command {} of {}: {}", in.cmd(), player.client_id(), mg::to_json(done.error()));
    out.set_code(static_cast<std::uint32_t>(done.error().code));
    out.mutable_data()->clear();
  }
  co_return mg::Result<void>();
}

mg::Result<void> Forward::offline(const mg::rpc::Context& context, const game::InForwardOffline&,
                                  game::OutForwardOffline&) {
  world_.leave(context.meta().get_int64("Role-Id"));
  return {};
}

}  // namespace example
