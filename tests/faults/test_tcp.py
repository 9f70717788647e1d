#!/usr/bin/env python3
"""Raw TCP: any segmentation is read, silence and lies hold nothing, a reset in any place frees the client once."""

import re
import time

from harness import (BINARY, ECHO, LOGIN, MAX_MESSAGE, ServerCase, echo_body, frame, heavy, limit, login_body, main,
                     new_account, packet, pause, pb_first, raise_descriptor_limit, rng, wait_for)


class Stream(ServerCase):
    """B31: how a stream is cut into segments does not matter."""

    flags = {"agent_auth_time": 60, "agent_read_timeout": "4s"}
    types = ("tcp", "tcps")

    def test_octet_by_octet_from_the_first_on(self):
        for kind in self.types:
            with self.subTest(kind):
                client = self.connect(kind)
                octets = packet(LOGIN, login_body(new_account()), 1) + packet(ECHO, echo_body(b"drops"), 2)
                for at in range(len(octets)):
                    client.send(octets[at:at + 1])
                self.assertEqual((client.recv_packet().serial, client.recv_packet().data), (1, echo_body(b"drops")))

    def test_thousand_packets_in_one_write(self):
        for kind in self.types:
            with self.subTest(kind):
                client = self.player(kind)
                client.send_packets(*(packet(ECHO, echo_body(b"p%d" % n), n) for n in range(1000)))
                for n in range(1000):
                    got = client.recv_packet()
                    self.assertEqual((got.serial, got.data), (n, echo_body(b"p%d" % n)))

    def test_packet_over_three_segments_with_gaps(self):
        """Gaps are cut only by the read timeout, which counts from the first octet of the message."""
        for kind in self.types:
            with self.subTest(kind):
                client = self.player(kind)
                octets = packet(ECHO, echo_body(b"in three pieces"), 3)
                for piece in (octets[:4], octets[4:13], octets[13:]):
                    client.send(piece)
                    pause(1)
                self.assertEqual(client.recv_packet().data, echo_body(b"in three pieces"))
        client = self.player("tcp")
        client.send(octets[:13])
        self.assertGreater(client.expect_close(within=4 + 2), 3.5)

    def test_random_cuts_of_many_packets(self):
        random_source = rng("cuts")
        for kind in self.types:
            client = self.player(kind)
            sizes = [random_source.choice([1, 2, 60, 300, 5000, 70_000]) for _ in range(heavy(100, 2000))]
            octets = b"".join(packet(ECHO, echo_body(bytes([n & 255]) * size), n) for n, size in enumerate(sizes))
            at = read = 0
            while at < len(octets):
                step = random_source.choice([1, 9, 10, 11, 13, 1000, 65_537])
                client.send(octets[at:at + step])
                at += step
                try:  # Reads along: the buffers between us do not hold everything.
                    while True:
                        got = client.recv_packet(0.0005)
                        self.assertEqual((got.serial, len(pb_first(got.data))), (read, sizes[read]))
                        read += 1
                except TimeoutError:
                    pass
            for n in range(read, len(sizes)):
                got = client.recv_packet(limit(10))
                self.assertEqual((got.serial, len(pb_first(got.data))), (n, sizes[n]))


class Claims(ServerCase):
    """B30: thousands of octets announced, none sent."""

    flags = {"agent_auth_time": 60, "agent_read_timeout": "20s"}
    types = ("tcp",)

    def test_thousand_connections_that_state_2_gib(self):
        count = min(1000, raise_descriptor_limit(1200))
        before = self.server.rss()
        self.server.reset_peak()
        clients = [self.raw("tcp") for _ in range(count)]
        for index, client in enumerate(clients):
            client.send(packet(LOGIN, size=0x7FFFFFFF if index % 2 else 0x80000000))
        for client in clients:
            client.expect_close(within=5)
        self.assertGrowth(before, 64)

    def test_thousand_connections_that_state_as_much_as_is_allowed(self):
        count = min(1000, raise_descriptor_limit(1200))
        before = self.server.rss()
        self.server.reset_peak()
        clients = [self.raw("tcp") for _ in range(count)]
        for client in clients:
            client.send(packet(LOGIN, b"ab", size=MAX_MESSAGE - 10))
        self.server.check_alive()
        wait_for(lambda: self.server.sockets() >= count, limit(5), "not all were accepted")
        self.assertGrowth(before, 64)


class Silence(ServerCase):
    """A tcp client of which nothing is heard."""

    flags = {"agent_auth_time": 60, "agent_idle_timeout": "2s", "agent_read_timeout": "10s"}
    types = ("tcp", "tcps")

    def test_silent_client_is_dropped_at_the_idle_timeout(self):
        clients = [self.player(kind) for kind in self.types]
        for client in clients:
            client.expect_close(within=2 + 1)

    def test_client_that_speaks_now_and_then_stays(self):
        clients = [self.player(kind) for kind in self.types]
        for _ in range(6):
            pause(0.7)
            for client in clients:
                client.expect_open()


CONNECTED, DISCONNECTED = re.compile(r"\bconnected (\S+)"), re.compile(r"\bdisconnected (\S+)")


class Resets(ServerCase):
    """B32: RST in the middle of a header, of a body, of an answer."""

    flags = {"agent_auth_time": 60}
    types = ("tcp", "ws", "tcps", "wss")
    log = "debug"

    def test_each_client_is_freed_and_reported_exactly_once(self):
        request = packet(ECHO, echo_body(bytes(30_000)))
        start, sockets = len(self.server.lines), self.server.sockets()
        count = 0
        for round_ in range(heavy(10, 500)):
            for kind in self.types:
                octets = frame(BINARY, request) if kind.startswith("ws") else request
                for name, sent in {
                    "nothing": b"", "header": octets[:3], "body": octets[:1000], "answer": octets,
                    "answers": octets * 20, "after bad octets": b"\xff" * 40,
                }.items():
                    client = self.player(kind)
                    count += 1
                    client.send(sent)
                    if name.startswith("answer") and round_ % 2:
                        client.fill(time.monotonic() + limit(5))  # In the middle of what comes back.
                    client.reset()
        wait_for(lambda: self.server.sockets() <= sockets, limit(10),
                 lambda: f"{self.server.sockets()} sockets, {sockets} before")
        gone = lambda: self.server.matches(DISCONNECTED, start)
        wait_for(lambda: len(gone()) >= count, limit(10), lambda: f"{len(gone())} of {count} reported")
        came = [match[1] for match in self.server.matches(CONNECTED, start)]
        self.assertEqual(len(came), len(set(came)), "an id was given twice")
        self.assertEqual(sorted(came), sorted(match[1] for match in gone()))
        self.assertEqual(len(came), count)


if __name__ == "__main__":
    main()
