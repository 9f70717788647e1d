// mg/utils/tool/files.h -- folders and files.
//
//   auto made = ensure_folder("logs/today");
//   auto saved = write_file("state.json", text);      // Whole or not at all, also when the power fails
//   Result<std::string> text = read_file("state.json", 1 << 20);
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace mg::tool {

// Whether something is there, a folder or not; true as well when it cannot be told (as the Go original).
bool path_exists(const std::filesystem::path& path);
// Makes a folder and those above; mode 0755 less the umask. Nothing to do when it is there.
// Errors: kInvalid  a file is in the way   kServer  no permission, no room
Result<void> ensure_folder(const std::filesystem::path& path);

// Writes beside, syncs to disk, and renames over what was there, keeping its mode (0644 for a new one).
// Errors: kServer  naming the step and the system's reason; the old file is as it was then
Result<void> write_file(const std::filesystem::path& path, std::string_view octets);
// Errors: kNotFound, kServer; kTooMany  more than max_bytes
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes = 64 * 1024 * 1024);

}  // namespace mg::tool
