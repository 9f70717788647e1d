"""What the fault tests share: the server under test, raw clients that can send any bit, checks of what comes back.

    server = Server({"agent_auth_time": 2})                # starts the demo on free ports, waits for `ready`
    client = server.connect("ws").login("ann")             # raw client: ws, wss, tcp or tcps
    client.send(frame(PING, b"x", mask=False))             # any frame, right or wrong
    client.expect_close({1002}, within=2)                  # close code, then the end of the connection
    server.stop()                                          # SIGTERM; the exit code must be 0

Everything a server sends is checked on the way (RFC 6455 rules for server frames, heads of packets).
environment.py explains the variables. Standard library only.
"""

import base64
import os
import pathlib
import resource
import sys
import time
import unittest

from client import *
from environment import *
from server import *
from wire import *


def raise_descriptor_limit(wanted):
    """As many descriptors as the system lets us have; returns how many connections that is good for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - 100


def open_many(server, count, kind, *, online=False, options=lambda index: {}):
    """`count` logged-in clients; each sends all it has to say at once, then all answers are read."""
    clients, barrier = [], 9
    try:
        for index in range(count):
            client = server.raw(kind, **options(index))
            clients.append(client)
            client.account = new_account()
            packets = [packet(LOGIN, login_body(client.account), 1)]
            if online:
                packets += role_packets("r" + client.account)
            packets.append(packet(ECHO, echo_body(b"b"), barrier))
            if kind.startswith("ws"):
                client.key = base64.b64encode(os.urandom(16)).decode()
                client.send(ws_request(client.host(), key=client.key) + b"".join(frame(BINARY, p) for p in packets))
            else:
                client.send(b"".join(packets))
        for client in clients:
            if kind.startswith("ws"):
                client.check_upgrade(client.response(limit(20)), client.key)
            while (got := client.recv_packet(limit(20))).serial != barrier:
                assert got.code == 0, f"refused: {got}"
        return clients
    except BaseException:
        for client in clients:
            client.drop()
        raise


class ServerCase(unittest.TestCase):
    """Tests that share one server; after each it must have let go of all clients, and a fresh one must be served."""

    flags = {}
    types = ("ws", "tcp")
    log = "info"
    server = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.flags, cls.types, log=cls.log)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        if not self.server.running():
            type(self).server = Server(self.flags, self.types, log=self.log)
        self.opened = []

    def tearDown(self):
        self.leave()
        self.server.check_alive()

    def leave(self):
        """All clients of the test go; the server must notice."""
        for client in self.opened:
            client.drop()
        if self.server.running():
            wait_for(lambda: self.server.sockets() <= self.server.sockets_at_start, 5 + limit(5),
                     lambda: f"{self.server.sockets()} sockets, {self.server.sockets_at_start} at the start")

    def connect(self, kind, **options):
        client = self.server.connect(kind, **options)
        self.opened.append(client)
        return client

    def player(self, kind, **options):
        """A client that is logged in."""
        return self.connect(kind, **options).login()

    def raw(self, kind, **options):
        client = self.server.raw(kind, **options)
        self.opened.append(client)
        return client

    def assertGrowth(self, before, mib, what="RSS"):
        grown, allowed = self.server.peak_rss() - before, rss_limit(mib)
        self.assertLessEqual(grown, allowed, f"{what} grew by {grown / MIB:.1f} MiB, allowed {allowed / MIB:.0f}")


class OwnServersCase(unittest.TestCase):
    """Tests that start a server each."""

    types = ("ws", "tcp")

    def start(self, flags=None, **options):
        server = Server(flags, options.pop("types", self.types), **options)
        self.addCleanup(server.kill)
        return server


class TimedResult(unittest.TextTestResult):
    """Prints what each test took."""

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"    {time.monotonic() - self.started:.1f} s")
        self.stream.flush()


def main():
    import __main__
    name = pathlib.Path(__main__.__file__).stem
    print(f"{name}: {' '.join(demo())} sanitizer={SANITIZER or 'none'} scale={SLOW} heavy={HEAVY} seed={SEED}",
          file=sys.stderr, flush=True)
    unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=TimedResult))
