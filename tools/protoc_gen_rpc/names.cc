#include "tools/protoc_gen_rpc/names.h"

#include <algorithm>
#include <array>

namespace rpcgen {
namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Keywords and alternative tokens of C++23. Sorted.
constexpr std::array kKeywords = std::to_array<std::string_view>({
    "alignas",     "alignof",  "and",        "and_eq",    "asm",       "auto",         "bitand",
    "bitor",       "bool",     "break",      "case",      "catch",     "char",         "char16_t",
    "char32_t",    "char8_t",  "class",      "co_await",  "co_return", "co_yield",     "compl",
    "concept",     "const",    "const_cast", "consteval", "constexpr", "constinit",    "continue",
    "decltype",    "default",  "delete",     "do",        "double",    "dynamic_cast", "else",
    "enum",        "explicit", "export",     "extern",    "false",     "float",        "for",
    "friend",      "goto",     "if",         "inline",    "int",       "long",         "mutable",
    "namespace",   "new",      "noexcept",   "not",       "not_eq",    "nullptr",      "operator",
    "or",          "or_eq",    "private",    "protected", "public",    "register",     "reinterpret_cast",
    "requires",    "return",   "short",      "signed",    "sizeof",    "static",       "static_assert",
    "static_cast", "struct",   "switch",     "template",  "this",      "thread_local", "throw",
    "true",        "try",      "typedef",    "typeid",    "typename",  "union",        "unsigned",
    "using",       "virtual",  "void",       "volatile",  "wchar_t",   "while",        "xor",
    "xor_eq",
});
static_assert(std::ranges::is_sorted(kKeywords));

// Macros of the C library and of compilers that a function of that name would meet. Sorted.
constexpr std::array kMacros = std::to_array<std::string_view>({
    "EOF",
    "NULL",
    "assert",
    "errno",
    "linux",
    "major",
    "makedev",
    "minor",
    "offsetof",
    "setjmp",
    "stderr",
    "stdin",
    "stdout",
    "unix",
    "va_arg",
    "va_end",
    "va_start",
});
static_assert(std::ranges::is_sorted(kMacros));

}  // namespace

std::string snake_case(std::string_view name) {
  std::string snake;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (is_upper(c)) {
      const char before = i > 0 ? name[i - 1] : '_';
      const bool word_begins =
          is_lower(before) || is_digit(before) || (is_upper(before) && i + 1 < name.size() && is_lower(name[i + 1]));
      if (word_begins) snake += '_';
      snake += static_cast<char>(c - 'A' + 'a');
    } else {
      snake += c;
    }
  }
  return snake;
}

bool is_keyword(std::string_view name) {
  return std::ranges::binary_search(kKeywords, name);
}

bool is_taken(std::string_view name) {
  return is_keyword(name) || std::ranges::binary_search(kMacros, name);
}

bool is_identifier(std::string_view name) {
  const auto fits = [](char c) { return is_upper(c) || is_lower(c) || is_digit(c) || c == '_'; };
  return !name.empty() && !is_digit(name[0]) && std::ranges::all_of(name, fits);
}

bool is_reserved(std::string_view name) {
  return name.find("__") != name.npos || (name.size() > 1 && name[0] == '_' && is_upper(name[1]));
}

std::string namespace_of(const google::protobuf::FileDescriptor* file) {
  std::string name;
  for (const char c : file->package()) name += c == '.' ? std::string("::") : std::string(1, c);
  return name;
}

}  // namespace rpcgen
