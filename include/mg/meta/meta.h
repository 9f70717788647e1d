// mg/meta/meta.h -- metadata: the small map of texts that travels with every call and every connection.
//
//   Meta meta{{"Node-Name", "gate"}, {"Lang", "zh"}};
//   meta.set("Role-Id", std::int64_t{42});            // kept as "42"; lists, maps and floats as JSON
//   if (meta.get_int64("Role-Id") == 42) reply(meta.get("Lang"));
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/bytes.h"
#include "mg/base/error.h"
#include "mg/utils/dtype/json_text.h"

namespace mg {

// Keys the framework itself uses; Meta keeps them as one octet each. Source: wire.md 2.5.
namespace meta_key {
inline constexpr std::string_view kNodeName = "Node-Name";  // Service name of the creator.
inline constexpr std::string_view kNodeId = "Node-Id";      // UUID of the creator's process.
inline constexpr std::string_view kDataId = "Data-Id";      // DataMeta.
inline constexpr std::string_view kClientId = "Client-Id";  // AgentMeta: UUID of the connection.
inline constexpr std::string_view kClientIp = "Client-Ip";
inline constexpr std::string_view kClientVer = "Client-Ver";
inline constexpr std::string_view kAccountId = "Account-Id";
inline constexpr std::string_view kChannelUid = "Channel-Uid";
inline constexpr std::string_view kServerId = "Server-Id";
inline constexpr std::string_view kRoleId = "Role-Id";
}  // namespace meta_key

namespace detail {
// Numbers of the well-known keys that are asked for with every message: the first of a block.
enum class KnownKey : std::uint8_t { kRoleId, kAccountId, kClientId };
}  // namespace detail

// Texts by key. Keys are case-sensitive (header.h has the spelling rules of RPC headers).
// Shape: one pointer to one reference-counted block that holds all keys and values; changed in place while only one
//   Meta has it, copied before a change otherwise. About 48 + values + 2 octets a well-known key.
// Requires: less than 2 GiB in all; transports bound what peers can send.
// Threads: copies may be used on different threads at the same time; one Meta object is not to be changed while others
//   read that same object.
// Lifetime: a view got from a Meta is good until that Meta is changed or destroyed.
// Cost: copy, move, version and comparing two copies: one pointer, no allocation. get: a scan, about 10 ns.
class Meta {
 public:
  using Entry = std::pair<std::string_view, std::string_view>;

  Meta() noexcept = default;
  // One block for all entries; a later entry wins over an earlier one of the same key.
  Meta(std::initializer_list<Entry> entries) : Meta(std::span(entries.begin(), entries.size())) {}
  explicit Meta(std::span<const Entry> entries);
  // Metadata that a node makes: Node-Name and Node-Id, unless `entries` has them already.
  Meta(std::string_view node_name, std::string_view node_id, std::span<const Entry> entries = {});

