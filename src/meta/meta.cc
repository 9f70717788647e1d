#include "mg/meta/meta.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <new>

#include "meta/json_list.h"
#include "mg/utils/dtype/number.h"

namespace mg {
namespace {

// Well-known keys: an entry names them by their place here. The ones asked for with every message come first, for that
// is where a search starts; the last line comes with calls of Go services (wire.md 2.5).
constexpr std::array<std::string_view, 17> kNames = {
    // clang-format off
    meta_key::kRoleId, meta_key::kAccountId, meta_key::kClientId, meta_key::kDataId, meta_key::kServerId,
    meta_key::kNodeId, meta_key::kNodeName, meta_key::kClientIp, meta_key::kClientVer, meta_key::kChannelUid,
    "Remote", ":Authority", "Content-Type", "User-Agent", "Micro-From-Service", "Micro-Trace-Id", "Micro-Span-Id",
    // clang-format on
};
constexpr std::uint8_t kOtherKey = 255;
static_assert(kNames[static_cast<std::size_t>(detail::KnownKey::kRoleId)] == meta_key::kRoleId &&
              kNames[static_cast<std::size_t>(detail::KnownKey::kAccountId)] == meta_key::kAccountId &&
              kNames[static_cast<std::size_t>(detail::KnownKey::kClientId)] == meta_key::kClientId);

// A perfect hash of kNames: no two share a slot (checked below).
constexpr std::size_t kSlots = 64;
constexpr std::size_t slot_of(std::string_view key) {
  const auto octet = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(key[i])); };
  return (key.size() + octet(0) * 3 + octet(key.size() - 1) * 8) % kSlots;
}
constexpr auto kSlotTable = [] {
  std::array<std::uint8_t, kSlots> table;
  table.fill(kOtherKey);
  for (std::size_t i = 0; i < kNames.size(); ++i) table[slot_of(kNames[i])] = static_cast<std::uint8_t>(i);
  return table;
}();
constexpr bool every_name_has_its_slot() {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kSlotTable[slot_of(kNames[i])] != i) return false;
  }
  return true;
}
static_assert(every_name_has_its_slot(), "two well-known keys share a slot: change slot_of");

std::uint8_t id_of(std::string_view key) {
  if (key.empty()) return kOtherKey;
  const std::uint8_t id = kSlotTable[slot_of(key)];
  return id != kOtherKey && kNames[id] == key ? id : kOtherKey;
}

// Lengths: seven bits an octet, low ones first, the top bit set in all but the last.
std::size_t length_bytes(std::size_t length) {
  std::size_t bytes = 1;
  for (; length >= 0x80; length >>= 7) ++bytes;
  return bytes;
}
char* write_length(char* to, std::size_t length) {
  for (; length >= 0x80; length >>= 7) *to++ = static_cast<char>(length | 0x80);
  *to++ = static_cast<char>(length);
  return to;
}
std::size_t read_length(const char*& at) {
  auto octet = static_cast<unsigned char>(*at++);
  if (octet < 0x80) return octet;
  std::size_t length = octet & 0x7F;
  for (unsigned shift = 7; octet >= 0x80; shift += 7) {
    octet = static_cast<unsigned char>(*at++);
    length |= static_cast<std::size_t>(octet & 0x7F) << shift;
  }
  return length;
}

char* write_text(char* to, std::string_view text) {
  to = write_length(to, text.size());
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

constexpr std::size_t kMaxBytes = std::numeric_limits<std::int32_t>::max();

}  // namespace

// Shape: this head, then the entries sorted by (id, key): id, [key length, key when the id is kOtherKey], value length,
// value.
struct Meta::Block {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t capacity = 0;  // Octets of room after the head.
  std::uint32_t used = 0;      // Octets of entries.
  std::uint32_t count = 0;
  std::uint64_t version = 0;
  // What every message asks for, read from the entries when they change.
  std::int64_t role_id = 0;
  std::int64_t account_id = 0;
  std::uint32_t client_id_at = 0;  // Of the value, from entries().
  std::uint32_t client_id_size = 0;

