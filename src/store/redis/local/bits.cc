// Bits of strings, and estimates of how many are distinct.
#include <algorithm>
#include <bit>
#include <cmath>

#include "store/redis/local/engine.h"

namespace mg::redis::local {
namespace {

std::uint64_t offset_of(std::string_view text) {
  const std::int64_t offset = integer(text);
  if (offset < 0 || offset >= std::int64_t{4} * 1024 * 1024 * 1024)
    refuse("ERR bit offset is not an integer or out of range");
  return static_cast<std::uint64_t>(offset);
}
bool bit(const std::string& text, std::uint64_t offset) {
  return offset / 8 < text.size() && (static_cast<unsigned char>(text[offset / 8]) >> (7 - offset % 8) & 1) != 0;
}

Reply setbit(Engine& engine, Args args) {
  const std::uint64_t offset = offset_of(args[2]);
  if (args[3] != "0" && args[3] != "1") refuse("ERR bit is not an integer or out of range");
  auto& text = engine.make<std::string>(args[1]);
  const bool old = bit(text, offset);
  if (text.size() <= offset / 8) text.resize(offset / 8 + 1);
  const auto mask = static_cast<unsigned char>(1 << (7 - offset % 8));
  auto octet = static_cast<unsigned char>(text[offset / 8]);
  octet = static_cast<unsigned char>(args[3] == "1" ? octet | mask : octet & ~mask);
  text[offset / 8] = static_cast<char>(octet);
  engine.touch(args[1]);
  return Reply::number(old ? 1 : 0);
}

Reply bitcount(Engine& engine, Args args) {
  const auto* const text = engine.find<std::string>(args[1]);
  if (args.size() == 3) refuse("ERR syntax error");
  if (!text) return Reply::number(0);
  std::pair<std::size_t, std::size_t> part{0, text->size()};
  if (args.size() > 3) part = range(integer(args[2]), integer(args[3]), text->size());
  std::int64_t sum = 0;
  for (std::size_t i = part.first; i < part.second; ++i) sum += std::popcount(static_cast<unsigned char>((*text)[i]));
  return Reply::number(sum);
}

Reply bitpos(Engine& engine, Args args) {
  const bool wanted = integer(args[2]) != 0;
  const auto* const text = engine.find<std::string>(args[1]);
  if (!text) return Reply::number(wanted ? -1 : 0);
  const std::uint64_t bits = text->size() * 8;
  for (std::uint64_t i = 0; i < bits; ++i) {
    if (bit(*text, i) == wanted) return Reply::number(static_cast<std::int64_t>(i));
  }
  return Reply::number(wanted ? -1 : static_cast<std::int64_t>(bits));
}

Reply bitop(Engine& engine, Args args) {
  const bool flip = is(args[1], "NOT"), both = is(args[1], "AND"), either = is(args[1], "OR");
  if (!flip && !both && !either && !is(args[1], "XOR")) refuse("ERR syntax error");
  if (flip && args.size() != 4) refuse("ERR BITOP NOT must be called with a single source key.");
  std::vector<std::string> sources;
  std::size_t size = 0;
  for (const auto key : args.subspan(3)) {
    const auto* const text = engine.find<std::string>(key);
    sources.push_back(text ? *text : "");
    size = std::max(size, sources.back().size());
  }
  std::string out = sources[0];
  out.resize(size);
  for (auto& source : sources) source.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    int octet = static_cast<unsigned char>(out[i]);
    if (flip) octet = ~octet;
    for (std::size_t j = 1; j < sources.size(); ++j) {
      const int other = static_cast<unsigned char>(sources[j][i]);
      octet = both ? octet & other : either ? octet | other : octet ^ other;
    }
    out[i] = static_cast<char>(octet);
  }
  engine.remove(args[2]);
  if (size > 0) engine.put(args[2], std::move(out));
  return Reply::number(static_cast<std::int64_t>(size));
}

// ---- HyperLogLog ----------------------------------------------------------------------------------------------------

// Shape: kMagic, then 2^14 registers of an octet each. Not the server's shape: it never leaves the process.
// Source: Flajolet et al. 2007, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm".
constexpr std::string_view kMagic = "MGHLL1";
constexpr std::size_t kRegisters = 1 << 14;

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDULL;
  hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53ULL;
  return hash ^ hash >> 33;
}

std::string* registers(Engine& engine, std::string_view key, bool make) {
  std::string* found = engine.find<std::string>(key);
  if (!found) {
    if (!make) return nullptr;
    engine.put(key, std::string(kMagic) + std::string(kRegisters, '\0'));
    found = engine.find<std::string>(key);
  }
  if (!found->starts_with(kMagic) || found->size() != kMagic.size() + kRegisters) {
    refuse("WRONGTYPE Key is not a valid HyperLogLog string value.");
  }
  return found;
}

Reply pfadd(Engine& engine, Args args) {
  bool changed = engine.entry(args[1]) == nullptr;
  std::string& all = *registers(engine, args[1], true);
  for (const auto element : args.subspan(2)) {
    const std::uint64_t hash = hash_of(element);
    const std::size_t at = kMagic.size() + (hash & (kRegisters - 1));
    const auto zeros = static_cast<char>(std::countr_zero(hash >> 14 | std::uint64_t{1} << 50) + 1);
    if (zeros <= all[at]) continue;
    all[at] = zeros;
    changed = true;
  }
  if (changed) engine.touch(args[1]);
  return Reply::number(changed ? 1 : 0);
}

std::string merged(Engine& engine, Args keys) {
  std::string out(kRegisters, '\0');
  for (const auto key : keys) {
    const auto* const all = registers(engine, key, false);
    for (std::size_t i = 0; all && i < kRegisters; ++i) out[i] = std::max(out[i], (*all)[kMagic.size() + i]);
  }
  return out;
}

Reply pfcount(Engine& engine, Args args) {
  const std::string all = merged(engine, args.subspan(1));
  constexpr double kCount = kRegisters;
  double sum = 0, empty = 0;
  for (const char value : all) {
    sum += std::ldexp(1.0, -value);
    empty += value == 0 ? 1 : 0;
  }
  double estimate = 0.7213 / (1 + 1.079 / kCount) * kCount * kCount / sum;
  if (estimate <= 2.5 * kCount && empty > 0) estimate = kCount * std::log(kCount / empty);
  return Reply::number(std::llround(estimate));
}

Reply pfmerge(Engine& engine, Args args) {
  const std::string all = merged(engine, args.subspan(1));
  std::string& to = *registers(engine, args[1], true);
  to.replace(kMagic.size(), kRegisters, all);
  engine.touch(args[1]);
  return ok();
}

}  // namespace

void add_bits(Table& table) {
  table["SETBIT"] = {setbit, 4, 4};
  table["GETBIT"] = {[](Engine& e, Args a) {
                       const std::uint64_t offset = offset_of(a[2]);
                       const auto* const text = e.find<std::string>(a[1]);
                       return Reply::number(text && bit(*text, offset) ? 1 : 0);
                     },
                     3, 3};
  table["BITCOUNT"] = {bitcount, 2, 4};
  table["BITPOS"] = {bitpos, 3, 3};
  table["BITOP"] = {bitop, 4, -1};
  table["PFADD"] = {pfadd, 2, -1};
  table["PFCOUNT"] = {pfcount, 2, -1};
  table["PFMERGE"] = {pfmerge, 2, -1};
}

}  // namespace mg::redis::local
