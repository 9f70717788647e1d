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

mg::Task<mg::Result<void>> Forward::protocol(const mg::rpc::Context& context, const mg::rpc::Forwarded& in,
                                             mg::rpc::ForwardReply& out) {
  const mg::AgentMeta& player = context.own_meta();
  if (in.cmd != kLogin && player.account_id() == 0) {
    return mg::fail(mg::code::kUnauthorized, "Game Login Unauthorized");
  }
  // One message of a player at a time, in order.
  mg::Mailbox& mailbox = *mailboxes_[mg::Loop::current()->index()];
  const std::uint64_t key = mailbox_key(player.client_id());
  auto turn = mailbox.try_enter(key);
  if (!turn) return handle_in_turn(mailbox, key, context, in.cmd, std::string(in.data), out);
  auto called = router_.call(context.own_meta(), in.cmd, in.data, out.data, &*turn);
  called.start();
  if (called.succeeded()) [[likely]] {
    return mg::Result<void>();
  }
  if (!called.ready()) return answer_later(std::move(*turn), std::move(called), in.cmd, out);
  return answer(called.take(), in.cmd, out);
}

mg::Task<mg::Result<void>> Forward::handle_in_turn(mg::Mailbox& mailbox, std::uint64_t key,
                                                   const mg::rpc::Context& context, std::uint32_t cmd, std::string data,
                                                   mg::rpc::ForwardReply& out) {
  auto turn = co_await mailbox.enter(key, context.deadline());
  if (!turn) co_return std::unexpected(turn.error());
  co_return answer(co_await router_.call(context.own_meta(), cmd, data, out.data, &*turn), cmd, out);
}

mg::Task<mg::Result<void>> Forward::answer_later(mg::Mailbox::Turn, mg::Task<mg::Result<void>> called,
                                                 std::uint32_t cmd, mg::rpc::ForwardReply& out) {
  co_return answer(co_await std::move(called), cmd, out);
}

// A handler's error is the reply's code; the call itself went well.
mg::Result<void> Forward::answer(const mg::Result<void>& done, std::uint32_t cmd, mg::rpc::ForwardReply& out) {
  if (!done) [[unlikely]] {
    mg::log::debug("command {}: {}", cmd, mg::to_json(done.error()));
    out.code = static_cast<std::uint32_t>(done.error().code);
    out.data.clear();
  }
  return {};
}

mg::Result<void> Forward::offline(const mg::rpc::Context& context, const game::InForwardOffline&,
                                  game::OutForwardOffline&) {
  world_.leave(context.meta().get_int64("Role-Id"));
  sessions_.ended(context.meta().get_int64("Account-Id"), context.meta().get("Client-Id"));
  return {};
}

}  // namespace example
