// tests/support/mongo.h -- servers that speak MongoDB's protocol, as replica sets of one.
//
//   Server server = java_server({"--file", …});      // tests/servers/mongo
//   auto store = await_on(loop, Mongo::connect({.url = url_of(server), .database = "game"}));
#pragma once

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/server.h"

namespace mg::testing {

// Exact, but has no transactions. In memory, or with `kept` in a file where what is acknowledged outlives kill().
inline Server java_server(bool kept = false) {
  auto command = [kept](std::uint16_t port, const std::string& dir) {
    const std::string at = MG_MONGO_SERVERS;
    std::vector<std::string> all{"java", "-XX:+UseSerialGC",           "-XX:TieredStopAtLevel=1", "-Xmx512m",
                                 "-cp",  at + "/cls:" + at + "/lib/*", "MongoTestServer",         std::to_string(port)};
    if (kept) all.insert(all.end(), {"--file", dir + "/data.mv", "--sync"});
    return all;
  };
  return Server({.name = "MongoTestServer", .command = std::move(command), .ready = "ready mongodb://"});
}

// Has transactions. `faults`: what befalls their commands, one after the other; see the program.
inline Server secantus_server(std::vector<std::string> faults = {}) {
  auto command = [faults](std::uint16_t port, const std::string&) {
    std::vector<std::string> all{MG_PYTHON, MG_SOURCE_DIR "/tests/servers/mongo/secantus_server.py",
                                 std::to_string(port), ":memory:"};
    for (const std::string& fault : faults) all.push_back("--fault=" + fault);
    return all;
  };
  return Server({.name = "SecantusDB", .command = std::move(command), .ready = "ready mongodb://"});
}

inline std::string url_of(const Server& server) {
  return "mongodb://" + server.address() + "/?replicaSet=rs1";
}

}  // namespace mg::testing
