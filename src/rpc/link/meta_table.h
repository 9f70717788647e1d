// rpc/link/meta_table.h -- metadata sent once and then named by number: both sides of META frames (docs/link.md).
//
//   MetaNumbers::Named named = numbers.name(context.meta());     // caller
//   if (!named.frame.empty()) write(named.frame);                // before the CALL that has named.number
//   table.apply(head.flags, body);                               // node
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mg/base/bytes.h"
#include "mg/meta/meta.h"

namespace mg::rpc::link {

// Numbers by keys that are hashes or addresses: open addressing in one array. Threads: loop.
class FlatIndex {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  std::uint32_t find(std::uint64_t key) const {
    if (entries_.empty()) return kNone;
    for (std::size_t at = place(key);; at = (at + 1) & mask_) {
      const Entry& entry = entries_[at];
      if (entry.number == kNone) return kNone;
      if (entry.key == key) return entry.number;
    }
  }
  void set(std::uint64_t key, std::uint32_t number);  // Replaces what the key has.
  // Only if the key has this number.
  void erase(std::uint64_t key, std::uint32_t number);
  void clear() { *this = FlatIndex(); }

 private:
  struct Entry {
    std::uint64_t key = 0;
    std::uint32_t number = kNone;
  };
  std::size_t place(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15ULL) >> shift_; }
  void grow();

  std::vector<Entry> entries_;
  std::size_t mask_ = 0;
  std::size_t count_ = 0;
  unsigned shift_ = 64;
};

// The caller's side. A block of metadata that was sent is found again by its identity, which stays that block's own
// because a copy is kept here. Changed metadata of the same Client-Id takes over the number of what it was before.
// Threads: loop. Cost: a look-up, about 3 ns, for metadata that is known.
class MetaNumbers {
 public:
  struct Named {
    std::uint32_t number;
    std::string_view
        frame;  // META frames to be sent first; empty when the node knows it. Lifetime: until the next name().
    bool too_large = false;
  };

  // A new link, on which nothing has been sent.
  void reset(std::uint32_t max_metas, std::uint32_t max_octets);
  Named name(const Meta& meta) {
    const void* const identity = meta.identity();
    if (!identity) return {kNone, {}};
    const std::uint32_t known = by_identity_.find(key_of(identity));
    if (known == FlatIndex::kNone) [[unlikely]] {
      return name_new(meta);
    }
    recent_[known] = 1;
    return {known, {}};
  }

  std::size_t size() const { return slots_.size(); }
  std::uint64_t octets() const { return octets_; }

 private:
  static constexpr std::uint32_t kNone = FlatIndex::kNone;
  struct Slot {
    Meta meta;
    std::uint64_t client = 0;  // Hash of its Client-Id; 0 without one.
    std::uint32_t size = 0;
  };
  static std::uint64_t key_of(const void* identity) { return reinterpret_cast<std::uintptr_t>(identity) >> 4; }
  Named name_new(const Meta& meta);
  std::uint32_t free_number(std::uint32_t size);
  std::uint32_t forget_one();
  void empty(std::uint32_t number);
  void begin_frame();
  void end_frame(std::uint8_t flags, std::uint32_t number);
  void fill(std::uint32_t number, const Meta& meta, std::uint32_t size, std::uint64_t client);

  std::vector<Slot> slots_;
  std::vector<std::uint8_t> recent_;  // By number: used since the hand came by.
  FlatIndex by_identity_;
  FlatIndex by_client_;
  std::uint32_t max_metas_ = 1;
  std::uint64_t max_octets_ = 0;
  std::uint64_t octets_ = 0;
  std::uint32_t hand_ = 0;
  std::string frame_;
  std::size_t begun_ = 0;  // Where in frame_ the last one begins.
};

// The node's side. Threads: loop.
class MetaTable {
 public:
  MetaTable(std::uint32_t max_metas, std::uint64_t max_octets) : max_metas_(max_metas), max_octets_(max_octets) {}

  // Takes a META frame. Returns what is wrong with it, "" for nothing.
  std::string_view apply(std::uint8_t flags, Bytes body);
  std::size_t size() const { return slots_.size(); }
  const Meta& operator[](std::uint32_t number) const { return slots_[number].meta; }

 private:
  struct Slot {
    Meta meta;
    std::uint32_t size = 0;
  };
  std::vector<Slot> slots_;
  std::vector<Meta::Entry> entries_;  // Scratch.
  std::uint32_t max_metas_;
  std::uint64_t max_octets_;
  std::uint64_t octets_ = 0;
};

}  // namespace mg::rpc::link
