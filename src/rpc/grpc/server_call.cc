#include "rpc/grpc/server_call.h"

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "rpc/grpc/message.h"
#include "rpc/grpc/status.h"
#include "rpc/grpc/stream_operation.h"

namespace mg::rpc::grpc {
namespace {

using google::protobuf::MessageLite;
using ::grpc::StatusCode;

// What both kinds of request have: whose it is, and the handler's run.
// Threads: the constructor and the On… functions on the library's, all else on the loop.
// Lifetime: the library's reference goes with OnDone, the loop's with the handler.
class ServerCall : public ::grpc::ServerGenericBidiReactor {
 public:
  ServerCall(std::shared_ptr<Node> node, ::grpc::GenericCallbackServerContext* context, const Handler& handler,
             Incoming in, Deadline deadline)
      : node_(std::move(node)),
        own_(node_->loop_for(in.meta)),
        handler_(handler),
        grpc_context_(context),
        x_content_type_(std::move(in.x_content_type)),
        meta_(std::move(in.meta)),
        caller_(std::move(in.caller)),
        remote_(meta_.get("Remote")),
        context_(meta_, deadline, caller_, remote_) {}

  void OnDone() override { const std::shared_ptr<ServerCall> last = std::move(library_); }

  std::shared_ptr<ServerCall> library_;  // Set by start_server_call().

 protected:
  Loop& loop() const { return *own_.loop; }

  // Ends the request unless it has ended; the only way to, but for UnaryCall's reply.
  virtual void finish(::grpc::Status status, bool not_run = false) = 0;

  // Posts `run`; `self` is a reference for the loop.
  template <class Call>
  void post_run(std::shared_ptr<Call> self) {
    const bool posted = loop().post([self] { run(self); });
    if (!posted) {
      node_->debug.note_refused();
      finish(to_status(node_->too_many()));
    }
  }

  // On the loop. `Call::invoke` gives the handler's Task, `Call::settle` takes its outcome.
  template <class Call>
  static void run(const std::shared_ptr<Call>& self) {
    if (self->ended()) return;  // Nobody waits any more.
    Result<InFlight::Token> token = self->own_.calls.enter();
    if (!token) {
      self->node_->debug.note_refused();
      return self->finish(to_status(self->node_->stopped()), true);
    }
    if (self->own_.calls.count() > self->node_->max_running) {
      self->node_->debug.note_refused();
      return self->finish(to_status(self->node_->too_many()));
    }
    self->token_ = std::move(*token);
    self->started_ = self->loop().clock().now();
    self->wall_ = self->loop().clock().wall();
    if (self->context_.deadline().expired(self->started_)) {
      return self->conclude(self, std::unexpected(deadline_exceeded()));
    }
    try {
      Task<Result<void>> task = self->invoke();
      task.start();
      if (task.ready()) {
        conclude(self, task.take());
      } else {
        spawn(drive(self, std::move(task)));
      }
    } catch (...) {
      conclude(self, std::unexpected(panic_error(std::current_exception())));
    }
  }

  // Waits for the handler's coroutine, whoever still waits for its answer.
  template <class Call>
  static Task<void> drive(std::shared_ptr<Call> self, Task<Result<void>> task) {
    Result<void> result;
    try {
      const Task<Result<void>> ends_here = std::move(task);  // What the handler holds goes before its answer leaves.
      result = co_await const_cast<Task<Result<void>>&>(ends_here);
    } catch (...) {
      result = std::unexpected(panic_error(std::current_exception()));
    }
    co_await self->loop().resume_here();
    conclude(self, std::move(result));
  }

  template <class Call>
  static void conclude(const std::shared_ptr<Call>& self, Result<void> result) {
    Node& node = *self->node_;
    if (!result) result = std::unexpected(handler_error(std::move(result.error()), node.uuid));
    const Clock::Duration took = self->loop().clock().now() - self->started_;
    node.debug.note(self->loop().index(), self->meta_, self->handler_.name, self->wall_, took, !result);
    if (node.observer) {
      node.observer({.endpoint = self->handler_.name,
                     .context = self->context_,
                     .took = took,
                     .error = result ? nullptr : &result.error()});
    }
    self->settle(std::move(result));
    self->token_.release();
  }

