// mg/runtime/tls.h -- TLS for streams, by OpenSSL.
//
//   auto tls = TlsContext::server({.cert_file = "gate.pem", .key_file = "gate.key"});   // Result
//   Stream stream(loop, fd, this, tls->get());
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "mg/base/bytes.h"
#include "mg/base/error.h"

namespace mg {

struct TlsOptions {
  std::string cert_file;  // PEM, the server's certificate and then its chain.
  std::string key_file;   // PEM, its private key, without a passphrase.
};

// What all connections of a listener share: certificate, key, settings (TLS 1.2 and 1.3, no renegotiation, no
// compression). Threads: const-shared.
class TlsContext {
 public:
  // Errors: kInvalid the certificate or key cannot be read, or they do not belong together; names the file.
  static Result<std::unique_ptr<TlsContext>> server(const TlsOptions& options);
  ~TlsContext();

 private:
  friend class TlsSession;
  explicit TlsContext(void* context) noexcept : context_(context) {}
  void* context_;
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
