#!/usr/bin/env python3
"""Every limit at N-1, N and N+1; floods of connections, requests and chat; descriptors used up."""

import resource
import socket
import statistics
import time

from harness import (BINARY, CHAT, CHAT_PUSH, ECHO, LOGIN, Closed, Server, ServerCase, TcpClient, chat_body, echo_body,
                     frame, heavy, limit, login_body, main, new_account, open_many, packet, pause, pb_first,
                     raise_descriptor_limit, wait_for, ws_request)


class ConnectionLimit(ServerCase):
    """D53: exactly N connections; N again as soon as one has left."""

    count = 20
    flags = {"agent_conn_max": count, "agent_auth_time": 60}

    def tearDown(self):
        self.leave()
        wait_for(self.serves, limit(2), "nobody is let in although all have left")
        self.leave()

    def serves(self):
        try:
            self.server.check_alive()
            return True
        except AssertionError:
            self.assertTrue(self.server.running())
            return False

    def refused(self, kind):
        """True when a new client is turned away: over ws before the upgrade (503 or the end), over tcp by the end."""
        client = self.raw(kind)
        if kind == "ws":
            client.send(ws_request(client.host()))
            try:
                got = client.response(limit(2))
            except Closed:
                return True
            self.assertIn(got.status, (101, 503), got)
            return got.status == 503
        client.send(packet(LOGIN, login_body(new_account()), 1))
        try:
            return client.recv_packet(limit(2)).code != 0
        except Closed:
            return True

    def fill(self, count, kinds):
        """Each logged in: the server has counted it."""
        return [self.player(kinds[index % len(kinds)]) for index in range(count)]

    def test_one_more_than_the_limit_is_refused(self):
        for kinds in (["ws"], ["tcp"], ["ws", "tcp"]):
            with self.subTest(kinds=kinds):
                clients = self.fill(self.count - 1, kinds)
                clients += self.fill(1, kinds)  # N: still let in.
                for kind in self.types:
                    for _ in range(3):
                        self.assertTrue(self.refused(kind), f"{self.count + 1} clients over {kind}")
                for client in clients:
                    client.expect_open()
                    client.drop()
                wait_for(self.place, limit(3), "no place after all have left").drop()

    def place(self):
        try:
            return self.player("tcp")
        except (Closed, AssertionError, OSError):
            return None

    def test_place_of_one_that_left_is_free_again(self):
        clients = self.fill(self.count, ["ws", "tcp"])
        for round_ in range(heavy(20, 500)):
            self.assertTrue(self.refused("tcp"))
            (clients[0].reset if round_ % 2 else clients[0].drop)()
            clients.pop(0)
            clients.append(wait_for(self.place, limit(2), "the place is not free"))

    def test_simultaneous_connections_for_the_last_place(self):
        """Loops that accept at the same time must not each let one in."""
        self.fill(self.count - 1, ["tcp"])
        for _ in range(heavy(300, 3000)):
            sockets = [socket.socket() for _ in range(8)]
            for sock in sockets:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", self.server.ports["tcp"]))
            clients = [TcpClient(sock, self.server, "tcp") for sock in sockets]
            self.opened += clients
            login = [packet(LOGIN, login_body(new_account()), 1) for _ in clients]
            served = 0
            for client, octets in zip(clients, login):
                client.send(octets)
            for client in clients:
                try:
                    served += client.recv_packet(limit(3)).code == 0
                except Closed:
                    pass
            self.assertLessEqual(served, 1, f"{served} clients in one place")
            for client in clients:
                client.drop()
            wait_for(lambda: self.server.sockets() <= self.server.sockets_at_start + self.count - 1, limit(3), "not all left")

    def test_refusals_in_a_flood_never_let_one_more_in(self):
        inside = []
        for _ in range(heavy(200, 5000)):
            client = self.raw("tcp")
            client.send(packet(LOGIN, login_body(new_account()), 1))
            inside.append(client)
        served = 0
        for client in inside:
            try:
                served += client.recv_packet(limit(3)).code == 0
            except Closed:
                pass
        self.assertEqual(served, self.count)


