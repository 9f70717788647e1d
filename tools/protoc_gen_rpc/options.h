// tools/protoc_gen_rpc/options.h -- the parameters of --rpc_opt.
//
//   Result<Options> options = parse_options("baseline=schema.binpb,compat=wire");
#pragma once

#include <string>
#include <string_view>

#include "mg/base/error.h"

namespace rpcgen {

struct Options {
  std::string baseline = {};  // File of a FileDescriptorSet that the schema must be compatible with; empty: none.
  bool wire_only = false;     // compat=wire: names may change; else (compat=json) they may not.
  bool check = false;         // Write nothing; the files given are the whole schema.
  bool underscore = false;    // names=underscore: delete becomes delete_; else it is refused.
  std::string scope = {};     // namespace=NAME: the generated code goes into this namespace within the package's.
};

// Shape: key=value or key, separated by commas. Errors: kInvalid  unknown key, bad value
mg::Result<Options> parse_options(std::string_view parameter);

// What --help prints: usage, and each parameter.
std::string_view help();

}  // namespace rpcgen
