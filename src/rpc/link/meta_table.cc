#include "rpc/link/meta_table.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "rpc/link/frames.h"

namespace mg::rpc::link {
namespace {

constexpr std::size_t kMaxEntries = 1024;
constexpr std::size_t kMaxFrameEntries = 2 * kMaxEntries;
constexpr std::size_t kEntryFields = 6;
constexpr std::uint32_t kProbes = 8;  // Numbers looked at for one whose metadata nobody has any more.

struct Size {
  std::uint64_t octets = 0;
  std::size_t entries = 0;
  bool too_large() const { return octets > kMaxMetaSize || entries > kMaxEntries; }
};
Size size_of(const Meta& meta) {
  Size size;
  meta.for_each([&](std::string_view key, std::string_view value) {
    size.octets += kMetaEntry + key.size() + value.size();
    ++size.entries;
  });
  return size;
}

void append_entry(std::string& frame, std::string_view key, std::optional<std::string_view> value) {
  const std::size_t at = frame.size();
  frame.resize(at + kEntryFields);
  auto* const fields = reinterpret_cast<std::byte*>(frame.data() + at);
  put(fields, static_cast<std::uint16_t>(key.size()));
  put(fields + 2, value ? static_cast<std::uint32_t>(value->size()) : kErased);
  frame.append(key);
  if (value) frame.append(*value);
}

}  // namespace

// ---- FlatIndex ------------------------------------------------------------------------------------------------------

void FlatIndex::grow() {
  std::vector<Entry> old(std::max<std::size_t>(16, entries_.size() * 2));
  old.swap(entries_);
  mask_ = entries_.size() - 1;
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(entries_.size()));
  count_ = 0;
  for (const Entry& entry : old) {
    if (entry.number != kNone) set(entry.key, entry.number);
  }
}

void FlatIndex::set(std::uint64_t key, std::uint32_t number) {
  if (count_ * 2 >= entries_.size()) grow();
  std::size_t at = place(key);
  while (entries_[at].number != kNone && entries_[at].key != key) at = (at + 1) & mask_;
  if (entries_[at].number == kNone) ++count_;
  entries_[at] = {key, number};
}

void FlatIndex::erase(std::uint64_t key, std::uint32_t number) {
  if (entries_.empty()) return;
  std::size_t at = place(key);
  while (entries_[at].number != kNone && entries_[at].key != key) at = (at + 1) & mask_;
  if (entries_[at].number == kNone || entries_[at].number != number) return;
  --count_;
  // Those behind it that the gap would cut off from their place move up.
  for (std::size_t next = (at + 1) & mask_; entries_[next].number != kNone; next = (next + 1) & mask_) {
    const std::size_t home = place(entries_[next].key);
    if (((next - home) & mask_) >= ((next - at) & mask_)) {
      entries_[at] = entries_[next];
      at = next;
    }
  }
  entries_[at] = {};
}

// ---- MetaNumbers ----------------------------------------------------------------------------------------------------

void MetaNumbers::reset(std::uint32_t max_metas, std::uint32_t max_octets) {
  slots_.clear();
  recent_.clear();
  by_identity_.clear();
  by_client_.clear();
  max_metas_ = max_metas;
  max_octets_ = max_octets;
  octets_ = 0;
  hand_ = 0;
}

MetaNumbers::Named MetaNumbers::name_new(const Meta& meta) {
  const Size size = size_of(meta);
  if (size.too_large()) return {kNone, {}, true};
  if (size.entries == 0) return {kNone, {}};
  const std::string_view client_id = meta.get(meta_key::kClientId);
  const std::uint64_t client = client_id.empty() ? 0 : std::hash<std::string_view>()(client_id) | 1;

  frame_.clear();
  std::uint8_t flags = 0;
  std::uint32_t number = client == 0 ? kNone : by_client_.find(client);
  // What the number has is kept if somebody may still call with it.
  if (number != kNone && !slots_[number].meta.has_copies() &&
      octets_ - slots_[number].size + size.octets <= max_octets_) {
    begin_frame();
    Meta::diff(slots_[number].meta, meta, [this](std::string_view key, std::optional<std::string_view> value) {
      append_entry(frame_, key, value);
    });
    empty(number);
  } else {
    number = free_number(static_cast<std::uint32_t>(size.octets));
    flags = kFromEmpty;
    begin_frame();
    meta.for_each([this](std::string_view key, std::string_view value) { append_entry(frame_, key, value); });
  }
  fill(number, meta, static_cast<std::uint32_t>(size.octets), client);
  end_frame(flags, number);
  return {number, frame_};
}

