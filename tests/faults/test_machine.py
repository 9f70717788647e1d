#!/usr/bin/env python3
"""What the machine does to a server: no more threads, interrupted calls, a gate that dies under all its players."""

import asyncio
import contextlib
import pathlib
import random
import re
import subprocess
import tempfile
import time

from harness import (BINARY, ECHO, LOGIN, SEED, SERVER_HEAD, OwnServersCase, Server, demo, echo_body, frame, free_ports,
                     heavy, limit, login_body, main, new_account, packet, pb_first, raise_descriptor_limit, rng, wait_for,
                     ws_request)

READY = re.compile(r"^ready\s*$")


def traced(injection):
    """The demo with system calls of its first thread that fail. The tracer is not its parent: it keeps its process id."""
    return ["env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-D", "-qq", "-o", "/dev/null", "-e", "signal=none",
            "-e", "trace=" + injection.partition(":")[0], "-e", "inject=" + injection, *demo()]


@contextlib.contextmanager
def failing(server, injection, log):
    """Meanwhile system calls of all threads fail; `log` is told of each call."""
    tracer = subprocess.Popen(["strace", "-f", "-p", str(server.pid), "-o", log, "-e", "signal=none",
                               "-e", "trace=" + injection.partition(":")[0], "-e", "inject=" + injection],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = tracer.stderr.readline()
        assert " attached" in said, said
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


class NoThreads(OwnServersCase):
    """D52, its threads; of memory: OutOfMemory of the app's tests."""

    def test_a_start_without_threads_works_or_ends_with_a_reason(self):
        ended = 0
        for number in range(1, 40):  # Each thread from this one on.
            server = self.start({"loops": 3}, ports=free_ports(2), ready=False,
                                program=traced(f"clone,clone3:error=EAGAIN:when={number}+"))
            wait_for(lambda: server.matches(READY) or not server.running(), limit(20), server.tail)
            if server.matches(READY):
                threads = server.threads()
                server.check_alive()
                server.stop()
                if threads < number:
                    break  # It wants no more.
            else:
                ended += 1
                self.assertEqual(server.wait(limit(10)), 1, server.tail())
                server.check_log()
                self.assertTrue(server.matches(re.compile("thread")), f"no reason given:\n{server.tail()}")
        else:
            self.fail("it wants ever more threads")
        self.assertGreaterEqual(ended, 2, "the injection does not work")


class InterruptedCalls(OwnServersCase):
    """D60: calls that are interrupted, writes that take a part."""

    types = ("ws", "tcp", "wss", "tcps")
    # Those of the path of a message. (EAGAIN out of the blue would be a broken kernel: what is ready is told once.)
    CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,epoll_wait,accept,accept4"

    def test_nothing_is_lost_doubled_or_changed(self):
        for when in ("1+2", "5+7", "11+23"):
            with self.subTest(when), tempfile.TemporaryDirectory() as folder:
                log = pathlib.Path(folder) / "calls"
                server = self.start()
                with failing(server, f"{self.CALLS}:error=EINTR:when={when}", log):
                    for _ in range(heavy(2, 20)):
                        self.work(server)
                server.check_alive()
                server.stop()
                calls = log.read_text("utf-8", "replace")
                self.assertGreater(calls.count("(INJECTED)"), 10)
                self.assertTrue(re.search(r"send\w+\(.*EAGAIN", calls), "each write took all")

    def work(self, server):
        """More answers than fit in the buffers between us and clients that read only once all have asked: a connection
        of small segments has small ones."""
        source = rng("interrupted")
        clients = [server.connect(kind, rcvbuf=4096, mss=536).login() for kind in self.types for _ in range(2)]
        for client in clients:
            client.asked = [source.randbytes(source.choice((1, 60, 1500, 20_000, 60_000))) for _ in range(20)]
            client.send_packets(*(packet(ECHO, echo_body(data), serial) for serial, data in enumerate(client.asked)))
        for client in clients:
            for serial, data in enumerate(client.asked):
                got = client.recv_packet(limit(20))
                self.assertEqual((got.serial, got.code), (serial, 0), client.kind)
                self.assertEqual(pb_first(got.data), data, client.kind)
            client.drop()


class ReconnectStorm(OwnServersCase):
    """D55: a gate dies, and all its players come back to the next at once."""

    COUNT, RATE = 1000, 150
    FLAGS = {"agent_handshakes_per_ip": RATE, "agent_auth_time": 60}

    def test_all_are_back_in_time_and_no_faster_than_allowed(self):
        raise_descriptor_limit(2 * self.COUNT + 200)
        ports = free_ports(2)
        first = self.start({**self.FLAGS, "agent_handshakes_per_ip": 0}, ports=ports)
        asyncio.run(asyncio.wait_for(self.storm(first, ports), limit(120)))

    async def storm(self, first, ports):
        self.inside, self.changed, self.over = {}, asyncio.Event(), asyncio.Event()
        bots = [asyncio.create_task(self.bot(index, first)) for index in range(self.COUNT)]
        try:
            await self.until(lambda: len(self.inside) == self.COUNT, 60)
            self.inside.clear()
            first.kill()
            start = time.monotonic()
            second = Server(self.FLAGS, self.types, ports=ports)
            self.addCleanup(second.kill)
            await self.until(lambda: len(self.inside) == self.COUNT, 30)
            # A bucket that was full: its size and what has come since. All of them have been let in through it.
            for count, when in enumerate(sorted(self.inside.values()), 1):
                self.assertLessEqual(count, self.RATE * (1 + when - start), f"{count} within {when - start:.2f} s")
            took = time.monotonic() - start
            self.assertLess(second.cpu(), max(0.8 * took, limit(1)), f"CPU in {took:.1f} s")
        finally:
            self.over.set()
            for bot in bots:
                bot.cancel()
            await asyncio.gather(*bots, return_exceptions=True)
        await asyncio.to_thread(self.leave, second)

    def leave(self, server):
        wait_for(lambda: server.sockets() <= server.sockets_at_start, limit(10), "clients that have gone are held")
        server.stop()

    async def until(self, done, seconds):
        end = time.monotonic() + limit(seconds)
        while not done():
            self.changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.changed.wait(), max(0.01, end - time.monotonic()))
            self.assertLess(time.monotonic(), end, f"{len(self.inside)} of {self.COUNT} are in")

    async def bot(self, index, server):
        """Comes back each time the connection ends, after a pause that is random and doubles up to 2 s."""
        kind, source, account, most = self.types[index % 2], random.Random(SEED + index), new_account(), 0.25
        while not self.over.is_set():
            writer = None
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[kind])
                if await self.enters(reader, writer, kind, account):
                    most = 0.25
                    self.inside[index] = time.monotonic()
                    self.changed.set()
                    while await reader.read(4096):
                        pass
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                if writer:
                    writer.transport.abort()
            with contextlib.suppress(asyncio.TimeoutError):  # The pause of a player, unless the test is over.
                await asyncio.wait_for(self.over.wait(), source.uniform(0, most))
            most = min(2, 2 * most)

    @staticmethod
    async def enters(reader, writer, kind, account):
        """True when it is logged in, False when it was turned away."""
        login = packet(LOGIN, login_body(account))
        if kind == "ws":
            writer.write(ws_request("%s:%d" % writer.get_extra_info("peername")[:2]))
            if b" 101 " not in (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]:
                return False
            login = frame(BINARY, login)
        writer.write(login)
        if kind == "ws":
            await reader.readexactly(2)  # The head of a small frame.
        return SERVER_HEAD.unpack(await reader.readexactly(SERVER_HEAD.size))[2] == 0


if __name__ == "__main__":
    main()
