"""the all-in-one demo beside a plain epoll echo: CPU and rate per message, memory, broadcast, churn

The demo runs on one loop, as the yardstick does. Runs on both are interleaved, and a row is made of their medians.
CPU is that of the server process; payload 64 octets.
"""

import harness
from harness import BenchError, Row

# connections, depth, bar of the CPU ratio, bar of the rate ratio
LOADS = ((100, 1, 1.10, 0.90), (1000, 1, 1.20, 0.85), (100, 16, 1.40, 0.70))
P50_BAR = 1.5
IDLE_BAR_BYTES = 1024
BROADCAST_BAR = 1.3
CHURN_RATE_BAR = 0.7
CHURN_RSS_BAR_PERCENT = 2.0
CROWD = 10_000

# A load generator is one address that sends more than a player: the limits meant for players are off.
DEMO_ENV = {
    "GAME_AGENT_HOST": "127.0.0.1", "GAME_AGENT_HANDSHAKES_PER_IP": "0", "GAME_AGENT_RATE_MESSAGES": "0",
    "GAME_AGENT_RATE_BYTES": "0", "GAME_LOG_LEVEL": "warn", "GAME_TOKEN_SECRET": "microgame-demo",
}


class Echo:
    LOADS = LOADS

    def __init__(self, context, servers):
        self.context = context
        self.servers = servers
        self.limit_path = context.program("limit")
        self.mgbench_path = context.program("mgbench")
        self.demo_path = context.program("examples/demo") if context.subject == "demo" else None

    def limit(self):
        return self.servers.start([self.limit_path, "echo"], cpus=self.context.server_cpus)

    def subject(self, *flags):
        if self.demo_path is None:
            return self.limit()
        return self.servers.start(
            [self.demo_path, "--loops", "1", "--agent_type", "tcp,ws", "--agent_port", "127.0.0.1:0,127.0.0.1:0", *flags],
            env=DEMO_ENV, cpus=self.context.server_cpus)

    def load(self, server, scheme, *flags):
        result = harness.mgbench(self.mgbench_path, server, scheme, *flags, cpus=self.context.load_cpus)
        if result["errors"]["total"]:
            raise BenchError(f"{server.name} over {scheme}, {' '.join(flags)}: errors {result['errors']}, "
                             f"first {result['details']}; its last lines:\n  " + "\n  ".join(server.tail))
        return result

    def interleaved(self, runs, limit, subject, scheme, *flags):
        """Results of both; each goes first every other time."""
        results = {limit: [], subject: []}
        for turn in range(runs):
            for server in (limit, subject) if turn % 2 == 0 else (subject, limit):
                results[server].append(self.load(server, scheme, *flags))
        return results[subject], results[limit]

    # ---- the rows ---------------------------------------------------------------------------------------------

    def loads(self):
        # Many short runs in turn rather than few long ones: the machine itself moves by half within seconds.
        runs, seconds = (3, "400ms") if self.context.quick else (21, "350ms")
        limit, subject = self.limit(), self.subject()
        for scheme in ("tcp", "ws"):
            for connections, depth, cpu_bar, rate_bar in self.LOADS:
                name = f"{scheme} {connections}x{depth}"
                if not self.context.wanted(name):
                    continue
                ours, theirs = self.interleaved(runs, limit, subject, scheme, "-c", str(connections), "-d", str(depth),
                                                "-t", seconds, "-w", "100ms")
                yield Row(f"{name} cpu", [r["server"]["cpu_us_per_message"] for r in ours], "us/msg",
                          [r["server"]["cpu_us_per_message"] for r in theirs], cpu_bar)
                yield Row(f"{name} rate", [r["rate"] for r in ours], "msg/s", [r["rate"] for r in theirs], rate_bar,
                          at_least=True)
            if self.context.wanted(f"{scheme} 1x1"):
                ours, theirs = self.interleaved(runs, limit, subject, scheme, "-c", "1", "-t", seconds, "-w", "100ms")
                yield Row(f"{scheme} 1x1 p50", [r["latency_us"]["p50"] for r in ours], "us",
                          [r["latency_us"]["p50"] for r in theirs], P50_BAR)
        self.servers.stop(limit)
        self.servers.stop(subject)

    def idle(self):
        for scheme in ("tcp", "ws"):
            name = f"{scheme} idle {CROWD}"
            if not self.context.wanted(name):
                continue
            ours, theirs = (self.idle_run(server, scheme, CROWD) for server in (self.subject(), self.limit()))
            yield Row(name, [ours], "B/conn", [theirs], IDLE_BAR_BYTES, absolute=True)
        if self.demo_path is None:
            return
        crowd = 1000 if self.context.quick else CROWD
        with harness.certificate() as (cert, key):
            tls_flags = ("--agent_tls_cert", cert, "--agent_tls_key", key)
            for scheme in ("tcps", "wss"):
                name = f"{scheme} idle {crowd}"
                if self.context.wanted(name) and not (self.context.quick and scheme == "wss"):
                    yield Row(name, [self.idle_run(self.subject(*tls_flags), scheme, crowd)], "B/conn")

    def idle_run(self, server, scheme, crowd):
        # First a few of each kind, so that code and pools which every process has once are not counted.
        self.load(server, scheme, "-c", "100", "-t", "50ms", "-w", "0")
        result = self.load(server, scheme, "--idle", "-c", str(crowd), "-t", "100ms" if self.context.quick else "2s")
        if result["open"] != crowd:
            raise BenchError(f"{server.name}: {crowd - result['open']} of {crowd} idle connections were lost")
        self.servers.stop(server)
        return result["server"]["rss_per_connection_bytes"]

    def broadcast(self):
        runs, seconds = (2, "500ms") if self.context.quick else (5, "2s")
        for scheme in ("tcp", "ws"):
            name = f"{scheme} broadcast {CROWD}"
            if not self.context.wanted(name):
                continue
            limit, subject = self.limit(), self.subject()
            ours, theirs = self.interleaved(runs, limit, subject, scheme, "-m", "broadcast", "-c", str(CROWD),
                                            "-t", seconds, "-w", "200ms", "--period", "100ms")
            yield Row(name, [r["server"]["cpu_us_per_message"] for r in ours], "us/recv",
                      [r["server"]["cpu_us_per_message"] for r in theirs], BROADCAST_BAR)
            self.servers.stop(limit)
            self.servers.stop(subject)

    def churn(self):
        runs, cycles = (1, 10_000) if self.context.quick else (3, 100_000)
        for scheme in ("tcp", "ws"):
            name = f"{scheme} churn {cycles}"
            if not self.context.wanted(name):
                continue
            flags = ("-m", "churn", "-c", "100", "--leave", "close", "-n")
            limit, subject = self.limit(), self.subject()
            # What a server keeps after the first crowd (pools, accounts) is not a leak; what it gains by the next is.
            for server in (limit, subject):
                self.load(server, scheme, *flags, str(cycles // 5))
            ours, theirs = self.interleaved(runs, limit, subject, scheme, *flags, str(cycles))
            yield Row(f"{name} rate", [r["rate"] for r in ours], "cycles/s", [r["rate"] for r in theirs], CHURN_RATE_BAR,
                      at_least=True)
            before, after = ours[0]["server"]["before"], ours[-1]["server"]["after"]
            growth = 100 * (after["rss_bytes"] - before["rss_bytes"]) / before["rss_bytes"]
            yield Row(f"{name} RSS growth", [growth], "%", bar=CHURN_RSS_BAR_PERCENT)
            yield Row(f"{name} descriptors left", [after["descriptors"] - before["descriptors"]], "", bar=0)
            self.servers.stop(limit)
            self.servers.stop(subject)


def run(context):
    with harness.Servers() as servers:
        echo = Echo(context, servers)
        yield from echo.loads()
        yield from echo.idle()
        yield from echo.broadcast()
        yield from echo.churn()
