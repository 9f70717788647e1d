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

// Whether the part of a text that args name from `at` on is in bits: start end [BYTE|BIT].
bool in_bits(Args args, std::size_t at) {
  if (args.size() <= at) return false;
  if (is(args[at], "BIT")) return true;
  if (!is(args[at], "BYTE")) refuse("ERR syntax error");
  return false;
}

Reply bitcount(Engine& engine, Args args) {
  const auto* const text = engine.find<std::string>(args[1]);
  if (!text) return Reply::number(0);
  if (args.size() == 3) refuse("ERR syntax error");
  const std::int64_t start = args.size() > 3 ? integer(args[2]) : 0, stop = args.size() > 3 ? integer(args[3]) : -1;
  if (start < 0 && stop < 0 && start > stop) return Reply::number(0);
  const bool bits = in_bits(args, 4);
  const auto [from, to] = text_range(start, stop, bits ? text->size() * 8 : text->size());
  std::int64_t sum = 0;
  for (std::size_t i = from; i < to; ++i) {
    sum += bits ? (bit(*text, i) ? 1 : 0) : std::popcount(static_cast<unsigned char>((*text)[i]));
  }
  return Reply::number(sum);
}

Reply bitpos(Engine& engine, Args args) {
  const std::int64_t wanted_number = integer(args[2]);
  if (wanted_number != 0 && wanted_number != 1) refuse("ERR The bit argument must be 1 or 0.");
  const bool wanted = wanted_number != 0;
  const auto* const text = engine.find<std::string>(args[1]);
  if (!text) return Reply::number(wanted ? -1 : 0);
  const std::int64_t start = args.size() > 3 ? integer(args[3]) : 0, stop = args.size() > 4 ? integer(args[4]) : -1;
  const bool bits = in_bits(args, 5);
  auto [from, to] = text_range(start, stop, bits ? text->size() * 8 : text->size());
  if (from == to) return Reply::number(-1);
  if (!bits) {
    from *= 8;
    to *= 8;
  }
  for (std::size_t i = from; i < to; ++i) {
    if (bit(*text, i) == wanted) return Reply::number(static_cast<std::int64_t>(i));
  }
  // Behind its end a text is all zeros, unless an end was given.
  return Reply::number(wanted || args.size() > 4 ? -1 : static_cast<std::int64_t>(text->size() * 8));
}

