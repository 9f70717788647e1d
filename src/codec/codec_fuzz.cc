// Any octets through the codec: as a message, as a stream in pieces, and back. The first octets choose the options.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "codec/test_util.h"
#include "mg/base/check.h"
#include "mg/codec/session_codec.h"
#include "mg/codec/xor_guard.h"

namespace mg::codec {
namespace {

struct Seen {
  std::uint16_t serial;
  std::uint32_t cmd, code;
  std::string payload;
  bool operator==(const Seen&) const = default;
};

template <PacketHead Head>
Seen seen(const Head& head, Bytes payload) {
  Seen out{head.serial, head.cmd, 0, std::string(as_text(payload))};
  if constexpr (std::same_as<Head, ServerHead>) out.code = head.code;
  return out;
}

// Packets at the front of `stream`, which arrives in pieces of `piece` octets; what was seen before an error counts.
// `patient`: asks again only when the octets wanted are there, or all are.
template <PacketHead In, PacketHead Out>
std::vector<Seen> read_stream(Bytes stream, std::size_t piece, bool patient, const CodecOptions& options,
                              bool& refused) {
  SessionCodec<In, Out> codec(options);
  std::vector<Seen> all;
  std::string pending;
  std::size_t wanted = 0;
  refused = false;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    pending += as_text(stream.subspan(at, std::min(piece, stream.size() - at)));
    const bool last = at + piece >= stream.size();
    while (!patient || last || pending.size() >= wanted) {
      Exact in(pending);
      const auto got = codec.scan(in.octets());
      refused = !got;
      if (!got) return all;
      pending = as_text(in.octets());
      if (!got->whole) {
        check(got->size > pending.size(), "a packet that is there is not seen");
        wanted = got->size;
        break;
      }
      check(got->size <= pending.size() && got->payload.size() <= options.max_payload_bytes, "a packet is too large");
      all.push_back(seen(got->head, got->payload));
      pending.erase(0, got->size);
      wanted = 0;
    }
  }
  return all;
}

template <PacketHead In, PacketHead Out>
void run(Bytes input, std::size_t piece, bool patient, const CodecOptions& options, const CodecOptions& peer) {
  // One message: the same as the first packet of a stream, and encoded again the same octets.
  Exact message(input);
  SessionCodec<In, Out> codec(options);
  const auto decoded = codec.decode(message.octets());
  bool refused = false, refused_piecewise = false;
  const std::vector<Seen> at_once =
      read_stream<In, Out>(input, std::max<std::size_t>(input.size(), 1), false, options, refused);
  const std::vector<Seen> piecewise = read_stream<In, Out>(input, piece, patient, options, refused_piecewise);
  check(at_once == piecewise && refused == refused_piecewise, "a stream depends on how it is cut");
  check(decoded.has_value() == !at_once.empty(), "message and stream disagree");
  if (!decoded) return;
  check(seen(decoded->head, decoded->payload) == at_once.front(), "message and stream differ");
  check(decoded->size <= input.size(), "read past the end");

  SessionCodec<Out, In> other(peer);
  Exact again(other.packet_bytes(decoded->payload.size()));
  check(other.encode(decoded->head, decoded->payload, again.octets()).has_value(), "cannot be encoded again");
  check(again.octets().size() == decoded->size, "another size");
  check(std::memcmp(again.octets().data(), input.data(), decoded->size) == 0, "another packet");
}

}  // namespace
}  // namespace mg::codec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mg::codec;
  constexpr std::size_t kChoices = 8;
  if (size < kChoices) return 0;
  CodecOptions options{.endian = (data[0] & 1) != 0 ? std::endian::little : std::endian::big,
                       .max_payload_bytes = static_cast<std::uint32_t>(data[1]) << (data[0] >> 4 & 7),
                       .growing_serials = (data[0] & 2) != 0};
  mg::check(options.set_mix({data + 2, data[0] % 5u}).has_value(), "mix refused");
  CodecOptions peer = options;
  const mg::Bytes input = mg::as_bytes({reinterpret_cast<const char*>(data) + kChoices, size - kChoices});
  const bool from_client = (data[0] & 4) != 0;
  if ((data[0] & 8) != 0) {
    const XorKey key{data[6], data[7]};
    const std::uint32_t number = input.size() < 4 ? 0 : mg::load<std::uint32_t>(input.data(), std::endian::big);
    options.guard = [=] { return make_xor_guard(key, from_client ? End::kServer : End::kClient, 0); };
    peer.guard = [=] { return make_xor_guard(key, from_client ? End::kClient : End::kServer, number); };
  }
  const std::size_t piece = 1 + data[6] % 16;
  const bool patient = data[7] % 4 != 0;
  if (from_client) {
    run<ClientHead, ServerHead>(input, piece, patient, options, peer);
  } else {
    run<ServerHead, ClientHead>(input, piece, patient, options, peer);
  }
  return 0;
}
