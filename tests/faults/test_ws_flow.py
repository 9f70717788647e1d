#!/usr/bin/env python3
"""WebSocket clients that read or write too slowly, stop half way, or do not answer; what they cost the others."""

import time

from harness import (BINARY, CLOSE, ECHO, PING, PONG, Closed, ServerCase, close_payload, echo_body, frame, heavy, limit,
                     main, packet, pause, pb_first, wait_for)


class SlowReaders(ServerCase):
    """A11, A12: clients that ask and do not read."""

    flags = {"agent_auth_time": 60, "agent_write_timeout": "3s", "agent_read_timeout": "120s"}
    types = ("ws", "wss", "tcp", "tcps")

    def test_pings_whose_pongs_are_not_read(self):
        for kind in ("ws", "wss"):
            with self.subTest(kind):
                client = self.player(kind, rcvbuf=4096)
                client.may_be_dropped = True
                before = self.server.rss()
                self.server.reset_peak()
                payloads = [b"%05d" % index + bytes(120) for index in range(heavy(5000, 200_000))]
                octets = b"".join(frame(PING, payload) for payload in payloads)
                whole = client.send(octets, timeout=limit(3))  # Held back, cut, or all taken: each is fine.
                self.assertGrowth(before, 4)
                try:
                    other = self.player(kind)
                    other.echo(b"others go on", timeout=limit(2))
                    # What was kept for us is legal and in order, one pong may answer several pings.
                    end, last = time.monotonic() + limit(10), -1
                    while whole and last != len(payloads) - 1:
                        op, _, _, payload = client.next_frame(end)
                        if op == CLOSE:
                            break
                        self.assertEqual(op, PONG)
                        self.assertIn(payload, payloads[int(payload[:5])])
                        self.assertGreater(int(payload[:5]), last)
                        last = int(payload[:5])
                except Closed:
                    pass

    def test_reader_that_stops_while_much_is_asked_for(self):
        for kind in self.types:
            with self.subTest(kind):
                before = self.server.rss()
                self.server.reset_peak()
                client = self.player(kind, rcvbuf=4096)
                client.may_be_dropped = True
                size, count = 64_000, heavy(256, 1024)
                asked = 0
                while asked < count:
                    message = packet(ECHO, echo_body(bytes(size)), asked + 1)
                    if kind.startswith("ws"):
                        message = frame(BINARY, message, mask=bytes(4))
                    if not client.send(message, timeout=limit(0.5)):
                        break
                    asked += 1
                self.server.check_alive(2)
                self.assertGrowth(before, 8)
                # Held back or cut. What comes is whole, in order, and the connection ends or all is answered.
                got = 0
                try:
                    while got < asked:
                        answer = client.recv_packet(limit(5))
                        got += 1
                        self.assertEqual((answer.serial, answer.code, len(pb_first(answer.data))), (got, 0, size))
                except Closed:
                    self.assertLess(got, asked + 1)
                except TimeoutError:
                    self.fail(f"{got} of {asked} answered, then neither answer nor end")

    def test_reader_that_never_reads_again_is_dropped(self):
        start = self.server.sockets()
        for kind in self.types:
            client = self.player(kind, rcvbuf=4096)
            message = packet(ECHO, echo_body(bytes(64_000)))
            if kind.startswith("ws"):
                message = frame(BINARY, message, mask=bytes(4))
            while client.send(message, timeout=limit(0.3)):
                pass
            # Kept open on our side, nothing read: the server must give up by itself.
            wait_for(lambda: self.server.sockets() <= start, 3 + limit(5), "the slow reader is still held")

    def test_reset_while_held_back(self):
        """What is left in the read buffer of a connection that is gone must not be looked at."""
        for round_ in range(heavy(6, 100)):
            for kind in self.types:
                client = self.player(kind, rcvbuf=4096)
                request = packet(ECHO, echo_body(bytes(30_000)))
                octets = frame(BINARY, request) if kind.startswith("ws") else request
                while client.send(octets, timeout=limit(0.05)):
                    pass
                client.reset()
        self.server.check_alive()

    def test_slow_but_steady_reader_gets_everything(self):
        client = self.player("ws", rcvbuf=16_384)
        count = 12
        for index in range(count):
            client.send(frame(BINARY, packet(ECHO, echo_body(bytes([index]) * 60_000), index + 1), mask=bytes(4)))
        client.sock.settimeout(limit(5))
        total = count * (60_000 + 4 + 14 + 4)
        while len(client.inbox) < total:
            data = client.sock.recv(30_000)
            self.assertTrue(data, f"ended after {len(client.inbox)} of {total} octets")
            client.inbox += data
            pause(0.02)
        for index in range(count):
            self.assertEqual(pb_first(client.recv_packet().data), bytes([index]) * 60_000)


