#include "mg/store/documents/order.h"

#include <bit>
#include <cmath>
#include <limits>

#include "mg/base/bytes.h"

namespace mg::documents {
namespace {

// Of a number: eight octets of the nearest double, ordered, then what a 64-bit integer is more than that double.
// (Doubles near 2^63 are 1024 apart, so the rest fits two octets.) Rounding keeps order, so the double decides unless
// equal.
struct NumberKey {
  std::uint64_t nearest;
  std::uint16_t rest;
};

std::uint64_t ordered(double number) {
  if (std::isnan(number)) return 0;
  if (number == 0) number = 0;  // -0.0
  const auto bits = std::bit_cast<std::uint64_t>(number);
  return (bits >> 63) != 0 ? ~bits : bits | (std::uint64_t{1} << 63);
}

NumberKey number_key(const Value& value) {
  if (value.type() == Type::kDouble) return {ordered(value.as_double()), 0x8000};
  const std::int64_t whole = value.as_whole();
  const auto nearest = static_cast<double>(whole);
  // 2^63 is what the largest integers round to; it is no int64.
  const std::int64_t rest = nearest >= 0x1p63 ? (whole - std::numeric_limits<std::int64_t>::max()) - 1
                                              : whole - static_cast<std::int64_t>(nearest);
  return {ordered(nearest), static_cast<std::uint16_t>(0x8000 + rest)};
}

template <class T>
void append_big(std::string& out, T number) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(number >> (8 * (sizeof(T) - 1 - i)));
}

// NUL in it becomes NUL 0xFF; its end is NUL NUL.
void append_escaped(std::string& out, std::string_view text) {
  for (const char each : text) {
    out += each;
    if (each == '\0') out += '\xFF';
  }
  out += '\0';
  out += '\0';
}

void append_up(std::string& out, const Value& value) {
  out += static_cast<char>(kind_order(value));
  switch (value.type()) {
    case Type::kNull:
    case Type::kMinKey:
    case Type::kMaxKey:
      return;
    case Type::kDouble:
    case Type::kInt32:
    case Type::kInt64: {
      const NumberKey key = number_key(value);
      append_big(out, key.nearest);
      return append_big(out, key.rest);
    }
    case Type::kDecimal:
      return static_cast<void>(out.append(as_text(value.as<Decimal>().octets)));
    case Type::kText:
      return append_escaped(out, value.as_text());
    case Type::kRegex:
      return append_escaped(out, value.as<Regex>().text);
    case Type::kDocument:  // Field by field: kind, name, value. Source: MongoDB, Comparison of Objects.
      for (const Field& each : value.as_document()) {
        out += static_cast<char>(kind_order(each.value));
        append_escaped(out, each.name);
        append_up(out, each.value);
      }
      return static_cast<void>(out += '\0');
    case Type::kArray:
      for (const Value& item : value.as_array()) append_up(out, item);
      return static_cast<void>(out += '\0');
    case Type::kBinary:
      append_big(out, static_cast<std::uint32_t>(value.as_binary().octets.size()));
      out += static_cast<char>(value.as_binary().subtype);
      return static_cast<void>(out.append(as_text(value.as_binary().octets)));
    case Type::kObjectId:
      return static_cast<void>(out.append(as_text(value.as_object_id().octets)));
    case Type::kBool:
      return static_cast<void>(out += value.as_bool() ? '\2' : '\1');
    case Type::kDate:
      return append_big(
          out, static_cast<std::uint64_t>(value.as_date().time_since_epoch().count()) ^ (std::uint64_t{1} << 63));
    case Type::kTimestamp:
      return append_big(out, value.as<Timestamp>().bits);
  }
}

}  // namespace

int kind_order(const Value& value) {  // From 1, so that 0 can end a list; gaps for what may come.
  switch (value.type()) {
    case Type::kMinKey:
      return 1;
    case Type::kNull:
      return 5;
    case Type::kDouble:
    case Type::kInt32:
    case Type::kInt64:
      return 10;
    case Type::kDecimal:
      return 11;
    case Type::kText:
      return 20;
    case Type::kDocument:
      return 30;
    case Type::kArray:
      return 40;
    case Type::kBinary:
      return 50;
    case Type::kObjectId:
      return 60;
    case Type::kBool:
      return 70;
    case Type::kDate:
      return 80;
    case Type::kTimestamp:
      return 85;
    case Type::kRegex:
      return 90;
    case Type::kMaxKey:
      return 120;
  }
  return 0;
}

int compare(const Value& a, const Value& b) {
  if (const int order = kind_order(a) - kind_order(b); order != 0) return order;
  if (a.is_text()) return a.as_text().compare(b.as_text());
  if (a.is_whole() && b.is_whole()) {
    return a.as_whole() < b.as_whole() ? -1 : static_cast<int>(a.as_whole() > b.as_whole());
  }
  std::string left, right;
  append_key(left, a);
  append_key(right, b);
  return left.compare(right);
}

void append_key(std::string& out, const Value& value, bool descending) {
  const std::size_t start = out.size();
  append_up(out, value);
  if (descending) {
    for (std::size_t i = start; i < out.size(); ++i) out[i] = static_cast<char>(~out[i]);
  }
}

}  // namespace mg::documents
