#!/usr/bin/env python3
"""Packets that lie or are cut short, and commands that a client may not send, over every transport."""

import resource

from harness import (BINARY, CHAT, CHAT_PUSH, CLIENT_HEAD, CREATE_ROLE, ECHO, ENTER_ROOM, LOGIN, MAX_MESSAGE, MIB,
                     SANITIZER, SELECT_ROLE, SILENT, Server, ServerCase, demo, echo_body, frame, heavy, limit, main, packet,
                     pb_bytes, rng, rss_limit, varint)

REFUSAL = {1002, 1003, 1007, 1008, 1009}  # Close codes that say "your packet is bad".
LIES = (0x7FFFFFFF, 0x80000000, 0xFFFFFFF5, 0xFFFFFFFF, 0xFFFFFFF6, 0xFFFFFFF1, 1 << 24)


class Heads(ServerCase):
    """B26, B28, B29 without mix octets."""

    flags = {"agent_auth_time": 60, "agent_read_timeout": "2s"}
    types = ("ws", "tcp", "wss", "tcps")

    def test_packet_shorter_than_its_head_is_refused(self):
        whole = packet(ECHO, echo_body(b"cut"))
        for size in range(10):
            for kind in self.types:
                with self.subTest(kind, size=size):
                    client = self.player(kind)
                    if kind.startswith("ws"):
                        client.send(frame(BINARY, whole[:size]))
                        client.expect_close(REFUSAL)
                    else:  # A stream knows the end of a packet only by its own end.
                        client.send(whole[:size])
                        client.finish_sending()
                        client.expect_close()

    def test_packet_cut_in_its_data_is_refused(self):
        whole = packet(ECHO, echo_body(b"cut short by some octets"))
        for size in (10, 11, len(whole) // 2, len(whole) - 1):
            for kind in self.types:
                with self.subTest(kind, size=size):
                    client = self.player(kind)
                    if kind.startswith("ws"):
                        client.send(frame(BINARY, whole[:size]))
                        client.expect_close(REFUSAL)
                    else:
                        client.send(whole[:size])
                        client.finish_sending()
                        client.expect_close()

    def test_head_without_data_that_states_some_is_refused(self):
        for size in (1, 2, 99, 1000, MAX_MESSAGE - 10):
            with self.subTest(size=size):
                client = self.player("ws")
                client.send(frame(BINARY, packet(ECHO, size=size)))
                client.expect_close(REFUSAL)
        with self.subTest("tcp waits for it until the read timeout"):
            client = self.player("tcp")
            client.send(packet(ECHO, size=1000))
            took = client.expect_close(within=2 + 2)
            self.assertGreater(took, 1.8)

    def test_octets_after_the_data_are_ignored_over_ws(self):
        """As the Go original does; over tcp they are the next packet."""
        for more in (b"\0", b"more", packet(ECHO, echo_body(b"hidden"), 2), bytes(1000)):
            client = self.player("ws")
            client.send(frame(BINARY, packet(ECHO, echo_body(b"seen"), 1) + more))
            self.assertEqual(client.recv_packet().data, echo_body(b"seen"))
            client.expect_open()
        client = self.player("tcp")
        client.send(packet(ECHO, echo_body(b"one"), 1) + packet(ECHO, echo_body(b"two"), 2))
        self.assertEqual([client.recv_packet().data for _ in range(2)], [echo_body(b"one"), echo_body(b"two")])

    def test_giant_size_is_refused_at_the_head_without_memory(self):
        before = self.server.rss()
        self.server.reset_peak()
        for size in LIES:
            for kind in self.types:
                for data in (b"", b"abc", bytes(20)):
                    with self.subTest(kind, size=hex(size), data=len(data)):
                        client = self.player(kind)
                        octets = packet(ECHO, data, size=size)
                        client.send(frame(BINARY, octets) if kind.startswith("ws") else octets)
                        client.expect_close(REFUSAL, within=1)
                        client.drop()
        self.assertGrowth(before, 8)

    def test_giant_size_before_login_is_refused_too(self):
        for size in LIES:
            client = self.connect("tcp")
            client.send(packet(LOGIN, b"abc", size=size))
            client.expect_close(within=1)

    def test_size_limit_is_exact_over_tcp(self):
        """The limit counts the whole packet, as it counts the whole message over ws."""
        for size, taken in {MAX_MESSAGE - 1: True, MAX_MESSAGE: True, MAX_MESSAGE + 1: False}.items():
            for kind in ("tcp", "tcps"):
                with self.subTest(kind, size=size):
                    client = self.player(kind)
                    if taken:
                        client.echo(bytes(size - 14), timeout=limit(5))
                    else:
                        client.send(CLIENT_HEAD.pack(1, ECHO, size - 10))
                        client.expect_close(within=1)


class AddressSpace(ServerCase):
    """B29: nothing is reserved by what a head states. (With sanitizers the allocator itself refuses large blocks.)"""

    types = ("tcp", "ws")

    @classmethod
    def setUpClass(cls):
        limits = {} if SANITIZER else {resource.RLIMIT_AS: 1 << 30}
        cls.server = Server({"agent_auth_time": 60, "agent_read_timeout": "20s", "loops": 2}, cls.types, limits=limits)

    def test_lying_heads_within_a_gigabyte_of_address_space(self):
        before = self.server.rss()
        self.server.reset_peak()
        clients = [self.player(("tcp", "ws")[index % 2]) for index in range(200)]
        for index, client in enumerate(clients):
            octets = packet(ECHO, b"ab", size=LIES[index % len(LIES)])
            client.send(octets if client.kind == "tcp" else frame(BINARY, octets))
        for client in clients:
            client.expect_cut(limit(3))
        self.assertGrowth(before, 8)


class Mix(ServerCase):
    """B26, B27 with 4 mix octets before each head."""

    mix = bytes([0x4D, 0x47, 0x00, 0xFF])
    flags = {"agent_auth_time": 60, "codec_mix": mix.hex(), "agent_read_timeout": "2s"}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.flags, cls.types, program=demo("MG_MIX_GATE"))

    def tearDown(self):  # check_alive() speaks without mix.
        for kind in self.types:
            self.player(kind).expect_open()
        self.leave()

    def connect(self, kind, **options):
        client = super().connect(kind, **options)
        client.mix = self.mix
        return client

    def put(self, client, octets):
        if client.kind == "ws":
            client.send(frame(BINARY, octets))
        else:
            client.send(octets)
            client.finish_sending()

    def test_right_mix_is_served(self):
        for kind in self.types:
            self.player(kind).expect_open()

    def test_each_wrong_octet_is_refused(self):
        for kind in self.types:
            for at in range(len(self.mix)):
                for flip in (0x01, 0x80, 0xFF):
                    with self.subTest(kind, at=at, flip=flip):
                        wrong = bytearray(packet(ECHO, echo_body(b"mix"), mix=self.mix))
                        wrong[at] ^= flip
                        client = self.player(kind)
                        self.put(client, bytes(wrong))
                        client.expect_close(REFUSAL)

    def test_missing_or_short_mix_is_refused(self):
        for kind in self.types:
            for have in range(len(self.mix)):
                with self.subTest(kind, have=have):
                    client = self.player(kind)
                    self.put(client, packet(ECHO, echo_body(b"mix"), mix=self.mix[:have]))
                    client.expect_close(REFUSAL)

    def test_doubled_mix_is_refused(self):
        for kind in self.types:
            client = self.player(kind)
            self.put(client, packet(ECHO, echo_body(b"mix"), mix=self.mix * 2))
            client.expect_close(REFUSAL)

    def test_every_length_short_of_mix_and_head_is_refused(self):
        whole = packet(ECHO, echo_body(b"x"), mix=self.mix)
        for kind in self.types:
            for size in range(len(self.mix) + 10):
                with self.subTest(kind, size=size):
                    client = self.player(kind)
                    self.put(client, whole[:size])
                    client.expect_close(REFUSAL)


