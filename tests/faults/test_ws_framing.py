#!/usr/bin/env python3
"""WebSocket frames that break RFC 6455 or pass a limit: the connection ends with the right code, nothing is served."""

import os
import zlib

from harness import (BINARY, CLOSE, CONTINUATION, ECHO, LOGIN, MAX_MESSAGE, MIB, PING, PONG, TEXT, Closed, ServerCase,
                     close_payload, echo_body, frame, heavy, limit, login_body, main, packet, rng, ws_request)

WORK = packet(ECHO, echo_body(b"work"))  # Served if a frame holding it is taken.


class BrokenFrames(ServerCase):
    """A1-A8: what is not a frame of a client."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "wss")

    def refused(self, octets, codes, kind="ws", **expectation):
        client = self.player(kind)
        client.send(octets)
        client.expect_close(codes, **expectation)

    def test_unmasked_frame(self):
        for name, octets in {
            "binary": frame(BINARY, WORK, mask=False),
            "ping": frame(PING, b"x", mask=False),
            "pong": frame(PONG, mask=False),
            "close": frame(CLOSE, close_payload(1000), mask=False),
            "empty": frame(BINARY, mask=False),
            "header only": frame(BINARY, size=1000, mask=False),
            "after a good fragment": frame(BINARY, WORK[:5], fin=False) + frame(CONTINUATION, WORK[5:], mask=False),
        }.items():
            for kind in self.types:
                with self.subTest(name, kind=kind):
                    self.refused(octets, {1002}, kind)

    def test_reserved_bits(self):
        for rsv in range(1, 8):
            for op in (BINARY, PING, PONG, CLOSE):
                with self.subTest(rsv=rsv, op=op):
                    self.refused(frame(op, close_payload(1000) if op == CLOSE else WORK, rsv=rsv), {1002})
            with self.subTest("continuation", rsv=rsv):
                self.refused(frame(BINARY, WORK[:5], fin=False) + frame(CONTINUATION, WORK[5:], rsv=rsv), {1002})

    def test_reserved_opcodes(self):
        for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            with self.subTest(op=op):
                self.refused(frame(op, WORK), {1002})
            with self.subTest("inside a message", op=op):
                self.refused(frame(BINARY, WORK[:5], fin=False) + frame(op), {1002})

    def test_giant_length_is_refused_at_the_header_without_memory(self):
        giants = [1 << 63, (1 << 64) - 1, (1 << 63) - 1, 0xFFFFFFFF, 0x80000000, 1 << 62, 1 << 32]
        self.server.reset_peak()
        before = self.server.rss()
        for size in giants:
            for op in (BINARY, CONTINUATION, TEXT, PING):
                with self.subTest(size=hex(size), op=op):
                    client = self.player("ws")
                    start = frame(BINARY, WORK[:5], fin=False) if op == CONTINUATION else b""
                    client.send(start + frame(op, size=size, width=64))
                    client.expect_close({1009, 1002, 1003} if op == TEXT else {1009, 1002})
        # All waiting at once: header sent, nothing more.
        clients = [self.player("ws") for _ in range(50)]
        for client in clients:
            client.send(frame(BINARY, size=(1 << 63) - 1, width=64))
        for client in clients:
            client.expect_close({1009, 1002})
        self.assertGrowth(before, 8)

    def test_length_that_is_not_minimal(self):
        for name, octets in {
            "5 in 16 bits": frame(BINARY, WORK[:5], width=16),
            "125 in 16 bits": frame(BINARY, bytes(125), width=16),
            "0 in 16 bits": frame(BINARY, b"", width=16),
            "5 in 64 bits": frame(BINARY, WORK[:5], width=64),
            "300 in 64 bits": frame(BINARY, bytes(300), width=64),
            "65535 in 64 bits": frame(BINARY, size=65535, width=64),
            "ping": frame(PING, b"abc", width=16),
        }.items():
            with self.subTest(name):
                self.refused(octets, {1002})

    def test_control_frame_too_long_or_in_fragments(self):
        for op in (PING, PONG, CLOSE):
            for size in (126, 127, 65535, 65536):
                with self.subTest(op=op, size=size):
                    self.refused(frame(op, size=size), {1002})  # The header alone.
            with self.subTest("fragment", op=op):
                self.refused(frame(op, close_payload(1000), fin=False), {1002})

    def test_continuation_of_nothing_and_interleaved_messages(self):
        for name, octets in {
            "continuation first": frame(CONTINUATION, WORK),
            "unfinished continuation first": frame(CONTINUATION, WORK, fin=False),
            "continuation after a whole message": frame(BINARY, packet(10004)) + frame(CONTINUATION, WORK),
            "message inside a message": frame(BINARY, WORK[:5], fin=False) + frame(BINARY, WORK),
            "fragment inside a message": frame(BINARY, WORK[:5], fin=False) + frame(BINARY, WORK, fin=False),
            "text inside a message": frame(BINARY, WORK[:5], fin=False) + frame(TEXT, b"x"),
        }.items():
            with self.subTest(name):
                self.refused(octets, {1002, 1003} if "text" in name else {1002})

    def test_message_in_fragments_with_controls_between_is_served(self):
        for kind in self.types:
            client = self.player(kind)
            client.send(frame(BINARY, WORK[:1], fin=False) + frame(PING, b"one") + frame(CONTINUATION, b"", fin=False) +
                        frame(PONG, b"unasked") + frame(CONTINUATION, WORK[1:7], fin=False) + frame(PING, b"two") +
                        frame(CONTINUATION, WORK[7:]))
            self.assertEqual(client.recv_packet().data, echo_body(b"work"))
            # One pong may answer several pings: the latest must be answered.
            while client.pongs[-1:] != [b"two"]:
                client.pongs.append(client.next_pong())
            self.assertTrue(set(client.pongs) <= {b"one", b"two"}, client.pongs)

    def test_ping_is_answered_with_its_payload(self):
        client = self.player("ws")
        for size in (0, 1, 124, 125):
            payload = os.urandom(size)
            client.send(frame(PING, payload))
            self.assertEqual(client.next_pong(), payload)

    def test_text_is_refused_and_not_served(self):
        for name, octets in {
            "packet": frame(TEXT, WORK),
            "words": frame(TEXT, b"hello"),
            "empty": frame(TEXT),
            "first fragment": frame(TEXT, WORK[:5], fin=False),
            "in fragments": frame(TEXT, WORK[:5], fin=False) + frame(CONTINUATION, WORK[5:]),
            "not UTF-8": frame(TEXT, b"\xff\xfe"),
        }.items():
            with self.subTest(name):
                self.refused(octets, {1003, 1007} if name == "not UTF-8" else {1003})
        with self.subTest("login"):
            client = self.connect("ws")
            client.send(frame(TEXT, packet(LOGIN, login_body("text"))))
            client.expect_close({1003})

    def test_broken_close_frames(self):
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
            with self.subTest(code=code):
                self.refused(frame(CLOSE, close_payload(code)), {1002}, drop=True)
        with self.subTest("one octet"):
            self.refused(frame(CLOSE, b"\x03"), {1002}, drop=True)
        for reason in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"):
            with self.subTest(reason=reason):
                self.refused(frame(CLOSE, close_payload(1000, reason)), {1002, 1007}, drop=True)

    def test_good_close_frames_are_answered_with_the_same_code(self):
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
            with self.subTest(code=code):
                self.refused(frame(CLOSE, close_payload(code, "bye \u20ac".encode())), {code})
        with self.subTest("longest reason"):
            self.refused(frame(CLOSE, close_payload(1000, bytes([120]) * 123)), {1000})
        with self.subTest("without a code"):
            self.refused(frame(CLOSE), {1005, 1000})

    def test_nothing_after_a_close_frame_is_served(self):
        for name, octets in {"close": frame(CLOSE, close_payload(1000)), "error": frame(BINARY, WORK, rsv=2)}.items():
            with self.subTest(name):
                client = self.player("ws")
                client.send(octets + frame(BINARY, WORK) + frame(PING, b"late") + frame(BINARY, WORK, mask=False))
                client.expect_close({1000, 1002}, drop=True)
                self.assertEqual(client.pongs, [])

    def test_every_mask_key_and_split_is_read(self):
        random_source = rng("masks")
        client = self.player("ws")
        for _ in range(heavy(100, 2000)):
            data = random_source.randbytes(random_source.choice([1, 2, 3, 7, 100, 126, 300]))
            key = random_source.choice([b"\0\0\0\1", b"\xff\xff\xff\xff", random_source.randbytes(4)])
            octets = frame(BINARY, packet(ECHO, echo_body(data), 7), mask=key)
            cut = random_source.randrange(len(octets) + 1)
            client.send(octets[:cut])
            client.send(octets[cut:])
            self.assertEqual(client.recv_packet().data, echo_body(data))


class Limits(ServerCase):
    """A9, A10: messages that never end, or are larger than we take."""

    flags = {"agent_auth_time": 60, "agent_read_timeout": "3s"}
    types = ("ws",)

    def test_many_empty_continuations_cost_little(self):
        client = self.player("ws")
        start = self.server.cpu()
        octets = frame(BINARY, WORK[:5], fin=False) + frame(CONTINUATION, fin=False) * 20_000
        client.send(octets + frame(CONTINUATION, WORK[5:]))
        try:
            self.assertEqual(client.recv_packet(limit(5)).data, echo_body(b"work"))
        except Closed:
            client.expect_close({1008, 1009}, drop=True)
        self.assertLess(self.server.cpu() - start, limit(2))

    def test_endless_empty_continuations_are_cut(self):
        client = self.player("ws")
        before = self.server.rss()
        self.server.reset_peak()
        client.send(frame(BINARY, WORK[:5], fin=False) + frame(CONTINUATION, fin=False) * heavy(100_000, 1_000_000))
        client.expect_close({1008, 1009, 1002}, within=3 + 2, drop=True)
        self.assertGrowth(before, 4)

    def test_fragments_over_the_limit_are_refused_at_the_limit(self):
        for piece in (65_536, 1000, 125):
            with self.subTest(piece=piece):
                client = self.player("ws")
                before = self.server.rss()
                self.server.reset_peak()
                more = MAX_MESSAGE // piece - 1
                client.send(frame(BINARY, bytes(piece), fin=False) + frame(CONTINUATION, bytes(piece), fin=False) * more)
                client.send(frame(CONTINUATION, size=piece + 1000, fin=False))  # Its header alone passes the limit.
                client.expect_close({1009} if piece > 125 else {1008, 1009})
                self.assertGrowth(before, 8)

    def test_message_size_limit_is_exact(self):
        for size, taken in {MAX_MESSAGE - 1: True, MAX_MESSAGE: True, MAX_MESSAGE + 1: False}.items():
            for pieces in (1, 3):
                with self.subTest(size=size, pieces=pieces):
                    client = self.player("ws")
                    field = size - 10 - 4  # Head of the packet; key and length of the protobuf field.
                    message = packet(ECHO, echo_body(bytes(field)))
                    self.assertEqual(len(message), size)
                    step = -(-size // pieces)
                    parts = [message[at:at + step] for at in range(0, size, step)]
                    for index, part in enumerate(parts):
                        client.send(frame(CONTINUATION if index else BINARY, part, fin=index == len(parts) - 1, mask=bytes(4)))
                    if taken:
                        self.assertEqual(len(client.recv_packet(limit(5)).data), field + 4)
                    else:
                        client.expect_close({1009}, drop=True)  # Octets under way may turn the close into a RST.

    def test_too_large_frame_is_refused_at_its_header(self):
        client = self.player("ws")
        client.send(frame(BINARY, size=MAX_MESSAGE + 1))
        client.expect_close({1009})


def bomb(mib):
    """A deflate stream of `mib` MiB of zeros, without its last four octets (RFC 7692 7.2.1)."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(MIB)
    octets = b"".join(squeeze.compress(zeros) for _ in range(mib))
    return (octets + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflated(data, history=b""):
    """`data` as one compressed message; `history`: what the sender believes was sent before."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=history)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover; server_no_context_takeover"}


class Deflate(ServerCase):
    """A19: permessage-deflate used against the server."""

    flags = {"agent_auth_time": 60, "agent_deflate": "true", "agent_read_timeout": "3s"}
    types = ("ws",)

    def squeezed_player(self):
        client = self.connect("ws", headers=OFFER)
        self.assertTrue(client.deflate, "permessage-deflate was not accepted")
        return client.login()

    def test_compressed_messages_are_served(self):
        client = self.squeezed_player()
        for data in (b"a" * 1000, os.urandom(1000), b"b"):
            message = deflated(packet(ECHO, echo_body(data)))
            client.send(frame(BINARY, message, rsv=4))
            self.assertEqual(client.recv_packet().data, echo_body(data))
            cut = len(message) // 2
            client.send(frame(BINARY, message[:cut], rsv=4, fin=False) + frame(CONTINUATION, message[cut:]))
            self.assertEqual(client.recv_packet().data, echo_body(data))
        client.expect_open()  # Uncompressed messages stay allowed.

    def test_bomb_is_refused_within_bounded_memory(self):
        octets = bomb(heavy(64, 1024))
        self.assertLess(len(octets), 2 * MIB)
        octets = octets[:MAX_MESSAGE - 100]
        before = self.server.rss()
        for pieces in (1, 64):
            with self.subTest(pieces=pieces):
                client = self.squeezed_player()
                self.server.reset_peak()
                step = -(-len(octets) // pieces)
                parts = [octets[at:at + step] for at in range(0, len(octets), step)]
                for index, part in enumerate(parts):
                    client.send(frame(CONTINUATION if index else BINARY, part, rsv=0 if index else 4,
                                      fin=index == len(parts) - 1, mask=bytes(4)))
                client.expect_close({1009}, within=3, drop=True)
                self.assertGrowth(before, 8)

    def test_many_bombs_at_once(self):
        octets = frame(BINARY, bomb(16), rsv=4)
        clients = [self.squeezed_player() for _ in range(heavy(20, 200))]
        before = self.server.rss()
        self.server.reset_peak()
        for client in clients:
            client.send(octets)
        for client in clients:
            client.expect_close({1009}, within=5, drop=True)
        self.assertGrowth(before, 16)

    def test_what_is_not_deflate_is_refused(self):
        random_source = rng("not deflate")
        good = deflated(packet(ECHO, echo_body(b"deflate " * 20)))
        cases = {
            "reserved block type": b"\x07\xff\xff",
            "zlib header": zlib.compress(WORK),
            "stored length that does not match": b"\x00\x05\x00\x05\x00hello",
            "reference before the start": deflated(WORK, WORK),
            "cut short": good[:-3],
            "packet as it is": b"\xff" * 40,
        }
        for name, octets in cases.items():
            with self.subTest(name):
                client = self.squeezed_player()
                client.send(frame(BINARY, octets, rsv=4))
                client.expect_close({1007, 1002, 1003, 1008}, drop=True)
        for _ in range(heavy(20, 500)):
            broken = bytearray(good)
            broken[random_source.randrange(len(broken))] ^= 1 << random_source.randrange(8)
            with self.subTest("flipped bit", octets=broken.hex()):
                client = self.squeezed_player()
                client.send(frame(BINARY, bytes(broken), rsv=4))
                client.send(frame(CLOSE, close_payload(1000)))
                client.packets_until_end(limit(5))  # Refused, or served as the packet it became.

    def test_compression_bit_in_the_wrong_place(self):
        half = deflated(WORK)
        for name, octets in {
            "continuation": frame(BINARY, half[:4], rsv=4, fin=False) + frame(CONTINUATION, half[4:], rsv=4),
            "continuation of a plain message": frame(BINARY, WORK[:4], fin=False) + frame(CONTINUATION, half, rsv=4),
            "ping": frame(PING, b"x", rsv=4),
            "close": frame(CLOSE, close_payload(1000), rsv=4),
            "other reserved bits": frame(BINARY, half, rsv=6),
        }.items():
            with self.subTest(name):
                client = self.squeezed_player()
                client.send(octets)
                client.expect_close({1002})

    def test_bad_offers_are_declined(self):
        for offer in ("permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
                      "permessage-deflate; server_max_window_bits=abc", "permessage-deflate; server_max_window_bits",
                      "permessage-deflate; client_max_window_bits=99", "permessage-deflate; client_max_window_bits=08",
                      "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; unknown=1",
                      "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                      "x-webkit-deflate-frame", "permessage-bzip2", "permessage-deflate-2", ";;;,,,", "=", "a=\"",
                      "permessage-deflate; server_max_window_bits=\"\x01\"", "permessage-deflate" + "; x" * 200):
            with self.subTest(offer=offer):
                client = self.raw("ws")
                client.send(ws_request(client.host(), headers={"Sec-WebSocket-Extensions": offer}))
                got = client.response()
                self.assertIn(got.status, (101, 400))
                self.assertNotIn("sec-websocket-extensions", got.headers)

    def test_first_good_offer_of_many_is_taken(self):
        for offer in ("permessage-deflate; unknown, permessage-deflate", "foo, permessage-deflate; client_max_window_bits",
                      "permessage-deflate; server_max_window_bits=\"12\""):
            with self.subTest(offer=offer):
                self.assertTrue(self.connect("ws", headers={"Sec-WebSocket-Extensions": offer}).deflate)


class DeflateOff(ServerCase):
    """permessage-deflate is off unless asked for."""

    types = ("ws",)

    def test_offer_is_declined_and_the_bit_refused(self):
        client = self.connect("ws", headers=OFFER)
        self.assertFalse(client.deflate)
        client.login()
        client.send(frame(BINARY, deflated(WORK), rsv=4))
        client.expect_close({1002})


if __name__ == "__main__":
    main()
