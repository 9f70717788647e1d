// expect: its form must be
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;

#include <string>
struct Handler {
  Result<void> Login_7(AgentMeta&, const std::string&, Empty&);
  using Routes = mg::protocol::Routes<&Handler::Login_7>;
};

void add(mg::protocol::Router& router, Handler& handler) {
  router.add_route(handler);
}
