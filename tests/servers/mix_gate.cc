// mix_gate: a gate whose packets have mix octets, for fault tests: lets everybody in, sends payloads back.
//
//   mix_gate --codec_mix 4d4700ff --agent_type ws,tcp --agent_port 127.0.0.1:0      prints the URLs, then `ready`
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mg/agent/agent.h"
#include "mg/agent/tcp/transport.h"
#include "mg/agent/ws/transport.h"
#include "mg/base/flags.h"
#include "mg/base/logging.h"
#include "mg/runtime/runtime.h"
#include "mg/runtime/signals.h"
#include "mg/runtime/task.h"

namespace {

using namespace mg;

Task<Result<void>> echo(agent::Client& client, const agent::Packet& in, agent::Reply& out) {
  client.set_auth_state(true);
  out.data.assign(as_text(in.payload));
  co_return Result<void>();
}

Task<void> stop(agent::Agent& gate, Runtime& runtime) {
  (void)co_await gate.stop();
  runtime.stop();
}

}  // namespace

int main(int argc, char** argv) {
  log::Logging logging;
  ignore_signals({SIGPIPE, SIGHUP});
  agent::AgentOptions options;
  std::string mix;
  Flags flags("mix_gate", "1");
  options.add_flags(flags);
  flags.add("codec_mix", &mix, "Mix octets, in hexadecimal");
  if (auto exit = flags.parse(argc, argv)) return *exit;
  std::vector<std::uint8_t> octets;
  for (std::size_t at = 0; at + 1 < mix.size(); at += 2) {
    octets.push_back(static_cast<std::uint8_t>(std::strtoul(mix.substr(at, 2).c_str(), nullptr, 16)));
  }
  if (auto set = options.codec.set_mix(octets); !set) {
    std::fprintf(stderr, "mix_gate: %s\n", to_json(set.error()).c_str());
    return 2;
  }

  Runtime runtime({.loops = 2});
  std::vector<std::unique_ptr<agent::Transport>> transports;
  transports.push_back(agent::ws::make_transport());
  transports.push_back(agent::tcp::make_transport());
  agent::Agent gate(options, std::move(transports));
  gate.on_receive(echo);
  if (auto started = gate.start(runtime, "gate", "mix"); !started) {
    log::error("{}", to_json(started.error()));
    return 1;
  }
  Signals signals(runtime.loop(0), {SIGTERM, SIGINT}, [&](int) { spawn(stop(gate, runtime)); });
  for (const std::string& url : gate.urls()) std::puts(url.c_str());
  std::puts("ready");
  std::fflush(stdout);
  return runtime.run() ? 0 : 1;
}
