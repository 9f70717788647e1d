// store/memory/snapshot.h -- records of the memory store as octets, and files that are replaced in one step.
//
//   std::string octets = write_snapshot(records, wall, &written);
//   Result<std::vector<Record>> back = read_snapshot(octets, later);       // what expired meanwhile is left out
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mg/store/memory/memory.h"

namespace mg::memory {

// Shape: "MGMEM001", then for each record 1, key, until:i64 (ns since 1970, 0: never), value; then 0, count:u64,
// crc32c:u32 of all before. Little endian; a text is size:u32 and its octets; a value is its kind:u8 and content.
std::string write_snapshot(std::span<const Record> records, Clock::WallTime now, std::uint64_t* written);
// Errors: kInvalid  no snapshot, cut short, changed
Result<std::vector<Record>> read_snapshot(std::string_view octets, Clock::WallTime now);

// Errors: kServer  what the system said
Result<void> replace_file(const std::string& file, std::string_view octets);
// Errors: kNotFound  no such file · kServer
Result<std::string> read_file(const std::string& file);

}  // namespace mg::memory
