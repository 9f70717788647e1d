#!/usr/bin/env python3
"""mgbench against limit: every mode ends without errors and says what it should.

    python3 bench/smoke_test.py --limit build/asan/bench/limit --mgbench build/asan/tools/mgbench/mgbench
"""

import argparse
import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import threading
import unittest

import harness

SCHEMES = ("tcp", "ws")


@contextlib.contextmanager
def tls_front(url, cert, key):
    """A TLS listener before the server at `url`, as a thing with url() and pids."""
    scheme, address = url.split("://")
    port = int(address.rsplit(":", 1)[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # Refused handshakes are part of the test.

    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while octets := await reader.read(65536):
                writer.write(octets)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer))

    listener = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    class Front:
        name = "tls front"
        pids: list

        def url(self, _):
            return f"{scheme}s://127.0.0.1:{listener.sockets[0].getsockname()[1]}"

    try:
        yield Front()
    finally:
        async def end():
            listener.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class AgainstLimit(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server([args.limit, "echo"])
        self.addCleanup(self.server.stop)

    def load(self, scheme, *flags, server=None):
        server = server or self.server
        result = harness.mgbench(args.mgbench, server, scheme, *flags)
        self.assertEqual(result["errors"]["total"], 0, result)
        self.assertFalse(result["interrupted"])
        return result

    def test_closed_loop_measures_every_percentile_and_the_server(self):
        for scheme in SCHEMES:
            got = self.load(scheme, "-c", "20", "-d", "4", "-t", "200ms", "-w", "50ms")
            self.assertEqual(got["open"], 20)
            self.assertGreater(got["messages"], 0)
            latency = got["latency_us"]
            self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"])
            self.assertGreater(got["server"]["cpu_s"], 0)
            self.assertGreater(got["server"]["loaded"]["rss_bytes"], 0)
            self.assertGreaterEqual(got["server"]["loaded"]["descriptors"], 20)

    def test_open_loop_keeps_its_schedule(self):
        for scheme in SCHEMES:
            got = self.load(scheme, "-c", "10", "--rate", "2000", "-t", "500ms", "-w", "50ms")
            # All requests due in the window are answered, in it or soon after.
            self.assertAlmostEqual(got["latency_us"]["count"], 2000 * got["seconds"], delta=200)

    def test_open_loop_charges_a_stall_to_the_requests_that_were_due(self):
        pid = self.server.pids[0]
        stall = threading.Timer(0.5, lambda: os.kill(pid, signal.SIGSTOP))
        resume = threading.Timer(0.9, lambda: os.kill(pid, signal.SIGCONT))
        stall.start()
        resume.start()
        got = self.load("tcp", "-c", "10", "--rate", "1000", "-t", "1500ms", "-w", "100ms")
        stall.join()
        resume.join()
        # Of 1,500 requests some 400 were due in the stall and waited 0..400 ms; a generator that omits would show 10.
        self.assertGreater(got["latency_us"]["p90"], 50_000)

    def test_large_payloads_on_several_threads(self):
        for scheme in SCHEMES:
            for payload in ("1", "126", "70000", "1000000"):
                self.load(scheme, "-c", "4", "-s", payload, "-d", "2", "-t", "50ms", "-w", "0", "--threads", "2")

    def test_idle_reports_memory_per_connection(self):
        for scheme in SCHEMES:
            got = self.load(scheme, "--idle", "-c", "200", "-t", "50ms", "--ramp", "5000")
            self.assertEqual(got["open"], 200)
            self.assertGreaterEqual(got["server"]["held"]["descriptors"], 200)
            self.assertEqual(got["server"]["after"]["descriptors"], got["server"]["before"]["descriptors"])

    def test_broadcast_reaches_everyone_each_time(self):
        for scheme in SCHEMES:
            got = self.load(scheme, "-m", "broadcast", "-c", "50", "-t", "300ms", "-w", "50ms", "--period", "20ms")
            self.assertGreater(got["broadcasts"], 0)
            self.assertEqual(got["messages"], got["broadcasts"] * 50)

    def test_churn_does_every_cycle_and_leaves_nothing(self):
        for scheme in SCHEMES:
            for leave in ("rst", "close"):
                got = self.load(scheme, "-m", "churn", "-n", "500", "-c", "20", "--leave", leave)
                self.assertEqual(got["messages"], 500)
                self.assertEqual(got["server"]["after"]["descriptors"], got["server"]["before"]["descriptors"])

    def test_relay_answers_in_order(self):
        relay = harness.Server([args.limit, "relay"])
        self.addCleanup(relay.stop)
        self.assertEqual(len(relay.pids), 2)
        for scheme in SCHEMES:
            self.load(scheme, "-c", "20", "-d", "16", "-t", "200ms", "-w", "50ms", server=relay)

    def test_tls_carries_both_transports_and_verifies_when_asked(self):
        with harness.certificate() as (cert, key), harness.certificate() as (other, _):
            for scheme in SCHEMES:
                with tls_front(self.server.url(scheme), cert, key) as front:
                    front.pids = self.server.pids
                    for flags in (("-d", "4"), ("-s", "100000"), ("--ca", cert), ("-m", "churn", "-n", "20")):
                        self.load(scheme + "s", "-c", "4", "-t", "50ms", "-w", "20ms", *flags, server=front)
                    refused = harness.mgbench(args.mgbench, front, scheme + "s", "-c", "2", "--ca", other)
                    self.assertEqual(refused["errors"], {"total": 2, "tls": 2})

    def test_errors_are_counted_and_explained(self):
        url = self.server.url("ws").replace("ws:", "tcp:")  # The wrong protocol: refused after the login packet.
        got = subprocess.run([args.mgbench, url, "-c", "2", "--timeout", "1s", "-q"], capture_output=True, text=True)
        self.assertEqual(got.returncode, 1)
        self.assertIn("errors       2", got.stdout)
        self.server.stop()
        got = subprocess.run([args.mgbench, url, "-c", "2", "-q"], capture_output=True, text=True)
        self.assertIn("Connection refused", got.stdout)
        self.assertIn("is the server running", got.stdout)

    def test_bad_flags_are_named(self):
        for flags in (["http://x"], ["tcp://127.0.0.1:1", "-t", "soon"], ["tcp://127.0.0.1:1", "--depth", "0"], []):
            got = subprocess.run([args.mgbench, *flags], capture_output=True, text=True)
            self.assertEqual(got.returncode, 2, flags)
            self.assertTrue(got.stderr.strip())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", required=True)
    parser.add_argument("--mgbench", required=True)
    args, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
