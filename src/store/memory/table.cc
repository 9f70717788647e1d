#include "store/memory/table.h"

namespace mg::memory {

void Table::insert(std::uint32_t hash, std::unique_ptr<Entry> entry) {
  if (4 * (size_ + 1) > 3 * slots_.size()) {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
    for (auto& slot : old) {
      if (slot.entry) put(std::move(slot));
    }
  }
  put({hash, false, std::move(entry)});
  ++size_;
}

void Table::put(Slot slot) {
  std::size_t i = slot.hash & mask();
  while (slots_[i].entry) i = (i + 1) & mask();
  slots_[i] = std::move(slot);
}

// What was put behind it because its place was taken moves up.
void Table::erase(Slot& slot) {
  std::size_t gap = static_cast<std::size_t>(&slot - slots_.data());
  for (std::size_t i = (gap + 1) & mask(); slots_[i].entry; i = (i + 1) & mask()) {
    const std::size_t from_home = (i - slots_[i].hash) & mask();
    if (from_home < ((i - gap) & mask())) continue;
    slots_[gap] = std::move(slots_[i]);
    gap = i;
  }
  slots_[gap] = {};
  --size_;
}

void Table::clear() {
  slots_ = std::vector<Slot>(8);
  size_ = 0;
}

}  // namespace mg::memory
