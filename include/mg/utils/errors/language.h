// mg/utils/errors/language.h -- status texts of error codes in several languages, and which one new errors get.
//
//   errors::set_language("zh-cn");                              // make_error(404, "").status == "未找到"
//   errors::add_text("zh-cn", 10001, "金币不足");
//   errors::add_language("fr-fr", {{404, "introuvable"}});
//
// Before any call every status is what the nodes of a Go cluster write, English words for all languages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mg/base/error.h"

namespace mg::errors {

using CodeTexts = std::vector<std::pair<std::int32_t, std::string>>;

// Built in. Names are compared as they are: zh_CN is not zh-cn.
inline constexpr std::string_view kChinese = "zh-cn";
inline constexpr std::string_view kEnglish = "en-us";

// Text of a code: of the language, else its English word, else the HTTP reason phrase, else "unknown". "unknown language"
// when there is no such language. Threads: shared. Lifetime: of the process. Cost: no lock, a binary search.
std::string_view text(std::string_view language, std::int32_t code);

// Adds a language, or texts to one that is there (a code given again gets the new text).
// Errors: kInvalid  the name or a text is empty. Threads: shared. Cost: copies the table; a text once given stays.
Result<void> add_language(std::string_view language, const CodeTexts& texts);

// Errors: kNotFound  no such language (the message lists them)
//         kInvalid   the text is empty
Result<void> add_text(std::string_view language, std::int32_t code, std::string_view text);

// The language of the status of every error made from now on, by all threads of the process.
// Errors: kNotFound  no such language (the message lists them)
Result<void> set_language(std::string_view language);
// The one set, "" before.
std::string language();

// All languages, sorted.
std::vector<std::string> languages();
bool has_language(std::string_view language);

}  // namespace mg::errors
