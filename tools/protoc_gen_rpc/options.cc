#include "tools/protoc_gen_rpc/options.h"

#include <google/protobuf/compiler/code_generator.h>

#include <utility>
#include <vector>

#include "tools/protoc_gen_rpc/names.h"

namespace rpcgen {

std::string_view help() {
  return R"(protoc-gen-rpc: a protoc plugin that makes x.rpc.pb.h of the services in x.proto, for microgame.

  protoc --plugin=protoc-gen-rpc=PATH --cpp_out=OUT --rpc_out=OUT [--rpc_opt=PARAMETERS] x.proto

PARAMETERS, separated by commas, or one for each --rpc_opt:
  baseline=FILE     refuse changes that break peers built from FILE, a FileDescriptorSet as
                    `protoc --descriptor_set_out=FILE x.proto` writes it
  compat=json       what counts as such a change: names too, since JSON and endpoints carry them (default)
  compat=wire       numbers and types only; names of fields and enum values may change
  check             check only, write nothing; the files given are the whole schema, so that a file of the baseline
                    that is not among them counts as removed
  names=refuse      a method whose C++ name would be a keyword is an error (default)
  names=underscore  it gets an underscore instead: rpc Delete is called delete_()
  namespace=NAME    put the code into this namespace within the package's, where other generators use the same names
)";
}

mg::Result<Options> parse_options(std::string_view parameter) {
  Options options;
  std::vector<std::pair<std::string, std::string>> pairs;
  google::protobuf::compiler::ParseGeneratorParameter(std::string(parameter), &pairs);
  for (const auto& [key, value] : pairs) {
    const auto one_of = [&key, &value](std::string_view off, std::string_view on) -> mg::Result<bool> {
      if (value == off || value == on) return value == on;
      return mg::fail(mg::code::kInvalid, "--rpc_opt={}={}: it is {} or {}", key, value, off, on);
    };
    if (key == "baseline") {
      if (value.empty()) return mg::fail(mg::code::kInvalid, "--rpc_opt=baseline: it needs a file: baseline=FILE");
      options.baseline = value;
    } else if (key == "compat") {
      const auto wire = one_of("json", "wire");
      if (!wire) return std::unexpected(wire.error());
      options.wire_only = *wire;
    } else if (key == "check") {
      if (!value.empty()) return mg::fail(mg::code::kInvalid, "--rpc_opt=check={}: it takes no value", value);
      options.check = true;
    } else if (key == "names") {
      const auto underscore = one_of("refuse", "underscore");
      if (!underscore) return std::unexpected(underscore.error());
      options.underscore = *underscore;
    } else if (key == "namespace") {
      if (!is_identifier(value) || is_taken(value)) {
        return mg::fail(mg::code::kInvalid, "--rpc_opt=namespace={}: it is no name of a namespace", value);
      }
      options.scope = value;
    } else {
      return mg::fail(mg::code::kInvalid,
                      "--rpc_opt={}: there is no such parameter; there are baseline, compat, check, names, namespace",
                      key);
    }
  }
  return options;
}

}  // namespace rpcgen
