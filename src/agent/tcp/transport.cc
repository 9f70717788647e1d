#include "mg/agent/tcp/transport.h"

#include "mg/codec/session_codec.h"

namespace mg::agent::tcp {
namespace {

class TcpFramer final : public Framer {
 public:
  explicit TcpFramer(const codec::CodecOptions& options) : codec_(options) {}

  FrameStep next(MutableBytes in, Stream&, Packet& packet) override {
    if (!open_) [[unlikely]] {
      open_ = true;
      return {.kind = FrameStep::kOpen};
    }
    if (in.empty()) return {};
    FrameStep step{.kind = FrameStep::kPacket};
    if (codec_.take(in, packet.head, packet.payload, step.consumed)) [[likely]] {
      return step;
    }
    const auto scanned = codec_.scan(in);
    if (!scanned) return {.kind = FrameStep::kClose, .reason = "bad packet"};
    if (!scanned->whole) return {.kind = FrameStep::kNeedMore, .want = scanned->size};
    packet = {scanned->head, scanned->payload};
    step.consumed = scanned->size;
    return step;
  }

  void encode(const codec::ServerHead& head, Bytes payload, Stream& out) override {
    const std::size_t size = codec_.packet_bytes(payload.size());
    if (codec_.encode(head, payload, {out.reserve(size), size})) out.commit(size);
  }

  SharedBytes encode_shared(const codec::ServerHead& head, Bytes payload) override {
    if (!codec_.shared_outbound()) return {};
    SharedBytes packet = SharedBytes::make(codec_.packet_bytes(payload.size()));
    if (!codec_.encode(head, payload, packet.writable())) return {};
    return packet;
  }
  std::uint8_t shared_kind() const override { return shared_kind::kTcp; }

 private:
  codec::ServerCodec codec_;
  bool open_ = false;
};

class TcpTransport final : public Transport {
 public:
  std::string_view name() const override { return "tcp"; }
  std::string_view scheme() const override { return "tcp"; }
  Result<void> configure(const AgentOptions& options, Admission&) override {
    codec_ = options.codec;
    return codec_.validate();
  }
  std::unique_ptr<Framer> make_framer() const override { return std::make_unique<TcpFramer>(codec_); }

 private:
  codec::CodecOptions codec_;
};

}  // namespace

std::unique_ptr<Transport> make_transport() {
  return std::make_unique<TcpTransport>();
}

}  // namespace mg::agent::tcp
