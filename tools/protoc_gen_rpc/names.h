// tools/protoc_gen_rpc/names.h -- names of a .proto as names in C++.
//
//   snake_case("GetHTTPInfo")    // get_http_info
//   is_taken("delete")           // true: a keyword
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

namespace rpcgen {

// House style for functions: a capital letter begins a word, unless it is one of several in a row.
std::string snake_case(std::string_view name);

bool is_keyword(std::string_view name);
// A keyword, or a word that macros have taken.
bool is_taken(std::string_view name);
// Letters, digits, underscores; no digit first.
bool is_identifier(std::string_view name);
// Reserved to the compiler: two underscores in a row, or one before a capital letter.
bool is_reserved(std::string_view name);

// The namespace of a file's code, "a::b"; "" when it has no package.
std::string namespace_of(const google::protobuf::FileDescriptor* file);

}  // namespace rpcgen
