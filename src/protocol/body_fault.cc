#include "protocol/body_fault.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mg::protocol {
namespace {

constexpr std::size_t kMostGroups = 10'000;  // Deeper than any parser goes.

enum class Read { kGood, kCut, kBad };

Read read_varint(std::string_view& in, std::uint64_t& value) {
  value = 0;
  for (unsigned i = 0; i < 10; ++i) {
    if (i >= in.size()) return Read::kCut;
    const auto octet = static_cast<std::uint8_t>(in[i]);
    if (i == 9 && octet > 1) return Read::kBad;
    value |= std::uint64_t{octet & 0x7Fu} << (7 * i);
    if (octet < 0x80) {
      in.remove_prefix(i + 1);
      return Read::kGood;
    }
  }
  return Read::kBad;
}

Read skip(std::string_view& in, std::uint64_t octets) {
  if (octets > in.size()) return Read::kCut;
  in.remove_prefix(octets);
  return Read::kGood;
}

}  // namespace

bool is_cut_short(std::string_view body) {
  std::vector<std::uint64_t> groups;  // Fields of those that are open.
  while (!body.empty()) {
    std::uint64_t tag = 0, value = 0;
    Read read = read_varint(body, tag);
    if (read != Read::kGood) return read == Read::kCut;
    const std::uint64_t field = tag >> 3;
    if (field == 0 || tag > 0xFFFF'FFFF) return false;
    switch (tag & 7) {
      case 0:
        read = read_varint(body, value);
        break;
      case 1:
        read = skip(body, 8);
        break;
      case 2:
        read = read_varint(body, value);
        if (read == Read::kGood) read = skip(body, value);
        break;
      case 3:
        if (groups.size() >= kMostGroups) return false;
        groups.push_back(field);
        break;
      case 4:
        if (groups.empty() || groups.back() != field) return false;
        groups.pop_back();
        break;
      case 5:
        read = skip(body, 4);
        break;
      default:
        return false;
    }
    if (read != Read::kGood) return read == Read::kCut;
  }
  return !groups.empty();
}

}  // namespace mg::protocol
