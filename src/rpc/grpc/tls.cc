#include "rpc/grpc/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>
#include <memory>

namespace mg::rpc::grpc {
namespace {

template <class T, void (*kFree)(T*)>
struct Freed {
  void operator()(T* object) const { kFree(object); }
};
void free_bio(BIO* bio) {
  BIO_free(bio);
}
using BioPtr = std::unique_ptr<BIO, Freed<BIO, free_bio>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file && text.empty()) return fail(code::kInvalid, "TLS file {}: cannot be read", path);
  return text;
}

BioPtr bio_of(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}
X509Ptr certificate_of(const std::string& text) {
  return X509Ptr(PEM_read_bio_X509(bio_of(text).get(), nullptr, nullptr, nullptr));
}

}  // namespace

Result<TlsTexts> read_tls(const TlsFiles& files) {
  TlsTexts texts;
  for (const auto& [path, to] : {std::pair(&files.cert_file, &texts.cert), std::pair(&files.key_file, &texts.key),
                                 std::pair(&files.ca_file, &texts.ca)}) {
    Result<std::string> text = read_file(*path);
    if (!text) return std::unexpected(std::move(text.error()));
    *to = std::move(*text);
  }
  if (texts.cert.empty() != texts.key.empty()) {
    return fail(code::kInvalid, "TLS: a certificate needs its private key, and the reverse (cert \"{}\", key \"{}\")",
                files.cert_file, files.key_file);
  }
  const auto bad = [](const std::string& path, std::string_view what) {
    ERR_clear_error();
    return fail(code::kInvalid, "TLS file {}: {}", path, what);
  };
  if (!texts.ca.empty() && !certificate_of(texts.ca)) return bad(files.ca_file, "no certificate in it");
  if (!texts.cert.empty()) {
    const X509Ptr cert = certificate_of(texts.cert);
    if (!cert) return bad(files.cert_file, "no certificate in it");
    const KeyPtr key(PEM_read_bio_PrivateKey(bio_of(texts.key).get(), nullptr, nullptr, const_cast<char*>("")));
    if (!key) return bad(files.key_file, "no private key without a passphrase in it");
    if (X509_check_private_key(cert.get(), key.get()) != 1) {
      return bad(files.key_file, "does not belong to the certificate " + files.cert_file);
    }
  }
  return texts;
}

}  // namespace mg::rpc::grpc
