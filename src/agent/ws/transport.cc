#include "mg/agent/ws/transport.h"

#include <optional>

#include "agent/ws/deflate.h"
#include "agent/ws/framing.h"
#include "agent/ws/handshake.h"
#include "mg/agent/peer.h"
#include "mg/codec/session_codec.h"

namespace mg::agent::ws {
namespace {

// Pongs for a peer that does not read wait only up to here; from then on the last of its pings alone is answered, once
// it reads (RFC 6455 5.5.3).
constexpr std::size_t kPongsQueued = 16 * 1024;
// A message shorter than this would not become shorter.
constexpr std::size_t kDeflateFrom = 64;

constexpr std::string_view kTooMany =
    "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

struct Settings {
  HandshakeOptions handshake;
  FrameOptions frames;
  codec::CodecOptions codec;
  AddressList trusted_proxies;
  Admission* admission = nullptr;
};

class WsFramer final : public Framer {
 public:
  explicit WsFramer(const Settings& settings)
      : handshaking_(&settings), parser_(settings.frames), codec_(settings.codec) {}

  FrameStep next(MutableBytes in, Stream& out, Packet& packet) override {
    if (handshaking_) [[unlikely]]
      return handshake(*handshaking_, in, out);
    const FrameEvent event = parser_.next(in);
    switch (event.kind) {
      case FrameKind::kNeedMore:
        return {.kind = FrameStep::kNeedMore, .consumed = event.consumed, .want = event.needed};
      case FrameKind::kMessage:
        return message(event, out, packet);
      case FrameKind::kPing:
        pong(event.payload, out);
        return {.kind = FrameStep::kConsumed, .consumed = event.consumed};
      case FrameKind::kPong:
        return {.kind = FrameStep::kConsumed, .consumed = event.consumed};
      case FrameKind::kClose:
        out.write(encode_close(event.code).bytes());
        return {.kind = FrameStep::kClose, .consumed = event.consumed, .reason = "closed by peer"};
      case FrameKind::kError:
        return refuse(event.code, event.reason, out);
    }
    return refuse(close_code::kInternal, "unknown frame", out);
  }

  void encode(const codec::ServerHead& head, Bytes payload, Stream& out) override {
    const std::size_t size = codec_.packet_bytes(payload.size());
    if (rare_ && rare_->deflate && size >= kDeflateFrom) return encode_compressed(head, payload, out);
    const std::size_t prefix = header_size(size);
    std::byte* const to = out.reserve(prefix + size + kMaxServerHeaderBytes);
    encode_header(Opcode::kBinary, size, std::span<std::byte, kMaxServerHeaderBytes>(to, kMaxServerHeaderBytes));
    if (codec_.encode(head, payload, {to + prefix, size})) out.commit(prefix + size);
  }

  SharedBytes encode_shared(const codec::ServerHead& head, Bytes payload) override {
    if (!codec_.shared_outbound()) return {};
    const std::size_t size = codec_.packet_bytes(payload.size());
    const std::size_t prefix = header_size(size);
    SharedBytes packet = SharedBytes::make(prefix + size);
    std::array<std::byte, kMaxServerHeaderBytes> header;
    encode_header(Opcode::kBinary, size, header);
    std::memcpy(packet.writable().data(), header.data(), prefix);
    if (!codec_.encode(head, payload, packet.writable().subspan(prefix))) return {};
    return packet;
  }
  std::uint8_t shared_kind() const override { return shared_kind::kWebSocket; }

  bool heartbeats() const override { return true; }
  void ping(Stream& out) override { out.write(encode_control(Opcode::kPing, as_bytes("ping")).bytes()); }

  void drained(Stream& out) override {
    if (!rare_ || !rare_->owed_pong) return;
    out.write(encode_control(Opcode::kPong, as_bytes(*rare_->owed_pong)).bytes());
    rare_->owed_pong.reset();
  }

  void goodbye(Farewell why, std::string_view reason, Stream& out) override {
    if (handshaking_ || parser_.closed()) return;
    if (why == Farewell::kError) reason = {};
    out.write(encode_close(static_cast<std::uint16_t>(why), reason).bytes());
  }

  std::string client_ip() override {
    if (!rare_) return {};
    std::string told = std::move(rare_->told_ip);
    if (!rare_->deflate) rare_.reset();
    return told;
  }

 private:
  // What few connections need.
  struct Rare {
    std::unique_ptr<Deflater> deflate;     // When negotiated.
    std::optional<std::string> owed_pong;  // Payload of the last ping that was not answered.
    std::string told_ip;                   // Until it is asked for.
  };
  Rare& rare() {
    if (!rare_) rare_ = std::make_unique<Rare>();
    return *rare_;
  }

