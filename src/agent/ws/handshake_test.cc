#include "agent/ws/handshake.h"

#include <gmock/gmock.h>

#include <random>
#include <string>

namespace mg::agent::ws {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Fields = std::vector<std::string>;  // Lines "Name: value".

const Fields kGood = {"Host: game.example:9000", "Upgrade: websocket", "Connection: Upgrade",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"};

std::string request(const Fields& fields, const std::string& line = "GET /play?x=1 HTTP/1.1") {
  std::string out = line + "\r\n";
  for (const std::string& field : fields) out += field + "\r\n";
  return out + "\r\n";
}
Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
Fields without(const std::string& name) {
  Fields out;
  for (const std::string& field : kGood) {
    if (!field.starts_with(name + ":")) out.push_back(field);
  }
  return out;
}
Fields replaced(const std::string& field) {
  return with(without(field.substr(0, field.find(':'))), {field});
}

struct Answer {
  HandshakeState state;
  int status;
  std::size_t consumed;
  std::string response;
};

Answer ask(const std::string& in, const HandshakeOptions& options = {}) {
  const std::vector<char> exact(in.begin(), in.end());  // A block of its own: ASan sees a read past its end.
  const Upgrade got = read_upgrade(std::as_bytes(std::span(exact)), options);
  if (got.state == HandshakeState::kNeedMore) {
    EXPECT_EQ(got.status, 0);
    EXPECT_TRUE(got.response.empty());
  } else {
    EXPECT_THAT(got.response, StartsWith("HTTP/1.1 " + std::to_string(got.status) + " "));
    EXPECT_EQ(got.reason.empty(), got.state == HandshakeState::kAccepted);
  }
  return {got.state, got.status, got.consumed, got.response};
}
int status(const std::string& in, const HandshakeOptions& options = {}) {
  return ask(in, options).status;
}

TEST(ReadUpgrade, AnswersTheExampleOfTheRfc) {
  const std::string in = request(kGood);
  const Upgrade got = read_upgrade(as_bytes(in), {});
  ASSERT_EQ(got.state, HandshakeState::kAccepted);
  EXPECT_EQ(got.response,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  EXPECT_EQ(got.consumed, in.size());
  EXPECT_EQ(got.target, "/play?x=1");
  EXPECT_EQ(got.host, "game.example:9000");
  EXPECT_EQ(got.origin, "");
}

TEST(ReadUpgrade, WaitsForTheEmptyLineHoweverTheOctetsAreCut) {
  const std::string in = request(kGood);
  for (std::size_t have = 0; have < in.size(); ++have) {
    ASSERT_EQ(ask(in.substr(0, have)).state, HandshakeState::kNeedMore) << have;
  }
  // The first frame may come with the request.
  const Answer got = ask(in + "\x82\x80????\r\n");
  EXPECT_EQ(got.status, 101);
  EXPECT_EQ(got.consumed, in.size());
}

TEST(ReadUpgrade, ReadsFieldsInAnyCaseAndForm) {
  EXPECT_EQ(status(request({"host:a", "UPGRADE:\tWebSocket  ", "connection: keep-alive, uPgrade",
                            "sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version:13"})),
            101);
  EXPECT_EQ(status(request(with(without("Connection"), {"Connection: keep-alive", "Connection: Upgrade"}))), 101);
  EXPECT_EQ(status(request(replaced("Upgrade: h2c, websocket"))), 101);
  EXPECT_EQ(status(request(with(kGood, {"Content-Length: 0"}))), 101);
  EXPECT_EQ(status(request(kGood, "GET http://game.example:9000/ HTTP/1.1")), 101);
}

TEST(ReadUpgrade, YieldsWhatProxiesSay) {
  const std::string in = request(with(kGood, {"X-Forwarded-For: 1.2.3.4, 5.6.7.8", "x-real-ip: 9.9.9.9",
                                              "X-FORWARDED-FOR: 10.0.0.1", "Origin: http://game.example:9000"}));
  const Upgrade got = read_upgrade(as_bytes(in), {});
  ASSERT_EQ(got.state, HandshakeState::kAccepted);
  EXPECT_EQ(got.forwarded_for, "1.2.3.4, 5.6.7.8, 10.0.0.1");
  EXPECT_EQ(got.real_ip, "9.9.9.9");
  EXPECT_EQ(got.origin, "http://game.example:9000");
}

TEST(ReadUpgrade, RefusesOtherMethods) {
  for (const char* method : {"POST", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "M-SEARCH", "GETT"}) {
    const Answer got = ask(request(kGood, std::string(method) + " / HTTP/1.1"));
    EXPECT_EQ(got.status, 405) << method;
    EXPECT_THAT(got.response, ::testing::EndsWith("\r\n\r\nMethod not allowed\n"));
  }
}

TEST(ReadUpgrade, RefusesBadHandshakes) {
  struct Case {
    const char* what;
    Fields fields;
    int status = 400;
  };
  const std::string key = "Sec-WebSocket-Key: ";
  const Case cases[] = {
      {"no fields", {}},
      {"no host", without("Host")},
      {"empty host", replaced("Host:")},
      {"two hosts", with(kGood, {"Host: other"})},
      {"no upgrade", without("Upgrade")},
      {"other upgrade", replaced("Upgrade: websockets")},
      {"h2c", replaced("Upgrade: h2c")},
      {"no connection", without("Connection")},
      {"connection close", replaced("Connection: close")},
      {"connection upgraded", replaced("Connection: upgraded")},
      {"no key", without("Sec-WebSocket-Key")},
      {"empty key", replaced(key)},
      {"two keys", with(kGood, {key + "dGhlIHNhbXBsZSBub25jZQ=="})},
      {"key of 15 octets", replaced(key + "dGhlIHNhbXBsZSBub25j")},
      {"key of 17 octets", replaced(key + "dGhlIHNhbXBsZSBub25jZXg=")},
      {"key of 18 octets", replaced(key + "dGhlIHNhbXBsZSBub25jZXh4")},
      {"key not base64", replaced(key + "dGhlIHNhbXBsZSBub25j!!==")},
      {"key not padded", replaced(key + "dGhlIHNhbXBsZSBub25jZQAA")},
      {"key with spaces", replaced(key + "dGhlIHNhbXBsZSBub25j Q==")},
      {"no version", without("Sec-WebSocket-Version")},
      {"two versions", with(kGood, {"Sec-WebSocket-Version: 13"})},
      {"version 8", replaced("Sec-WebSocket-Version: 8"), 426},
      {"version 14", replaced("Sec-WebSocket-Version: 14"), 426},
      {"version 13x", replaced("Sec-WebSocket-Version: 13x"), 426},
      {"content length", with(kGood, {"Content-Length: 5"})},
      {"negative length", with(kGood, {"Content-Length: -1"})},
      {"two lengths", with(kGood, {"Content-Length: 0", "Content-Length: 5"})},
      {"chunked", with(kGood, {"Transfer-Encoding: chunked"})},
      {"other coding", with(kGood, {"Transfer-Encoding: identity"})},
      {"CL and TE", with(kGood, {"Content-Length: 5", "Transfer-Encoding: chunked"})},
      {"TE and CL", with(kGood, {"Transfer-Encoding: chunked", "Content-Length: 0"})},
      {"NUL in value", with(kGood, {std::string("X: a\0b", 6)})},
      {"NUL in name", with(kGood, {std::string("X\0: ab", 6)})},
      {"escape", with(kGood, {"X: \x1b[31m"})},
      {"DEL", with(kGood, {"X: \x7f"})},
      {"folded by space", with(kGood, {"X: a\r\n b"})},
      {"folded by tab", with(kGood, {"X: a\r\n\tb"})},
      {"folded first field", {" Host: a"}},
      {"space before colon", with(kGood, {"X : a"})},
      {"no colon", with(kGood, {"Xabc"})},
      {"no name", with(kGood, {": abc"})},
      {"name not a token", with(kGood, {"X(y): abc"})},
      {"line feed alone", with(kGood, {"X: a\nY: b"})},
      {"carriage return alone", with(kGood, {"X: a\rY: b"})},
      {"two origins", with(kGood, {"Origin: http://game.example:9000", "Origin: http://game.example:9000"})},
  };
  for (const Case& c : cases) {
    const Answer got = ask(request(c.fields));
    EXPECT_EQ(got.status, c.status) << c.what;
    EXPECT_EQ(got.state, HandshakeState::kRefused) << c.what;
    EXPECT_THAT(got.response, HasSubstr("\r\nConnection: close\r\n")) << c.what;
    if (c.status == 426) {
      EXPECT_THAT(got.response, HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
    }
  }
}

TEST(ReadUpgrade, RefusesBadRequestLines) {
  for (const char* line :
       {"GET / HTTP/1.0", "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "GET /", "GET", "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ", "GET / http/1.1", "GET /a b HTTP/1.1", "GET / HTTP/11", "G(T / HTTP/1.1"}) {
    EXPECT_EQ(status(request(kGood, line)), 400) << line;
  }
}

TEST(ReadUpgrade, RefusesOtherProtocolsAtTheirFirstOctets) {
  const std::string noise[] = {
      std::string("\x16\x03\x01\x02\x00\x01", 6),  // TLS hello
      std::string("\x80\x2e\x01\x00", 4),          // SSL 2
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",          // HTTP/2
      std::string("\x00", 1),
      "\xff\xfe",
      "\x82\x85\x01\x02\x03\x04hello",  // A frame without a handshake
      "*1\r\n$4\r\nPING\r\n",           // Redis
      "hello\n",
      "\r\n\r\n",
      " GET",
      std::string(33, 'A'),
      "GET /\x01",
      "SSH-2.0-OpenSSH_9.2p1\r\n",
  };
  for (const std::string& in : noise) {
    EXPECT_EQ(status(in), 400) << in;
    EXPECT_EQ(status(in + std::string(100000, 'x')), 400) << in;
  }
}

TEST(ReadUpgrade, HoldsTheHeaderLimit) {
  for (std::uint32_t limit : {300U, 8192U}) {
    const HandshakeOptions options{.max_header_bytes = limit};
    const std::string plain = request(with(kGood, {"X: "}));
    auto of_size = [&](std::size_t size) {
      return request(with(kGood, {"X: " + std::string(size - plain.size(), 'x')}));
    };
    EXPECT_EQ(of_size(limit).size(), limit);
    EXPECT_EQ(status(of_size(limit - 1), options), 101);
    EXPECT_EQ(status(of_size(limit), options), 101);
    EXPECT_EQ(status(of_size(limit) + "frames", options), 101);
    EXPECT_EQ(status(of_size(limit + 1), options), 431);
    // As soon as the limit is reached without an end, and not before.
    EXPECT_EQ(status(of_size(limit + 500).substr(0, limit - 1), options), 0);
    EXPECT_EQ(status(of_size(limit + 500).substr(0, limit), options), 431);
    EXPECT_EQ(status("GET /" + std::string(limit, 'a'), options), 414);
  }
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 20000; ++i) many += "a:\r\n";
  EXPECT_EQ(status(many + "\r\n"), 431);
}

TEST(ReadUpgrade, HoldsTheOriginRule) {
  struct Case {
    std::string origin;
    bool same_host;
    bool listed;
  };
  const Case cases[] = {
      {"http://game.example:9000", true, false},
      {"https://game.example:9000", true, false},
      {"https://play.example", false, true},
      {"null", false, false},
      {"", false, false},
      {"http://game.example", false, false},
      {"http://game.example:9001", false, false},
      {"http://game.example:90000", false, false},
      {"http://game.example:9000/", false, false},
      {"http://game.example:9000.evil.example", false, false},
      {"http://evil-game.example:9000", false, false},
      {"http://x@game.example:9000", false, false},
      {"HTTP://game.example:9000", false, false},
      {"http://GAME.example:9000", false, false},
      {"ws://game.example:9000", false, false},
      {"game.example:9000", false, false},
      {"https://play.example.evil", false, false},
      {"https://evil.play.example", false, false},
      {"https://PLAY.example", false, false},
      {"https://play.example:443", false, false},
      {"http://play.example", false, false},
      {"*", false, false},
  };
  for (const Case& c : cases) {
    const std::string in = request(with(kGood, {"Origin: " + c.origin}));
    EXPECT_EQ(status(in), c.same_host ? 101 : 403) << c.origin;
    EXPECT_EQ(status(in, {.origins = {"https://other.example", "https://play.example"}}), c.listed ? 101 : 403)
        << c.origin;
    EXPECT_EQ(status(in, {.origins = {"*"}}), 101) << c.origin;
  }
  EXPECT_EQ(status(request(kGood), {.origins = {"https://play.example"}}), 101) << "not a browser";
  EXPECT_EQ(status(request(with(replaced("Host: GAME.example"), {"Origin: http://GAME.example"}))), 403);
}

TEST(ReadUpgrade, AgreesOnDeflateOnlyWhenItIsOn) {
  const std::string in =
      request(with(kGood, {"Sec-WebSocket-Extensions: x-frame",
                           "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10"}));
  EXPECT_THAT(ask(in).response, Not(HasSubstr("Extensions")));
  EXPECT_EQ(read_upgrade(as_bytes(in), {}).deflate, std::nullopt);
  const HandshakeOptions on{.deflate = {.enabled = true}};
  EXPECT_THAT(ask(in, on).response,
              HasSubstr("\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                        "client_no_context_takeover; server_max_window_bits=10\r\n\r\n"));
  EXPECT_EQ(read_upgrade(as_bytes(in), on).deflate->server_max_window_bits, 10);
  EXPECT_EQ(status(request(with(kGood, {"Sec-WebSocket-Extensions: permessage-deflate; bad"})), on), 101);
}

TEST(ReadUpgrade, SurvivesMutatedRequests) {
  std::mt19937 random(7);
  const std::string good = request(with(kGood, {"Origin: http://game.example:9000", "X-Forwarded-For: 1.2.3.4"}));
  for (int round = 0; round < 20000; ++round) {
    std::string in = good;
    for (unsigned changes = 1 + random() % 4; changes != 0; --changes) {
      const std::size_t at = random() % in.size();
      switch (random() % 4) {
        case 0:
          in[at] = static_cast<char>(random());
          break;
        case 1:
          in.erase(at, random() % 20);
          break;
        case 2:
          in.insert(at, std::string(random() % 5, static_cast<char>(random())));
          break;
        default:
          in.insert(at, "\r\n");
      }
    }
    const Answer got = ask(in);
    ASSERT_LE(got.consumed, in.size());
  }
}

TEST(ClientHandshake, IsAcceptedByTheServerHere) {
  Nonce nonce;
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::byte>(i * 17);
  for (bool deflate : {false, true}) {
    const std::string out = make_upgrade({.host = "127.0.0.1:9000",
                                          .target = "/x",
                                          .origin = "http://127.0.0.1:9000",
                                          .deflate = deflate,
                                          .headers = {{"X-Real-IP", "1.2.3.4"}}},
                                         nonce);
    const Upgrade server = read_upgrade(as_bytes(out), {.deflate = {.enabled = true}});
    ASSERT_EQ(server.state, HandshakeState::kAccepted) << server.reason;
    EXPECT_EQ(server.real_ip, "1.2.3.4");
    EXPECT_EQ(server.deflate.has_value(), deflate);
    for (std::size_t have = 0; have < server.response.size(); ++have) {
      ASSERT_EQ(read_upgrade_reply(as_bytes(server.response.substr(0, have)), nonce, deflate).state,
                HandshakeState::kNeedMore);
    }
    const std::string reply = server.response + "\x82\x01x";
    const UpgradeReply client = read_upgrade_reply(as_bytes(reply), nonce, deflate);
    EXPECT_EQ(client.state, HandshakeState::kAccepted) << client.reason;
    EXPECT_EQ(client.consumed, server.response.size());
    EXPECT_EQ(client.deflate, server.deflate);
    if (deflate) {
      EXPECT_EQ(read_upgrade_reply(as_bytes(reply), nonce, false).state, HandshakeState::kRefused);
    }
    nonce[0] ^= std::byte{1};
    EXPECT_EQ(read_upgrade_reply(as_bytes(reply), nonce, deflate).state, HandshakeState::kRefused) << "other key";
  }
}

TEST(ClientHandshake, RefusesOtherAnswers) {
  const Nonce nonce{};
  const std::string accept = "Sec-WebSocket-Accept: " + accept_key("AAAAAAAAAAAAAAAAAAAAAA==") + "\r\n";
  const std::string line = "HTTP/1.1 101 Switching Protocols\r\n";
  const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  auto state = [&](const std::string& in) { return read_upgrade_reply(as_bytes(in), nonce).state; };
  EXPECT_EQ(state(line + upgrade + accept + "\r\n"), HandshakeState::kAccepted);
  EXPECT_EQ(state(line + "Upgrade: websocket\r\n" + accept + "\r\n"), HandshakeState::kRefused);
  EXPECT_EQ(state(line + "Connection: Upgrade\r\n" + accept + "\r\n"), HandshakeState::kRefused);
  EXPECT_EQ(state(line + upgrade + "\r\n"), HandshakeState::kRefused);
  EXPECT_EQ(state(line + upgrade + accept + "Sec-WebSocket-Protocol: x\r\n\r\n"), HandshakeState::kRefused);
  EXPECT_EQ(state(line + upgrade + accept + "Sec-WebSocket-Extensions: x\r\n\r\n"), HandshakeState::kRefused);
  EXPECT_EQ(state("SSH-2.0\r\n"), HandshakeState::kRefused);
  const std::string busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(state(busy), HandshakeState::kRefused);
  EXPECT_EQ(read_upgrade_reply(as_bytes(busy), nonce).status, 503);
  EXPECT_EQ(read_upgrade_reply(as_bytes(line + "X: " + std::string(9000, 'x')), nonce).state, HandshakeState::kRefused);
}

}  // namespace
}  // namespace mg::agent::ws
