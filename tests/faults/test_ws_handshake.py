#!/usr/bin/env python3
"""Handshakes that are slow, huge, malformed, of another protocol, or from a foreign page; the same for TLS."""

import socket
import ssl
import time
import warnings

from harness import (BINARY, CERT, ECHO, KEY, LOGIN, Closed, ServerCase, WsClient, accept_for, echo_body, frame, heavy,
                     limit, login_body, main, new_account, packet, pause, rng, wait_for, ws_request)


def tls_hello():
    """The first octets of a TLS client."""
    outgoing = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Http(ServerCase):
    """A14-A17, A20: the HTTP side of the port."""

    flags = {"agent_handshake_timeout": "2s"}
    types = ("ws", "wss")

    def answer(self, octets, kind="ws", within=None):
        """Status of the answer, or "dropped"."""
        client = self.raw(kind)
        client.send(octets)
        try:
            got = client.response(within or limit(1), bodiless=octets.startswith(b"HEAD"))
        except Closed:
            return "dropped"
        if got.status != 101:
            # An error ends the connection.
            while client.fill(time.monotonic() + limit(2)):
                pass
        return got.status

    def test_slow_handshakes_are_cut_and_others_served(self):
        count = heavy(60, 200)
        clients = [self.raw("ws") for _ in range(count)]
        start = time.monotonic()
        pending = ws_request(clients[0].host())
        sent, ended = 0, {}
        while len(ended) < count and time.monotonic() - start < 2 + limit(3):
            sent += 1
            for index, client in enumerate(clients):
                if index in ended:
                    continue
                # Every third says nothing, every third sends an octet at a time, the rest endless header lines.
                if index % 3 == 1:
                    client.send(pending[sent % 100:][:1])
                elif index % 3 == 2:
                    client.send(b"X-%d: a\r\n" % sent if sent > 1 else b"GET / HTTP/1.1\r\n")
                try:
                    while client.fill(time.monotonic() + 0.0005):
                        pass
                    ended[index] = time.monotonic() - start
                except TimeoutError:
                    pass
            pause(0.1)
        self.assertEqual(len(ended), count, f"{count - len(ended)} of {count} slow handshakes still open")
        early = [when for when in ended.values() if when < 1.5]
        self.assertEqual(early, [], "cut before the time limit")

    def test_new_clients_are_served_while_slow_ones_hang(self):
        clients = [self.raw("ws") for _ in range(200)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        self.server.check_alive()

    def test_handshake_octet_by_octet_is_served(self):
        client = self.raw("ws")
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        self.assertEqual(accept_for(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        request = ws_request(client.host(), key=key)
        for at in range(len(request)):
            client.send(request[at:at + 1])
        client.check_upgrade(client.response(), key).login().expect_open()

    def test_handshake_and_first_frames_in_one_segment(self):
        for kind in self.types:
            login, echo = packet(LOGIN, login_body(new_account()), 1), packet(ECHO, echo_body(b"at once"), 2)
            client = self.connect(kind, after=frame(BINARY, login) + frame(BINARY, echo))
            self.assertEqual(client.recv_packet().code, 0)
            self.assertEqual(client.recv_packet().data, echo_body(b"at once"))
            client = self.connect(kind, after=frame(BINARY, login)[:9])  # Cut inside a frame's header or mask.
            client.send(frame(BINARY, login)[9:])
            self.assertEqual(client.recv_packet().code, 0)

    def test_huge_requests_are_refused_in_bounded_memory(self):
        before = self.server.rss()
        self.server.reset_peak()
        start = "GET / HTTP/1.1\r\nHost: a\r\n"
        for name, octets in {
            "header of 256 KiB": (start + "X: " + "a" * 262_144).encode(),
            "header name of 256 KiB": (start + "a" * 262_144).encode(),
            "20,000 headers": (start + "".join(f"X-{i}: {i}\r\n" for i in range(20_000))).encode(),
            "target of 128 KiB": b"GET /" + b"a" * 131_072 + b" HTTP/1.1\r\n",
            "endless method": b"G" * 131_072,
            "1 MiB of empty lines": b"\r\n" * 524_288,
        }.items():
            for kind in self.types:
                with self.subTest(name, kind=kind):
                    self.assertIn(self.answer(octets, kind, limit(3)), (431, 414, 400, 413, 405, "dropped"))
        self.assertGrowth(before, 2)

    def test_malformed_headers_are_refused(self):
        host = self.raw("ws").host()
        for name, lines in {
            "NUL in a value": ["X: a\0b"],
            "NUL in a name": ["X\0: a"],
            "folded line": ["X: a", " b"],
            "space before the colon": ["X : a"],
            "length and transfer coding": ["Content-Length: 5", "Transfer-Encoding: chunked"],
            "no colon": ["Xyz"],
            "no name": [": a"],
            "control octet in a value": ["X: a\x01b"],
            "delete in a value": ["X: a\x7fb"],
            "bare CR in a value": ["X: a\rY: b"],
            "two lengths": ["Content-Length: 5", "Content-Length: 6"],
            "length below zero": ["Content-Length: -1"],
            "length too long": ["Content-Length: 99999999999999999999999"],
            "two keys": ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
            "two hosts": ["Host: other"],
            "two versions": ["Sec-WebSocket-Version: 13"],
        }.items():
            with self.subTest(name):
                self.assertEqual(self.answer(ws_request(host, extra=lines)), 400)

    def test_wrong_requests_are_refused(self):
        host = self.raw("ws").host()
        cases = {
            "POST": (dict(method="POST"), (405, 400)),
            "HEAD": (dict(method="HEAD"), (405, 400)),
            "CONNECT": (dict(method="CONNECT"), (405, 400)),
            "unknown method": (dict(method="BREW"), (405, 400, 501)),
            "HTTP/1.0": (dict(version="HTTP/1.0"), (400, 426, 505)),
            "HTTP/2.0": (dict(version="HTTP/2.0"), (400, 505)),
            "HTTP/1.1 in lower case": (dict(version="http/1.1"), (400, 505)),
            "no upgrade": (dict(headers={"Upgrade": None, "Connection": None}), (400, 426, 404)),
            "no connection": (dict(headers={"Connection": None}), (400, 426)),
            "connection close": (dict(headers={"Connection": "close"}), (400, 426)),
            "upgrade to h2c": (dict(headers={"Upgrade": "h2c"}), (400, 426)),
            "no key": (dict(headers={"Sec-WebSocket-Key": None}), (400,)),
            "empty key": (dict(headers={"Sec-WebSocket-Key": ""}), (400,)),
            "short key": (dict(headers={"Sec-WebSocket-Key": "YWJj"}), (400,)),
            "long key": (dict(headers={"Sec-WebSocket-Key": "A" * 1000}), (400,)),
            "key not base64": (dict(headers={"Sec-WebSocket-Key": "?" * 22 + "=="}), (400,)),
            "no version": (dict(headers={"Sec-WebSocket-Version": None}), (400, 426)),
            "version 8": (dict(headers={"Sec-WebSocket-Version": "8"}), (426, 400)),
            "version 1x": (dict(headers={"Sec-WebSocket-Version": "1x"}), (426, 400)),
            "no host": (dict(headers={"Host": None}), (400,)),
        }
        for name, (change, statuses) in cases.items():
            with self.subTest(name):
                self.assertIn(self.answer(ws_request(host, **change)), statuses)
        client = self.raw("ws")
        client.send(ws_request(host, headers={"Sec-WebSocket-Version": "8"}))
        self.assertEqual(client.response().headers.get("sec-websocket-version"), "13")

    def test_right_requests_of_unusual_form_are_served(self):
        for name, change in {
            "any path": dict(path="/a/b/../c?d=%20"),
            "lists and case": dict(headers={"Connection": "keep-alive, UPGRADE", "Upgrade": "WebSocket"}),
            "subprotocols we do not speak": dict(headers={"Sec-WebSocket-Protocol": "chat, superchat"}),
            "a cookie": dict(headers={"Cookie": "a=b; c=d"}),
        }.items():
            with self.subTest(name):
                self.connect("ws", **change).login().expect_open()

    def test_other_protocols_are_dropped(self):
        random_source = rng("junk")
        cases = {
            "TLS hello": tls_hello(),
            "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
            "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
            "a packet of the tcp listener": packet(LOGIN, login_body("junk")),
            "a frame without a handshake": frame(BINARY, packet(LOGIN, login_body("junk"))),
            "PROXY line": b"PROXY TCP4 1.2.3.4 1.2.3.4 5 6\r\n" + ws_request("a"),
            "zeros": bytes(4096),
            "0xFF": b"\xff" * 4096,
        }
        for index in range(heavy(20, 500)):
            # First octet: none that a method could begin with, or the rest would be waited for.
            cases[f"junk {index}"] = bytes([random_source.randrange(128, 256)]) + random_source.randbytes(
                random_source.randrange(1, 2000))
        for name, octets in cases.items():
            with self.subTest(name):
                self.assertIn(self.answer(octets, within=limit(1)), (400, 405, 505, "dropped"))

    def test_client_that_goes_in_the_middle_of_the_handshake(self):
        before = self.server.sockets()
        for kind in self.types:
            for index in range(heavy(50, 2000)):
                client = self.raw(kind)
                request = ws_request(client.host())
                client.send(request[:index * 7 % len(request)])
                (client.reset if index % 2 else client.drop)()
        wait_for(lambda: self.server.sockets() <= before, limit(5), lambda: f"{self.server.sockets()} sockets, {before} before")


class Origins(ServerCase):
    """A18: pages of other sites; without --agent_origins only pages of the host that is asked."""

    types = ("ws",)

    def status(self, origin, host=None, extra=()):
        client = self.raw("ws")
        lines = [] if origin is None else [f"Origin: {origin}"]
        client.send(ws_request(host or client.host(), extra=[*lines, *extra]))
        got = client.response()
        while got.status != 101 and client.fill(time.monotonic() + limit(2)):
            pass  # A refusal ends the connection.
        return got.status

    def test_own_pages_and_no_pages_are_served(self):
        host = self.raw("ws").host()
        self.assertEqual(self.status(None), 101)
        self.assertEqual(self.status("http://" + host), 101)
        self.assertEqual(self.status("http://game.example.com", host="game.example.com"), 101)
        self.assertEqual(self.status("https://game.example.com:8443", host="game.example.com:8443"), 101)

    def test_foreign_pages_are_refused(self):
        host = self.raw("ws").host()
        name, port = host.split(":")
        for origin in ("http://evil.example", "https://evil.example", "null", "NULL", "HTTP://EVIL.EXAMPLE", "file://", "",
                       f"http://{host}.evil.example", f"http://evil.{host}", f"http://evil{host}", f"http://{name}",
                       f"http://{name}:{int(port) + 1}", f"http://{name}:{port}0", f"http://{name[:-1]}:{port}",
                       f"http://{host}@evil.example", f"http://evil.example/{host}", f"http://evil.example#{host}",
                       f"http://evil.example http://{host}", f"http://{host} http://evil.example", host,
                       f"chrome-extension://{host}x", "http://", "://", "x" * 300):
            with self.subTest(origin=origin):
                self.assertEqual(self.status(origin), 403)
        for origin in ("http://game.example.com.evil.net", "http://evilgame.example.com", "http://game.example.co",
                       "http://game.example.com:81", "http://example.com", "http://game.example.com."):
            with self.subTest(origin=origin):
                self.assertEqual(self.status(origin, host="game.example.com"), 403)
        with self.subTest("two origins"):
            self.assertIn(self.status(f"http://{host}", extra=["Origin: http://evil.example"]), (403, 400))


class ListedOrigins(Origins):
    """A18 with a list."""

    flags = {"agent_origins": "https://play.example.com,http://dev.example.com:8080"}

    def test_own_pages_and_no_pages_are_served(self):
        self.assertEqual(self.status(None), 101)
        self.assertEqual(self.status("https://play.example.com"), 101)
        self.assertEqual(self.status("http://dev.example.com:8080"), 101)

    def test_foreign_pages_are_refused(self):
        host = self.raw("ws").host()
        for origin in ("http://play.example.com", "https://play.example.com:444", "https://play.example.com.evil.net",
                       "https://evilplay.example.com", "https://play.example.co", "https://xplay.example.com", "null", "",
                       "http://dev.example.com", "http://dev.example.com:80", "http://dev.example.com:80800",
                       "https://dev.example.com:8080", f"http://{host}", "https://example.com", "https://", "*",
                       "https://PLAY.EXAMPLE.COM.EVIL.NET", "https://play.example.com,http://dev.example.com:8080"):
            with self.subTest(origin=origin):
                self.assertEqual(self.status(origin), 403)


class AnyOrigin(Origins):
    flags = {"agent_origins": "*"}

    def test_own_pages_and_no_pages_are_served(self):
        self.assertEqual(self.status(None), 101)

    def test_foreign_pages_are_refused(self):
        """With `*` none is foreign."""
        for origin in ("http://evil.example", "null"):
            self.assertEqual(self.status(origin), 101)


class Tls(ServerCase):
    """The same port with TLS: hellos that never come, are junk, or end half way."""

    flags = {"agent_handshake_timeout": "2s", "agent_tls_cert": CERT, "agent_tls_key": KEY}
    types = ("wss", "tcps")

    def plain(self, kind):
        sock = socket.create_connection(("127.0.0.1", self.server.ports[kind]), timeout=limit(5))
        client = WsClient(sock, self.server, kind)
        self.opened.append(client)
        return client

    def ended(self, client, within):
        deadline = time.monotonic() + within
        while client.fill(deadline):
            pass

    def test_silent_and_slow_hellos_are_cut(self):
        for kind in self.types:
            silent, slow = [self.plain(kind) for _ in range(20)], self.plain(kind)
            start = time.monotonic()
            for octet in tls_hello():
                slow.send(bytes([octet]))
                try:
                    slow.fill(time.monotonic() + 0.1)
                except TimeoutError:
                    pass
                if slow.end or time.monotonic() - start > 2 + limit(2):
                    break
            self.assertTrue(slow.end, "a slow TLS hello was not cut")
            for client in silent:
                self.ended(client, limit(2))

    def test_what_is_not_tls_is_dropped(self):
        random_source = rng("tls")
        hello = tls_hello()
        for kind in self.types:
            for name, octets in {
                "a plain handshake": ws_request("127.0.0.1"),
                "a plain packet": packet(LOGIN, login_body("junk")),
                "junk": b"\xee" + random_source.randbytes(1000),
                "a hello that lies about its length": hello[:3] + b"\xff\xff" + hello[5:],
                "an alert": b"\x15\x03\x01\0\2\2\x28",
                "application data first": b"\x17\x03\x03\0\x20" + bytes(32),
            }.items():
                with self.subTest(name, kind=kind):
                    client = self.plain(kind)
                    client.send(octets)
                    self.ended(client, limit(3))

    def test_mutated_hellos(self):
        random_source = rng("hellos")
        hello = tls_hello()
        for index in range(heavy(100, 3000)):
            broken = bytearray(hello)
            for _ in range(random_source.randrange(1, 6)):
                broken[random_source.randrange(len(broken))] = random_source.randrange(256)
            client = self.plain(self.types[index % 2])
            client.send(bytes(broken))
            (client.reset if index % 3 else client.drop)()

    def test_client_that_goes_in_the_middle_of_the_tls_handshake(self):
        before = self.server.sockets()
        hello = tls_hello()
        for index in range(heavy(100, 3000)):
            client = self.plain(self.types[index % 2])
            client.send(hello[:len(hello) * (index % 5) // 4])
            (client.reset if index % 3 else client.drop)()
        wait_for(lambda: self.server.sockets() <= before, limit(5), lambda: f"{self.server.sockets()} sockets, {before} before")

    def test_old_versions_are_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(CERT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.server.ports["wss"]), timeout=limit(5)) as sock:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(sock, server_hostname="localhost")


if __name__ == "__main__":
    main()