class HandshakesPerAddress(ServerCase):
    """Connections per second from one address; forwarded addresses count only behind a trusted proxy."""

    flags = {"agent_handshakes_per_ip": 10, "agent_auth_time": 60}
    types = ("ws",)

    def tearDown(self):
        self.leave()
        wait_for(self.served, limit(5), "the address is not let in again")
        self.leave()

    def served(self):
        return self.statuses(1) == [101]

    def statuses(self, count, headers=lambda index: None):
        got = []
        for index in range(count):
            client = self.raw("ws")
            client.send(ws_request(client.host(), headers=headers(index)))
            try:
                got.append(client.response().status)
            except Closed:
                got.append(0)
        return got

    def test_more_than_the_limit_in_a_second_are_refused(self):
        pause(1.1)
        got = self.statuses(60)
        self.assertEqual(got[:10], [101] * 10, "fewer than the limit were served")
        # A bucket refills while we ask: at most the limit and what a slow run of ours adds.
        self.assertLess(got.count(101), 40, got)
        self.assertLessEqual(set(got), {101, 429, 503, 0})

    def test_forged_forwarding_headers_do_not_help(self):
        for name in ("X-Forwarded-For", "X-Real-IP"):
            pause(1.1)
            got = self.statuses(60, lambda index: {name: f"10.1.0.{index}"})
            self.assertLess(got.count(101), 40, name)


class TrustedProxy(HandshakesPerAddress):
    flags = {**HandshakesPerAddress.flags, "agent_trusted_proxies": "127.0.0.0/8"}

    def test_forged_forwarding_headers_do_not_help(self):
        """From a trusted proxy they count: each address has its own limit."""
        for name in ("X-Forwarded-For", "X-Real-IP"):
            got = self.statuses(60, lambda index: {name: f"10.2.0.{index}"})
            self.assertEqual(got, [101] * 60, name)
            got = self.statuses(60, lambda index: {name: "10.3.0.1"})
            self.assertLess(got.count(101), 40, name)

    def test_nonsense_in_forwarding_headers(self):
        for value in ("", ",", "unknown", "1.2.3.4.5", "a" * 2000, "10.4.0.1, " * 100, "[::1]:80", "999.1.1.1", "::ffff:1.2.3.4"):
            with self.subTest(value=value):
                self.assertLessEqual(set(self.statuses(1, lambda _: {"X-Forwarded-For": value})), {101, 400, 429, 503, 0})


class Rates(ServerCase):
    """B37: one client that asks too much."""

    flags = {"agent_rate_messages": 200, "agent_rate_bytes": 1 << 34, "agent_auth_time": 60}

    def latencies(self, client, count):
        times = []
        for _ in range(count):
            start = time.monotonic()
            client.echo(b"how long?")
            times.append(time.monotonic() - start)
            pause(0.01)
        return sorted(times)

    def test_client_over_the_limit_is_answered_no_faster_or_cut(self):
        for kind in self.types:
            with self.subTest(kind):
                client = self.player(kind)
                start, served = time.monotonic(), 0
                client.send_packets(*(packet(ECHO, echo_body(b"more"), n) for n in range(4000)))
                try:
                    while time.monotonic() < start + 2:
                        served += client.recv_packet(0.2).code == 0
                except (Closed, TimeoutError):
                    pass
                took = time.monotonic() - start
                self.assertLessEqual(served, 200 * (took + 2), f"{served} answers in {took:.1f} s")

    def test_reset_while_slowed_down(self):
        """What is left in the read buffer of a connection that is gone must not be looked at."""
        octets = {"ws": frame(BINARY, packet(ECHO, echo_body(b"flood"))) * 2000, "tcp": packet(ECHO, echo_body(b"flood")) * 2000}
        for _ in range(heavy(20, 500)):
            for kind in self.types:
                client = self.player(kind)
                client.send(octets[kind], timeout=limit(0.05))
                pause(0.02)
                client.reset()

    def test_client_under_the_limit_is_not_touched(self):
        client = self.player("ws")
        for _ in range(10):
            for _ in range(10):
                client.echo(b"modest")
            pause(0.1)

    def test_others_do_not_notice(self):
        calm = self.player("ws")
        base = self.latencies(calm, 50)
        bad = [self.player(kind) for kind in self.types]
        octets = {"ws": frame(BINARY, packet(ECHO, echo_body(b"flood"))) * 1000, "tcp": packet(ECHO, echo_body(b"flood")) * 1000}
        times = []
        for _ in range(20):
            for index, client in enumerate(bad):
                if not client.send(octets[client.kind], timeout=0.05):
                    client.drop()
                    bad[index] = self.player(client.kind)
            times += self.latencies(calm, 3)
        self.assertLess(statistics.median(times), max(2 * statistics.median(base), limit(0.02)))
        self.assertLess(max(times), limit(1))


