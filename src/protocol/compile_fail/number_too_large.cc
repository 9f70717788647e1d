// expect: must be a decimal number up to 4294967295
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;

struct Handler {
  Result<void> Login_4294967296(AgentMeta&, const StringValue&, Empty&);
  using Routes = mg::protocol::Routes<&Handler::Login_4294967296>;
};

void add(mg::protocol::Router& router, Handler& handler) {
  router.add_route(handler);
}
