#include "mg/app/common_flags.h"

#include "mg/base/flags.h"
#include "mg/utils/errors/language.h"

namespace mg {

void CommonFlags::add_to(Flags& flags) {
  using namespace std::chrono_literals;
  flags.section("Service");
  flags.add("dev", &dev, "Log each request and message with its time");
  flags.add("loops", &loops, "Threads that serve, each with a loop of its own; 0: one for each core", {.max = 1024});
  flags.add("stop_timeout", &stop_timeout, "Time to finish what runs after a signal to stop", {.max = 10min});
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
  flags.add("selector", &selector, "How calls choose among nodes; empty: at random");
  flags.add("client_pool_size", &client_pool_size, "Connections for each address; 0: 100");
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
