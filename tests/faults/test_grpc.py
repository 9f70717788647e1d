"""A node that is called over gRPC, as it looks on the wire, and what breaks the rules of HTTP/2 or gRPC.

MG_DEMO is tests/servers/cluster_node. Needs the package h2 (requirements.txt).
"""

import base64
import os
import signal
import socket
import struct
import subprocess
import unittest
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from environment import *

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UNKNOWN, DEADLINE_EXCEEDED, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 2, 4, 8, 12, 13


def value(text):
    """google.protobuf.StringValue."""
    octets, length, size = text if isinstance(text, bytes) else text.encode(), b"", 0
    size = len(octets)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return b"\x0a" + length + bytes([size]) + octets


def message(octets, compressed=0):
    return struct.pack(">BI", compressed, len(octets)) + octets


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self):
        self.headers, self.trailers, self.body, self.reset, self.blocks = {}, {}, b"", None, 0

    @property
    def status(self):
        text = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if text is None else int(text)

    @property
    def text(self):
        return unquote(self.trailers.get("grpc-message", self.headers.get("grpc-message", "")))


class Peer:
    """One HTTP/2 connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=limit(10))
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 8 * MIB})
        self.h2.increment_flow_control_window(8 * MIB)
        self.flush()
        self.answers = {}

    def close(self):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, path, content_type="application/grpc+proto", headers=(), end=False):
        stream = self.h2.get_next_available_stream_id()
        block = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "127.0.0.1"),
                 ("content-type", content_type), ("user-agent", "grpc-go/1.26.0"), ("te", "trailers"), *headers]
        self.h2.send_headers(stream, block, end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def pump(self):
        """Reads once; False at the end of the connection."""
        octets = self.socket.recv(1 << 20)
        if not octets:
            return False
        for event in self.h2.receive_data(octets):
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id].headers = dict(event.headers)
                self.answers[event.stream_id].blocks += 1
            elif isinstance(event, h2.events.TrailersReceived):
                self.answers[event.stream_id].trailers = dict(event.headers)
                self.answers[event.stream_id].blocks += 1
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.answers[event.stream_id].reset = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.terminated = event
        self.flush()
        return True

    def send(self, stream, octets):
        """All of them, as the windows allow."""
        while octets:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(octets))
            if room <= 0:
                if not self.pump():
                    raise ConnectionError("closed")
                if self.done(stream):
                    return
                continue
            self.h2.send_data(stream, octets[:room])
            octets = octets[room:]
            self.flush()

    def done(self, stream):
        answer = self.answers[stream]
        return answer.reset is not None or answer.status is not None

    def finish(self, stream):
        while not self.done(stream):
            if not self.pump():
                raise ConnectionError("closed")
        return self.answers[stream]

    def call(self, path, body, content_type="application/grpc+proto", headers=(), compressed=0):
        stream = self.begin(path, content_type, headers)
        self.send(stream, message(body, compressed))
        if not self.done(stream):
            self.h2.end_stream(stream)
            self.flush()
        return self.finish(stream)


class Node:
    def __init__(self):
        self.port = free_port()
        command = demo() + ["game", "--loops=1", f"--rpc_address=127.0.0.1:{self.port}"]
        environment = {key: text for key, text in os.environ.items() if not key.startswith("GAME_")}
        # Freed memory is to be seen as freed.
        environment = with_sanitizer_options(environment, "quarantine_size_mb=8")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        self.uuid = None
        for line in self.process.stdout:
            if line.startswith(b"ready "):
                self.uuid = line.split()[1].decode()
                break
        assert self.uuid, "the node did not start"

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        log, _ = self.process.communicate(timeout=limit(15))
        assert not REPORT.search(log.decode(errors="replace")), log.decode(errors="replace")
        assert self.process.returncode == 0, self.process.returncode


class NodeCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def setUp(self):
        self.peers = []

    def tearDown(self):
        for peer in self.peers:
            peer.close()
        self.alive()

    def peer(self):
        self.peers.append(Peer(self.node.port))
        return self.peers[-1]

    def raw(self):
        """A connection on which everything is ours; its socket, after the preface."""
        one = socket.create_connection(("127.0.0.1", self.node.port), timeout=limit(10))
        self.peers.append(one)
        one.sendall(PREFACE + SettingsFrame(0).serialize())
        return one

    def alive(self):
        peer = Peer(self.node.port)
        answer = peer.call("/game.Test/Echo", value("alive"))
        self.assertEqual((answer.status, answer.body), (0, message(value("alive"))))
        peer.close()

    def flood(self, one, octets):
        """Sends, as far as the node takes it, what no decent peer sends; memory must stay bounded."""
        before = self.node.rss()
        one.settimeout(limit(10))
        try:
            for part in octets:
                one.sendall(part)
                one.setblocking(False)
                try:
                    while one.recv(1 << 16):
                        pass
                except BlockingIOError:
                    pass
                one.settimeout(limit(10))
        except (ConnectionError, TimeoutError):
            pass  # Cut off: as good as served.
        self.assertLess(self.node.rss() - before, rss_limit(64))


class OnTheWire(NodeCase):
    def test_a_request_of_a_go_client(self):
        answer = self.peer().call("/game.Test/Echo", value("abc"), headers=[
            ("grpc-timeout", "9999099u"), ("node-name", "gate"), ("client-ver", ""), ("role-id", "42"),
            ("timeout", "10000000000"), ("x-content-type", "application/grpc+proto"), ("micro-from-service", "gate"),
            ("micro-trace-id", "06ff4cc8-d32f-4c6e-ba03-e1f1f3219cf9")])
        self.assertEqual(answer.headers[":status"], "200")
        self.assertTrue(answer.headers["content-type"].startswith("application/grpc"))
        self.assertEqual(answer.body, message(value("abc")))
        self.assertEqual(answer.trailers["grpc-status"], "0")

    def test_content_types(self):
        peer = self.peer()
        for kind in ("application/grpc", "application/grpc+proto", "application/grpc;proto"):
            self.assertEqual(peer.call("/game.Test/Echo", value("x"), kind).body, message(value("x")), kind)

    def test_other_content_types_do_no_harm(self):
        # The library serves them, where a Go server resets the stream.
        for kind in ("application/json", "text/plain", "application/grpc+foo", "x"):
            self.assertIn(self.peer().call("/game.Test/Echo", value("x"), kind).status, (0, None), kind)

    def test_an_error_is_a_single_block_with_details(self):
        answer = self.peer().call("/game.Test/Forward", value("no"))
        self.assertEqual(answer.blocks, 1)
        self.assertEqual(answer.status, UNKNOWN)
        self.assertEqual(answer.text, '{"id":"%s","code":3,"detail":"Test.Forward: service endpoint text",'
                                      '"status":"invalid"}' % self.node.uuid)
        details = answer.headers["grpc-status-details-bin"]
        octets = base64.b64decode(details + "=" * (-len(details) % 4))
        self.assertTrue(octets.startswith(b"\x08\x02\x12"))
        self.assertIn(b"\x0a\x20type.googleapis.com/errors.Error", octets)
        self.assertEqual(octets.count(b"type.googleapis.com"), 1)

    def test_unknown_names(self):
        peer = self.peer()
        for path, status, text in (("/game.Nope/Echo", UNIMPLEMENTED, "unknown service Nope"),
                                   ("/game.Test/Nope", UNIMPLEMENTED, "unknown service Test.Nope"),
                                   ("/a/b.Test/Echo", 3, 'malformed method name: "/a/b.Test/Echo"'),
                                   ("/Test.Echo", EXHAUSTED, 'malformed method name: "/Test.Echo"')):
            answer = peer.call(path, value("x"))
            self.assertEqual((answer.status, answer.text), (status, text))
            self.assertNotIn("grpc-status-details-bin", answer.headers)

    def test_compressed_requests_are_refused(self):
        for encoding in ("gzip", "deflate"):
            answer = self.peer().call("/game.Test/Echo", b"\x1f\x8b\x08", headers=[("grpc-encoding", encoding)],
                                      compressed=1)
            self.assertEqual(answer.status, UNIMPLEMENTED, answer.text)

    def test_debug_health(self):
        self.assertEqual(self.peer().call("/game.Debug/Health", b"").body, message(b"\x0a\x02ok"))

    def test_deadlines(self):
        peer = self.peer()
        self.assertEqual(peer.call("/game.Test/Echo", value("x"), headers=[("grpc-timeout", "1H")]).status, 0)
        for past in ("0n", "1n"):
            self.assertIn(peer.call("/game.Test/Echo", value("x"), headers=[("grpc-timeout", past)]).status,
                          (0, DEADLINE_EXCEEDED))


class Limits(NodeCase):
    def test_message_size_limit_is_exact(self):
        peer = self.peer()
        for size, status in ((4 * MIB - 1, 0), (4 * MIB, 0), (4 * MIB + 1, EXHAUSTED)):
            self.assertEqual(peer.call("/game.Test/Size", b"\x12" + value("x" * (size - 5))[1:]).status, status, size)

    def test_a_claimed_size_reserves_nothing(self):
        before = self.node.rss()
        for _ in range(20):
            peer = self.peer()
            stream = peer.begin("/game.Test/Echo")
            peer.send(stream, b"\0" + struct.pack(">I", 2**32 - 1) + b"x" * 100)
        self.assertLess(self.node.rss() - before, rss_limit(16))

    def test_cut_messages(self):
        peer = self.peer()
        for octets in (b"", b"\0", b"\0\0\0\0\5ab"):
            stream = peer.begin("/game.Test/Echo")
            peer.send(stream, octets)
            if not peer.done(stream):
                peer.h2.end_stream(stream)
                peer.flush()
            self.assertNotEqual(peer.finish(stream).status, 0, octets)

    def test_strange_messages(self):
        peer = self.peer()
        many = b"\x10\x01" * heavy(200_000, 2_000_000)
        megabyte = b"\x7a" + value("x" * MIB)[1:]
        for octets in (megabyte, many, value("x") * 100_000):  # Unknown fields; the same one again and again.
            self.assertEqual(peer.call("/game.Test/Size", octets).status, 0)
        nested = b""
        for _ in range(10_000):
            nested = b"\x7a" + value(nested)[1:]
        for octets, status in ((nested, 0), (b"\x1b" * 10_000, INTERNAL), (b"\x08" + b"\xff" * 10 + b"\x01", INTERNAL),
                               (value(b"\xff\xfe"), INTERNAL), (b"\x0a\xff\xff\xff\xff\x0f", INTERNAL)):
            self.assertEqual(peer.call("/game.Test/Echo", octets).status, status, octets[:16])

    def test_metadata_that_is_no_text(self):
        encoder = Encoder()
        for bad in (b"\xff\xfe", b"a\0b", b"a\r\nb: c", b"\xe5\xbc"):
            one = self.raw()
            frame = HeadersFrame(1, data=encoder.encode(
                [(":method", "POST"), (":scheme", "http"), (":path", "/game.Test/Echo"), (":authority", "x"),
                 ("content-type", "application/grpc"), ("te", "trailers"), (b"role-id", bad)]))
            frame.flags.add("END_HEADERS")
            data = DataFrame(1, data=message(value("x")))
            data.flags.add("END_STREAM")
            self.flood(one, [frame.serialize() + data.serialize()])
            encoder = Encoder()  # Each connection begins with an empty table.

    def test_huge_headers(self):
        peer = self.peer()
        try:
            answer = peer.call("/game.Test/Echo", value("x"), headers=[(f"k{i}", "v" * 16000) for i in range(64)])
            self.assertEqual(answer.status, EXHAUSTED)
        except ConnectionError:
            pass

    def test_headers_that_grow_when_they_are_unpacked(self):
        encoder = Encoder()
        encoder.header_table_size = 4096
        one = self.raw()
        block = encoder.encode([(":method", "POST"), (":scheme", "http"), (":path", "/game.Test/Echo"),
                                (":authority", "x"), ("content-type", "application/grpc"), ("te", "trailers"),
                                ("bomb", "v" * 3900)])
        # The newest entry of the table, again and again: one octet for four thousand.
        frame = HeadersFrame(1, data=block + b"\xbe" * 12000)
        frame.flags.add("END_HEADERS")
        self.flood(one, [frame.serialize()])

    def test_headers_that_never_end(self):
        one = self.raw()
        first = HeadersFrame(1, data=Encoder().encode([(":method", "POST")]))
        more = ContinuationFrame(1, data=Encoder().encode([("x-filler", os.urandom(6000).hex())])).serialize()
        self.flood(one, [first.serialize()] + [more] * 2000)

    def test_streams_that_are_reset_at_once(self):
        one, encoder = self.raw(), Encoder()
        block = [(":method", "POST"), (":scheme", "http"), (":path", "/game.Test/Wait"), (":authority", "x"),
                 ("content-type", "application/grpc"), ("te", "trailers")]
        parts = []
        for stream in range(1, heavy(10_000, 100_000), 2):
            frame = HeadersFrame(stream, data=encoder.encode(block))
            frame.flags.add("END_HEADERS")
            data = DataFrame(stream, data=message(value("1")))
            data.flags.add("END_STREAM")
            parts.append(frame.serialize() + data.serialize() + RstStreamFrame(stream, error_code=8).serialize())
        self.flood(one, [b"".join(parts[at:at + 100]) for at in range(0, len(parts), 100)])

    def test_floods_of_small_frames(self):
        settings = SettingsFrame(0, settings={3: 100})
        empty = DataFrame(1)
        for name, frame in (("ping", PingFrame(0, opaque_data=b"12345678")), ("settings", settings), ("data", empty)):
            with self.subTest(name):
                one = self.raw()
                if name == "data":
                    first = HeadersFrame(1, data=Encoder().encode(
                        [(":method", "POST"), (":scheme", "http"), (":path", "/game.Test/Echo"), (":authority", "x"),
                         ("content-type", "application/grpc"), ("te", "trailers")]))
                    first.flags.add("END_HEADERS")
                    one.sendall(first.serialize())
                self.flood(one, [frame.serialize() * 1000] * heavy(30, 300))

    def test_what_is_no_http2(self):
        for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"\0" * 4096, b"\x16\x03\x01\x02\0\x01"):
            with socket.create_connection(("127.0.0.1", self.node.port), timeout=limit(15)) as one:
                one.sendall(octets)
                try:
                    while one.recv(1 << 16):
                        pass
                except (ConnectionError, TimeoutError):
                    pass

    def test_random_frames(self):
        random = rng("grpc frames")
        for _ in range(heavy(100, 2000)):
            one = self.raw()
            octets = b""
            for _ in range(random.randrange(1, 20)):
                body = random.randbytes(random.choice((0, 1, 4, 8, 100)))
                octets += struct.pack(">I", len(body))[1:] + bytes([random.randrange(12), random.randrange(256)])
                octets += struct.pack(">I", random.choice((0, 1, 3, 2**31 - 1))) + body
            self.flood(one, [octets])
            one.close()


if __name__ == "__main__":
    unittest.main()