void MetaNumbers::begin_frame() {
  begun_ = frame_.size();
  frame_.append(kHeadSize + 4, '\0');
}

void MetaNumbers::end_frame(std::uint8_t flags, std::uint32_t number) {
  auto* const at = reinterpret_cast<std::byte*>(frame_.data() + begun_);
  write_head(at, {static_cast<std::uint32_t>(frame_.size() - begun_ - kHeadSize), Type::kMeta, flags, 0});
  put(at + kHeadSize, number);
}

// A number for `size` octets, which has no metadata now.
std::uint32_t MetaNumbers::free_number(std::uint32_t size) {
  std::uint32_t number = kNone;
  for (std::uint32_t i = 0; i < kProbes && i < slots_.size(); ++i) {
    hand_ = hand_ + 1 < slots_.size() ? hand_ + 1 : 0;
    if (slots_[hand_].meta.has_copies()) continue;  // Its player may call again; else only this table has it.
    number = hand_;
    empty(number);
    break;
  }
  if (number == kNone && slots_.size() >= max_metas_) number = forget_one();
  while (octets_ + size > max_octets_) {
    begin_frame();  // The node must forget it, too, before there is room for more.
    end_frame(kFromEmpty, forget_one());
  }
  if (number != kNone) return number;
  slots_.emplace_back();
  recent_.push_back(1);
  return static_cast<std::uint32_t>(slots_.size() - 1);
}

// Empties the next number that was not used since the hand came by.
std::uint32_t MetaNumbers::forget_one() {
  for (;;) {
    hand_ = hand_ + 1 < slots_.size() ? hand_ + 1 : 0;
    if (slots_[hand_].size == 0) {
      if (octets_ == 0) return hand_;
      continue;
    }
    if (std::exchange(recent_[hand_], 0) != 0) continue;
    empty(hand_);
    return hand_;
  }
}

void MetaNumbers::empty(std::uint32_t number) {
  Slot& slot = slots_[number];
  if (slot.size == 0) return;
  by_identity_.erase(key_of(slot.meta.identity()), number);
  if (slot.client != 0) by_client_.erase(slot.client, number);
  octets_ -= slot.size;
  slot = Slot();
}

void MetaNumbers::fill(std::uint32_t number, const Meta& meta, std::uint32_t size, std::uint64_t client) {
  slots_[number] = {meta, client, size};
  recent_[number] = 1;
  octets_ += size;
  by_identity_.set(key_of(meta.identity()), number);
  if (client != 0) by_client_.set(client, number);
}

// ---- MetaTable ------------------------------------------------------------------------------------------------------

std::string_view MetaTable::apply(std::uint8_t flags, Bytes body) {
  if ((flags & ~kFromEmpty) != 0) return "META with unknown flags";
  if (body.size() < 4) return "META too short";
  const auto number = get<std::uint32_t>(body.data());
  const bool from_empty = (flags & kFromEmpty) != 0;
  if (number > slots_.size() || number >= max_metas_) return "META number out of range";
  if (number == slots_.size()) {
    if (!from_empty) return "META changes a number that was never defined";
    slots_.emplace_back();
  }
  Slot& slot = slots_[number];
  entries_.clear();
  std::size_t count = 0;
  Meta changed = from_empty ? Meta() : std::move(slot.meta);
  for (Bytes left = body.subspan(4); !left.empty();) {
    if (++count > kMaxFrameEntries) return "META with too many entries";
    if (left.size() < kEntryFields) return "META entry too short";
    const std::size_t key_size = get<std::uint16_t>(left.data());
    const auto value_size = get<std::uint32_t>(left.data() + 2);
    left = left.subspan(kEntryFields);
    const bool erased = value_size == kErased;
    if (left.size() < key_size || (!erased && left.size() - key_size < value_size)) return "META entry too short";
    const std::string_view key = text_at(left.data(), key_size);
    if (erased) {
      if (from_empty) return "META erases from nothing";
      changed.erase(key);
      left = left.subspan(key_size);
      continue;
    }
    const std::string_view value = text_at(left.data() + key_size, value_size);
    if (from_empty) {
      entries_.emplace_back(key, value);
    } else {
      changed.set(key, value);
    }
    left = left.subspan(key_size + value_size);
  }
  if (from_empty) changed = Meta(std::span<const Meta::Entry>(entries_));
  const Size size = size_of(changed);
  if (size.too_large()) return "META too large";
  if (octets_ - slot.size + size.octets > max_octets_) return "more metadata than the node keeps";
  octets_ += size.octets - slot.size;
  slot = {std::move(changed), static_cast<std::uint32_t>(size.octets)};
  return {};
}

}  // namespace mg::rpc::link
