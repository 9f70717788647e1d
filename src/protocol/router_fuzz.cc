// Any command with any body: the router answers, and what it answers can be read.
// Input: 1 octet chooses the route, the rest is the body. Corpus: tests/corpus/router.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mg/protocol/router.h"
#include "src/protocol/router_test.pb.h"

namespace {

using mg::AgentMeta;
using mg::Result;
using mg::protocol::Router;
using mg::protocol::test::Cancel;
using mg::protocol::test::Tree;

struct Handler {
  Result<void> Cancel_0(AgentMeta&, const Cancel& request, Cancel& reply) { return reply = request, Result<void>(); }
  Result<void> Tree_1(AgentMeta&, const Tree& request, Tree& reply) { return reply = request, Result<void>(); }
  Result<void> Fail_2(AgentMeta&, const Tree& request, Tree&) {
    return std::unexpected(mg::Error{.id = {}, .code = request.numbers_size(), .detail = {}, .status = {}});
  }
  mg::Task<Result<void>> Ready_3(AgentMeta&, const Tree& request, Cancel& reply) {
    reply.set_name(request.name());
    return Result<void>();
  }
  using Routes = mg::protocol::Routes<&Handler::Cancel_0, &Handler::Tree_1, &Handler::Fail_2, &Handler::Ready_3>;
};

template <class Message>
void must_read(const std::string& reply) {
  if (!Message().ParseFromString(reply)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Handler handler;
  static Router& router = [] -> Router& {
    static Router made({.max_body_bytes = 64 * 1024, .max_reply_bytes = 256 * 1024});
    made.add_route(handler);
    if (!made.start()) std::abort();
    return made;
  }();
  if (size == 0) return 0;
  AgentMeta meta("gate", "node", "client");
  std::string reply;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto task = router.call(meta, data[0], body, reply);
  if (!task.ready()) std::abort();
  const Result<void> result = std::move(task).operator co_await().await_resume();
  if (!result) {
    if (result.error().code <= 0 || !reply.empty()) std::abort();
  } else if (data[0] == 1) {
    must_read<Tree>(reply);
  } else {
    must_read<Cancel>(reply);
  }
  return 0;
}
