// mg/store/redis/meta_cache.h -- metadata of players kept in Redis, where every node finds them (wire.md section 7).
//
//   co_await redis::save_meta(redis, "meta:role:42", meta);
//   Result<Meta> meta = co_await redis::load_meta(redis, "meta:role:42");     // empty when there is none
//
// A key is whatever the caller passes; nothing is put before it, and it has no expiry. Errors: as of commands (port.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/meta/meta.h"
#include "mg/store/redis/redis.h"

namespace mg::redis {

// Writes all entries; others that are there stay. Nothing to write is no command.
Task<Result<void>> save_meta(Redis& redis, std::string_view key, const Meta& meta, Within within = {});
// Several, sent together. Errors: the first; the others are written
Task<Result<void>> save_metas(Redis& redis, std::vector<std::pair<std::string, Meta>> metas, Within within = {});
Task<Result<Meta>> load_meta(Redis& redis, std::string_view key, Within within = {});
// In the order of the keys.
Task<Result<std::vector<Meta>>> load_metas(Redis& redis, std::vector<std::string> keys, Within within = {});
// No keys is no command.
Task<Result<void>> delete_metas(Redis& redis, const std::vector<std::string>& keys, Within within = {});

}  // namespace mg::redis