  Meta(const Meta& other) noexcept;
  Meta(Meta&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Meta& operator=(Meta other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Meta();

  std::string_view get(std::string_view key) const;  // "" when absent.
  bool has(std::string_view key) const;
  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }

  // Number of changes since the empty Meta; a call that changes nothing does not count. A copy starts at its
  // original's number, so numbers compare only along the history of one object.
  std::uint64_t version() const noexcept;

  // All setters say whether anything changed.
  bool set(std::string_view key, std::string_view value);
  bool set(std::string_view key, Bytes value) { return set(key, as_text(value)); }
  // Integers and bool plainly; double and float as JSON, but NaN, +Inf, -Inf by name (which get_float64 reads back);
  // everything else as JSON (json_text.h). Lists of octets are texts.
  template <class T>
    requires(!std::convertible_to<const T&, std::string_view> && !std::convertible_to<const T&, Bytes>)
  bool set(std::string_view key, const T& value) {
    static_assert(!std::same_as<T, char>, "a character is a text (string_view) or a number (int), say which");
    std::string text;  // Numbers fit the inline space.
    json_text::append_plain(text, value);
    return set(key, std::string_view(text));
  }
  bool erase(std::string_view key);
  void clear();
  // Takes over all of `over`; where both have a key, its value wins. Counts as one change.
  bool merge(const Meta& over);

  // Readers never fail: junk or nothing is 0, a number out of range the nearest limit (Go cuts int32: we do not).
  // Shape: optional sign and decimal digits (unsigned: no sign); floats also exponent, hex (0x1p4), Inf, NaN, 1_000;
  //   bool: 1 t T true True TRUE, all else is false.
  std::int64_t get_int(std::string_view key) const { return get_int64(key); }
  std::int32_t get_int32(std::string_view key) const;
  std::int64_t get_int64(std::string_view key) const;
  std::uint32_t get_uint32(std::string_view key) const;
  std::uint64_t get_uint64(std::string_view key) const;
  float get_float32(std::string_view key) const;
  double get_float64(std::string_view key) const;
  bool get_bool(std::string_view key) const;
  // A JSON list; null is an empty one, and as an element 0 or "". T: int32_t, int64_t, float, double, std::string.
  // Errors: kInvalid  no such key, not JSON, not a list, an element of another kind or out of range
  template <class T>
  Result<std::vector<T>> get_slice(std::string_view key) const;

  // Calls fn(key, value) for each entry: well-known keys first, then the others by their octets.
  // Requires: fn does not change this Meta.
  template <class Fn>
  void for_each(Fn&& fn) const {
    for (Cursor at(*this); at.valid(); at.next()) fn(at.key(), at.value());
  }

  // Calls fn(key, std::optional<std::string_view> value) for each key that differs: its value in `newer`, or nullopt
  // where it is gone. Setting and erasing these in `older` makes it equal to `newer`. Cost: one walk, no allocation.
  template <class Fn>
  static void diff(const Meta& older, const Meta& newer, Fn&& fn) {
    if (older.block_ == newer.block_) return;
    Cursor from(older), to(newer);
    while (from.valid() || to.valid()) {
      const std::strong_ordering order = Cursor::order(from, to);
      if (order < 0) {
        fn(from.key(), std::optional<std::string_view>());
      } else if (order > 0 || from.value() != to.value()) {
        fn(to.key(), std::optional(to.value()));
      }
      if (order <= 0) from.next();
      if (order >= 0) to.next();
    }
  }

  // Whether both are copies of one, unchanged since. Cost: a comparison of pointers.
  bool is_copy_of(const Meta& other) const noexcept { return block_ == other.block_; }
  // The same for all copies of one, unchanged since, and for nothing else while one of them lives. Null for a new Meta.
  const void* identity() const noexcept { return block_; }
  // Whether there is another copy. Cost: a load.
  bool has_copies() const noexcept;
  // Same keys with the same values; versions do not matter.
  friend bool operator==(const Meta& left, const Meta& right) noexcept {
    return left.block_ == right.block_ || left.same_entries(right);
  }

  // Octets of the block on the heap, shared by all copies; 0 for a new Meta.
  std::size_t heap_bytes() const noexcept;

 protected:
  // As get_int64() and get() of these keys. Cost: a load.
  std::int64_t known_role_id() const noexcept;
  std::int64_t known_account_id() const noexcept;
  std::string_view known_client_id() const noexcept;

 private:
  struct Block;

  // Walks the entries of a block in their order.
  class Cursor {
   public:
    Cursor() = default;
    explicit Cursor(const Meta& meta);
    bool valid() const { return at_ != nullptr; }
    std::string_view key() const { return key_; }
    std::string_view value() const { return value_; }
    void next();
    // Order of the entries two cursors stand on; one that is past its end comes last.
    static std::strong_ordering order(const Cursor& left, const Cursor& right);

   private:
    friend class Meta;
    const char* at_ = nullptr;    // The entry's first octet; null past the end.
    const char* next_ = nullptr;  // The octet after the entry.
    const char* end_ = nullptr;
    std::uint8_t id_ = 0;  // Number of a well-known key; 255 for others.
    std::string_view key_;
    std::string_view value_;
  };

  struct NewEntry;

  bool find(std::uint8_t id, std::string_view key, Cursor& at) const;
  bool same_entries(const Meta& other) const noexcept;
  void splice(const Cursor& at, bool replace, const NewEntry* entry);
  void release() noexcept;

  Block* block_ = nullptr;
};

}  // namespace mg
