// mg/registry/service.h -- what the registry knows of a service: the records of wire.md 1.2.
//
//   Service game{.name = "game", .nodes = {{.id = "game-" + uuid, .address = "10.0.0.7:9001"}}};
//   std::string_view uuid = uuid_of(game.nodes[0].id, game.name);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/error.h"

namespace mg::registry {

using Metadata = std::map<std::string, std::string, std::less<>>;

// A message type, by its fields; up to 3 levels. Opaque: shown, never used.
struct Value {
  std::string name;
  std::string type;
  std::vector<Value> values;
  friend bool operator==(const Value&, const Value&) = default;
};

// A method or topic that a service announces. Services of this framework announce none.
struct Endpoint {
  std::string name;
  std::optional<Value> request;
  std::optional<Value> response;
  Metadata metadata;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Node {
  std::string id;       // "<service>-<uuid>"
  std::string address;  // "host:port", "[v6]:port", "host", "https://…"
  Metadata metadata;
  friend bool operator==(const Node&, const Node&) = default;
};

// One version of a service and its nodes.
struct Service {
  std::string name;
  std::string version = "latest";
  Metadata metadata;
  std::vector<Endpoint> endpoints;
  std::vector<Node> nodes;
  friend bool operator==(const Service&, const Service&) = default;
};

// The UUID in a node id: the leading "<service>-" taken off, once.
std::string_view uuid_of(std::string_view node_id, std::string_view service);

// What can be registered: a name, exactly one node, its id. Errors: kInvalid  which is missing
Result<void> check_registration(const Service& service);

}  // namespace mg::registry
