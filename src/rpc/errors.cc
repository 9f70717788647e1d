#include "mg/rpc/errors.h"

#include <algorithm>
#include <utility>

#include "mg/utils/errors/convert.h"

namespace mg::rpc {
namespace {

Error error_of(std::string_view id, std::int32_t code, std::string detail) {
  Error error = make_error(code, std::move(detail));
  error.id = id;
  return error;
}

}  // namespace

Error client_error(std::int32_t code, std::string detail) {
  return error_of(kClientId, code, std::move(detail));
}

Error service_not_found(std::string_view service) {
  return client_error(code::kServer, fmt::format("service {}: not found", service));
}

Error none_available(std::string_view service) {
  return client_error(code::kServer, fmt::format("error selecting {} node: none available", service));
}

Error deadline_exceeded() {
  return client_error(code::kTimeout, "context deadline exceeded");
}

Error not_run(std::string detail) {
  return client_error(code::kUnavailable, std::move(detail));
}

bool is_not_run(const Error& error) {
  return error.code == code::kUnavailable && error.id == kClientId;
}

Error handler_error(Error error, std::string_view node_uuid) {
  return errors::for_wire(std::move(error), node_uuid);
}

Error panic_error(const std::exception_ptr& thrown) {
  std::string what = "unknown exception";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  return error_of(kServerId, code::kServer, "panic recovered: " + what);
}

Result<EndpointName> parse_endpoint(std::string_view service, std::string_view endpoint) {
  const auto malformed = [](std::string_view path) {
    return std::unexpected(client_error(code::kServer, fmt::format("malformed method name: \"{}\"", path)));
  };
  std::string_view handler;
  std::string_view method;
  if (endpoint.starts_with('/')) {
    const std::size_t slash = endpoint.find('/', 1);
    if (slash == endpoint.npos || endpoint.find('/', slash + 1) != endpoint.npos) return malformed(endpoint);
    handler = endpoint.substr(1, slash - 1);
    method = endpoint.substr(slash + 1);
  } else {
    const std::size_t dot = endpoint.find('.');
    if (dot == endpoint.npos || endpoint.find('.', dot + 1) != endpoint.npos) return malformed(endpoint);
    // The path that a remote transport sends; a slash in either name makes a third one.
    handler = endpoint.substr(0, dot);
    method = endpoint.substr(dot + 1);
    if (service.contains('/') || endpoint.contains('/')) {
      return malformed(fmt::format("/{}.{}/{}", service, handler, method));
    }
  }
  if (const std::size_t dot = handler.rfind('.'); dot != handler.npos) {
    service = handler.substr(0, dot);
    handler.remove_prefix(dot + 1);
  } else if (endpoint.starts_with('/')) {
    service = {};
  }
  return EndpointName{handler, method, service};
}

}  // namespace mg::rpc