  char* entries() { return reinterpret_cast<char*>(this + 1); }
  bool is_shared() const { return references.load(std::memory_order_acquire) != 1; }
  bool holds(std::string_view text) const {
    const char* first = reinterpret_cast<const char*>(this + 1);
    return std::less_equal<>{}(first, text.data()) && std::less<>{}(text.data(), first + capacity);
  }

  void read_known() {
    role_id = account_id = 0;
    client_id_at = client_id_size = 0;
    const char* at = entries();
    for (const char* const end = at + used; at != end;) {
      const auto id = static_cast<std::uint8_t>(*at++);
      if (id > static_cast<std::uint8_t>(detail::KnownKey::kClientId)) break;
      const std::size_t length = read_length(at);
      switch (static_cast<detail::KnownKey>(id)) {
        case detail::KnownKey::kRoleId:
          role_id = dtype::scan<std::int64_t>({at, length}).value;
          break;
        case detail::KnownKey::kAccountId:
          account_id = dtype::scan<std::int64_t>({at, length}).value;
          break;
        case detail::KnownKey::kClientId:
          client_id_at = static_cast<std::uint32_t>(at - entries());
          client_id_size = static_cast<std::uint32_t>(length);
          break;
      }
      at += length;
    }
  }

  static Block* make(std::size_t used, std::uint32_t count, std::uint64_t version) {
    if (used > kMaxBytes) std::abort();  // The bound of Requires; a transport let far too much through.
    // The whole of the piece that malloc would hand out anyway: it works in steps of 16 with a head of 8.
    const std::size_t bytes = (sizeof(Block) + used + 8 + 15) / 16 * 16 - 8;
    auto* block = new (::operator new(bytes)) Block;
    block->capacity = static_cast<std::uint32_t>(bytes - sizeof(Block));
    block->used = static_cast<std::uint32_t>(used);
    block->count = count;
    block->version = version;
    return block;
  }
};

struct Meta::NewEntry {
  std::uint8_t id;
  std::string_view key;
  std::string_view value;

  std::size_t bytes() const {
    return 1 + (id == kOtherKey ? length_bytes(key.size()) + key.size() : 0) + length_bytes(value.size()) +
           value.size();
  }
  void write(char* to) const {
    *to++ = static_cast<char>(id);
    if (id == kOtherKey) to = write_text(to, key);
    write_text(to, value);
  }
};

Meta::Cursor::Cursor(const Meta& meta) {
  if (meta.block_ == nullptr) return;
  next_ = meta.block_->entries();
  end_ = next_ + meta.block_->used;
  next();
}

void Meta::Cursor::next() {
  at_ = next_;
  if (at_ == end_) {
    at_ = nullptr;
    return;
  }
  id_ = static_cast<std::uint8_t>(*next_++);
  if (id_ == kOtherKey) {
    const std::size_t length = read_length(next_);
    key_ = {next_, length};
    next_ += length;
  } else {
    key_ = kNames[id_];
  }
  const std::size_t length = read_length(next_);
  value_ = {next_, length};
  next_ += length;
}

std::strong_ordering Meta::Cursor::order(const Cursor& left, const Cursor& right) {
  if (!left.valid() || !right.valid()) return right.valid() <=> left.valid();
  if (left.id_ != right.id_ || left.id_ != kOtherKey) return left.id_ <=> right.id_;
  return left.key_ <=> right.key_;
}

