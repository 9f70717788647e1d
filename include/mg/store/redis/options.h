// mg/store/redis/options.h -- where the Redis server is and how it is used (wire.md section 7).
//
//   redis::Options options;
//   options.add_to(flags);                                // redis, redis_db, redis_ide_conns, redis_max_pool
//   Result<redis::Endpoint> where = redis::parse_url(options.url);
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/clock.h"
#include "mg/base/error.h"

namespace mg {
class Flags;
}

namespace mg::redis {

struct Options {
  // [redis://][user:password@]host[:port][/ignored]; empty: 127.0.0.1:6379. One node, or a proxy in front of several.
  std::string url = {};
  std::int32_t db = 0;    // SELECTed when it is not 0; a database in the URL does not count.
  std::string name = {};  // CLIENT SETNAME when it is not empty; not through a proxy.

  Clock::Duration timeout = std::chrono::seconds(1);          // Of a call that names none.
  Clock::Duration connect_timeout = std::chrono::seconds(3);  // Until the server has answered the first PING.
  Clock::Duration silence = std::chrono::seconds(5);          // A connection that owes a reply for so long is given up.
  Clock::Duration first_pause = std::chrono::milliseconds(100);  // Between attempts to connect; doubled each time,
  Clock::Duration longest_pause = std::chrono::seconds(1);       // up to this; a random half of it is left out.
  Clock::Duration idle_close = std::chrono::minutes(5);          // Of connections for waiting commands.

  std::uint32_t connections = 1;     // That calls are spread over, 1..64; the order of calls is kept on each alone.
  std::uint32_t max_pool = 80;       // Connections for waiting commands, sessions, subscriptions, all together.
  std::uint32_t idle_pool = 40;      // Of those, kept when nobody uses them.
  std::uint32_t max_calls = 65'536;  // On their way on one connection, those without one included; more get kTooMany.
  std::size_t max_output_bytes = 64 * 1024 * 1024;  // Not taken by the kernel, of one connection.
  std::size_t max_reply_bytes = 64 * 1024 * 1024;   // Of one reply; a larger one ends the connection.

  void add_to(Flags& flags);
};

struct Endpoint {
  std::string host = {};
  std::uint16_t port = 6379;
  std::string user = {};
  std::string password = {};
};

// Shape: as Options::url; user and password percent-encoded; an IPv6 address in brackets.
// Errors: kInvalid  which part; rediss:// (as in the Go original, which cannot either)
Result<Endpoint> parse_url(std::string_view url);

}  // namespace mg::redis
