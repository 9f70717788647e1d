// Any text through every check, and through what reads texts of users.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mg/utils/tool/digest.h"
#include "mg/utils/tool/real_ip.h"
#include "mg/utils/tool/strings.h"
#include "mg/utils/tool/validate.h"

namespace tool = mg::tool;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What is of the narrower kind is of the wider one.
  if (tool::is_alpha(text) && !tool::is_alnum(text)) std::abort();
  if (tool::is_alnum(text) && !tool::is_alnum_dash(text)) std::abort();
  if (tool::is_chinese(text) && !tool::is_chinese_alpha(text)) std::abort();
  if (tool::is_chinese_alpha(text) && !tool::is_chinese_alnum(text)) std::abort();
  if (tool::is_chinese_alnum(text) && !tool::is_chinese_dash(text)) std::abort();
  if (tool::is_alnum_dash(text) && !tool::is_chinese_dash(text)) std::abort();
  if (tool::is_positive_integer(text) && !tool::is_integer(text)) std::abort();
  if (tool::is_negative_integer(text) && !tool::is_integer(text)) std::abort();
  if (tool::is_mobile(text) && !tool::is_positive_integer(text)) std::abort();
  if (tool::read_id_card(text) && !tool::is_id_card(text)) std::abort();
  (void)tool::is_email(text);
  (void)tool::is_decimal(text);
  (void)tool::is_zip(text);
  if (const auto octets = tool::base64_decode(text)) {
    if (*tool::base64_decode(tool::base64_encode(*octets)) != *octets) std::abort();
  }
  if (const auto octets = tool::from_hex(text); octets && tool::to_hex(*octets).size() != text.size()) std::abort();
  (void)tool::camel_to_snake(tool::snake_to_camel(text));
  (void)tool::mask(text, size % 7, size % 5);
  (void)tool::split_unique(text, text.substr(0, size % 3));
  static const auto kProxies = *tool::ProxyList::parse({"10.0.0.0/8", "::1"});
  (void)kProxies.client_ip("10.0.0.1:80", text, text);
  (void)kProxies.client_ip(text, text, text);
  return 0;
}
