// base/log_line.h -- one line of the log between the thread that logs and the one that writes, and how it looks.
//
//   encode_fields(fields, octets, limit);                  // behind the text
//   append_line(out, line, Format::kJson, false, limit);   // with \n
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mg/base/clock.h"
#include "mg/base/log.h"
#include "mg/base/logging.h"

namespace mg::log {

// What is known of a line but its text and fields. Trivially copyable: it is kept as octets.
struct LineHead {
  Clock::WallTime time;
  const char* module;      // Module::name.
  std::uint64_t left_out;  // Octets of the text that are not here.
  std::uint32_t text_bytes;
  std::uint32_t fields_bytes;
  Level level;
};

struct Line {
  LineHead head;
  std::string_view text;    // As it was given, not escaped.
  std::string_view fields;  // As encode_fields wrote them.
};

using LineBuffer = fmt::basic_memory_buffer<char, 512>;

// Appends fields until they are `limit` octets; a text that does not fit is cut.
void encode_fields(Fields fields, LineBuffer& out, std::size_t limit);

// The line as it is written. Shape of text: see mg/base/logging.h; the escaped text is cut at `limit`.
void append_line(std::string& out, const Line& line, Format format, bool colour, std::size_t limit);

}  // namespace mg::log
