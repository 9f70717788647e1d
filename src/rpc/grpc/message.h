// Messages as gRPC's byte buffers: protobuf, or JSON for those who send it (wire.md 2.3).
//
//   auto done = decode(buffer, format_of(buffer, x_content_type), *request);
//   ::grpc::ByteBuffer reply = *encode(*message, Format::kProto);
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <string_view>

#include "mg/base/error.h"

namespace mg::rpc::grpc {

enum class Format : bool { kProto, kJson };

// How a request is written. `x_content_type`: what the caller says, "" when it says nothing.
Format format_of(const ::grpc::ByteBuffer& buffer, std::string_view x_content_type);

// Errors: kInvalid  what a go-micro peer says about it. Cost: of protobuf, no copy but the parser's.
Result<void> decode(const ::grpc::ByteBuffer& buffer, Format format, google::protobuf::MessageLite& message);

// Errors: kTooMany the encoded message is over `max_bytes` · kInvalid it has no JSON form
Result<::grpc::ByteBuffer> encode(const google::protobuf::MessageLite& message, Format format, std::size_t max_bytes);

}  // namespace mg::rpc::grpc
