// The only file here that includes Beast, which is slow to compile.
#include "agent/ws/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace mg::agent::ws {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3.
constexpr std::size_t kMaxMethodBytes = 32;

// A field of which one is wanted.
struct Single {
  std::string_view value;
  int count = 0;
  void add(std::string_view text) {
    if (count++ == 0) value = text;
  }
};

// The fields of a handshake in either direction; views of the input.
struct Header {
  std::string_view method;
  std::string_view target;
  int version = 0;  // 11 for HTTP/1.1.
  int status = 0;
  bool upgrade = false;             // Upgrade lists "websocket".
  bool connection_upgrade = false;  // Connection lists "upgrade".
  bool body = false;                // One is announced.
  Single host, key, accept, ws_version, protocol, origin, real_ip;
  std::string forwarded_for;
  std::string extensions;
};

void append_list(std::string& list, std::string_view value) {
  if (!list.empty()) list += ", ";
  list += value;
}

// Beast's parser with the fields kept as views: a handshake needs no container of them.
template <bool IsRequest>
class HeaderParser final : public http::basic_parser<IsRequest> {
 public:
  Header header;

 private:
  using View = beast::string_view;
  using Code = beast::error_code;
  static std::string_view text(View view) { return {view.data(), view.size()}; }

  void on_request_impl(http::verb, View method, View target, int version, Code&) override {
    header.method = text(method);
    header.target = text(target);
    header.version = version;
  }
  void on_response_impl(int status, View, int version, Code&) override {
    header.status = status;
    header.version = version;
  }
  void on_field_impl(http::field field, View name, View value, Code&) override {
    switch (field) {
      case http::field::host:
        return header.host.add(text(value));
      case http::field::origin:
        return header.origin.add(text(value));
      case http::field::upgrade:
        header.upgrade |= http::token_list(value).exists("websocket");
        return;
      case http::field::connection:
        header.connection_upgrade |= http::token_list(value).exists("upgrade");
        return;
      case http::field::sec_websocket_key:
        return header.key.add(text(value));
      case http::field::sec_websocket_accept:
        return header.accept.add(text(value));
      case http::field::sec_websocket_version:
        return header.ws_version.add(text(value));
      case http::field::sec_websocket_protocol:
        return header.protocol.add(text(value));
      case http::field::sec_websocket_extensions:
        return append_list(header.extensions, text(value));
      case http::field::transfer_encoding:
        header.body = true;
        return;
      case http::field::content_length:
        header.body |= value != "0";
        return;
      default:
        if (beast::iequals(name, "X-Forwarded-For")) append_list(header.forwarded_for, text(value));
        if (beast::iequals(name, "X-Real-IP")) header.real_ip.add(text(value));
    }
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(View, Code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View, Code&) override { return 0; }
  void on_finish_impl(Code&) override {}
};

// How far a header goes.
struct Extent {
  enum Kind : std::uint8_t { kWhole, kOpen, kTooLong, kBad } kind = kOpen;
  std::size_t size = 0;       // kWhole: with the empty line.
  bool in_first_line = true;  // Where it stopped.
  std::string_view reason;    // kBad.
};

Extent bad(std::string_view reason) {
  return {.kind = Extent::kBad, .reason = reason};
}

// Finds the end of a header, and what can be none before the end is there: whoever speaks another protocol is told at
// once. `request`: begins with a method; else with "HTTP/". Beast checks the rest.
Extent measure(std::string_view in, std::size_t limit, bool request) {
  const bool over = in.size() >= limit;
  in = in.substr(0, limit);
  if (request) {
    const std::string_view method = in.substr(0, std::min(in.find(' '), kMaxMethodBytes + 1));
    if (in.starts_with(' ') || method.size() > kMaxMethodBytes || !std::ranges::all_of(method, [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
        })) {
      return bad("does not begin with a method");
    }
  } else if (!std::string_view("HTTP/").starts_with(in.substr(0, 5))) {
    return bad("does not begin with HTTP/");
  }
  Extent out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto c = static_cast<unsigned char>(in[i]);
    if ((c >= ' ' && c != 0x7F) || c == '\t') continue;
    if (c != '\r') return bad(c == '\n' ? "line feed alone" : "control character");
    if (i + 1 == in.size()) break;
    if (in[i + 1] != '\n') return bad("carriage return alone");
    ++i;
    if (!out.in_first_line && i >= 3 && in[i - 2] == '\n') {
      out.kind = Extent::kWhole;
      out.size = i + 1;
      return out;
    }
    out.in_first_line = false;
    if (i + 1 < in.size() && (in[i + 1] == ' ' || in[i + 1] == '\t')) return bad("folded line");
  }
  if (over) out.kind = Extent::kTooLong;
  return out;
}

// Parses a whole header. False: not HTTP/1.
template <bool IsRequest>
bool parse(HeaderParser<IsRequest>& parser, std::string_view text) {
  beast::error_code code;
  parser.header_limit(static_cast<std::uint32_t>(text.size()) + 1);
  parser.eager(false);
  parser.put(boost::asio::const_buffer(text.data(), text.size()), code);
  return !code && parser.is_header_done();
}

bool is_base64_of_16(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
         });
}

std::string base64(Bytes in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');  // OpenSSL adds a NUL.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(in.data()),
                  static_cast<int>(in.size()));
  out.pop_back();
  return out;
}

std::string_view phrase(int status) {
  switch (status) {
    case 403:
      return "Forbidden";
    case 405:
      return "Method Not Allowed";
    case 414:
      return "URI Too Long";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Bad Request";
  }
}

