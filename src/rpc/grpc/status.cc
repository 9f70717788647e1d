#include "rpc/grpc/status.h"

#include <optional>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "mg/rpc/errors.h"
#include "mg/utils/errors/convert.h"
#include "rpc_wire.pb.h"

namespace mg::rpc::grpc {
namespace {

using ::grpc::StatusCode;

constexpr std::string_view kErrorType = "errors.Error";
constexpr std::string_view kErrorUrl = "type.googleapis.com/errors.Error";

std::optional<Error> detailed(const wire::Status& status) {
  if (status.details().empty()) return std::nullopt;
  const wire::Any& first = status.details(0);
  const std::string_view url = first.type_url();
  if (url.substr(url.rfind('/') + 1) != kErrorType) return std::nullopt;
  wire::Error error;
  if (!error.ParseFromString(first.value())) return std::nullopt;
  return Error{error.id(), error.code(), error.detail(), error.status()};
}

// An error that is a status's message as JSON.
std::optional<Error> written(const std::string& message) {
  if (message.empty() || message.front() != '{') return std::nullopt;
  Error error = parse_error(message);
  // Code 2 with the whole text as its detail is what parse_error makes of everything else.
  if (error.code <= 0 || error.detail == message) return std::nullopt;
  return error;
}

// protobuf's texts are UTF-8; an error's may be any octets, and a peer refuses the whole message for one of them.
std::string utf8_only(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Rune rune = utf8::decode_rune(text.substr(at));
    utf8::append_rune(out, rune.value);
    at += rune.size;
  }
  return out;
}

}  // namespace

::grpc::Status to_status(const Error& given) {
  const Error error{utf8_only(given.id), given.code, utf8_only(given.detail), utf8_only(given.status)};
  wire::Error detail;
  detail.set_id(error.id);
  detail.set_code(error.code);
  detail.set_detail(error.detail);
  detail.set_status(error.status);
  auto code = static_cast<StatusCode>(errors::grpc_code(error));
  if (code == StatusCode::OK) code = StatusCode::UNKNOWN;  // Of code 200, which is no error in HTTP but is one here.
  wire::Status status;
  status.set_code(static_cast<std::int32_t>(code));
  status.set_message(to_json(error));
  wire::Any& any = *status.add_details();
  any.set_type_url(std::string(kErrorUrl));
  any.set_value(detail.SerializeAsString());
  return {code, status.message(), status.SerializeAsString()};
}

::grpc::Status plain_status(StatusCode code, std::string message) {
  return {code, std::move(message)};
}

::grpc::Status name_status(const Error& error) {
  const bool malformed = error.detail.starts_with("malformed");
  return {malformed ? StatusCode::INVALID_ARGUMENT : StatusCode::UNIMPLEMENTED, error.detail};
}

Error from_status(const ::grpc::Status& status) {
  std::string message = status.error_message();
  if (!status.error_details().empty()) {
    wire::Status whole;
    if (whole.ParseFromString(status.error_details())) {
      if (auto error = detailed(whole)) return *std::move(error);
      message = whole.message();
    }
  }
  if (auto error = written(message)) return *std::move(error);
  return client_error(code::kServer, std::move(message));
}

}  // namespace mg::rpc::grpc
