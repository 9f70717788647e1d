// Handler classes that must not compile, each with the words that its author must see. Read by check.py.
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <string>

#include "mg/protocol/router.h"

using google::protobuf::Empty;
using google::protobuf::StringValue;
using mg::AgentMeta;
using mg::Result;
using mg::Task;
using mg::protocol::Router;
using mg::protocol::Routes;

struct Good {
  Result<void> Login_10001(AgentMeta&, const StringValue&, Empty&);
  Task<Result<void>> Logout_10002(AgentMeta&, const StringValue&, Empty&) const noexcept;
  using Routes = ::Routes<&Good::Login_10001, &Good::Logout_10002>;
};
void add(Router& router, Good& handler) { router.add_route(handler); }  // compiles

struct NoUnderscore {
  Result<void> Login(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&NoUnderscore::Login>;
};
void add(Router& router, NoUnderscore& handler) { router.add_route(handler); }  // expect: must have exactly one '_'

struct TwoUnderscores {
  Result<void> Log_in_10001(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&TwoUnderscores::Log_in_10001>;
};
void add(Router& router, TwoUnderscores& handler) { router.add_route(handler); }  // expect: must have exactly one '_'

struct Hex {
  Result<void> Login_0x10(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&Hex::Login_0x10>;
};
void add(Router& router, Hex& handler) { router.add_route(handler); }  // expect: must be a decimal number up to

struct TooLarge {
  Result<void> Login_4294967296(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&TooLarge::Login_4294967296>;
};
void add(Router& router, TooLarge& handler) { router.add_route(handler); }  // expect: must be a decimal number up to

struct Twice {
  Result<void> Login_7(AgentMeta&, const StringValue&, Empty&);
  Result<void> Logout_007(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&Twice::Login_7, &Twice::Logout_007>;
};
void add(Router& router, Twice& handler) { router.add_route(handler); }  // expect: two of its methods have the same

struct ByValue {
  Result<void> Login_7(AgentMeta&, StringValue, Empty&);
  using Routes = ::Routes<&ByValue::Login_7>;
};
void add(Router& router, ByValue& handler) { router.add_route(handler); }  // expect: its form must be

struct ConstReply {
  Result<void> Login_7(AgentMeta&, const StringValue&, const Empty&);
  using Routes = ::Routes<&ConstReply::Login_7>;
};
void add(Router& router, ConstReply& handler) { router.add_route(handler); }  // expect: its form must be

struct NoMessage {
  Result<void> Login_7(AgentMeta&, const std::string&, Empty&);
  using Routes = ::Routes<&NoMessage::Login_7>;
};
void add(Router& router, NoMessage& handler) { router.add_route(handler); }  // expect: its form must be

struct ReturnsInt {
  int Login_7(AgentMeta&, const StringValue&, Empty&);
  using Routes = ::Routes<&ReturnsInt::Login_7>;
};
void add(Router& router, ReturnsInt& handler) { router.add_route(handler); }  // expect: its form must be

struct NoReply {
  Result<void> Login_7(AgentMeta&, const StringValue&);
  using Routes = ::Routes<&NoReply::Login_7>;
};
void add(Router& router, NoReply& handler) { router.add_route(handler); }  // expect: its form must be

struct OtherMeta {
  Result<void> Login_7(mg::Meta&, const StringValue&, Empty&);
  using Routes = ::Routes<&OtherMeta::Login_7>;
};
void add(Router& router, OtherMeta& handler) { router.add_route(handler); }  // expect: its form must be

struct OtherClass {
  using Routes = ::Routes<&Good::Login_10001>;
};
void add(Router& router, OtherClass& handler) { router.add_route(handler); }  // expect: a method of another class

struct NoList {
  Result<void> Login_7(AgentMeta&, const StringValue&, Empty&);
};
void add(Router& router, NoList& handler) { router.add_route(handler); }  // expect: it must list its methods

struct PrivateList : private Good {};
void add(Router& router, PrivateList& handler) { router.add_route(handler); }  // expect: it must list its methods

void add_temporary(Router& router) { router.add_route(Good()); }  // expect: deleted
