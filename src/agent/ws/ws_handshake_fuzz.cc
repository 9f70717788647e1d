// Fuzzes the opening handshake, server and client side. Input: one octet of options, then what a peer sends.
//
// Checked besides memory: a refusal stays one when more octets come, an answer is HTTP, limits hold.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/ws/handshake.h"
#include "mg/agent/peer.h"

namespace mg::agent::ws {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  HandshakeOptions options{.max_header_bytes = (data[0] & 1) != 0 ? 256U : 2048U};
  if ((data[0] & 2) != 0) options.origins = {"https://play.example"};
  options.deflate.enabled = (data[0] & 4) != 0;
  const std::vector<std::byte> octets(reinterpret_cast<const std::byte*>(data) + 1,
                                      reinterpret_cast<const std::byte*>(data) + size);

  if ((data[0] & 8) != 0) {
    const UpgradeReply reply = read_upgrade_reply(octets, Nonce{}, options.deflate.enabled, options.max_header_bytes);
    require(reply.consumed <= octets.size(), "consumed what is not there");
    return 0;
  }

  const Upgrade got = read_upgrade(octets, options);
  require(got.consumed <= octets.size() && got.consumed <= options.max_header_bytes, "consumed too much");
  require(got.state == HandshakeState::kNeedMore ? got.response.empty() : got.response.starts_with("HTTP/1.1 "),
          "answer is not HTTP");
  if (got.state == HandshakeState::kNeedMore) {
    require(octets.size() < options.max_header_bytes, "waits over the limit");
    return 0;
  }
  require(got.response.size() < 1024, "long answer");
  require(got.response.find('\0') == std::string::npos, "NUL in the answer");
  static const auto kTrusted = *AddressList::parse({"10.0.0.0/8"});
  require(!client_ip("10.0.0.1", got.forwarded_for, got.real_ip, kTrusted).empty(), "no address");

  std::vector<std::byte> more(octets);
  more.insert(more.end(), 300, std::byte{'x'});
  const Upgrade again = read_upgrade(more, options);
  require(again.state == got.state, "changed its mind");
  if (got.state == HandshakeState::kAccepted) require(again.consumed == got.consumed, "end moved");
  return 0;
}

}  // namespace mg::agent::ws
