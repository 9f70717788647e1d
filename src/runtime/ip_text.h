// runtime/ip_text.h -- a socket's address as people write it.
//
//   std::string ip = ip_text(peer);                        // "10.0.0.9", "fd00::1"
#pragma once

#include <sys/socket.h>

#include <string>

namespace mg {

// Without port; IPv4 in IPv6 form ("::ffff:1.2.3.4") as IPv4. Empty for other families.
std::string ip_text(const sockaddr_storage& address);

}  // namespace mg
