"""gate and game as two processes over the link, beside a plain epoll relay and its echo: CPU and rate per message

Each process has one loop, as the yardstick's two have one thread. They find each other by an etcd of this benchmark.
CPU is that of both processes together; payload 64 octets. The gate forwards up to 16 messages of a player at a time
(agent_depth), as the relay does.
"""

import os
import pathlib
import shutil
import socket
import tempfile
import time

import echo
import harness
from harness import BenchError, Row


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Etcd:
    """An etcd of its own, whose data goes with it."""

    def __init__(self):
        if shutil.which("etcd") is None:
            raise BenchError("etcd is missing: apt-get install etcd-server")
        self._folder = tempfile.TemporaryDirectory(prefix="mgbench-etcd-")
        client, peer = free_port(), free_port()
        self.address = f"127.0.0.1:{client}"
        self._log = open(pathlib.Path(self._folder.name) / "log", "wb")  # pylint: disable=consider-using-with
        self._process = harness.subprocess.Popen(
            ["etcd", "--data-dir", f"{self._folder.name}/data", "--unsafe-no-fsync", "--log-level", "error",
             "--listen-client-urls", f"http://{self.address}", "--advertise-client-urls", f"http://{self.address}",
             "--listen-peer-urls", f"http://127.0.0.1:{peer}"],
            stdout=self._log, stderr=self._log, preexec_fn=lambda: harness._in_child(None))
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise BenchError("etcd did not come up")
            time.sleep(0.05)

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", int(self.address.rpartition(":")[2])), timeout=1):
                return True
        except OSError:
            return False

    def stop(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()


def wait_until_it_answers(mgbench, gate, cpus=None):
    end = time.monotonic() + 20
    while True:
        result = harness.mgbench(mgbench, gate, "tcp", "-c", "1", "-t", "50ms", "-w", "0", cpus=cpus)
        if not result["errors"]["total"]:
            return
        if time.monotonic() > end:
            raise BenchError(f"gate and game do not find each other: {result['errors']}, {result['details']}; "
                             "the gate's last lines:\n  " + "\n  ".join(gate.tail))


class Cluster(echo.Echo):
    # connections, depth, bar of the CPU ratio, bar of the rate ratio
    LOADS = ((100, 1, 1.15, 0.90), (100, 16, 1.50, 0.65), (1000, 1, 1.15, 0.90))

    def __init__(self, context, servers, etcd, *flags):
        super().__init__(context, servers)
        self.etcd = etcd
        self.flags = flags
        self.game = None
        if context.subject == "demo":
            self.gate_path, self.game_path = context.program("examples/gate"), context.program("examples/game")

    def limit(self):
        return self.servers.start([self.limit_path, "relay"], cpus=self.context.server_cpus)

    def service(self, path, *flags):
        return self.servers.start(
            [path, "--loops", "1", "--registry_address", self.etcd.address, "--rpc_address", "127.0.0.1:0", *self.flags,
             *flags], env=echo.DEMO_ENV, cpus=self.context.server_cpus)

    def subject(self, *flags):
        if self.demo_path is None:
            return self.limit()
        self.game = game = self.service(self.game_path)
        gate = self.service(self.gate_path, "--agent_type", "tcp,ws", "--agent_port", "127.0.0.1:0,127.0.0.1:0",
                            "--agent_depth", "16", *flags)
        gate.pids += game.pids
        # The load counts errors: it begins when a player can log in.
        wait_until_it_answers(self.mgbench_path, gate, self.context.load_cpus)
        return gate


def run(context):
    etcd = Etcd()
    try:
        with harness.Servers() as servers:
            cluster = Cluster(context, servers, etcd)
            yield from cluster.loads()
            if cluster.game:
                servers.stop(cluster.game)
            if context.subject == "demo" and context.wanted("grpc 100x1"):
                slow = Cluster(context, servers, etcd, "--rpc_link=off")
                gate = slow.subject()
                runs = [slow.load(gate, "tcp", "-c", "100", "-t", "1s", "-w", "100ms") for _ in range(3)]
                yield Row("grpc 100x1 cpu", [r["server"]["cpu_us_per_message"] for r in runs], "us/msg")
                yield Row("grpc 100x1 rate", [r["rate"] for r in runs], "msg/s")
    finally:
        etcd.stop()
