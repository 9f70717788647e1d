#include "mg/runtime/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace mg {
namespace {

SSL_CTX* context_of(void* context) {
  return static_cast<SSL_CTX*>(context);
}
SSL* ssl_of(void* ssl) {
  return static_cast<SSL*>(ssl);
}

std::string last_error() {
  std::array<char, 256> text{};
  const auto code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

}  // namespace

// What both sides set.
Result<void> TlsContext::load(const TlsOptions& options) {
  SSL_CTX* const context = context_of(context_);
  if (!context) return fail(code::kServer, "TLS: no context: {}", last_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Idle connections give their record buffers back.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (!options.ca_file.empty() && SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
    return fail(code::kInvalid, "TLS authorities \"{}\": cannot be read as PEM ({})", options.ca_file, last_error());
  }
  if (client_ && options.cert_file.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
    return fail(code::kInvalid, "TLS certificate \"{}\": cannot be read as PEM ({})", options.cert_file, last_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(code::kInvalid,
                "TLS key \"{}\": cannot be read as PEM, or does not belong to the certificate \"{}\" ({})",
                options.key_file, options.cert_file, last_error());
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return fail(code::kInvalid, "TLS key \"{}\" does not belong to the certificate \"{}\" ({})", options.key_file,
                options.cert_file, last_error());
  }
  return {};
}

Result<std::unique_ptr<TlsContext>> TlsContext::server(const TlsOptions& options) {
  std::unique_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method()), false));
  if (auto loaded = made->load(options); !loaded) return std::unexpected(std::move(loaded.error()));
  if (!options.ca_file.empty()) {
    SSL_CTX* const context = context_of(made->context_);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);  // Every client shows its certificate.
  }
  return made;
}

Result<std::unique_ptr<TlsContext>> TlsContext::client(const TlsOptions& options) {
  if (options.ca_file.empty() || options.peer_name.empty()) {
    return fail(code::kInvalid, "TLS client: whom to trust (ca_file) and the server's name (peer_name) must be given");
  }
  std::unique_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_client_method()), true));
  if (auto loaded = made->load(options); !loaded) return std::unexpected(std::move(loaded.error()));
  SSL_CTX* const context = context_of(made->context_);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM* const expected = SSL_CTX_get0_param(context);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, options.peer_name.c_str()) != 1) {
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(expected, options.peer_name.data(), options.peer_name.size()) != 1) {
      return fail(code::kInvalid, "TLS client: \"{}\" is no name of a server", options.peer_name);
    }
  }
  return made;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_of(context_));
}

TlsSession::TlsSession(const TlsContext& context) : ssl_(SSL_new(context_of(context.context_))) {
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  if (!ssl_ || !in || !out) {
    std::fprintf(stderr, "mg: out of memory (a TLS session)\n");
    std::abort();
  }
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl_of(ssl_), in, out);
  if (!context.client_) {
    SSL_set_accept_state(ssl_of(ssl_));
    return;
  }
  SSL_set_connect_state(ssl_of(ssl_));
  SSL_do_handshake(ssl_of(ssl_));  // The first message of the handshake, to be sent.
  ERR_clear_error();
}

TlsSession::~TlsSession() {
  SSL_free(ssl_of(ssl_));
}

void TlsSession::feed(Bytes cipher) {
  BIO_write(SSL_get_rbio(ssl_of(ssl_)), cipher.data(), static_cast<int>(cipher.size()));
}

TlsSession::Status TlsSession::read(MutableBytes plain, std::size_t* size) {
  *size = 0;
  ERR_clear_error();
  const int got = SSL_read_ex(ssl_of(ssl_), plain.data(), plain.size(), size);
  if (got == 1) return Status::kOk;
  switch (SSL_get_error(ssl_of(ssl_), got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Status::kMore;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kEnd;
    default: {
      const char* const reason = ERR_reason_error_string(ERR_peek_error());
      error_ = reason ? reason : "TLS failure";
      if (const long verified = SSL_get_verify_result(ssl_of(ssl_)); verified != X509_V_OK) {
        error_ = X509_verify_cert_error_string(verified);
      }
      ERR_clear_error();
      return Status::kFailed;
    }
  }
}

TlsSession::Status TlsSession::write(Bytes plain) {
  if (!SSL_is_init_finished(ssl_of(ssl_))) return Status::kMore;
  ERR_clear_error();
  while (!plain.empty()) {
    std::size_t written = 0;
    const int put = SSL_write_ex(ssl_of(ssl_), plain.data(), plain.size(), &written);
    if (put != 1) {
      error_ = "TLS failure on writing";
      ERR_clear_error();
      return Status::kFailed;
    }
    plain = plain.subspan(written);
  }
  return Status::kOk;
}

void TlsSession::shutdown() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_of(ssl_))) SSL_shutdown(ssl_of(ssl_));
  ERR_clear_error();
}

std::size_t TlsSession::pending() const {
  return BIO_ctrl_pending(SSL_get_wbio(ssl_of(ssl_)));
}

std::size_t TlsSession::take(MutableBytes cipher) {
  const int got = BIO_read(SSL_get_wbio(ssl_of(ssl_)), cipher.data(), static_cast<int>(cipher.size()));
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace mg
