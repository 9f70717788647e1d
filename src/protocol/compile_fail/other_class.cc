// expect: lists a method of another class
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;

struct Other {
  Result<void> Login_7(AgentMeta&, const StringValue&, Empty&);
};
struct Handler {
  using Routes = mg::protocol::Routes<&Other::Login_7>;
};

void add(mg::protocol::Router& router, Handler& handler) {
  router.add_route(handler);
}
