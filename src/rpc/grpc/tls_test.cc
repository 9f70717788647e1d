// Calls over TLS, one-sided and mutual.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mg/rpc/client.h"
#include "mg/rpc/grpc/transport.h"
#include "runtime/testing.h"
#include "tests/support/server.h"

namespace mg::rpc::grpc {
namespace {

using google::protobuf::StringValue;
using ::testing::HasSubstr;
using testing::run_program;

// An authority and two certificates of it: of a node at 127.0.0.1 and node.test, of a caller.
struct Certificates {
  testing::TempDir dir;
  std::string ca = dir.path() + "/ca";
  std::string node = dir.path() + "/node";
  std::string caller = dir.path() + "/caller";
  std::string stranger = dir.path() + "/stranger";  // Signed by itself.

  Certificates() {
    authority(ca, "/CN=test ca");
    authority(stranger, "/CN=stranger");
    dir.write("ext", "subjectAltName=IP:127.0.0.1,DNS:node.test\nextendedKeyUsage=serverAuth,clientAuth\n");
    for (const std::string& name : {node, caller}) {
      openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=node", "-keyout",
               name + ".key", "-out", name + ".csr"});
      openssl({"x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial",
               "-days", "30", "-extfile", dir.path() + "/ext", "-out", name + ".crt"});
    }
  }
  static TlsFiles files(const std::string& own, const std::string& trusted) {
    TlsFiles made;
    if (!own.empty()) made = {.cert_file = own + ".crt", .key_file = own + ".key"};
    if (!trusted.empty()) made.ca_file = trusted + ".crt";
    return made;
  }

 private:
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const auto output = run_program(arguments);
    EXPECT_EQ(output.status, 0) << output.text;
  }
  static void authority(const std::string& name, const std::string& subject) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             subject, "-keyout", name + ".key", "-out", name + ".crt"});
  }
};

class GrpcTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { certificates_ = std::make_unique<Certificates>(); }
  static void TearDownTestSuite() { certificates_.reset(); }

  // What a call says: "ok", or the error's text.
  std::string call(TlsFiles server, GrpcOptions caller) {
    Loop loop;
    Loop* const loops[1] = {&loop};
    Handlers handlers;
    EXPECT_TRUE(handlers.add("Test.Echo", [](const Context&, const StringValue& in, StringValue& out) -> Result<void> {
      out = in;
      return {};
    }));
    auto serving = make_transport({.listen = "127.0.0.1:0", .server_tls = std::move(server)}, loops);
    auto calling = make_transport(std::move(caller), loops);
    if (!serving || !calling) return to_json((serving ? calling : serving).error());
    auto served = testing::await_on(
        loop, (*serving)->serve({.service = "game", .uuid = "a", .handlers = &handlers, .observer = {}}));
    EXPECT_TRUE(served);
    const mg::rpc::Node node{"game-a", (*served)->address(), (*served)->metadata()};
    auto route = (*calling)->open(node, {"Test", "Echo", "game"}, "gate", loop);
    EXPECT_TRUE(route);
    StringValue in, out;
    in.set_value("ok");
    struct Run {
      static Task<Result<void>> call(Route& route, const StringValue& in, StringValue& out, Deadline deadline) {
        co_return co_await route.call(Context(deadline), {&in, &out});
      }
    };
    const Result<void> done =
        testing::await_on(loop, Run::call(*route, in, out, Deadline::after(loop.clock(), std::chrono::seconds(5))));
    EXPECT_TRUE(testing::await_on(loop, (*served)->stop(Deadline::after(loop.clock(), std::chrono::seconds(5)))));
    return done ? out.value() : done.error().detail;
  }

  static std::unique_ptr<Certificates> certificates_;
};
std::unique_ptr<Certificates> GrpcTls::certificates_;

TEST_F(GrpcTls, ANodeWithACertificateIsCalledOverTls) {
  const Certificates& c = *certificates_;
  const TlsFiles server = Certificates::files(c.node, "");
  EXPECT_EQ(call(server, {.client_tls = Certificates::files("", c.ca)}), "ok");
  EXPECT_EQ(call(server, {.client_tls = Certificates::files("", c.ca), .tls_server_name = "node.test"}), "ok");
  EXPECT_EQ(call({}, {.client_tls = Certificates::files("", c.ca)}), "ok");  // Without one it is called without TLS.
}

TEST_F(GrpcTls, AnUnknownAuthorityOrAnotherNameIsRefused) {
  const Certificates& c = *certificates_;
  const TlsFiles server = Certificates::files(c.node, "");
  EXPECT_THAT(call(server, {.client_tls = Certificates::files("", c.stranger)}), HasSubstr("node game-a at "));
  EXPECT_THAT(call(server, {.client_tls = Certificates::files("", c.ca), .tls_server_name = "other.test"}),
              HasSubstr("node game-a at "));
}

TEST_F(GrpcTls, ANodeWithAnAuthorityAsksForACertificate) {
  const Certificates& c = *certificates_;
  const TlsFiles server = Certificates::files(c.node, c.ca);
  EXPECT_EQ(call(server, {.client_tls = Certificates::files(c.caller, c.ca)}), "ok");
  EXPECT_NE(call(server, {.client_tls = Certificates::files("", c.ca)}), "ok");
  EXPECT_NE(call(server, {.client_tls = Certificates::files(c.stranger, c.ca)}), "ok");
}

TEST_F(GrpcTls, PlainAndTlsDoNotMix) {
  const Certificates& c = *certificates_;
  EXPECT_NE(call({}, {.client_tls = Certificates::files("", c.ca), .client_tls_always = true}), "ok");
}

TEST_F(GrpcTls, FilesThatDoNotFitAreNamed) {
  const Certificates& c = *certificates_;
  TlsFiles mixed = Certificates::files(c.node, "");
  mixed.key_file = c.caller + ".key";
  EXPECT_THAT(call(mixed, {}), HasSubstr("does not belong to the certificate"));
  EXPECT_THAT(call({}, {.client_tls = {.ca_file = c.dir.path() + "/none"}}), HasSubstr("/none"));
  EXPECT_THAT(call({}, {.client_tls = {.cert_file = c.node + ".crt"}}), HasSubstr("needs its private key"));
  EXPECT_THAT(call({.ca_file = c.ca + ".crt"}, {}), HasSubstr("server_tls.cert_file"));
}

}  // namespace
}  // namespace mg::rpc::grpc
