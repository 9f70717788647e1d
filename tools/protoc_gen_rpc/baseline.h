// tools/protoc_gen_rpc/baseline.h -- the schema guard: changes that break peers which still have the old schema.
//
//   check_baseline(files, options, faults);      // options.baseline: a FileDescriptorSet
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <vector>

#include "tools/protoc_gen_rpc/faults.h"
#include "tools/protoc_gen_rpc/options.h"

namespace rpcgen {

using Files = std::vector<const google::protobuf::FileDescriptor*>;

// Reads options.baseline and compares. Faults: it cannot be read; each breaking change, by the full name of the
// element.
void check_baseline(const Files& files, const Options& options, Faults& faults);

// Compares `files` with `old`. Files of `old` that protoc knows nothing of are left out, unless options.check says that
// `files` are all there are.
void compare(const google::protobuf::FileDescriptorSet& old, const Files& files, const Options& options,
             Faults& faults);

}  // namespace rpcgen
