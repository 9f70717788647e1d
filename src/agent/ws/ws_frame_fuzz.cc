// Fuzzes the frame parser. Input: one octet of options, one of how the rest is cut, then what a peer sends.
//
// Checked besides memory: the parser makes progress, asks for no more than it may, holds its limits, and says the same
// whether the octets come at once or in pieces.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/ws/deflate.h"
#include "agent/ws/framing.h"

namespace mg::agent::ws {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// One line an event; equal texts are equal events.
std::string read(const FrameOptions& options, bool deflate, Bytes octets, std::size_t piece) {
  FrameParser parser(options);
  if (deflate) parser.use_deflate({.client_no_context_takeover = (octets.size() & 1) != 0});
  const std::size_t most = options.max_message_bytes + kMaxHeaderBytes + deflate_slack(options.max_message_bytes);
  std::string log;
  std::vector<std::byte> buffer;
  while (true) {
    const std::size_t n = std::min(piece, octets.size());
    buffer.insert(buffer.end(), octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(n));
    octets = octets.subspan(n);
    for (;;) {
      std::vector<std::byte> exact(buffer);  // A new block, so that stale views and reads past the end show.
      const FrameEvent event = parser.next(exact);
      require(event.consumed <= exact.size(), "consumed what is not there");
      buffer.assign(exact.begin() + static_cast<std::ptrdiff_t>(event.consumed), exact.end());
      require(parser.heap_bytes() <= 2UL * options.max_message_bytes + 65536, "holds too much");
      if (event.kind == FrameKind::kNeedMore) {
        require(parser.closed() ? buffer.empty() : event.needed > buffer.size(), "needs what it has");
        require(event.needed <= most, "needs too much");
        break;
      }
      require(event.consumed != 0, "no progress");
      require(event.payload.size() <= options.max_message_bytes || event.kind != FrameKind::kMessage,
              "message too big");
      if (event.kind == FrameKind::kMessage && event.opcode == Opcode::kText) {
        require(options.accept_text && is_utf8(event.payload), "bad text");
      }
      if (event.kind == FrameKind::kClose) {
        require(event.code == close_code::kNone || valid_close_code(event.code), "bad close code");
      }
      log += std::to_string(static_cast<int>(event.kind)) + ' ' + std::to_string(static_cast<int>(event.opcode)) + ' ' +
             std::to_string(event.code) + ' ';
      log += event.kind == FrameKind::kError ? std::string_view() : as_text(event.payload);
      log += '\n';
    }
    if (octets.empty()) return log;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const FrameOptions options{.max_message_bytes = (data[0] & 8) != 0 ? 100U : 4096U,
                             .max_fragments = (data[0] & 16) != 0 ? 3U : 1000U,
                             .accept_text = (data[0] & 1) != 0,
                             .masked = (data[0] & 2) == 0};
  const bool deflate = (data[0] & 4) != 0;
  const Bytes octets = std::as_bytes(std::span(data + 2, size - 2));
  const std::string whole = read(options, deflate, octets, std::max<std::size_t>(octets.size(), 1));
  require(whole == read(options, deflate, octets, 1 + data[1] % 32), "pieces read differently");
  return 0;
}

}  // namespace mg::agent::ws
