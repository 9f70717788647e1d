// Classes that generated code must refuse, each with the words that its author must see. Read by check.py.
#include "commands.rpc.pb.h"
#include "hall.rpc.pb.h"
#include "mg/protocol/router.h"

using google::protobuf::Empty;
using mg::AgentMeta;
using mg::Result;
using mg::Task;
using mg::protocol::Router;
using mg::rpc::Context;
using mg::rpc::Handlers;

struct Good {
  Result<void> enter(const Context&, const hall::InEnter&, hall::OutEnter&);
  Task<Result<void>> get_http_address(const Context&, const hall::InEnter&, hall::Line&);
  Result<void> say(const Context&, const hall::Line_Mark&, hall::Line&);
};
Result<void> add(Handlers& handlers, Good& object) {
  return hall::Hall::add_to(handlers, object);
}  // compiles

struct Lacks {
  Result<void> enter(const Context&, const hall::InEnter&, hall::OutEnter&);
  Result<void> say(const Context&, const hall::Line_Mark&, hall::Line&);
};
void add(Handlers& handlers, Lacks& object) {
  (void)hall::Hall::add_to(handlers, object);  // expect: Hall needs a public method get_http_address of the object
}

struct Other : Good {
  Result<void> say(const Context&, const hall::Line&, hall::Line&);
};
void add(Handlers& handlers, Other& object) {
  (void)hall::Hall::add_to(handlers, object);  // expect: say(const mg::rpc::Context&, const hall::Line_Mark&,
}

struct Returns : Good {
  bool say(const Context&, const hall::Line_Mark&, hall::Line&);
};
void add(Handlers& handlers, Returns& object) {
  (void)hall::Hall::add_to(handlers, object);  // expect: mg::Result<void> or mg::Task<mg::Result<void>>
}

void add_temporary(Handlers& handlers) {
  (void)hall::Hall::add_to(handlers, Good());  // expect: deleted
}

struct Play : play::v1::Play::Handler {
  Result<void> Login_10001(AgentMeta&, const play::v1::C2S_10001&, play::v1::S2C_10001&);
  Result<void> Echo_10002(AgentMeta&, const play::v1::C2S_10002&, play::v1::S2C_10002&);
  Result<void> Alive_010004(AgentMeta&, const play::v1::C2S_10001&, Empty&);
};
void add(Router& router, Play& handler) {
  router.add_route(handler);
}  // compiles

struct PlayLacks : play::v1::Play::Handler {
  Result<void> Login_10001(AgentMeta&, const play::v1::C2S_10001&, play::v1::S2C_10001&);
  Result<void> Echo_10002(AgentMeta&, const play::v1::C2S_10002&, play::v1::S2C_10002&);
};
void add(Router& router, PlayLacks& handler) {
  router.add_route(handler);  // expect: Play needs a public method Alive_010004 of the object
}

struct PlayOther : Play {
  Result<void> Echo_10002(AgentMeta&, const play::v1::C2S_10001&, play::v1::S2C_10002&);
};
void add(Router& router, PlayOther& handler) {
  router.add_route(handler);  // expect: Echo_10002(mg::AgentMeta&, const play::v1::C2S_10002&, play::v1::S2C_10002&)
}
