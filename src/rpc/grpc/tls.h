// PEM files as gRPC credentials.
#pragma once

#include <string>

#include "mg/base/error.h"
#include "mg/rpc/grpc/transport.h"

namespace mg::rpc::grpc {

// What TlsFiles name.
struct TlsTexts {
  std::string cert;
  std::string key;
  std::string ca;
};

// Errors: kInvalid  a file cannot be read, or has no PEM block; a certificate without key or the reverse, or ones that
//                   do not belong together
Result<TlsTexts> read_tls(const TlsFiles& files);

}  // namespace mg::rpc::grpc
