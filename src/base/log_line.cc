#include "base/log_line.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "base/escape.h"

namespace mg::log {
namespace {

constexpr std::string_view kColours[] = {"\x1b[90m", "\x1b[90m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1;31m", ""};
constexpr std::string_view kOwnNames[] = {"time", "level", "module", "text", "left_out"};

template <class T>
void put(LineBuffer& out, const T& value) {
  const char* octets = reinterpret_cast<const char*>(&value);
  out.append(octets, octets + sizeof value);
}

template <class T>
T take(std::string_view& from) {
  T value;
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
  return value;
}

std::string_view take_octets(std::string_view& from, std::size_t size) {
  const auto octets = from.substr(0, size);
  from.remove_prefix(size);
  return octets;
}

// The next of the fields that encode_fields wrote.
Field take_field(std::string_view& from) {
  const auto kind = take<Field::Kind>(from);
  const auto name = take_octets(from, take<std::uint8_t>(from));
  switch (kind) {
    case Field::Kind::kText:
      return {name, take_octets(from, take<std::uint32_t>(from))};
    case Field::Kind::kBool:
      return {name, take<std::uint64_t>(from) != 0};
    case Field::Kind::kSigned:
      return {name, take<std::int64_t>(from)};
    case Field::Kind::kUnsigned:
      return {name, take<std::uint64_t>(from)};
    case Field::Kind::kDouble:
      break;
  }
  return {name, take<double>(from)};
}

// 2024-05-01T12:00:00.123Z
void append_time(std::string& out, Clock::WallTime time) {
  namespace chrono = std::chrono;
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const auto ms = chrono::floor<chrono::milliseconds>(time - day).count();
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), ms / 3600000, ms / 60000 % 60,
                 ms / 1000 % 60, ms % 1000);
}

// A number or truth value as both forms show it. False: JSON has none for it.
bool append_scalar(std::string& out, const Field& field) {
  auto to = std::back_inserter(out);
  switch (field.kind()) {
    case Field::Kind::kText:
      return false;
    case Field::Kind::kBool:
      fmt::format_to(to, "{}", field.bits() != 0);
      return true;
    case Field::Kind::kSigned:
      fmt::format_to(to, "{}", static_cast<std::int64_t>(field.bits()));
      return true;
    case Field::Kind::kUnsigned:
      fmt::format_to(to, "{}", field.bits());
      return true;
    case Field::Kind::kDouble:
      break;
  }
  if (!std::isfinite(field.number())) return false;
  fmt::format_to(to, "{}", field.number());
  return true;
}

// Text with nothing that could be taken for the next field.
void append_word(std::string& out, std::string_view text) {
  const bool plain =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '"' && c != '='; });
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('"', at), text.size());
    append_escaped(out, text.substr(at, end - at));
    if (end < text.size()) out += "\\\"";
    at = end + 1;
  }
  out += '"';
}

void append_text_line(std::string& out, const Line& line, bool colour, std::size_t limit) {
  const auto level = static_cast<std::size_t>(line.head.level);
  const auto name = level_name(line.head.level);
  append_time(out, line.head.time);
  out += ' ';
  if (colour) out += kColours[level];
  out += name;
  if (colour) out += "\x1b[0m";
  out.append(6 - name.size(), ' ');
  if (*line.head.module != '\0') (out += line.head.module) += ": ";
  const std::size_t room = limit < std::string::npos - out.size() ? out.size() + limit : std::string::npos;
  const std::size_t shown = append_escaped(out, line.text, room);
  const std::uint64_t left_out = line.text.size() - shown + line.head.left_out;
  if (left_out != 0) fmt::format_to(std::back_inserter(out), "... ({} octets more)", left_out);
  for (auto rest = line.fields; !rest.empty();) {
    const Field field = take_field(rest);
    out += ' ';
    append_word(out, field.name());
    out += '=';
    if (field.kind() == Field::Kind::kText) {
      append_word(out, field.text());
    } else if (!append_scalar(out, field)) {
      fmt::format_to(std::back_inserter(out), "{}", field.number());
    }
  }
  out += '\n';
}

void append_json_line(std::string& out, const Line& line, std::size_t limit) {
  out += R"({"time":")";
  append_time(out, line.head.time);
  out += R"(","level":")";
  out += level_name(line.head.level);
  out += '"';
  if (*line.head.module != '\0') {
    out += R"(,"module":)";
    append_json_string(out, line.head.module);
  }
  out += R"(,"text":)";
  const auto shown = line.text.substr(0, limit);
  append_json_string(out, shown);
  const std::uint64_t left_out = line.text.size() - shown.size() + line.head.left_out;
  if (left_out != 0) fmt::format_to(std::back_inserter(out), ",\"left_out\":{}", left_out);
  for (auto rest = line.fields; !rest.empty();) {
    const Field field = take_field(rest);
    out += ',';
    append_json_string(out, field.name());
    if (std::ranges::find(kOwnNames, field.name()) != std::end(kOwnNames)) out.insert(out.size() - 1, 1, '_');
    out += ':';
    if (field.kind() == Field::Kind::kText) {
      append_json_string(out, field.text());
    } else if (!append_scalar(out, field)) {
      fmt::format_to(std::back_inserter(out), "\"{}\"", field.number());
    }
  }
  out += "}\n";
}

}  // namespace

void encode_fields(Fields fields, LineBuffer& out, std::size_t limit) {
  const std::size_t begin = out.size();
  for (const Field& field : fields) {
    const auto name = field.name().substr(0, 255);
    const std::size_t needed = 2 + name.size() + sizeof(std::uint64_t);
    const std::size_t used = out.size() - begin;
    if (used + needed > limit) return;
    put(out, field.kind());
    put(out, static_cast<std::uint8_t>(name.size()));
    out.append(name.data(), name.data() + name.size());
    if (field.kind() == Field::Kind::kText) {
      const auto text = field.text().substr(0, limit - used - needed);
      put(out, static_cast<std::uint32_t>(text.size()));
      out.append(text.data(), text.data() + text.size());
    } else if (field.kind() == Field::Kind::kDouble) {
      put(out, field.number());
    } else {
      put(out, field.bits());
    }
  }
}

void append_line(std::string& out, const Line& line, Format format, bool colour, std::size_t limit) {
  if (format == Format::kJson) {
    append_json_line(out, line, limit);
  } else {
    append_text_line(out, line, colour, limit);
  }
}

}  // namespace mg::log
