// tools/client/describe.h -- bodies of packets in words.
//
//   fmt::print("{}\n", describe(20001, body));         // Room: "lobby" From: "Ann" Text: "hi"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mgclient {

// The fields of a reply to `cmd`, or of a push, that are set, on one line and safe to show; octets in hex when there is
// no such message, or they are none.
std::string describe(std::uint32_t cmd, std::string_view body);

}  // namespace mgclient
