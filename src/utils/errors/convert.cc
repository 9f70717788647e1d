#include "mg/utils/errors/convert.h"

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/error_text.h"

namespace mg::errors {
namespace {

constexpr std::size_t kMaxBody = 1024;

template <class Key>
struct Mapping {
  Key key;
  std::int32_t code;
};

template <class Key, class Wanted>
std::int32_t mapped(std::span<const Mapping<Key>> table, const Wanted& key, std::int32_t otherwise) {
  const auto found = std::ranges::find(table, key, &Mapping<Key>::key);
  return found != table.end() ? found->code : otherwise;
}

constexpr Mapping<std::errc> kErrc[] = {
    {std::errc::no_such_file_or_directory, code::kNotFound},
    {std::errc::no_such_device, code::kNotFound},
    {std::errc::no_such_process, code::kNotFound},
    {std::errc::file_exists, code::kExists},
    {std::errc::address_in_use, code::kExists},
    {std::errc::permission_denied, code::kForbidden},
    {std::errc::operation_not_permitted, code::kForbidden},
    {std::errc::read_only_file_system, code::kForbidden},
    {std::errc::timed_out, code::kTimeout},
    {std::errc::stream_timeout, code::kTimeout},
    {std::errc::invalid_argument, code::kInvalid},
    {std::errc::argument_out_of_domain, code::kInvalid},
    {std::errc::result_out_of_range, code::kInvalid},
    {std::errc::filename_too_long, code::kInvalid},
    {std::errc::not_a_directory, code::kInvalid},
    {std::errc::is_a_directory, code::kInvalid},
    {std::errc::connection_refused, code::kUnavailable},
    {std::errc::connection_reset, code::kUnavailable},
    {std::errc::connection_aborted, code::kUnavailable},
    {std::errc::not_connected, code::kUnavailable},
    {std::errc::broken_pipe, code::kUnavailable},
    {std::errc::host_unreachable, code::kUnavailable},
    {std::errc::network_unreachable, code::kUnavailable},
    {std::errc::network_down, code::kUnavailable},
    {std::errc::network_reset, code::kUnavailable},
    {std::errc::resource_unavailable_try_again, code::kUnavailable},
    {std::errc::operation_would_block, code::kUnavailable},
    {std::errc::device_or_resource_busy, code::kUnavailable},
    {std::errc::not_enough_memory, code::kUnavailable},
    {std::errc::too_many_files_open, code::kTooMany},
    {std::errc::too_many_files_open_in_system, code::kTooMany},
    {std::errc::no_buffer_space, code::kTooMany},
    {std::errc::io_error, code::kServer},
    {std::errc::no_space_on_device, code::kServer},
    {std::errc::file_too_large, code::kServer},
};

constexpr std::int32_t kCancelled = 499, kConflict = 409, kNotImplemented = 501;

constexpr Mapping<std::int32_t> kGrpc[] = {
    {1, kCancelled},      {2, code::kUnknown},      {3, code::kInvalid},   {4, code::kTimeout},
    {5, code::kNotFound}, {6, code::kExists},       {7, code::kForbidden}, {8, code::kTooMany},
    {9, code::kInvalid},  {10, kConflict},          {11, code::kInvalid},  {12, kNotImplemented},
    {13, code::kServer},  {14, code::kUnavailable}, {15, code::kServer},   {16, code::kUnauthorized},
};

constexpr Mapping<std::int32_t> kToGrpc[] = {
    {200, 0}, {400, 3}, {401, 16}, {403, 7}, {404, 5}, {408, 4}, {409, 6}, {412, 9}, {500, 13}, {501, 12}, {503, 14},
};

constexpr Mapping<std::int32_t> kMongo[] = {
    {11000, code::kExists},      {11001, code::kExists},      {12582, code::kExists},      {50, code::kTimeout},
    {89, code::kTimeout},        {202, code::kTimeout},       {262, code::kTimeout},       {13, code::kForbidden},
    {18, code::kUnauthorized},   {26, code::kNotFound},       {27, code::kNotFound},       {43, code::kNotFound},
    {47, code::kNotFound},       {6, code::kUnavailable},     {7, code::kUnavailable},     {91, code::kUnavailable},
    {189, code::kUnavailable},   {9001, code::kUnavailable},  {10107, code::kUnavailable}, {11600, code::kUnavailable},
    {11602, code::kUnavailable}, {13435, code::kUnavailable}, {13436, code::kUnavailable}, {2, code::kInvalid},
    {9, code::kInvalid},         {14, code::kInvalid},        {121, code::kInvalid},
};

constexpr Mapping<std::string_view> kRedis[] = {
    {"NOAUTH", code::kUnauthorized},    {"WRONGPASS", code::kUnauthorized},
    {"NOPERM", code::kForbidden},       {"READONLY", code::kForbidden},
    {"LOADING", code::kUnavailable},    {"BUSY", code::kUnavailable},
    {"MASTERDOWN", code::kUnavailable}, {"CLUSTERDOWN", code::kUnavailable},
    {"TRYAGAIN", code::kUnavailable},   {"OOM", code::kTooMany},
    {"BUSYGROUP", code::kExists},       {"BUSYKEY", code::kExists},
    {"NOSCRIPT", code::kNotFound},      {"WRONGTYPE", code::kInvalid},
    {"EXECABORT", code::kInvalid},      {"ERR", code::kInvalid},
};

template <std::size_t n>
std::int32_t number_in(const Mapping<std::int32_t> (&table)[n], std::int32_t key, std::int32_t otherwise) {
  return mapped(std::span<const Mapping<std::int32_t>>(table), key, otherwise);
}

}  // namespace

Error from(const std::error_code& error, std::string_view what) {
  std::int32_t code = code::kUnknown;
  for (const auto& [condition, meaning] : kErrc) {
    if (error == condition) {
      code = meaning;
      break;
    }
  }
  return make_error(code, what.empty() ? error.message() : fmt::format("{}: {}", what, error.message()));
}

Error from(const std::exception& thrown) {
  if (const auto* system = dynamic_cast<const std::system_error*>(&thrown)) {
    Error error = from(system->code());
    error.detail = system->what();
    return error;
  }
  if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr) {
    return make_error(code::kUnavailable, "out of memory");
  }
  if (dynamic_cast<const std::invalid_argument*>(&thrown) != nullptr ||
      dynamic_cast<const std::out_of_range*>(&thrown) != nullptr ||
      dynamic_cast<const std::domain_error*>(&thrown) != nullptr ||
      dynamic_cast<const std::length_error*>(&thrown) != nullptr) {
    return make_error(code::kInvalid, thrown.what());
  }
  return parse_error(thrown.what());
}