  const std::shared_ptr<Node> node_;
  Node::PerLoop& own_;
  const Handler& handler_;  // Looked at only while the node serves.
  ::grpc::GenericCallbackServerContext* const grpc_context_;
  const std::string x_content_type_;
  AgentMeta meta_;
  const std::string caller_;
  const std::string remote_;
  const Context context_;

  InFlight::Token token_;
  Clock::TimePoint started_{};
  Clock::WallTime wall_{};
};

// A request of one message.
class UnaryCall final : public ServerCall {
 public:
  using ServerCall::ServerCall;
  void start() { StartRead(&buffer_); }

  void OnReadDone(bool ok) override {
    if (!ok) return refuse(plain_status(StatusCode::INTERNAL, "unexpected EOF: the call has no request message"));
    // Decoded here, not on the loop: this is the thread that has nothing else to do.
    format_ = format_of(buffer_, x_content_type_);
    request_.reset(handler_.request->New());
    if (auto done = decode(buffer_, format_, *request_); !done) {
      return refuse(plain_status(StatusCode::INTERNAL, std::move(done.error().detail)));
    }
    buffer_.Clear();
    post_run(std::static_pointer_cast<UnaryCall>(library_));
  }
  // The caller is gone. The handler runs on; its reply is dropped.
  void OnCancel() override { finish(::grpc::Status::CANCELLED); }

 private:
  friend class ServerCall;

  bool ended() const { return finished_.load(std::memory_order_relaxed); }
  bool end() { return !finished_.exchange(true); }
  void finish(::grpc::Status status, bool not_run = false) override {
    if (!end()) return;
    // Until Finish() the library keeps its context.
    if (not_run) grpc_context_->AddTrailingMetadata(kNotRunKey, "1");
    Finish(std::move(status));
  }
  void refuse(::grpc::Status status) {
    node_->debug.note_refused();
    finish(std::move(status));
  }

  Task<Result<void>> invoke() {
    reply_.reset(handler_.reply->New());
    return handler_.invoke(handler_.target.get(), context_, *request_, *reply_);
  }
  void settle(Result<void> result) {
    if (!result) return finish(to_status(result.error()));
    Result<::grpc::ByteBuffer> out = encode(*reply_, format_, node_->max_message_bytes);
    if (!out) {
      const bool large = out.error().code == code::kTooMany;
      return finish(
          plain_status(large ? StatusCode::RESOURCE_EXHAUSTED : StatusCode::INTERNAL, std::move(out.error().detail)));
    }
    if (!end()) return;
    buffer_.Swap(&*out);
    StartWriteAndFinish(&buffer_, ::grpc::WriteOptions(), ::grpc::Status::OK);
  }

  std::atomic<bool> finished_{false};
  ::grpc::ByteBuffer buffer_;
  Format format_ = Format::kProto;
  std::unique_ptr<MessageLite> request_;
  std::unique_ptr<MessageLite> reply_;
};

// A request of many messages.
class StreamCall final : public ServerCall, public StreamEnd, public std::enable_shared_from_this<StreamCall> {
 public:
  using ServerCall::ServerCall;
  void start() { post_run(std::static_pointer_cast<StreamCall>(library_)); }

  void OnReadDone(bool ok) override { tell(&StreamCall::reading_, ok); }
  void OnWriteDone(bool ok) override { tell(&StreamCall::writing_, ok); }
  void OnCancel() override { finish(::grpc::Status::CANCELLED); }

  Task<Result<bool>> read(MessageLite& message) override { return read_one(shared_from_this(), message); }
  Task<Result<void>> write(const MessageLite& message) override { return write_one(shared_from_this(), message); }

