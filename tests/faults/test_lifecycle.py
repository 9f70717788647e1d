#!/usr/bin/env python3
"""The life of connections and of the process: leaving at once, half-open peers, full disks, signals, shutdown."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import (BINARY, CLOSE, ECHO, HERE, LOGIN, MIB, PING, Closed, OwnServersCase, ServerCase, close_payload, echo_body, frame,
                     free_ports, heavy, limit, login_body, main, new_account, open_many, packet, pause,
                     raise_descriptor_limit, rss_limit, wait_for, ws_request)

CONNECTED, DISCONNECTED = re.compile(r"\bconnected (\S+)"), re.compile(r"\bdisconnected (\S+)")


class LeavingAtOnce(ServerCase):
    """A21: what kills the Go original: clients that are gone within microseconds of the upgrade."""

    flags = {"agent_auth_time": 1, "agent_heartbeat_interval": 1, "agent_heartbeat_deadline": 1}
    types = ("ws", "tcp", "wss", "tcps")

    def go(self, index):
        kind = self.types[index % 2] if index % 20 else self.types[2 + index // 20 % 2]
        way = index // 2 % 7
        client = self.server.raw(kind)
        if kind.startswith("ws") and way:
            after = b"" if way < 5 else frame(BINARY, packet(LOGIN, login_body(new_account())))
            after += frame(CLOSE, close_payload(1000)) if way == 6 else b""
            client.send(ws_request(client.host()) + after)
            if way > 1:
                client.response()
            if way == 4:
                client.send(frame(PING, b"bye"))
        elif way:
            client.send(packet(LOGIN, login_body(new_account()))[:way * 20])
        (client.reset if index // 14 % 2 else client.drop)()

    def rounds(self, count):
        errors = []

        def work(first):
            for index in range(first, count, 2):
                try:
                    self.go(index)
                except (OSError, AssertionError, Closed) as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def test_nothing_dies_and_nothing_is_left(self):
        pid = self.server.pid
        self.rounds(heavy(400, 2000))  # Caches and pools get their size.
        wait_for(lambda: self.server.sockets() <= 20, limit(10), lambda: f"{self.server.sockets()} sockets")
        sockets, descriptors, threads, rss = (self.server.sockets(), self.server.fds(), self.server.threads(),
                                              self.server.rss())
        self.rounds(heavy(1600, 10_000))
        wait_for(lambda: self.server.sockets() <= sockets, limit(10), lambda: f"{self.server.sockets()} sockets, {sockets} before")
        self.assertEqual(self.server.pid, pid)
        self.assertTrue(self.server.running())
        self.assertLessEqual(self.server.fds(), descriptors)
        self.assertLessEqual(self.server.threads(), threads)
        self.assertLess(self.server.rss() - rss, rss_limit(2), f"RSS grew by {(self.server.rss() - rss) / MIB:.1f} MiB")

    def test_heartbeats_end_with_their_clients(self):
        """After all are gone the server is idle: no timer of a dead connection keeps it busy."""
        clients = open_many(self.server, heavy(300, 2000), "ws")
        threads = self.server.threads()
        for client in clients:
            client.reset()
        wait_for(lambda: self.server.sockets() <= 20, limit(10), lambda: f"{self.server.sockets()} sockets")
        start = self.server.cpu()
        pause(3)
        self.assertLess(self.server.cpu() - start, 0.15 * 3)
        self.assertLessEqual(self.server.threads(), threads)


class HalfOpen(ServerCase):
    """D54: a peer that is stopped without a FIN."""

    flags = {"agent_auth_time": 60, "agent_heartbeat_interval": 1, "agent_heartbeat_deadline": 1, "agent_idle_timeout": "3s"}
    log = "debug"

    def test_stopped_peer_is_gone_after_heartbeat_and_deadline(self):
        start = len(self.server.lines)
        bots = [subprocess.Popen([sys.executable, HERE / "bot.py", kind, str(self.server.ports[kind])],
                                 stdout=subprocess.PIPE, cwd=HERE) for kind in ("ws", "ws", "tcp")]
        try:
            for bot in bots:
                self.assertEqual(bot.stdout.readline(), b"in\n")
            for bot in bots:
                bot.send_signal(signal.SIGSTOP)
            # Lines come by another thread: ours may be late, and so may that of an earlier one.
            came = lambda: {match[1] for match in self.server.matches(CONNECTED, start)}
            wait_for(lambda: len(came()) >= 3, limit(10), "what has connected is not told")
            came = came()
            wait_for(lambda: came <= {match[1] for match in self.server.matches(DISCONNECTED, start)}, 3 + limit(2),
                     "a stopped peer is still held")
        finally:
            for bot in bots:
                bot.kill()
                bot.wait()
                bot.stdout.close()

    def test_answering_peer_stays(self):
        bot = subprocess.Popen([sys.executable, HERE / "bot.py", "ws", str(self.server.ports["ws"])],
                               stdout=subprocess.PIPE, cwd=HERE)
        try:
            self.assertEqual(bot.stdout.readline(), b"in\n")
            pause(4)
            self.assertIsNone(bot.poll())
        finally:
            bot.kill()
            bot.wait()
            bot.stdout.close()


class LogTrouble(OwnServersCase):
    """D56: nobody reads the log, or there is no room for it."""

    def work(self, server):
        for _ in range(heavy(20, 500)):
            server.check_alive()
            with server.connect("ws") as client:
                client.send(frame(BINARY, b"bad"))

    def finish(self, server):
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(limit(10)), 0)

    def test_log_on_a_full_device(self):
        with open("/dev/full", "w") as full:
            server = self.start(log="debug", stderr=full, stdout=full, ports=free_ports(2), ready=False)
            wait_for(lambda: self.listens(server), limit(10), "the server does not listen")
            self.work(server)
            self.finish(server)

    def listens(self, server):
        self.assertTrue(server.running(), "ended because its output cannot be written")
        try:
            server.check_alive()
            return True
        except AssertionError:
            return False

    def test_log_pipe_whose_reader_is_gone(self):
        for which in ("stderr", "stdout", "both"):
            with self.subTest(which):
                reading, writing = os.pipe()
                streams = {"stderr": {"stderr": writing}, "stdout": {"stdout": writing},
                           "both": {"stderr": writing, "stdout": writing}}[which]
                server = self.start(log="debug", ports=free_ports(2), ready=False, **streams)
                os.close(writing)
                os.close(reading)
                wait_for(lambda: self.listens(server), limit(10), "the server does not listen")
                self.work(server)
                self.finish(server)

    def test_log_pipe_that_nobody_reads(self):
        """A full pipe must not stop the service: lines are dropped (and counted) instead."""
        reading, writing = os.pipe()
        server = self.start(log="debug", ports=free_ports(2), ready=False, stderr=writing, stdout=writing)
        os.close(writing)
        self.addCleanup(os.close, reading)
        wait_for(lambda: self.listens(server), limit(10), "the server does not listen")
        for _ in range(heavy(15, 100)):
            self.work(server)
        self.finish(server)


class Signals(ServerCase):
    """D59: signals that mean nothing to a server."""

    types = ("ws", "tcp")

    def test_storm_of_signals_is_survived(self):
        clients = [self.player(kind) for kind in self.types]
        for round_ in range(heavy(200, 5000)):
            for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT):
                self.server.signal(number)
            if round_ % 20 == 0:
                for client in clients:
                    client.expect_open()
        for client in clients:
            client.expect_open()

    def test_stopped_and_continued_server_goes_on(self):
        clients = [self.player(kind) for kind in self.types]
        for _ in range(3):
            self.server.signal(signal.SIGSTOP)
            for client in clients:
                client.send_packets(packet(ECHO, echo_body(b"while asleep"), 77))
            pause(0.5)
            self.server.signal(signal.SIGCONT)
            for client in clients:
                self.assertEqual(client.recv_packet().serial, 77)


STOPPED, WORK_LEFT = 0, 3  # Exit codes: all done; ended in time, but work of clients that do not read was left.


class Shutdown(OwnServersCase):
    """D58: SIGTERM with clients of every kind."""

    types = ("ws", "tcp", "wss", "tcps")

    def draining(self, **flags):
        return self.start({"agent_auth_time": 60, "agent_drain_timeout": "3s", **flags}, log="debug")

    def test_live_clients_are_told_and_the_exit_code_is_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                server = self.draining()
                count = heavy(50, 500)
                raise_descriptor_limit(4 * count + 500)
                clients = [client for kind in self.types for client in open_many(server, count, kind)]
                for client in clients:  # Calls in flight.
                    client.send_packets(*(packet(ECHO, echo_body(b"%d" % n), n) for n in range(20)))
                start = time.monotonic()
                server.signal(number)
                for client in clients:
                    got = client.packets_until_end(3 + limit(5))
                    self.assertEqual([p.serial for p in got], list(range(len(got))), "answers lost or out of order")
                    if client.kind.startswith("ws"):
                        self.assertEqual(client.close_code, 1001)
                self.assertEqual(server.wait(limit(10)), 0)
                self.assertLess(time.monotonic() - start, limit(10))
                server.check_log()
                came = [match[1] for match in server.matches(CONNECTED)]
                gone = [match[1] for match in server.matches(DISCONNECTED)]
                self.assertEqual((len(came), sorted(came)), (4 * count, sorted(gone)), "not each exactly once")

    def test_requests_taken_before_the_signal_are_answered(self):
        server = self.draining()
        clients = [server.connect(kind).login() for kind in self.types for _ in range(10)]
        for client in clients:
            client.send_packets(*(packet(ECHO, echo_body(b"%d" % n), n) for n in range(100)))
        for client in clients:  # The first answer is there: the server has read what came with it.
            self.assertEqual(client.recv_packet().serial, 0)
        server.signal(signal.SIGTERM)
        for client in clients:
            got = client.packets_until_end(3 + limit(5))
            self.assertEqual([p.serial for p in got], list(range(1, 100)))
        self.assertEqual(server.wait(limit(10)), 0)
        server.check_log()

    def test_no_new_connections_after_the_signal(self):
        server = self.draining(agent_drain_timeout="2s")
        held = self.deaf(server, "tcp")
        server.signal(signal.SIGTERM)

        wait_for(lambda: self.not_listening(server), limit(1), "still accepts")
        self.assertIn(server.wait(limit(10)), (STOPPED, WORK_LEFT))
        server.check_log()
        held.drop()

    def deaf(self, server, kind):
        """A client with much asked for that reads nothing."""
        client = server.connect(kind, rcvbuf=4096).login()
        request = packet(ECHO, echo_body(bytes(60_000)))
        octets = frame(BINARY, request, mask=bytes(4)) if kind.startswith("ws") else request
        while client.send(octets, timeout=limit(0.2)):
            pass
        return client

    def test_clients_that_do_not_read_hold_the_end_no_longer_than_the_drain_timeout(self):
        server = self.draining(agent_write_timeout="60s", agent_slow_client="drop")
        clients = [self.deaf(server, kind) for kind in self.types for _ in range(2)]
        start = time.monotonic()
        server.stop(within=3 + limit(3), codes=(STOPPED, WORK_LEFT))
        self.assertLess(time.monotonic() - start, 3 + limit(3))
        for client in clients:
            client.drop()

    def test_clients_in_the_middle_of_anything_do_not_hold_the_end(self):
        server = self.draining(agent_handshake_timeout="60s", agent_read_timeout="60s")
        clients = [server.raw(kind) for kind in self.types for _ in range(20)]
        for client in clients[::2]:
            client.send(b"GET / HTTP/1.1\r\n" if client.kind.startswith("ws") else packet(LOGIN, size=1000))
        halves = [server.connect(kind) for kind in self.types]
        for client in halves:
            client.send(frame(BINARY, size=500) if client.kind.startswith("ws") else b"\0\1")
        tls = [socket.create_connection(("127.0.0.1", server.ports["wss"])) for _ in range(10)]
        server.stop(within=3 + limit(3))
        for sock in [*clients, *halves]:
            sock.drop()
        for sock in tls:
            sock.close()

    def test_second_signal_ends_it_now(self):
        server = self.draining(agent_drain_timeout="60s", agent_write_timeout="60s", agent_slow_client="drop")
        clients = [self.deaf(server, kind) for kind in self.types]
        server.signal(signal.SIGTERM)
        wait_for(lambda: self.not_listening(server), limit(2), "the first signal changed nothing")
        server.signal(signal.SIGTERM)
        server.wait(limit(2))
        server.check_log()
        for client in clients:
            client.drop()

    def not_listening(self, server):
        try:
            socket.create_connection(("127.0.0.1", server.ports["tcp"]), timeout=limit(1)).close()
            return False
        except OSError:
            return True

    def test_port_in_use_is_said_and_ends_the_start(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = self.start(types=("ws", "tcp"), ports=[port, 0], ready=False)
            self.assertEqual(server.wait(limit(10)), 1)
            self.assertIn(str(port), server.tail())
            self.assertEqual(server.matches(re.compile("^ready")), [])


if __name__ == "__main__":
    main()