  FrameStep handshake(const Settings& settings, MutableBytes in, Stream& out) {
    if (in.empty()) return {};
    Upgrade upgrade = read_upgrade(in, settings.handshake);
    if (upgrade.state == HandshakeState::kNeedMore) return {};
    if (upgrade.state == HandshakeState::kRefused) {
      out.write(as_bytes(upgrade.response));
      return {.kind = FrameStep::kClose, .consumed = in.size(), .reason = upgrade.reason};
    }
    if (const std::string peer = settings.trusted_proxies.empty() ? std::string() : out.peer_ip();
        settings.trusted_proxies.contains(peer)) {
      rare().told_ip = agent::client_ip(peer, upgrade.forwarded_for, upgrade.real_ip, settings.trusted_proxies);
      if (!settings.admission->admit(rare().told_ip, out.loop().now())) {
        out.write(as_bytes(kTooMany));
        return {.kind = FrameStep::kClose, .consumed = in.size(), .reason = "too many connections from its address"};
      }
    }
    out.write(as_bytes(upgrade.response));
    handshaking_ = nullptr;
    if (upgrade.deflate) {
      parser_.use_deflate(*upgrade.deflate);
      rare().deflate = std::make_unique<Deflater>(upgrade.deflate->server_max_window_bits,
                                                  upgrade.deflate->server_no_context_takeover);
    }
    return {.kind = FrameStep::kOpen, .consumed = upgrade.consumed};
  }

  void pong(Bytes payload, Stream& out) {
    if (out.queued() >= kPongsQueued) out.flush_now();
    if (out.queued() < kPongsQueued) {
      out.write(encode_control(Opcode::kPong, payload).bytes());
      return;
    }
    rare().owed_pong = as_text(payload);
  }

  FrameStep message(const FrameEvent& event, Stream& out, Packet& packet) {
    std::size_t size = 0;
    if (!codec_.take(event.payload, packet.head, packet.payload, size)) [[unlikely]] {
      const auto decoded = codec_.decode(event.payload);
      if (!decoded) return refuse(close_code::kProtocol, "bad packet", out);
      packet = {decoded->head, decoded->payload};
    }
    return {.kind = FrameStep::kPacket, .consumed = event.consumed};
  }

  FrameStep refuse(std::uint16_t code, std::string_view reason, Stream& out) {
    out.write(encode_close(code, reason).bytes());
    return {.kind = FrameStep::kClose, .reason = reason};
  }

  void encode_compressed(const codec::ServerHead& head, Bytes payload, Stream& out) {
    std::vector<std::byte> plain(codec_.packet_bytes(payload.size()));
    std::vector<std::byte> packed;
    if (!codec_.encode(head, payload, plain)) return;
    const bool smaller = rare_->deflate->compress(plain, packed);
    const Bytes body = smaller ? Bytes(packed) : Bytes(plain);
    std::array<std::byte, kMaxServerHeaderBytes> header;
    const std::size_t prefix = encode_header(Opcode::kBinary, body.size(), header, true, smaller);
    out.write(Bytes(header).first(prefix));
    out.write(body);
  }

  const Settings* handshaking_;  // Null once the connection is open.
  FrameParser parser_;
  codec::ServerCodec codec_;
  std::unique_ptr<Rare> rare_;
};

class WsTransport final : public Transport {
 public:
  std::string_view name() const override { return "websocket"; }
  std::string_view scheme() const override { return "ws"; }
  bool knows_proxies() const override { return true; }

  Result<void> configure(const AgentOptions& options, Admission& admission) override {
    settings_.admission = &admission;
    auto trusted = AddressList::parse(options.trusted_proxies);
    if (!trusted) return std::unexpected(std::move(trusted.error()));
    settings_.trusted_proxies = std::move(*trusted);
    settings_.codec = options.codec;
    settings_.handshake.max_header_bytes = options.max_handshake_bytes;
    settings_.handshake.origins = options.origins;
    settings_.handshake.deflate.enabled = options.deflate;
    // The whole packet; a guard may add to it.
    settings_.frames.max_message_bytes =
        options.max_message_bytes + (options.codec.guard ? 2 * static_cast<std::uint32_t>(codec::kMaxGuardRoom) : 0);
    return settings_.codec.validate();
  }

  std::unique_ptr<Framer> make_framer() const override { return std::make_unique<WsFramer>(settings_); }

 private:
  Settings settings_;
};

}  // namespace

std::unique_ptr<Transport> make_transport() {
  return std::make_unique<WsTransport>();
}

}  // namespace mg::agent::ws
