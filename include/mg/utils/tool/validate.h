// mg/utils/tool/validate.h -- checks of what people type: the Go original's rules, each in one pass over the text.
//
//   if (!is_mobile(text)) …                           // 13800138000: mainland China
//   is_id_card("11010519491231002X");                 // with its check digit
//   is_chinese("中文"), is_email("a.b+c@example.com"), is_integer("-5")
#pragma once

#include <optional>
#include <string_view>

namespace mg::tool {

// Requires nothing of the text: octets that are no UTF-8 are never part of a name or number.
// Threads: shared. Cost: linear, no allocation.
bool is_alpha(std::string_view text);       // A-Z a-z, at least one, as below unless said otherwise.
bool is_alnum(std::string_view text);       // And 0-9.
bool is_alnum_dash(std::string_view text);  // And _ -.

// U+4E00 to U+9FA5 are Chinese letters here.
bool is_chinese(std::string_view text);
bool is_chinese_alpha(std::string_view text);
bool is_chinese_alnum(std::string_view text);
bool is_chinese_dash(std::string_view text);

bool is_number(std::string_view text);            // Digits; "" too.
bool is_integer(std::string_view text);           // [+-]digits
bool is_decimal(std::string_view text);           // [-]digits[.digits]
bool is_positive_integer(std::string_view text);  // No leading 0.
bool is_negative_integer(std::string_view text);

bool is_mobile(std::string_view text);  // 1, then 3 to 9, then nine digits.
bool is_zip(std::string_view text);     // Six digits.
// Words of letters, digits, _ with single - + . between them, @, the same with - . and at least one dot.
bool is_email(std::string_view text);
// 18 characters with the check digit of GB 11643. (15 digits are no longer valid.)
bool is_id_card(std::string_view text);

// What a card says; nothing for one that is not valid or has a date that never was.
struct IdCard {
  int region = 0;  // Six digits.
  int year = 0, month = 0, day = 0;
  bool female = false;
};
std::optional<IdCard> read_id_card(std::string_view text);

}  // namespace mg::tool
