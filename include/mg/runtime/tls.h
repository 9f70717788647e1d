// mg/runtime/tls.h -- TLS for streams, by OpenSSL.
//
//   auto tls = TlsContext::server({.cert_file = "gate.pem", .key_file = "gate.key"});   // Result
//   Stream stream(loop, fd, this, tls->get());
//   auto to_node = TlsContext::client({.ca_file = "nodes.pem", .peer_name = "10.0.0.7"});
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "mg/base/bytes.h"
#include "mg/base/error.h"

namespace mg {

struct TlsOptions {
  std::string cert_file;       // PEM, the own certificate and then its chain.
  std::string key_file;        // PEM, its private key, without a passphrase.
  std::string ca_file = {};    // PEM, whose signatures count. A server with it demands a certificate of every client.
  std::string peer_name = {};  // Client: the name or IP that the server's certificate must bear.
};

// What all connections of a listener share: certificate, key, settings (TLS 1.2 and 1.3, no renegotiation, no
// compression). Threads: const-shared.
class TlsContext {
 public:
  // Errors: kInvalid the certificate or key cannot be read, or they do not belong together; names the file.
  static Result<std::unique_ptr<TlsContext>> server(const TlsOptions& options);
  // For connections to one server, whose certificate must be good for peer_name; cert_file may be empty.
  // Errors: as server(), and without ca_file or peer_name.
  static Result<std::unique_ptr<TlsContext>> client(const TlsOptions& options);
  ~TlsContext();

 private:
  friend class TlsSession;
  TlsContext(void* context, bool client) noexcept : context_(context), client_(client) {}
  Result<void> load(const TlsOptions& options);
  void* context_;
  bool client_;
};

// One connection's TLS state, apart from any socket. Threads: loop.
class TlsSession {
 public:
  enum class Status { kOk, kMore, kEnd, kFailed };

  explicit TlsSession(const TlsContext& context);
  ~TlsSession();

  // Takes what came from the network.
  void feed(Bytes cipher);
  // Decrypts into `plain`; `*size` octets were written. kMore: more cipher octets are needed. kEnd: close_notify came.
  Status read(MutableBytes plain, std::size_t* size);
  // Encrypts; kMore: the handshake is not over, nothing was taken. kOk: all was.
  Status write(Bytes plain);
  // Ends the TLS connection politely (close_notify).
  void shutdown();
  // Octets to send: how many wait, and their removal.
  std::size_t pending() const;
  std::size_t take(MutableBytes cipher);
  std::string_view error() const noexcept { return error_; }

 private:
  void* ssl_;
  std::string_view error_;
};

}  // namespace mg
