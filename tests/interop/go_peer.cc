#include "tests/interop/go_peer.h"

#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace mg::interop {
namespace {

std::vector<std::string> command_of(const GoPeer::Options& options) {
  const char* const program = std::getenv("MG_INTEROP_GO");
  if (!program) throw std::runtime_error("MG_INTEROP_GO does not name the Go program");
  return {program,          "-name",   options.name,   "-address", options.address, "-registry",
          options.registry, "-broker", options.broker, "-ttl",     options.ttl};
}

}  // namespace

GoPeer::GoPeer(const Options& options) : peer_(command_of(options)) {
  const boost::json::object ready = read();
  id_ = ready.at("id").as_string();
  address_ = ready.at("address").as_string();
}

boost::json::object GoPeer::ask(boost::json::object command) {
  peer_.say(boost::json::serialize(command));
  return read();
}

boost::json::object GoPeer::read() {
  for (;;) {
    const std::string line = peer_.read();
    if (line.starts_with('{')) return boost::json::parse(line).as_object();  // Others are of go-micro's log.
  }
}

}  // namespace mg::interop
