#include "mg/app/common_flags.h"

#include "mg/base/flags.h"
#include "mg/rpc/selector.h"
#include "mg/utils/errors/language.h"

namespace mg {

void CommonFlags::add_to(Flags& flags) {
  using namespace std::chrono_literals;
  flags.section("Service");
  flags.add("dev", &dev, "Log each request and message with its time");
  flags.add("loops", &loops, "Threads that serve, each with a loop of its own; 0: one for each core", {.max = 1024});
  flags.add("stop_timeout", &stop_timeout, "Time to finish what runs after a signal to stop", {.max = 10min});
  flags.add("drain_delay", &drain_delay,
            "When stopping with a registry_address: time that calls are taken yet after others are told of it",
            {.max = 10min});
  flags.add("client_request_timeout", &client_request_timeout, "Time a call may take unless it says otherwise",
            {.min = 1ms, .max = 24h});
  flags.add("register_ttl", &register_ttl, "Time after which a node that is not heard of vanishes; 0: never",
            {.form = FlagForm::kSeconds});
  flags.add("register_interval", &register_interval, "Time between two registrations; 0: only one",
            {.form = FlagForm::kSeconds});
  flags.add("lang", &lang, "Language of the status texts of errors; when not given, the words that Go nodes use",
            {.check = [](const std::string& name) {
              return errors::has_language(name) ? "" : fmt::format("one of {}", fmt::join(errors::languages(), ", "));
            }});

  flags.section("Cluster");
  flags.add("registry_address", &registry_address, "Registry servers, host:port; empty: built in");
  flags.add("broker_address", &broker_address, "Broker servers, host:port; empty: built in");
  flags.add("registry_user", &registry_user, "User of the registry; empty: none");
  flags.add("registry_password", &registry_password, "Password of the registry's user", {.secret = true});
  flags.add("registry_tls", &registry_tls, "Speak TLS with the registry; so do the files below");
  flags.add("registry_tls_ca", &registry_tls_ca, "PEM file: who signs the registry's certificates");
  flags.add("registry_tls_cert", &registry_tls_cert, "PEM file: our certificate for the registry");
  flags.add("registry_tls_key", &registry_tls_key, "PEM file: its private key");
  flags.add("broker_user", &broker_user, "User of the broker; empty: none");
  flags.add("broker_password", &broker_password, "Password of the broker's user", {.secret = true});
  flags.add("broker_token", &broker_token, "What the broker asks for instead of a user", {.secret = true});
  flags.add("broker_tls", &broker_tls, "Speak TLS with the broker; so do the files below");
  flags.add("broker_tls_ca", &broker_tls_ca, "PEM file: who signs the broker's certificates");
  flags.add("broker_tls_cert", &broker_tls_cert, "PEM file: our certificate for the broker");
  flags.add("broker_tls_key", &broker_tls_key, "PEM file: its private key");
  flags.add("rpc_address", &rpc_address,
            "host:port to be called at; empty: any free port when there is a registry_address, else nowhere");
  flags.add("rpc_advertise", &rpc_advertise, "host:port that others are told to call; empty: that of this machine");
  flags.add("rpc_tls", &rpc_tls, "Call every node over TLS, not only those that say so");
  flags.add("rpc_tls_cert", &rpc_tls_cert, "PEM file: our certificate; then calls are taken over TLS only");
  flags.add("rpc_tls_key", &rpc_tls_key, "PEM file: its private key");
  flags.add("rpc_tls_ca", &rpc_tls_ca, "PEM file: who signs nodes' certificates; then callers must show one, too");
  flags.add("rpc_tls_server_name", &rpc_tls_server_name, "Name in nodes' certificates; empty: the host called");
  flags.add("rpc_link", &rpc_link, "Calls between microgame nodes take the link, not gRPC: on or off",
            {.check = [](const std::string& word) { return word == "on" || word == "off" ? "" : "on or off"; }});
  flags.add("rpc_link_address", &rpc_link_address, "host:port of the link; empty: any port at the host of rpc_address");
  flags.add("rpc_link_advertise", &rpc_link_advertise, "IP that others reach the link at; empty: as for rpc_advertise");
  flags.add("rpc_link_secret", &rpc_link_secret, "What nodes must know to have links with each other; empty: nothing",
            {.secret = true});
  flags.add("selector", &selector,
            "How calls choose among nodes: random, round_robin, least_pending, hash:<metadata key>; empty: random",
            {.check = [](const std::string& name) {
              const auto picker = rpc::picker_of(name);
              return picker ? "" : picker.error().detail;
            }});
  flags.add("client_retries", &client_retries, "Further attempts of a failed call", {.max = 100});
  flags.add("client_pool_size", &client_pool_size, "Connections for each address; 0: 100", {.max = 10'000});
  flags.add("client_pool_ttl", &client_pool_ttl, "Age at which a pooled connection is dropped; 0: a minute");

  flags.section("Accepted for services that move over; without effect");
  flags.add("gops", &gops, "Address of the gops agent");
  flags.add("profile", &profile, "http or pprof", {.env = {"GAME_DEBUG_PROFILE"}});
  flags.add("runtime", &runtime, "Runtime");
  flags.add("runtime_source", &runtime_source, "Source of the runtime");
  flags.add("tracer", &tracer, "Tracer");
  flags.add("tracer_address", &tracer_address, "Address of the tracer");
}

}  // namespace mg
