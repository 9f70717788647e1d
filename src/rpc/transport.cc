#include "mg/rpc/transport.h"

namespace mg::rpc {

std::string_view Node::uuid(std::string_view service) const {
  std::string_view text = id;
  if (text.size() > service.size() && text.starts_with(service) && text[service.size()] == '-') {
    text.remove_prefix(service.size() + 1);
  }
  return text;
}

std::string_view Node::get(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

Task<Result<void>> call_with_messages(Route& route, const Context& context, const ForwardCall& forward) {
  ExchangePtr exchange = forward.pool->take();
  forward.messages->fill(exchange->request(), forward.in);
  Task<Result<void>> called =
      route.call(context, {.request = &exchange->request(), .reply = &exchange->reply(), .exchange = exchange.get()});
  return then(std::move(called), [exchange = std::move(exchange), forward](Result<void> done) {
    if (done) forward.messages->take(exchange->reply(), *forward.code, *forward.data);
    return done;
  });
}

}  // namespace mg::rpc