class SlowWriters(ServerCase):
    """A13: octets that come slowly."""

    flags = {"agent_auth_time": 60, "agent_read_timeout": "2s"}
    types = ("ws", "tcp", "wss", "tcps")

    def octets(self, kind, data):
        request = packet(ECHO, echo_body(data))
        return frame(BINARY, request) if kind.startswith("ws") else request

    def test_an_octet_every_10_ms_is_served(self):
        for kind in self.types:
            with self.subTest(kind):
                client = self.player(kind)
                for octet in self.octets(kind, b"slowly" * 10):
                    client.send(bytes([octet]))
                    pause(0.01)
                self.assertEqual(pb_first(client.recv_packet().data), b"slowly" * 10)

    def test_an_octet_every_half_second_is_cut_at_the_read_timeout(self):
        clients = {kind: self.player(kind) for kind in self.types}
        start, ended = time.monotonic(), {}
        octets = {kind: self.octets(kind, b"too slowly" * 20) for kind in self.types}
        index = 0
        while len(ended) < len(clients) and time.monotonic() - start < 2 + limit(3):
            for kind, client in clients.items():
                if kind in ended:
                    continue
                client.send(octets[kind][index:index + 1])
                if client.has_ended(0.05):
                    ended[kind] = time.monotonic() - start
            index += 1
            pause(0.4)
        self.assertEqual(sorted(ended), sorted(clients), "not cut")
        self.assertEqual({kind: when for kind, when in ended.items() if when < 1.8}, {}, "cut too early")

    def test_silence_between_messages_is_no_slow_message(self):
        clients = [self.player(kind) for kind in self.types]
        pause(3)
        for client in clients:
            client.expect_open()


class Endings(ServerCase):
    """A22, A23: half-closed connections, close handshakes that are not followed by the end."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "tcp")

    def test_half_close_after_a_request_is_answered_then_closed(self):
        for kind in self.types:
            for count in (1, 50):
                with self.subTest(kind, count=count):
                    client = self.player(kind)
                    client.send_packets(*(packet(ECHO, echo_body(b"last words"), n + 1) for n in range(count)))
                    client.finish_sending()
                    got = client.packets_until_end(limit(3))
                    self.assertEqual([(p.serial, p.code) for p in got], [(n + 1, 0) for n in range(count)])

    def test_half_close_with_nothing_under_way(self):
        for kind in self.types:
            client = self.player(kind)
            client.finish_sending()
            client.expect_cut(limit(2))

    def test_tcp_connection_kept_after_the_close_handshake_is_dropped(self):
        client = self.player("ws")
        client.send(frame(CLOSE, close_payload(1000)))
        client.expect_close({1000}, within=2)
        self.assertEqual(client.end, "fin")

    def test_client_that_does_not_answer_our_close_is_dropped(self):
        for name, octets in {"broken frame": frame(PING, b"x", rsv=2), "bad packet": frame(BINARY, b"\0")}.items():
            with self.subTest(name):
                client = self.player("ws")
                client.send(octets)
                client.packets_until_end(limit(2))

    def test_client_that_goes_on_talking_after_our_close_is_dropped(self):
        client = self.player("ws")
        client.send(frame(PING, b"x", rsv=2))
        end = time.monotonic() + limit(5)
        while client.send(frame(PING, bytes(100)) * 100, timeout=limit(1)):
            self.assertLess(time.monotonic(), end, "still connected")
            pause(0.01)


class Heartbeat(ServerCase):
    """A24: pings of ours that are not answered."""

    flags = {"agent_auth_time": 60, "agent_heartbeat_interval": 1, "agent_heartbeat_deadline": 1}
    types = ("ws", "wss")

    def test_client_that_does_not_answer_pings_is_cut(self):
        for kind in self.types:
            client = self.player(kind)
            client.auto_pong = False
            took = client.expect_close({1000, 1001, 1002, 1008, 1011}, within=2 + 2, drop=True)
            self.assertGreater(took, 1.5)
            self.assertTrue(client.pings)

    def test_client_that_answers_pings_stays(self):
        clients = [self.player(kind) for kind in self.types]
        end = time.monotonic() + 4.5
        for client in clients:
            while time.monotonic() < end:
                try:
                    client.recv_packet(min(0.3, max(0.01, end - time.monotonic())))
                except TimeoutError:
                    for other in clients:
                        if other is not client:
                            try:
                                other.recv_packet(0.01)
                            except TimeoutError:
                                pass
        for client in clients:
            self.assertGreaterEqual(len(client.pings), 3)
            client.expect_open()

    def test_pongs_that_nobody_asked_for_are_ignored(self):
        client = self.player("ws")
        for _ in range(100):
            client.send(frame(PONG, b"?"))
        client.expect_open()


if __name__ == "__main__":
    main()
