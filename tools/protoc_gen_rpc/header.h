// tools/protoc_gen_rpc/header.h -- the text of x.rpc.pb.h.
//
//   std::string text = header_text(file, read_services(file, options, faults), options);
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "tools/protoc_gen_rpc/options.h"
#include "tools/protoc_gen_rpc/services.h"

namespace rpcgen {

// game.proto -> game.rpc.pb.h
std::string header_name(std::string_view proto_file);

std::string header_text(const google::protobuf::FileDescriptor* file, const std::vector<Service>& services,
                        const Options& options);

}  // namespace rpcgen
