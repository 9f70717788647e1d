// store/redis/local/sorted_sets.h -- what the files on sorted sets of the twin share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "store/redis/local/engine.h"

namespace mg::redis::local {

using Order = std::vector<std::pair<double, std::string>>;

// All of a sorted set by score, then member; empty without the key.
Order sorted(Engine& engine, std::string_view key, bool reverse);
// Members, with their scores behind each.
Reply shown(Order::const_iterator begin, Order::const_iterator end, bool scores);
Reply remove_all(Engine& engine, std::string_view key, const Order& which);
// Instead of what is there; nothing when it is empty. Its size.
Reply put_sorted(Engine& engine, std::string_view key, const Order& which);

}  // namespace mg::redis::local
