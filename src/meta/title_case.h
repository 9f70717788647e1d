// meta/title_case.h -- the title form of one character (private to meta).
//
//   title_case(U'é') == U'É';
//   title_case(U'ǆ') == U'ǅ';     // not Ǆ
//   title_case(U'ß') == U'ß';     // one character stays one
#pragma once

namespace mg {

// Source: Unicode 14, simple title-case mapping.
char32_t title_case(char32_t letter);

}  // namespace mg
