// store/redis/reply_parser.h -- octets of a server to replies, whole ones only, whatever the server sends.
//
//   std::size_t used = 0;
//   switch (parser.next(input, &used)) { case kReply: take(parser.take()); … }
//   stream.consume(used);                 // also of a reply that is not whole yet
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mg/base/bytes.h"
#include "mg/store/redis/reply.h"

namespace mg::redis {

struct ReplyLimits {
  std::size_t max_bulk_bytes = 512 * 1024 * 1024;   // Of one string.
  std::size_t max_reply_bytes = 512 * 1024 * 1024;  // Of one reply, strings and the space of elements.
  std::size_t max_line_bytes = 64 * 1024;           // Of a status, an error, a number, a length.
  std::size_t max_depth = 32;                       // Of arrays in each other.
};

// Threads: loop. Cost: a string or an array is allocated once what it claims to hold has come, never before.
class ReplyParser {
 public:
  enum class Status : std::uint8_t { kReply, kMore, kBroken };

  explicit ReplyParser(ReplyLimits limits = {}) : limits_(limits) {}

  // Reads from the front of `in`. kBroken: it is no reply, error() says why; from then on nothing else is.
  Status next(Bytes in, std::size_t* used);
  // After kReply.
  Reply take() { return std::move(root_); }
  // How many octets the input should hold before the next call is worth it, 0: any.
  std::size_t want() const { return want_; }
  std::string_view error() const { return error_; }

 private:
  struct Open {
    Reply* array;
    std::int64_t left;
  };
  Status broken(const char* why);
  bool line(std::string_view in, std::string_view* out, std::size_t* used, bool* bad);
  static bool number(std::string_view text, std::int64_t* out);

  ReplyLimits limits_;
  Reply root_;
  std::vector<Open> open_;  // Arrays whose elements are not all there.
  std::size_t held_ = 0;    // Octets that the reply at hand holds.
  std::size_t want_ = 0;
  std::size_t searched_ = 0;  // Octets of the line at hand that hold no end of line.
  const char* error_ = "";
};

}  // namespace mg::redis