void refuse(Upgrade& out, int status, std::string_view reason) {
  // The body of 405 as the Go original has it.
  const std::string body = std::string(status == 405 ? "Method not allowed" : phrase(status)) + '\n';
  out.state = HandshakeState::kRefused;
  out.status = status;
  out.reason = reason;
  out.response = "HTTP/1.1 " + std::to_string(status) + ' ';
  out.response += phrase(status);
  out.response += "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n";
  if (status == 405) out.response += "Allow: GET\r\n";
  if (status == 426) out.response += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  out.response += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

void check(const Header& header, const HandshakeOptions& options, Upgrade& out) {
  if (header.method != "GET") return refuse(out, 405, "method is not GET");
  if (header.version != 11) return refuse(out, 400, "not HTTP/1.1");
  if (header.host.count != 1 || header.host.value.empty()) return refuse(out, 400, "not one Host");
  if (header.body) return refuse(out, 400, "has a body");
  if (!header.connection_upgrade) return refuse(out, 400, "no Connection: Upgrade");
  if (!header.upgrade) return refuse(out, 400, "no Upgrade: websocket");
  if (header.ws_version.count != 1) return refuse(out, 400, "not one Sec-WebSocket-Version");
  if (header.ws_version.value != "13") return refuse(out, 426, "Sec-WebSocket-Version is not 13");
  if (header.key.count != 1 || !is_base64_of_16(header.key.value)) return refuse(out, 400, "bad Sec-WebSocket-Key");
  if (header.origin.count > 1) return refuse(out, 400, "several Origins");
  if (header.origin.count == 1 && !origin_allowed(header.origin.value, header.host.value, options.origins)) {
    return refuse(out, 403, "Origin is not allowed");
  }
  std::string extension;
  out.deflate = negotiate_deflate(header.extensions, options.deflate, extension);
  out.state = HandshakeState::kAccepted;
  out.status = 101;
  out.response =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  out.response += accept_key(header.key.value);
  if (out.deflate) out.response += "\r\nSec-WebSocket-Extensions: " + extension;
  out.response += "\r\n\r\n";
}

}  // namespace

Upgrade read_upgrade(Bytes in, const HandshakeOptions& options) {
  Upgrade out;
  const Extent extent = measure(as_text(in), options.max_header_bytes, true);
  switch (extent.kind) {
    case Extent::kOpen:
      return out;
    case Extent::kBad:
      refuse(out, 400, extent.reason);
      return out;
    case Extent::kTooLong:
      extent.in_first_line ? refuse(out, 414, "request line over the limit")
                           : refuse(out, 431, "header over the limit");
      return out;
    case Extent::kWhole:
      break;
  }
  HeaderParser<true> parser;
  if (!parse(parser, as_text(in).substr(0, extent.size))) {
    refuse(out, 400, "header is not HTTP/1.1");
    return out;
  }
  Header& header = parser.header;
  out.consumed = extent.size;
  out.target = header.target;
  out.host = header.host.value;
  out.origin = header.origin.value;
  out.real_ip = header.real_ip.value;
  out.forwarded_for = std::move(header.forwarded_for);
  check(header, options, out);
  return out;
}

bool origin_allowed(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed) {
  if (!allowed.empty()) {
    return std::ranges::any_of(allowed, [&](const std::string& entry) { return entry == "*" || entry == origin; });
  }
  // A browser writes an origin in lower case, and so it does the Host of the same page.
  if (std::ranges::any_of(origin, [](char c) { return c >= 'A' && c <= 'Z'; })) return false;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && origin.substr(scheme.size()) == host) return true;
  }
  return false;
}

std::string accept_key(std::string_view key) {
  std::string text(key);
  text += kGuid;
  std::array<std::byte, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()));
  return base64(digest);
}

std::string make_upgrade(const UpgradeRequest& request, const Nonce& nonce) {
  std::string out =
      "GET " + request.target + " HTTP/1.1\r\nHost: " + request.host +
      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
      base64(nonce) + "\r\n";
  if (!request.origin.empty()) out += "Origin: " + request.origin + "\r\n";
  if (request.deflate) out += "Sec-WebSocket-Extensions: " + offer_deflate() + "\r\n";
  for (const auto& [name, value] : request.headers) out.append(name).append(": ").append(value).append("\r\n");
  return out + "\r\n";
}

UpgradeReply read_upgrade_reply(Bytes in, const Nonce& nonce, bool deflate_offered, std::uint32_t max_header_bytes) {
  UpgradeReply out;
  auto refused = [&](std::string_view reason) {
    out.state = HandshakeState::kRefused;
    out.reason = reason;
    return out;
  };
  const Extent extent = measure(as_text(in), max_header_bytes, false);
  if (extent.kind == Extent::kOpen) return out;
  if (extent.kind == Extent::kBad) return refused(extent.reason);
  if (extent.kind == Extent::kTooLong) return refused("header over the limit");
  HeaderParser<false> parser;
  if (!parse(parser, as_text(in).substr(0, extent.size))) return refused("header is not HTTP/1.1");
  const Header& header = parser.header;
  out.status = header.status;
  if (header.status != 101) return refused("server did not switch protocols");
  if (!header.connection_upgrade || !header.upgrade) return refused("server upgraded to something else");
  if (header.accept.count != 1 || header.accept.value != accept_key(base64(nonce))) {
    return refused("Sec-WebSocket-Accept is wrong");
  }
  if (header.protocol.count != 0) return refused("server chose a subprotocol that was not asked for");
  if (!header.extensions.empty()) {
    if (deflate_offered) out.deflate = accept_deflate(header.extensions);
    if (!out.deflate) return refused("server chose an extension that was not offered");
  }
  out.consumed = extent.size;
  out.state = HandshakeState::kAccepted;
  return out;
}

}  // namespace mg::agent::ws
