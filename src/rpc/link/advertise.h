// rpc/link/advertise.h -- the IP that other machines are told.
#pragma once

#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::rpc::link {

// `given` if it is not empty; else the host of `listening` ("host:port"); for all interfaces the first private address
// of this machine, else the last of any. Source: wire.md 1.4.
// Errors: kInvalid  `given`, or the host, is no IP
Result<std::string> advertised_ip(std::string_view given, std::string_view listening);

}  // namespace mg::rpc::link
