#include "app/remote.h"

#include "mg/broker/nats/nats_broker.h"

namespace mg {

Result<void> make_remote(Backends& backends, const CommonFlags& flags, std::string_view name, Runtime& runtime) {
  if (!backends.broker && !flags.broker_address.empty()) {
    backends.broker = std::make_shared<broker::NatsBroker>(
        broker::NatsOptions{.addresses = flags.broker_address, .name = std::string(name)});
  }
  (void)runtime;
  return {};
}

}  // namespace mg
