// expect: exactly one '_'
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;

struct Handler {
  Result<void> Log_in_10001(AgentMeta&, const StringValue&, Empty&);
  using Routes = mg::protocol::Routes<&Handler::Log_in_10001>;
};

void add(mg::protocol::Router& router, Handler& handler) {
  router.add_route(handler);
}