// Puts `at` on the entry of this key, or on the first one that comes after it.
bool Meta::find(std::uint8_t id, std::string_view key, Cursor& at) const {
  if (block_ == nullptr) return false;
  at.next_ = block_->entries();
  at.end_ = at.next_ + block_->used;
  while (at.next_ != at.end_ && static_cast<std::uint8_t>(*at.next_) < id) {
    ++at.next_;  // A smaller number is a well-known key's: no key text to step over.
    const std::size_t length = read_length(at.next_);
    at.next_ += length;
  }
  at.next();
  if (id != kOtherKey) return at.valid() && at.id_ == id;
  while (at.valid() && at.key_ < key) at.next();
  return at.valid() && at.id_ == id && at.key_ == key;
}

Meta::Meta(std::span<const Entry> entries) {
  if (entries.empty()) return;
  std::size_t bytes = 0;
  for (const auto& [key, value] : entries) bytes += NewEntry{id_of(key), key, value}.bytes();
  block_ = Block::make(bytes, 0, 0);
  block_->used = 0;
  for (const auto& [key, value] : entries) set(key, value);
}

Meta::Meta(std::string_view node_name, std::string_view node_id, std::span<const Entry> entries) : Meta(entries) {
  if (!has(meta_key::kNodeName)) set(meta_key::kNodeName, node_name);
  if (!has(meta_key::kNodeId)) set(meta_key::kNodeId, node_id);
}

Meta::Meta(const Meta& other) noexcept : block_(other.block_) {
  if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
}

Meta::~Meta() {
  release();
}

