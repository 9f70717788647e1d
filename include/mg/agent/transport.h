// mg/agent/transport.h -- the port that transports implement: how packets lie in a connection's octets.
//
//   class TcpTransport : public Transport { ... make_framer() ... };
//   framer.next(stream.input(), out) -> a packet, or what to do next
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mg/agent/options.h"
#include "mg/base/bytes.h"
#include "mg/codec/head.h"
#include "mg/runtime/shared_bytes.h"
#include "mg/runtime/stream.h"

namespace mg::agent {

// A message from a client. Lifetime: until the on_receive task is done.
struct Packet {
  codec::ClientHead head;
  Bytes payload;
};

// What a framer found at the front of the octets.
struct FrameStep {
  enum Kind : std::uint8_t {
    kNeedMore,  // Nothing whole: receive, until `want` octets are there in all (0: any).
    kConsumed,  // Something of the transport's own was done with: look again.
    kOpen,      // The handshake is over: the connection is a client now.
    kPacket,    // A packet.
    kClose,     // The connection ends, for `reason`; what had to be said to the peer has been written.
  };
  Kind kind = kNeedMore;
  std::size_t consumed = 0;  // Octets at the front that are done with, once the packet has been used.
  std::size_t want = 0;
  std::string_view reason{};  // A literal.
};

// Why this side ends a connection, as far as the peer is told. Source: RFC 6455 section 7.4.1.
enum class Farewell : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,  // The gate is stopping.
  kPolicy = 1008,     // A timeout or a limit.
  kError = 1011,      // The handler failed; the reason is not told.
};

// Values of Framer::shared_kind().
namespace shared_kind {
inline constexpr std::uint8_t kTcp = 0;
inline constexpr std::uint8_t kWebSocket = 1;
inline constexpr std::uint8_t kQuic = 2;
inline constexpr std::uint8_t kCount = 3;
}  // namespace shared_kind

// One connection's transport state. Threads: loop.
class Framer {
 public:
  virtual ~Framer() = default;

  // Looks at the octets received so far, which start where the last step's `consumed` ended. May write to `out`
  // (handshake, pong, close). A packet is put in `packet`; its payload views the input, or the framer until its next
  // call.
  virtual FrameStep next(MutableBytes in, Stream& out, Packet& packet) = 0;
  // Appends a packet to the connection's output.
  virtual void encode(const codec::ServerHead& head, Bytes payload, Stream& out) = 0;
  // A packet as it goes over the wire of every connection of this kind; empty when each connection has its own
  // (obfuscation per session, compression).
  virtual SharedBytes encode_shared(const codec::ServerHead& head, Bytes payload) = 0;
  // Tells connections with different encodings of encode_shared() apart: one of shared_kind.
  virtual std::uint8_t shared_kind() const = 0;
  // Whether the transport has a probe that makes the peer answer: then silence is ended by it, not by idle_timeout.
  virtual bool heartbeats() const { return false; }
  virtual void ping(Stream&) {}
  // A full socket takes octets again.
  virtual void drained(Stream&) {}
  // Says that this side ends the connection.
  virtual void goodbye(Farewell, std::string_view /*reason*/, Stream&) {}
  // Address of the player, if a trusted proxy told it; empty: that of the socket. Asked once, when the connection
  // opens.
  virtual std::string client_ip() { return {}; }
};

// Asked for each new connection. Threads: shared.
class Admission {
 public:
  // False: this address has made too many connections of late.
  virtual bool admit(std::string_view address, TimePoint now) = 0;

 protected:
  ~Admission() = default;
};

// A kind of transport. Threads: const-shared.
class Transport {
 public:
  virtual ~Transport() = default;
  // Its name in options.types, and in node metadata: "websocket", "tcp".
  virtual std::string_view name() const = 0;
  virtual std::string_view scheme() const = 0;  // "ws", "tcp"; an "s" is added under TLS.
  // `admission` is for addresses that only the transport learns, behind trusted proxies; the others have been asked
  // for. Errors: kInvalid an option that cannot be, named. Called once, before the first framer.
  virtual Result<void> configure(const AgentOptions& options, Admission& admission) = 0;
  // Whether it learns from trusted proxies for whom they speak, and asks `admission` itself then.
  virtual bool knows_proxies() const { return false; }
  virtual std::unique_ptr<Framer> make_framer() const = 0;
};

}  // namespace mg::agent
