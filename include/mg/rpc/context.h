// mg/rpc/context.h -- what travels beside the message of a call: metadata, deadline, who called.
//
//   Task<Result<void>> Hall::enter(const rpc::Context& context, const EnterReq& in, EnterRsp& out) {
//     AgentMeta player(context.meta());
//     return rooms_.call(rpc::Context(context.meta(), context.deadline()), in, out);   // what is left of the time
#pragma once

#include <string_view>

#include "mg/base/deadline.h"
#include "mg/meta/agent_meta.h"

namespace mg::rpc {

// Lifetime: views; a caller's must live until the call's Task is done, a handler's does until the handler's Task is.
// Cost: copying it copies no metadata.
class Context {
 public:
  // Without a deadline the client's timeout counts. No metadata is the empty Meta.
  explicit Context(Deadline deadline = Deadline::never()) : deadline_(deadline) {}
  explicit Context(const Meta& meta, Deadline deadline = Deadline::never()) : meta_(&meta), deadline_(deadline) {}
  explicit Context(Meta&&, Deadline = Deadline::never()) = delete;  // It would be gone before the call is.
  // A handler's, made by its transport: `own` is this call's alone.
  Context(AgentMeta& own, Deadline deadline, std::string_view caller, std::string_view remote)
      : meta_(&own), own_(&own), deadline_(deadline), caller_(caller), remote_(remote) {}

  const Meta& meta() const { return meta_ ? *meta_ : empty_meta(); }
  // In a handler: the same, to work with; changes are seen by nobody else. Requires: in a handler.
  AgentMeta& own_meta() const { return *own_; }
  // In a handler: when the caller stops waiting. Never `never()` there.
  Deadline deadline() const { return deadline_; }
  // In a handler: the caller's service name, and its address ("local" in one process); "" when it did not say.
  std::string_view caller() const { return caller_; }
  std::string_view remote() const { return remote_; }

  void set_deadline(Deadline deadline) { deadline_ = deadline; }
  // Of a caller: those of its calls to one node that have the same Client-Id reach it in the order they are made. Where
  // a transport does not promise that (gRPC), each waits until the one before has its answer. Not for a handler's own
  // calls with its caller's metadata: in a circle they would wait for themselves.
  void set_ordered() { ordered_ = true; }
  bool ordered() const { return ordered_; }

 private:
  static const Meta& empty_meta();

  const Meta* meta_ = nullptr;
  AgentMeta* own_ = nullptr;
  Deadline deadline_;
  bool ordered_ = false;
  std::string_view caller_;
  std::string_view remote_;
};

}  // namespace mg::rpc
