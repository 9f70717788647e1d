// store/memory/table.h -- the records of one part of the memory store, by key.
//
//   Table table;
//   table.insert(key.hash, std::make_unique<Entry>(Entry{value, std::string(key.text), until}));
//   if (Slot* slot = table.find(key)) table.erase(*slot);
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/clock.h"
#include "mg/store/memory/value.h"

namespace mg::memory {

using TimePoint = Clock::TimePoint;

template <class Word>
Word word_at(const char* from) {
  Word out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// Without a call for short texts, as most keys are.
inline bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const std::size_t size = a.size();
  const auto ends = [&]<class Word>(Word) {
    const std::size_t last = size - sizeof(Word);
    return ((word_at<Word>(a.data()) ^ word_at<Word>(b.data())) |
            (word_at<Word>(a.data() + last) ^ word_at<Word>(b.data() + last))) == 0;
  };
  if (size - 8 <= 8) return ends(std::uint64_t{});
  if (size - 4 < 4) return ends(std::uint32_t{});
  return std::memcmp(a.data(), b.data(), size) == 0;
}

// A key with its hash, which is computed once.
struct KeyView {
  std::string_view text;
  std::uint32_t hash;
};
struct Key {
  explicit Key(const KeyView& view) : text(view.text), hash(view.hash) {}
  operator KeyView() const { return {text, hash}; }  // NOLINT(google-explicit-constructor): it is the same key
  std::string text;
  std::uint32_t hash;
};

struct Entry {
  Value value;
  std::string key;
  TimePoint until;  // When it ends; not after the clock's zero: never, and what set() was told since then.

  bool ends() const { return until > TimePoint{}; }
  Clock::Duration left(TimePoint now) const { return ends() ? until - now : until - TimePoint{}; }
};

struct Slot {
  std::uint32_t hash = 0;
  bool used = false;  // Since the clock hand passed.
  std::unique_ptr<Entry> entry;
};

// Open addressing with linear probing: the hash is beside the pointer, so that a look-up reads one line here and the
// record itself. Lifetime: slots move with insert and erase, entries never.
class Table {
 public:
  Slot* find(const KeyView& key) {
    for (std::size_t i = key.hash & mask();; i = (i + 1) & mask()) {
      Slot& slot = slots_[i];
      if (!slot.entry) return nullptr;
      if (slot.hash == key.hash && same(slot.entry->key, key.text)) return &slot;
    }
  }
  // Requires: it is not there.
  void insert(std::uint32_t hash, std::unique_ptr<Entry> entry);
  void erase(Slot& slot);
  void clear();
  std::size_t size() const { return size_; }

  void for_each(const auto& use) const {
    for (const auto& slot : slots_) {
      if (slot.entry) use(slot);
    }
  }

 private:
  std::size_t mask() const { return slots_.size() - 1; }
  void put(Slot slot);

  std::vector<Slot> slots_ = std::vector<Slot>(8);  // A power of two, at most three quarters of them full.
  std::size_t size_ = 0;
};

}  // namespace mg::memory
