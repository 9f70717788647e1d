"""gate and game as processes of their own, over the link and over gRPC, beside a plain epoll relay and beside go-micro

Each process has one loop, as the yardstick's two have one thread. They find each other by an etcd of this benchmark.
CPU is that of all its processes together; payload 64 octets. The gate forwards up to 16 messages of a player at a time
(agent_depth), as the relay does. The pair of Go (tests/interop/go) forwards one at a time, as micro-game does; each of
its processes has the cores that ours have.
"""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import echo
import harness
from harness import BenchError, Row


GROWTH_BAR = 1.15
# depth, bar of the rate's ratio, bar of the CPU's ratio
GO_BARS = ((1, 15, 1 / 25), (16, 150, 1 / 250))


class Helper:
    """A server of others on a free port, whose data goes with it."""

    def __init__(self, name, package, command):
        if shutil.which(name) is None:
            raise BenchError(f"{name} is missing: apt-get install {package}")
        self._folder = tempfile.TemporaryDirectory(prefix=f"mgbench-{name}-")
        port = harness.free_port()
        self.address = f"127.0.0.1:{port}"
        self._log = open(pathlib.Path(self._folder.name) / "log", "wb")  # pylint: disable=consider-using-with
        self._process = subprocess.Popen([name, *command(port, self._folder.name)], stdout=self._log, stderr=self._log,
                                         preexec_fn=lambda: harness._in_child(None))
        end = time.monotonic() + 30
        while not self._answers(port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise BenchError(f"{name} did not come up")
            time.sleep(0.05)

    @staticmethod
    def _answers(port):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()


def etcd():
    def command(port, folder):
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{harness.free_port()}"
        return ["--data-dir", f"{folder}/data", "--unsafe-no-fsync", "--log-level", "error", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer]
    return Helper("etcd", "etcd-server", command)


def nats():
    return Helper("nats-server", "nats-server", lambda port, _: ["-a", "127.0.0.1", "-p", str(port)])


def wait_until_it_answers(mgbench, gate, *flags, cpus=None):
    end = time.monotonic() + 20
    while True:
        result = harness.mgbench(mgbench, gate, "tcp", "-c", "1", "-t", "50ms", "-w", "0", "--timeout", "2s", *flags,
                                 cpus=cpus)
        if not result["errors"]["total"]:
            return
        if time.monotonic() > end:
            raise BenchError(f"gate and game do not find each other: {result['errors']}, {result['details']}; "
                             "the gate's last lines:\n  " + "\n  ".join(gate.tail))


class Cluster(echo.Echo):
    # connections, depth, bar of the CPU ratio, bar of the rate ratio
    LOADS = ((100, 1, 1.15, 0.90), (100, 16, 1.50, 0.65), (1000, 1, 1.15, 0.90))

    def __init__(self, context, servers, registry, *flags):
        super().__init__(context, servers)
        self.registry = registry
        self.flags = flags
        self.games = []
        if context.subject == "demo":
            self.gate_path, self.game_path = context.program("examples/gate"), context.program("examples/game")

    def limit(self):
        return self.servers.start([self.limit_path, "relay"], cpus=self.context.server_cpus)

    def service(self, path, *flags):
        return self.servers.start(
            [path, "--loops", "1", "--registry_address", self.registry.address, "--rpc_address", "127.0.0.1:0", *self.flags,
             *flags], env=echo.DEMO_ENV, cpus=self.context.server_cpus)

    def game(self):
        self.games.append(self.service(self.game_path))

    def gate(self):
        return self.service(self.gate_path, "--agent_type", "tcp,ws", "--agent_port", "127.0.0.1:0,127.0.0.1:0",
                            "--agent_depth", "16", "--agent_auth_time", "600s")

    def pair(self, gate, *flags):
        """A gate whose games are there, both counted; it is given back when messages come through."""
        for game in self.games:
            gate.pids += game.pids
        # The load counts errors: it begins when a player is answered.
        wait_until_it_answers(self.mgbench_path, gate, *flags, cpus=self.context.load_cpus)
        return gate

    def subject(self, games=1):
        if self.demo_path is None:
            return self.limit()
        for _ in range(games):
            self.game()
        return self.pair(self.gate())


class Mixed(Cluster):
    """The gate or the game, or both, is the Go program; each pair has a registry of its own."""

    # Go's game wants no login, and answers command 1 with its data.
    GO_GAME = ("--no_login", "--echo_cmd", "1")

    def __init__(self, context, servers, registry, broker, program):
        super().__init__(context, servers, registry)
        self.broker, self.program = broker, program

    def go(self, name, *flags):
        return self.servers.start(
            [self.program, "-serve", "-name", name, "-registry", self.registry.address, "-broker", self.broker.address,
             *flags], cpus=self.context.server_cpus)

    def start(self, go_gate, go_game):
        if go_game:
            self.games.append(self.go("game"))
        else:
            self.game()
        self.load_flags = self.GO_GAME if go_game else ()
        return self.pair(self.go("gate", "-clients", "127.0.0.1:0") if go_gate else self.gate(), *self.load_flags)


def build_go(context):
    """The program of tests/interop/go; Go looks by itself what is to be compiled anew."""
    root = pathlib.Path(__file__).resolve().parent.parent
    program = context.build.absolute() / "bench" / "interop-go"
    done = subprocess.run([sys.executable, root / "tests/interop/build_go.py", "--python", root / ".venv/bin/python",
                           "--source", root / "tests/interop/go", "--output", program], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"the Go side cannot be built: {done.stderr or done.stdout}")
    return program


def in_turns(context, loads):
    """Results of each of `loads` [function of flags]; each goes first every other time."""
    runs, seconds = (2, "300ms") if context.quick else (15, "350ms")
    results = [[] for _ in loads]
    for turn in range(runs):
        order = list(zip(results, loads))
        for result, load in order if turn % 2 == 0 else order[::-1]:
            result.append(load("-t", seconds, "-w", "100ms"))
    return results


def cpu(results):
    return [each["server"]["cpu_us_per_message"] for each in results]


def rate(results):
    return [each["rate"] for each in results]


def over_link(context):
    with etcd() as registry, harness.Servers() as servers:
        yield from Cluster(context, servers, registry).loads()


def growth(context):
    """Two games, then eight, on the same cores: what more of them cost."""
    with etcd() as some, etcd() as more, harness.Servers() as servers:
        pairs = []
        for registry, games in ((more, 8), (some, 2)):
            cluster = Cluster(context, servers, registry)
            pairs.append((cluster, cluster.subject(games)))
        for depth in (1, 16):
            eight, two = in_turns(context, [lambda *time_, c=c, g=g: c.load(g, "tcp", "-d", str(depth), *time_)
                                            for c, g in pairs])
            yield Row(f"growth 2 to 8 games 100x{depth} cpu", cpu(eight), "us/msg", cpu(two), GROWTH_BAR)


def beside_go(context):
    program = build_go(context)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(nats())
        registries = [stack.enter_context(etcd()) for _ in range(4)]
        servers = stack.enter_context(harness.Servers())

        def load_of(registry, go_gate, go_game):
            pair = Mixed(context, servers, registry, broker, program)
            gate = pair.start(go_gate, go_game)
            return lambda *flags: pair.load(gate, "tcp", *pair.load_flags, *flags)

        go, link, to_go, from_go = (load_of(registry, *which) for registry, which in zip(
            registries, ((True, True), (False, False), (False, True), (True, False))))
        for depth, rate_bar, cpu_bar in GO_BARS:
            name = f"link vs go 100x{depth}"
            if context.wanted(name):
                ours, theirs = in_turns(context, [lambda *flags, each=each: each("-d", str(depth), *flags)
                                                  for each in (link, go)])
                yield Row(f"{name} rate", rate(ours), "msg/s", rate(theirs), rate_bar, at_least=True)
                yield Row(f"{name} cpu", cpu(ours), "us/msg", cpu(theirs), cpu_bar)
        if context.wanted("grpc"):
            *mixed, theirs = in_turns(context, [to_go, from_go, go])
            for name, ours in zip(("grpc gate to go game", "grpc go gate to game"), mixed):
                yield Row(f"{name} rate", rate(ours), "msg/s", rate(theirs), 1, at_least=True)
                yield Row(f"{name} p99", [r["latency_us"]["p99"] for r in ours], "us",
                          [r["latency_us"]["p99"] for r in theirs], 1)
                yield Row(f"{name} cpu", cpu(ours), "us/msg", cpu(theirs))


def between_ours_over_grpc(context):
    with etcd() as registry, harness.Servers() as servers:
        pair = Cluster(context, servers, registry, "--rpc_link=off")
        gate = pair.subject()
        runs, = in_turns(context, [lambda *flags: pair.load(gate, "tcp", *flags)])
        yield Row("grpc 100x1 cpu", cpu(runs), "us/msg")
        yield Row("grpc 100x1 rate", rate(runs), "msg/s")


def run(context):
    yield from over_link(context)
    if context.subject != "demo":
        return
    for part, names in ((growth, ["growth 2 to 8 games"]), (beside_go, ["link vs go 100x1", "link vs go 100x16", "grpc"]),
                        (between_ours_over_grpc, ["grpc 100x1"])):
        if any(map(context.wanted, names)):
            yield from part(context)