void Meta::release() noexcept {
  if (block_ == nullptr || block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  block_->~Block();
  ::operator delete(block_);
}

std::string_view Meta::get(std::string_view key) const {
  Cursor at;
  return find(id_of(key), key, at) ? at.value() : std::string_view();
}

std::int64_t Meta::known_role_id() const noexcept {
  return block_ == nullptr ? 0 : block_->role_id;
}
std::int64_t Meta::known_account_id() const noexcept {
  return block_ == nullptr ? 0 : block_->account_id;
}
std::string_view Meta::known_client_id() const noexcept {
  if (block_ == nullptr) return {};
  return {block_->entries() + block_->client_id_at, block_->client_id_size};
}

bool Meta::has(std::string_view key) const {
  Cursor at;
  return find(id_of(key), key, at);
}

std::size_t Meta::size() const noexcept {
  return block_ == nullptr ? 0 : block_->count;
}
std::uint64_t Meta::version() const noexcept {
  return block_ == nullptr ? 0 : block_->version;
}
bool Meta::has_copies() const noexcept {
  return block_ && block_->is_shared();
}

std::size_t Meta::heap_bytes() const noexcept {
  return block_ == nullptr ? 0 : sizeof(Block) + block_->capacity;
}

bool Meta::same_entries(const Meta& other) const noexcept {
  if (size() != other.size()) return false;
  if (size() == 0) return true;
  return block_->used == other.block_->used &&
         std::memcmp(block_->entries(), other.block_->entries(), block_->used) == 0;
}

// Puts `entry` (null: nothing) before the entry `at`, or in its place.
void Meta::splice(const Cursor& at, bool replace, const NewEntry* entry) {
  const std::size_t used = block_ == nullptr ? 0 : block_->used;
  const char* from = block_ == nullptr ? nullptr : block_->entries();
  const std::size_t before = at.valid() ? static_cast<std::size_t>(at.at_ - from) : used;
  const std::size_t old_bytes = replace ? static_cast<std::size_t>(at.next_ - at.at_) : 0;
  const std::size_t new_bytes = entry == nullptr ? 0 : entry->bytes();
  const std::size_t after = used - before - old_bytes;
  const std::size_t total = before + new_bytes + after;
  const auto count = static_cast<std::uint32_t>(size() + (entry != nullptr) - replace);

  const bool in_place = block_ != nullptr && !block_->is_shared() && total <= block_->capacity &&
                        (entry == nullptr || (!block_->holds(entry->key) && !block_->holds(entry->value)));
  if (in_place) {
    char* to = block_->entries() + before;
    if (after > 0) std::memmove(to + new_bytes, to + old_bytes, after);
    if (entry != nullptr) entry->write(to);
    block_->used = static_cast<std::uint32_t>(total);
    block_->count = count;
    ++block_->version;
    block_->read_known();
    return;
  }
  Block* fresh = Block::make(total, count, version() + 1);
  char* to = fresh->entries();
  if (before > 0) std::memcpy(to, from, before);
  if (entry != nullptr) entry->write(to + before);
  if (after > 0) std::memcpy(to + before + new_bytes, from + before + old_bytes, after);
  fresh->read_known();
  release();
  block_ = fresh;
}

bool Meta::set(std::string_view key, std::string_view value) {
  const NewEntry entry{id_of(key), key, value};
  Cursor at;
  const bool found = find(entry.id, key, at);
  if (found && at.value() == value) return false;
  splice(at, found, &entry);
  return true;
}

bool Meta::erase(std::string_view key) {
  Cursor at;
  if (!find(id_of(key), key, at)) return false;
  splice(at, true, nullptr);
  return true;
}

void Meta::clear() {
  if (empty()) return;
  Block* fresh = Block::make(0, 0, version() + 1);
  release();
  block_ = fresh;
}

bool Meta::merge(const Meta& over) {
  std::size_t bytes = 0;
  std::uint32_t count = 0;
  bool changes = false;
  // Walks both in order, `over` winning: first to measure, then to write.
  const auto walk = [&](auto&& take) {
    Cursor mine(*this), theirs(over);
    while (mine.valid() || theirs.valid()) {
      const std::strong_ordering order = Cursor::order(mine, theirs);
      take(order < 0 ? mine : theirs, order > 0 || (order == 0 && mine.value() != theirs.value()));
      if (order <= 0) mine.next();
      if (order >= 0) theirs.next();
    }
  };
  walk([&](const Cursor& at, bool differs) {
    bytes += static_cast<std::size_t>(at.next_ - at.at_);
    ++count;
    changes = changes || differs;
  });
  if (!changes) return false;
  Block* fresh = Block::make(bytes, count, version() + 1);
  char* to = fresh->entries();
  walk([&](const Cursor& at, bool) { to = std::copy(at.at_, at.next_, to); });
  fresh->read_known();
  release();
  block_ = fresh;
  return true;
}

std::int64_t Meta::get_int64(std::string_view key) const {
  return dtype::scan<std::int64_t>(get(key)).value;
}
std::int32_t Meta::get_int32(std::string_view key) const {
  return dtype::scan<std::int32_t>(get(key)).value;
}
std::uint64_t Meta::get_uint64(std::string_view key) const {
  return dtype::scan<std::uint64_t>(get(key)).value;
}
std::uint32_t Meta::get_uint32(std::string_view key) const {
  return dtype::scan<std::uint32_t>(get(key)).value;
}
float Meta::get_float32(std::string_view key) const {
  return dtype::scan<float>(get(key)).value;
}
double Meta::get_float64(std::string_view key) const {
  return dtype::scan<double>(get(key)).value;
}
bool Meta::get_bool(std::string_view key) const {
  return dtype::scan<bool>(get(key)).value;
}

template <class T>
Result<std::vector<T>> Meta::get_slice(std::string_view key) const {
  auto list = parse_json_list<T>(get(key));
  if (!list) {
    if (!has(key)) return fail(code::kInvalid, "metadata \"{}\" is not set", key);
    return fail(code::kInvalid, "metadata \"{}\": {}", key, list.error().detail);
  }
  return list;
}

template Result<std::vector<std::int32_t>> Meta::get_slice(std::string_view) const;
template Result<std::vector<std::int64_t>> Meta::get_slice(std::string_view) const;
template Result<std::vector<float>> Meta::get_slice(std::string_view) const;
template Result<std::vector<double>> Meta::get_slice(std::string_view) const;
template Result<std::vector<std::string>> Meta::get_slice(std::string_view) const;

}  // namespace mg