Error from(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return from(e);
  } catch (...) {
    return make_error(code::kUnknown, "unknown exception");
  }
}

Error from_http(std::int32_t status, std::string_view body) {
  if (Error error = parse_error(body); error.detail != body) return error;
  return make_error(status >= 400 && status < 600 ? status : code::kUnknown, std::string(body.substr(0, kMaxBody)));
}

std::int32_t http_status(const Error& error) {
  if (error.code >= 400 && error.code < 600) return error.code;
  switch (error.code) {
    case code::kInvalid:
    case code::kStarted:
    case code::kFinished:
      return 400;
    case code::kExists:
      return kConflict;
    default:
      return code::kServer;
  }
}

Error from_grpc(std::int32_t grpc_code, std::string_view message) {
  if (Error error = parse_error(message); error.detail != message && error.code > 0) return error;
  return make_error(number_in(kGrpc, grpc_code, code::kUnknown), std::string(message));
}

std::int32_t grpc_code(const Error& error) {
  return number_in(kToGrpc, error.code, 2);
}

Error from_mongo(std::int32_t mongo_code, std::string_view message) {
  return make_error(number_in(kMongo, mongo_code, code::kServer), fmt::format("mongo: ({}) {}", mongo_code, message));
}

Error mongo_no_document() {
  return make_error(code::kNotFound, "mongo: no documents in result");
}

Error from_redis(std::string_view reply) {
  const std::string_view word = reply.substr(0, reply.find(' '));
  return make_error(mapped(std::span<const Mapping<std::string_view>>(kRedis), word, code::kServer),
                    fmt::format("redis: {}", reply));
}

Error redis_nil() {
  return make_error(code::kNotFound, "redis: nil");
}

Error for_wire(Error error, std::string_view id) {
  if (error.id.empty()) error.id = id;
  if (error.code == code::kOk) {
    error.code = code::kUnknown;
    error.status.clear();
  }
  if (error.status.empty()) error.status = status_text(error.code);
  return error;
}

Error for_wire(std::string_view text, std::string_view id) {
  ErrorText found = read_error_text(text);
  if (!found.object) return for_wire(make_error(code::kUnknown, text == "null" ? "" : std::string(text)), id);
  if (!found.types || !found.id_is_text) found.error.detail = text;
  if (found.error.id.empty()) found.error.id = id;
  if (found.error.code == code::kOk) {
    found.error.code = code::kUnknown;
    found.error.status = status_text(code::kUnknown);
  }
  return std::move(found.error);
}

}  // namespace mg::errors