struct FieldType {
  bool is_signed = false;
  int bits = 0;
};
FieldType field_type(std::string_view text) {
  FieldType out;
  out.is_signed = text.starts_with('i') || text.starts_with('I');
  const bool good = out.is_signed || text.starts_with('u') || text.starts_with('U');
  std::int64_t bits = 0;
  for (const char c : text.substr(std::min<std::size_t>(1, text.size()))) {
    bits = c >= '0' && c <= '9' && bits < 1000 ? bits * 10 + (c - '0') : 1000;
  }
  if (!good || bits < 1 || bits > (out.is_signed ? 64 : 63)) {
    refuse("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
  }
  out.bits = static_cast<int>(bits);
  return out;
}
std::uint64_t field_offset(std::string_view text, FieldType type) {
  const bool times = text.starts_with('#');
  std::int64_t offset = 0;
  try {
    offset = integer(text.substr(times ? 1 : 0));
  } catch (CommandError&) {
    refuse("ERR bit offset is not an integer or out of range");
  }
  if (times && __builtin_mul_overflow(offset, std::int64_t{type.bits}, &offset)) offset = -1;
  if (offset < 0 || offset + type.bits > std::int64_t{4} * 1024 * 1024 * 1024) {
    refuse("ERR bit offset is not an integer or out of range");
  }
  return static_cast<std::uint64_t>(offset);
}
std::int64_t read_field(const std::string& text, std::uint64_t offset, FieldType type) {
  std::uint64_t value = 0;
  for (int i = 0; i < type.bits; ++i) value = value << 1 | (bit(text, offset + static_cast<std::uint64_t>(i)) ? 1 : 0);
  if (type.is_signed && type.bits < 64 && (value >> (type.bits - 1) & 1) != 0) value |= ~std::uint64_t{0} << type.bits;
  return static_cast<std::int64_t>(value);
}
void write_field(std::string& text, std::uint64_t offset, FieldType type, std::int64_t value) {
  const std::uint64_t end = offset + static_cast<std::uint64_t>(type.bits);
  if (text.size() < (end + 7) / 8) text.resize((end + 7) / 8);
  for (std::uint64_t i = offset; i < end; ++i) {
    const auto mask = static_cast<unsigned char>(1 << (7 - i % 8));
    const bool one = (static_cast<std::uint64_t>(value) >> (end - 1 - i) & 1) != 0;
    const auto octet = static_cast<unsigned char>(text[i / 8]);
    text[i / 8] = static_cast<char>(one ? octet | mask : octet & ~mask);
  }
}

enum class Overflow : std::uint8_t { kWrap, kSaturate, kFail };

// `value` made to fit; nothing when it is to fail. A sum that overflows 64 bits is given as 128.
std::optional<std::int64_t> fitted(__int128 value, FieldType type, Overflow how) {
  const __int128 one = 1;
  const __int128 low = type.is_signed ? -(one << (type.bits - 1)) : 0;
  const __int128 high = type.is_signed ? (one << (type.bits - 1)) - 1 : (one << type.bits) - 1;
  if (value >= low && value <= high) return static_cast<std::int64_t>(value);
  if (how == Overflow::kFail) return std::nullopt;
  if (how == Overflow::kSaturate) return static_cast<std::int64_t>(value < low ? low : high);
  const __int128 span = one << type.bits;
  value = ((value - low) % span + span) % span + low;
  return static_cast<std::int64_t>(value);
}

Reply bitfield(Engine& engine, Args args) {
  struct Step {
    char what;  // g, s, i
    FieldType type;
    std::uint64_t offset;
    std::int64_t value;
    Overflow how;
  };
  std::vector<Step> steps;
  Overflow how = Overflow::kWrap;
  bool writes = false;
  for (std::size_t i = 2; i < args.size();) {
    const std::size_t more = args.size() - i - 1;
    if (is(args[i], "OVERFLOW") && more >= 1) {
      if (is(args[i + 1], "WRAP")) {
        how = Overflow::kWrap;
      } else if (is(args[i + 1], "SAT")) {
        how = Overflow::kSaturate;
      } else if (is(args[i + 1], "FAIL")) {
        how = Overflow::kFail;
      } else {
        refuse("ERR Invalid OVERFLOW type specified");
      }
      i += 2;
      continue;
    }
    const char what = is(args[i], "GET") && more >= 2      ? 'g'
                      : is(args[i], "SET") && more >= 3    ? 's'
                      : is(args[i], "INCRBY") && more >= 3 ? 'i'
                                                           : 0;
    if (what == 0) refuse("ERR syntax error");
    const FieldType type = field_type(args[i + 1]);
    const std::uint64_t offset = field_offset(args[i + 2], type);
    steps.push_back({what, type, offset, what == 'g' ? 0 : integer(args[i + 3]), how});
    writes = writes || what != 'g';
    i += what == 'g' ? 3 : 4;
  }
  const auto* const there = engine.find<std::string>(args[1]);
  std::string text = there ? *there : "";
  // It grows to hold all that is written, also what fails.
  for (const Step& step : steps) {
    const std::uint64_t size = (step.offset + static_cast<std::uint64_t>(step.type.bits) + 7) / 8;
    if (step.what != 'g' && text.size() < size) text.resize(size);
  }
  Reply out = Reply::array({});
  for (const Step& step : steps) {
    const std::int64_t old = read_field(text, step.offset, step.type);
    if (step.what == 'g') {
      out.items.push_back(Reply::number(old));
      continue;
    }
    const __int128 wanted = step.what == 's' ? __int128{step.value} : __int128{old} + step.value;
    const auto value = fitted(wanted, step.type, step.how);
    if (value) write_field(text, step.offset, step.type, *value);
    out.items.push_back(value ? Reply::number(step.what == 's' ? old : *value) : Reply::null());
  }
  if (writes) {
    engine.make<std::string>(args[1]) = std::move(text);
    engine.touch(args[1]);
  }
  return out;
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
  table["BITCOUNT"] = {bitcount, 2, 5};
  table["BITPOS"] = {bitpos, 3, 6};
  table["BITFIELD"] = {bitfield, 2, -1};
  table["BITOP"] = {bitop, 4, -1};
  table["PFADD"] = {pfadd, 2, -1};
  table["PFCOUNT"] = {pfcount, 2, -1};
  table["PFMERGE"] = {pfmerge, 2, -1};
}

}  // namespace mg::redis::local
