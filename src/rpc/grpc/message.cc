#include "rpc/grpc/message.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <limits>
#include <string>

namespace mg::rpc::grpc {
namespace {

using google::protobuf::Message;
using google::protobuf::MessageLite;

constexpr std::size_t kSearched = 256;  // Octets of white space before a JSON request.

std::unexpected<Error> unreadable(std::string_view why) {
  return fail(code::kInvalid, "grpc: failed to unmarshal the received message {}", why);
}

bool decode_proto(const ::grpc::ByteBuffer& buffer, MessageLite& message) {
  ::grpc::Slice single;
  if (buffer.TrySingleSlice(&single).ok()) {
    return message.ParseFromArray(single.begin(), static_cast<int>(single.size()));
  }
  ::grpc::ByteBuffer copy(buffer);  // Shares the octets.
  ::grpc::ProtoBufferReader reader(&copy);
  return reader.status().ok() && message.ParseFromZeroCopyStream(&reader);
}

}  // namespace

Format format_of(const ::grpc::ByteBuffer& buffer, std::string_view x_content_type) {
  if (buffer.Length() == 0) return Format::kProto;
  ::grpc::ByteBuffer copy(buffer);
  ::grpc::ProtoBufferReader reader(&copy);
  const void* data = nullptr;
  int size = 0;
  if (!reader.status().ok() || !reader.Next(&data, &size) || size <= 0) return Format::kProto;
  std::string_view text(static_cast<const char*>(data), static_cast<std::size_t>(size));
  if (text.front() == '{') return Format::kJson;
  if (!x_content_type.ends_with("json")) return Format::kProto;
  text = text.substr(0, kSearched);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{' ? Format::kJson : Format::kProto;
}

Result<void> decode(const ::grpc::ByteBuffer& buffer, Format format, MessageLite& message) {
  if (buffer.Length() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return unreadable("too large");
  if (format == Format::kProto) {
    if (!decode_proto(buffer, message)) return unreadable("unexpected EOF");
    return {};
  }
  auto* const full = dynamic_cast<Message*>(&message);
  if (!full) return unreadable("as JSON: its type has no descriptor");
  std::string text;
  text.reserve(buffer.Length());
  ::grpc::ByteBuffer copy(buffer);
  ::grpc::ProtoBufferReader reader(&copy);
  if (!reader.status().ok()) return unreadable("unexpected EOF");
  const void* data = nullptr;
  int size = 0;
  while (reader.Next(&data, &size)) text.append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  const auto status = google::protobuf::util::JsonStringToMessage(text, full);
  if (!status.ok()) return unreadable(std::string(status.message().data(), status.message().size()));
  return {};
}

Result<::grpc::ByteBuffer> encode(const MessageLite& message, Format format, std::size_t max_bytes) {
  const auto too_large = [&](std::size_t size) {
    return fail(code::kTooMany, "grpc: trying to send message larger than max ({} vs. {})", size, max_bytes);
  };
  if (format == Format::kJson) {
    const auto* const full = dynamic_cast<const Message*>(&message);
    if (!full) return fail(code::kInvalid, "{} has no JSON form: it has no descriptor", message.GetTypeName());
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    std::string text;
    if (const auto status = google::protobuf::util::MessageToJsonString(*full, &text, options); !status.ok()) {
      return fail(code::kInvalid, "{} has no JSON form: {}", message.GetTypeName(), status.ToString());
    }
    if (text.size() > max_bytes) return too_large(text.size());
    const ::grpc::Slice slice(text);
    return ::grpc::ByteBuffer(&slice, 1);
  }
  const std::size_t size = message.ByteSizeLong();
  if (size > max_bytes) return too_large(size);
  const ::grpc::Slice slice(size);
  message.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slice.begin()));  // Nobody else has it yet.
  return ::grpc::ByteBuffer(&slice, 1);
}

}  // namespace mg::rpc::grpc
