// Any octets from the other side of a link: to a node (after its handshake or as the handshake), to a caller with calls
// in flight. The first octet chooses, the second is the size of the pieces they come in.
#include <google/protobuf/wrappers.pb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/check.h"
#include "mg/runtime/event.h"
#include "rpc/link/caller.h"
#include "rpc/link/node.h"
#include "rpc/link/raw_peer.h"

namespace mg::rpc::link {
namespace {

using google::protobuf::StringValue;

struct World {
  World() {
    shared->options.max_calls = 16;
    shared->options.max_metas = 8;
    shared->options.max_meta_octets = kMaxMetaSize;
    shared->options.max_message = 64 * 1024;
    shared->options.max_output = 16 * 1024;
    check(handlers
              .add("T.Echo",
                   [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
                     out = in;
                     return {};
                   })
              .has_value(),
          "handler");
    check(handlers.add("T.Hold", [this](const Context&, const StringValue&, StringValue&) { return hold(*this); })
              .has_value(),
          "handler");
    node = std::make_shared<ServedNode>(loops, shared,
                                        Serving{.service = "game", .uuid = "a", .handlers = &handlers, .observer = {}});
  }
  static Task<Result<void>> hold(World& world) {
    Completion<bool> released;
    world.held.push_back(&released);
    co_await released.wait(*Loop::current(), Deadline::never());
    co_return Result<void>();
  }
  void release() {
    for (Completion<bool>* const one : std::exchange(held, {})) one->set(true);
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop.poll();
  }

  ManualClock clock;
  Loop loop{{.clock = &clock}};
  Loop* loops[1] = {&loop};
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  Handlers handlers;
  std::vector<Completion<bool>*> held;
  std::shared_ptr<ServedNode> node;
};

void feed(World& world, RawPeer& peer, std::string_view octets, std::size_t piece) {
  while (!octets.empty()) {
    if (!peer.send(octets.substr(0, piece))) break;
    octets.remove_prefix(std::min(piece, octets.size()));
    world.turns(2);
    peer.frames();
  }
}

void to_node(World& world, int fd, RawPeer peer, std::string_view octets, std::size_t piece, bool joined) {
  world.node->accept_on(world.loop, fd, "fuzz");
  if (joined) {
    peer.send(encode(Hello{.epoch = world.node->epoch, .max_message = 1024, .node = "game-a"}) +
              raw_method("T", "Echo", 0) + raw_method("T", "Hold", 1) +
              raw_frame(Type::kMeta, raw_u32({0}) + raw_entry("Client-Id", "c"), kFromEmpty));
    world.turns(3);
  }
  feed(world, peer, octets, piece);
  world.release();
  world.turns(2);
  peer.close();
  for (int i = 0; i < 100 && !world.node->at(world.loop).accepted.empty(); ++i) {
    world.release();
    world.loop.poll();
  }
  check(world.node->at(world.loop).accepted.empty(), "a link whose caller has gone stays");
  world.release();
}

void to_caller(World& world, int fd, RawPeer peer, std::string_view octets, std::size_t piece, bool joined) {
  struct Out {
    StringValue in, out;
    std::optional<Result<void>> done;
  };
  struct Run {
    static Task<void> call(Caller& caller, Context context, Out& out) {
      out.done = co_await caller.call(caller.way({"T", "Echo"}, "gate"), context, {&out.in, &out.out});
    }
  };
  constexpr std::size_t kCalls = 4;
  const Meta meta{{"Client-Id", "c"}};
  std::vector<Out> outs(kCalls);
  {
    Callers callers(world.loop, *world.shared);
    const Place place{"127.0.0.1", 1, 7};
    const LoopPtr<Caller> caller = callers.find_or_make("game-a", "place", place);
    caller->connected(fd);
    const Context context(meta, Deadline::after(world.clock, std::chrono::seconds(5)));
    const auto call = [&](Out& out) {
      world.loop.post_always([&] { spawn(Run::call(*caller, context, out)); });
      world.turns(1);
    };
    call(outs[0]);  // Waits for the handshake.
    if (joined) {
      peer.send(encode(
          Welcome{.epoch = 7, .max_calls = 2, .max_message = 1024, .max_metas = 4, .max_meta_octets = kMaxMetaSize}));
      world.turns(3);
    }
    for (std::size_t i = 1; i < kCalls; ++i) call(outs[i]);
    feed(world, peer, octets, piece);
    peer.close();
    world.turns(10);
    world.clock.advance(std::chrono::seconds(60));  // Whatever it was, every call ends.
    world.turns(10);
    for (const Out& out : outs) check(out.done.has_value(), "a call has no end");
  }
}

}  // namespace
}  // namespace mg::rpc::link

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mg::rpc::link;
  static World& world = *new World;
  if (size < 2 || size > 64 * 1024) return 0;
  const std::string_view octets(reinterpret_cast<const char*>(data) + 2, size - 2);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  const bool joined = (data[0] & 2) == 0;
  const std::size_t piece = data[1] == 0 ? octets.size() + 1 : data[1];
  if ((data[0] & 1) == 0) {
    to_node(world, ends[0], RawPeer(ends[1]), octets, piece, joined);
  } else {
    to_caller(world, ends[0], RawPeer(ends[1]), octets, piece, joined);
  }
  (void)decode_place(octets);
  return 0;
}