class ShortMix(Mix):
    """B27 with 1 octet."""

    mix = b"\xa5"
    flags = {**Mix.flags, "codec_mix": mix.hex()}


class PairMix(Mix):
    """B27 with 2 octets."""

    mix = b"\x01\x02"
    flags = {**Mix.flags, "codec_mix": mix.hex()}


class Commands(ServerCase):
    """B33, B34: serials and command numbers."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "tcp")

    def test_serial_comes_back_as_sent(self):
        for kind in self.types:
            client = self.player(kind)
            for serial in (1, 0xFFFF, 0, 1, 0x8000, 0x7FFF, 0xFFFE, 0xFFFF, 0, 1):
                client.send_packets(packet(ECHO, echo_body(b"s"), serial))
                got = client.recv_packet()
                self.assertEqual((got.serial, got.cmd, got.code), (serial, ECHO, 0))

    def test_repeated_serial_is_a_new_request(self):
        for kind in self.types:
            client = self.player(kind)
            client.send_packets(*(packet(ECHO, echo_body(b"%d" % n), 7) for n in range(20)))
            got = [client.recv_packet() for _ in range(20)]
            self.assertEqual([(p.serial, p.data) for p in got], [(7, echo_body(b"%d" % n)) for n in range(20)])

    def test_serials_wrap(self):
        client = self.player("tcp")
        serials = [(0xFF00 + n) & 0xFFFF for n in range(512)]
        client.send_packets(*(packet(ECHO, echo_body(b"w"), serial) for serial in serials))
        self.assertEqual([client.recv_packet().serial for _ in serials], serials)

    def test_unknown_and_forbidden_commands_are_answered_with_404(self):
        for kind in self.types:
            client = self.player(kind)
            for cmd in (0, 1, 2, 9999, 10008, 12345, CHAT_PUSH, 20000, 0x7FFFFFFF, 0x80000000, 0xFFFEFFFF, 0xFFFF0000,
                        0xFFFF0001, 0xFFFFFFFF, 10001 << 16 & 0xFFFFFFFF, ECHO | 0x10000):
                for data in (b"", echo_body(b"x"), b"\xff" * 50):
                    with self.subTest(kind, cmd=hex(cmd), data=len(data)):
                        got = client.request(cmd, data)
                        self.assertEqual((got.code, got.data), (404, b""))
            client.expect_open()
            self.assertEqual(client.pushes, [])

    def test_body_that_is_not_protobuf_is_answered_with_an_error(self):
        nested = b""
        for _ in range(10_000):
            nested = pb_bytes(99, nested)
        bodies = {
            "field beyond the end": b"\x0a\x05ab",
            "length of 2 GiB": b"\x0a" + varint(0x7FFFFFFF) + b"ab",
            "length of 2^63": b"\x0a" + varint((1 << 64) - 1) + b"ab",
            "varint of 11 octets": b"\x10" + b"\xff" * 10 + b"\x01",
            "varint without an end": b"\x10\xff\xff",
            "field 0": b"\x02\x01x",
            "group without an end": b"\x0b",
            "end of no group": b"\x0c",
            "wire type 7": b"\x0f\x01",
            "text that is not UTF-8, to a string": None,
        }
        for kind in self.types:
            client = self.player(kind)
            for name, body in bodies.items():
                with self.subTest(name, kind=kind):
                    if body is None:
                        got = client.request(LOGIN, pb_bytes(1, b"\xff\xfe\xfd"))
                    else:
                        got = client.request(ECHO, body)
                    self.assertNotEqual(got.code, 0)
            with self.subTest("nested 10,000 deep", kind=kind):
                client.request(ECHO, echo_body(b"deep") + nested)  # Unknown field: skipped as octets, or refused.
            with self.subTest("groups nested 10,000 deep", kind=kind):
                self.assertNotEqual(client.request(ECHO, b"\x13" * 10_000 + b"\x14" * 10_000).code, 0)
            with self.subTest("unknown fields", kind=kind):
                got = client.request(ECHO, pb_bytes(15, bytes(1000)) + echo_body(b"x") + b"\x28\x07")
                self.assertEqual((got.code, got.data), (0, echo_body(b"x")))
            with self.subTest("many empty fields", kind=kind):
                client.request(ECHO, echo_body(b"") * 100_000 + echo_body(b"last"))
            client.expect_open()

    def test_command_without_a_reply_gives_silence(self):
        for kind in self.types:
            client = self.player(kind)
            client.send_packets(packet(SILENT, b"", 5))
            client.expect_open()

    def test_role_commands_in_any_order_and_number(self):
        random_source = rng("roles")
        for kind in self.types:
            client = self.player(kind)
            commands = [random_source.choice([CREATE_ROLE, SELECT_ROLE, SILENT, CHAT, ENTER_ROOM, LOGIN]) for _ in range(heavy(200, 5000))]
            client.send_packets(*(packet(cmd, b"", 1) for cmd in commands), packet(ECHO, echo_body(b"end"), 2))
            while (got := client.recv_packet()).serial != 2:
                self.assertIn(got.serial, (0, 1))

    def test_thousand_packets_at_once_are_answered_in_order(self):
        for kind in self.types:
            client = self.player(kind)
            client.send_packets(*(packet(ECHO, echo_body(b"%d" % n), n) for n in range(1000)))
            for n in range(1000):
                got = client.recv_packet()
                self.assertEqual((got.serial, got.data), (n, echo_body(b"%d" % n)))

    def test_memory_of_refused_packets_comes_back(self):
        client = self.player("tcp")
        body = b"\xff" * 100_000
        for _ in range(20):
            client.request(ECHO, body)
        before = self.server.rss()
        for _ in range(heavy(200, 5000)):
            client.request(ECHO, body)
        self.assertLess(self.server.rss() - before, rss_limit(4), f"{(self.server.rss() - before) / MIB:.1f} MiB")


if __name__ == "__main__":
    main()
