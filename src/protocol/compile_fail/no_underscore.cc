// expect: exactly one '_'
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;

struct Handler {
  Result<void> Login(AgentMeta&, const StringValue&, Empty&);
  using Routes = mg::protocol::Routes<&Handler::Login>;
};

void add(mg::protocol::Router& router, Handler& handler) {
  router.add_route(handler);
}
