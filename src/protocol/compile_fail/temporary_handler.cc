// expect: deleted
#include <google/protobuf/empty.pb.h>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using mg::AgentMeta;
using mg::Result;

struct Handler {
  Result<void> Login_7(AgentMeta&, const Empty&, Empty&);
  using Routes = mg::protocol::Routes<&Handler::Login_7>;
};

void add(mg::protocol::Router& router) {
  router.add_route(Handler());
}
