// Any octets, in any pieces: the same replies as in one piece, and no crash.
#include "store/redis/reply_parser.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace mg::redis;

std::vector<Reply> parse(std::string_view text, std::size_t step, bool* broken) {
  ReplyParser parser({.max_bulk_bytes = 4096, .max_reply_bytes = 65'536, .max_line_bytes = 256, .max_depth = 8});
  std::vector<Reply> out;
  std::string held;
  for (std::size_t at = 0; at < text.size(); at += step) {
    held += text.substr(at, step);
    for (;;) {
      std::size_t used = 0;
      const auto status = parser.next(mg::as_bytes(held), &used);
      if (used > held.size()) std::abort();
      held.erase(0, used);
      if (status == ReplyParser::Status::kMore) break;
      if (status == ReplyParser::Status::kBroken) {
        *broken = true;
        return out;
      }
      out.push_back(parser.take());
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  bool one = false, other = false;
  const auto whole = parse(text, text.size() + 1, &one);
  const auto cut = parse(text, 1 + data[0] % 7, &other);
  // What comes whole may be refused at once where pieces are refused later, never the other way round.
  if (one != other || whole != cut) std::abort();
  for (auto reply : whole) {
    TextMap map;
    (void)convert(Reply(reply), map);
    std::vector<Scored> scored;
    (void)convert(Reply(reply), scored);
    std::vector<std::optional<std::int64_t>> numbers;
    (void)convert(Reply(reply), numbers);
    ScanPage page;
    (void)convert(Reply(reply), page);
    (void)describe(reply);
  }
  return 0;
}
