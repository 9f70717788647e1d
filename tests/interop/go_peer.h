// tests/interop/go_peer.h -- a service on go-micro v2.9.1 as a child process, moved by lines of JSON (go/main.go).
//
//   GoPeer game({.name = "game", .registry = etcd.address(), .broker = nats.address()});   // registered by then
//   auto answer = game.ask({{"do", "call"}, {"service", "probe"}, {"endpoint", "Probe.Who"}});
//   EXPECT_EQ(answer.at("out").at("Text").as_string(), node);
#pragma once

#include <boost/json.hpp>
#include <string>
#include <utility>

#include "tests/support/line_peer.h"

namespace mg::interop {

// The program is the one that the variable MG_INTEROP_GO names. Throws std::runtime_error when the peer has ended or
// does not answer within 60 s. It dies with the thread that started it.
class GoPeer {
 public:
  struct Options {
    std::string name;
    std::string registry;
    std::string broker;
    std::string address = "127.0.0.1:0";
    std::string ttl = "60s";  // Of its registration.
  };

  explicit GoPeer(const Options& options);

  boost::json::object ask(boost::json::object command);
  const std::string& id() const { return id_; }            // UUID of the node.
  const std::string& address() const { return address_; }  // Where it is called.

  int stop() { return peer_.stop(); }  // SIGTERM; returns its exit code, or -signal.
  int wait() { return peer_.wait(); }  // For its own end.
  void kill() { peer_.kill(); }        // SIGKILL.

 private:
  boost::json::object read();

  testing::LinePeer peer_;
  std::string id_, address_;
};

}  // namespace mg::interop
