// protoc-gen-rpc: protoc starts it for --rpc_out; see docs/protoc-gen-rpc.md.
#include <google/protobuf/compiler/plugin.h>

#include <cstdio>
#include <string_view>

#include "tools/protoc_gen_rpc/generator.h"
#include "tools/protoc_gen_rpc/options.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fwrite(rpcgen::help().data(), 1, rpcgen::help().size(), stdout);
    return 0;
  }
  const rpcgen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
