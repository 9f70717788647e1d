// examples/common/token.h -- login tokens: who the player is, until when, signed.
//
//   std::string token = make_token("alice", expiry, secret);
//   Result<std::string> account = check_token(token, secret, clock.wall());
#pragma once

#include <string>
#include <string_view>

#include "mg/base/clock.h"
#include "mg/base/error.h"

namespace example {

inline constexpr std::string_view kDemoSecret = "microgame-demo";  // Of the demo only: set GAME_TOKEN_SECRET.

// Shape: "<account>.<expiry, unix seconds>.<hex HMAC-SHA256 of what is before the last dot>".
std::string make_token(std::string_view account, mg::Clock::WallTime expiry, std::string_view secret);

// The account of a token. Errors: kUnauthorized  not a token, signed with another secret, or expired
mg::Result<std::string> check_token(std::string_view token, std::string_view secret, mg::Clock::WallTime now);

}  // namespace example