class ByteRates(ServerCase):
    flags = {"agent_rate_messages": 1_000_000, "agent_rate_bytes": 1_000_000, "agent_auth_time": 60}

    def test_client_over_the_limit_is_answered_no_faster_or_cut(self):
        for kind in self.types:
            with self.subTest(kind):
                client = self.player(kind)
                start, served = time.monotonic(), 0
                message = packet(ECHO, echo_body(bytes(100_000)))
                octets = frame(BINARY, message, mask=bytes(4)) if kind == "ws" else message
                for _ in range(60):
                    if not client.send(octets, timeout=0.1):
                        break
                try:
                    while time.monotonic() < start + 3:
                        served += client.recv_packet(0.3).code == 0
                except (Closed, TimeoutError):
                    pass
                took = time.monotonic() - start
                self.assertLessEqual(served * 100_000, 1_000_000 * (took + 2), f"{served} answers in {took:.1f} s")


class Broadcast(ServerCase):
    """B39: chat to a thousand, ten of whom do not read."""

    flags = {"agent_auth_time": 60, "agent_write_queue": 65_536, "agent_write_timeout": "3s"}

    def say(self, sender, text, listeners, serial):
        """One chat line, which every listener must get, the sender with the answer to its request."""
        sender.send_packets(packet(CHAT, chat_body(text), serial))
        for client in listeners:
            wanted = {(0, CHAT_PUSH)} | ({(serial, CHAT)} if client is sender else set())
            while wanted:
                got = client.recv_packet(limit(5))
                self.assertEqual(got.code, 0)
                self.assertIn((got.serial, got.cmd), wanted)
                wanted.remove((got.serial, got.cmd))
                if got.cmd == CHAT_PUSH:
                    self.assertEqual(pb_first(got.data, 3), text.encode())

    def test_those_who_read_get_it_though_others_do_not(self):
        count, deaf = heavy(200, 1000), heavy(5, 10)
        raise_descriptor_limit(count + 500)
        clients = open_many(self.server, count // 2, "ws", online=True, options=lambda n: {"rcvbuf": 4096} if n < deaf else {})
        clients += open_many(self.server, count // 2, "tcp", online=True)
        self.opened += clients
        deaf_ones, rest = clients[:deaf], clients[deaf:]
        request = frame(BINARY, packet(ECHO, echo_body(bytes(60_000))), mask=bytes(4))
        sockets = self.server.sockets()
        for client in deaf_ones:  # All buffers between us are full.
            while client.send(request, timeout=limit(0.1)):
                pass
        before = self.server.rss()
        self.server.reset_peak()
        for number in range(1, heavy(30, 100)):
            start = time.monotonic()
            self.say(rest[0], f"{number} " + "x" * 500, rest, number)
            self.assertLess(time.monotonic() - start, limit(1) * count / 200, "slow for those who read")
        # Kept for each of the deaf at most its queue; what is shared is kept once.
        self.assertGrowth(before, 8)
        wait_for(lambda: self.server.sockets() <= sockets - deaf, 3 + limit(5), "those who do not read are still held")
        rest[0].request(ECHO, echo_body(b"still here"), 9)

    def test_those_not_online_get_nothing(self):
        player, watcher, stranger = self.connect("ws").enter(), self.player("ws"), self.connect("tcp")
        player.send_packets(packet(CHAT, chat_body("hello"), 7))
        while player.recv_packet().cmd != CHAT_PUSH:
            pass
        watcher.expect_open()
        self.assertEqual(watcher.pushes, [])
        stranger.login().expect_open()
        self.assertEqual(stranger.pushes, [])


class Floods(ServerCase):
    """D50: thousands of connections at once, and silent ones."""

    flags = {"agent_auth_time": 5, "agent_handshake_timeout": "3s"}

    def test_connect_flood_is_taken_and_others_are_served(self):
        count = min(heavy(1500, 5000), raise_descriptor_limit(6000))
        start_sockets = self.server.sockets()
        for kind in self.types:
            with self.subTest(kind):
                clients = []
                for _ in range(count):
                    clients.append(self.raw(kind))
                self.server.check_alive(2)
                for client in clients:
                    client.drop()
        wait_for(lambda: self.server.sockets() <= start_sockets, limit(10), "sockets are left")

    def test_silent_connections_are_cut(self):
        clients = [self.raw(kind) for kind in self.types for _ in range(200)]
        self.server.check_alive(2)
        start = time.monotonic()
        for client in clients:
            while client.fill(start + 5 + limit(3)):
                pass


class Descriptors(ServerCase):
    """D51: all descriptors used."""

    flags = {"agent_auth_time": 600, "agent_handshake_timeout": "600s", "agent_idle_timeout": "600s", "loops": 2}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.flags, cls.types, limits={resource.RLIMIT_NOFILE: 128})

    def test_descriptors_used_up_neither_spin_nor_kill(self):
        for round_ in range(heavy(2, 20)):
            # (UndefinedBehaviorSanitizer needs descriptors when it sees a class for the first time.)
            self.server.check_alive(2)
            known = self.player("tcp").expect_open()
            clients = []
            for index in range(250):
                clients.append(self.raw(self.types[index % 2]))
            pause(0.5)  # The server meets EMFILE.
            start = self.server.cpu()
            pause(2)
            used = self.server.cpu() - start
            self.assertLess(used, 0.2 * 2, f"{used:.2f} s of CPU in 2 s without descriptors")
            known.expect_open()
            for client in clients:
                (client.reset if round_ % 2 else client.drop)()
            known.drop()
            wait_for(self.alive_again, limit(4), "does not accept again")

    def alive_again(self):
        try:
            self.server.check_alive(2)
            return True
        except AssertionError:
            self.assertTrue(self.server.running())
            return False


class WriteQueue(ServerCase):
    """The write queue of one client is bounded in octets."""

    flags = {"agent_write_queue": 65_536, "agent_auth_time": 60, "agent_write_timeout": "30s"}

    def test_queue_of_a_client_that_does_not_read_is_bounded(self):
        for kind in self.types:
            with self.subTest(kind):
                clients = [self.player(kind, rcvbuf=4096) for _ in range(20)]
                before = self.server.rss()
                self.server.reset_peak()
                message = packet(ECHO, echo_body(bytes(30_000)))
                octets = frame(BINARY, message, mask=bytes(4)) if kind == "ws" else message
                for client in clients:
                    while client.send(octets * 4, timeout=limit(0.05)):
                        pass
                # 20 times the queue and one message each way; without the bound it would be all that was sent.
                self.assertGrowth(before, 20 * 0.3)

    def test_answer_larger_than_the_queue_is_answered_or_the_end(self):
        for kind in self.types:
            client = self.player(kind)
            client.send_packets(packet(ECHO, echo_body(bytes(500_000)), 1))
            try:
                self.assertEqual(len(client.recv_packet().data), 500_004)
                client.expect_open()
            except Closed:
                pass


if __name__ == "__main__":
    main()
