// token.h -- the login token of the example game.
//
//   std::string token = make_token("microgame-demo", "bench7", now + 3600);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mgbench {

// Shape: <account>.<expiry>.<hex of HMAC-SHA256 with `secret` over "<account>.<expiry>">; expiry in unix seconds.
std::string make_token(std::string_view secret, std::string_view account, std::int64_t expiry_s);

}  // namespace mgbench