 private:
  friend class ServerCall;
  // Starts an operation of the library, unless the request has ended: none may be started then.
  template <class Operation>
  bool begin(Operation operation) {
    const std::lock_guard lock(mutex_);
    if (finished_) return false;
    operation();
    return true;
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return finished_;
  }
  void finish(::grpc::Status status, bool not_run = false) override {
    begin([&] {
      finished_ = true;
      if (not_run) grpc_context_->AddTrailingMetadata(kNotRunKey, "1");
      Finish(std::move(status));
    });
  }

  void tell(StreamOperation StreamCall::* which, bool ok) {
    const auto it = std::static_pointer_cast<StreamCall>(library_);
    loop().post_always([it, which, ok] { ((*it).*which).end(ok); });
  }

  static std::unexpected<Error> gone() {
    return std::unexpected(client_error(code::kServer, "the caller of the stream is gone"));
  }
  static Task<Result<bool>> read_one(std::shared_ptr<StreamCall> it, MessageLite& message) {
    if (it->end_of_input_) co_return false;
    if (it->reading_.idle()) {
      if (!it->begin([&] {
            it->reading_.begin();
            it->StartRead(&it->in_);
          })) {
        co_return gone();
      }
    }
    if (!co_await it->reading_.wait(it->loop(), it->context_.deadline()))
      co_return std::unexpected(deadline_exceeded());
    if (!it->reading_.take()) {
      if (it->ended()) co_return gone();
      it->end_of_input_ = true;
      co_return false;
    }
    it->format_ = format_of(it->in_, it->x_content_type_);
    message.Clear();
    if (auto done = decode(it->in_, it->format_, message); !done) {
      it->finish(plain_status(StatusCode::INTERNAL, done.error().detail));
      co_return std::unexpected(std::move(done.error()));
    }
    co_return true;
  }
  static Task<Result<void>> write_one(std::shared_ptr<StreamCall> it, const MessageLite& message) {
    Result<::grpc::ByteBuffer> out = encode(message, it->format_, it->node_->max_message_bytes);
    if (!out) co_return std::unexpected(std::move(out.error()));
    const Deadline deadline = it->context_.deadline();
    // One that was given up may still be on its way.
    if (it->writing_.busy() && !co_await it->writing_.wait(it->loop(), deadline)) {
      co_return std::unexpected(deadline_exceeded());
    }
    (void)it->writing_.take();
    it->out_.Swap(&*out);
    if (!it->begin([&] {
          it->writing_.begin();
          it->StartWrite(&it->out_);
        })) {
      co_return gone();
    }
    if (!co_await it->writing_.wait(it->loop(), deadline)) co_return std::unexpected(deadline_exceeded());
    if (!it->writing_.take()) co_return gone();
    co_return Result<void>();
  }

  Task<Result<void>> invoke() { return handler_.invoke_stream(handler_.target.get(), context_, *this); }
  void settle(Result<void> result) { finish(result ? ::grpc::Status::OK : to_status(result.error())); }

  // docs/threads.md: "grpc stream". The library may call back within an operation, hence recursive.
  std::recursive_mutex mutex_;
  bool finished_ = false;

  ::grpc::ByteBuffer in_;
  ::grpc::ByteBuffer out_;
  Format format_ = Format::kProto;
  bool end_of_input_ = false;
  StreamOperation reading_;
  StreamOperation writing_;
};

}  // namespace

::grpc::ServerGenericBidiReactor* start_server_call(std::shared_ptr<Node> node,
                                                    ::grpc::GenericCallbackServerContext* context,
                                                    const Handler& handler, Incoming in, Deadline deadline) {
  if (handler.invoke_stream) {
    auto call = std::make_shared<StreamCall>(std::move(node), context, handler, std::move(in), deadline);
    call->library_ = call;
    call->start();
    return call.get();
  }
  auto call = std::make_shared<UnaryCall>(std::move(node), context, handler, std::move(in), deadline);
  call->library_ = call;
  call->start();
  return call.get();
}

}  // namespace mg::rpc::grpc
