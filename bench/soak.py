#!/usr/bin/env python3
"""A cluster at half load with a fault every half minute: whatever happens, a client is answered, told or closed.

    python3 bench/soak.py --build build/release --minutes 30 [--every 30] [--seed N] [--report FILE]

Two gates and two games with etcd and NATS, all on loopback. One load generator for each gate sends on a fixed schedule,
checks that replies come in order, once each and with the right octets, and connects again when it is closed. A fault is
a kill -9 with a restart some seconds later, or a SIGSTOP of 1 to 10 s, of one process of them.

Exit code: 0 the promises held, 1 one was broken, 2 it could not be run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
from cluster import free_port

# What a client must never see; all else tells it that something went wrong.
BROKEN = ("order", "payload", "unanswered", "protocol")
WARM_S = 300       # After this long memory must be flat.
SETTLED_S = 60     # How long a process runs before its memory counts.
RSS_BAND = 0.05
CONNECTIONS = 100


class Part:
    """One process of the cluster, which can be killed, stopped and started again on the same port."""

    def __init__(self, name, command, log, ready):
        self.name, self.command, self.log, self.ready = name, command, log, ready
        self.process = None
        self.since = 0.0
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log,
                                            preexec_fn=lambda: harness._in_child(None))
        self.since = time.monotonic()

    def wait_ready(self, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise harness.BenchError(f"{self.name} ended with {self.process.returncode}; its log: {self.log}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ready), timeout=1):
                return
            time.sleep(0.05)
        raise harness.BenchError(f"{self.name} does not listen on port {self.ready} after {seconds} s; log: {self.log}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Cluster:
    def __init__(self, build, folder):
        self.parts = {}
        self.urls = {}
        etcd, peer, nats = free_port(), free_port(), free_port()
        self._add("etcd", ["etcd", "--data-dir", f"{folder}/etcd",
                           "--listen-client-urls", f"http://127.0.0.1:{etcd}",
                           "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
                           "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                           "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                           "--initial-cluster", f"default=http://127.0.0.1:{peer}"], folder, etcd)
        self._add("nats", ["nats-server", "-a", "127.0.0.1", "-p", str(nats)], folder, nats)
        common = ["--registry_address", f"127.0.0.1:{etcd}", "--broker_address", f"127.0.0.1:{nats}", "--loops", "1"]
        for name in ("game1", "game2"):
            rpc = free_port()
            self._add(name, [f"{build}/examples/game", *common, "--rpc_address", f"127.0.0.1:{rpc}"], folder, rpc)
        for name, scheme in (("gate1", "tcp"), ("gate2", "ws")):
            port = free_port()
            self._add(name, [f"{build}/examples/gate", *common, "--agent_type", scheme, "--agent_port",
                             f"127.0.0.1:{port}", "--agent_handshakes_per_ip", "0", "--agent_rate_messages", "0",
                             "--agent_rate_bytes", "0"], folder, port)
            self.urls[name] = f"{scheme}://127.0.0.1:{port}"

    def _add(self, name, command, folder, port):
        part = Part(name, command, f"{folder}/{name}.log", port)
        self.parts[name] = part
        part.wait_ready()

    def stop(self):
        """Codes of the services, which end first; None for one that had to be killed."""
        return {name: self.parts[name].stop() for name in reversed(self.parts)}


def load(build, url, *flags):
    return subprocess.Popen([f"{build}/tools/mgbench/mgbench", url, "--json", "--quiet", *map(str, flags)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            preexec_fn=lambda: harness._in_child(None))


def result_of(process):
    out, _ = process.communicate()
    if not out.strip():
        raise harness.BenchError(f"the load generator ended with {process.returncode} and no result")
    return json.loads(out.splitlines()[-1])


def capacity(build, cluster):
    """Messages a second that both gates answer together, closed loop."""
    runs = [load(build, url, "-c", CONNECTIONS, "-d", 4, "-t", "4s", "-w", "1s", "--account", f"{name}-")
            for name, url in cluster.urls.items()]
    return sum(result_of(run)["rate"] for run in runs)


class Memory(threading.Thread):
    """Resident memory of the services, by name: (seconds since the start, since its own start, octets)."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.samples = {name: [] for name in cluster.parts if name.startswith(("gate", "game"))}
        self._cluster, self._end, self._began = cluster, threading.Event(), time.monotonic()

    def run(self):
        while not self._end.wait(5):
            now = time.monotonic()
            for name, samples in self.samples.items():
                part = self._cluster.parts[name]
                with contextlib.suppress(OSError, IndexError, ValueError):
                    samples.append((now - self._began, now - part.since, part.rss()))

    def end(self):
        self._end.set()
        self.join()

    def bands(self):
        """By service: growth of the last quarter's median over that of the time right after warming up."""
        found = {}
        for name, samples in self.samples.items():
            settled = [(at, octets) for at, age, octets in samples if age >= SETTLED_S and at >= WARM_S]
            if len(settled) < 8:
                continue
            quarter = max(2, len(settled) // 4)
            first = statistics.median(octets for _, octets in settled[:quarter])
            last = statistics.median(octets for _, octets in settled[-quarter:])
            found[name] = {"first_bytes": first, "last_bytes": last, "growth": (last - first) / first}
        return found


def disturb(cluster, chance, log):
    """One fault; returns when the process is back."""
    part = cluster.parts[chance.choice(sorted(cluster.parts))]
    if chance.random() < 0.5:
        pause = chance.uniform(1, 3)
        part.kill()
        time.sleep(pause)
        part.start()
        part.wait_ready()
        log.append(f"kill {part.name}, back after {pause:.1f} s")
    else:
        pause = chance.uniform(1, 10)
        part.process.send_signal(signal.SIGSTOP)
        time.sleep(pause)
        part.process.send_signal(signal.SIGCONT)
        log.append(f"stop {part.name} for {pause:.1f} s")
    print(f"  {time.strftime('%H:%M:%S')} {log[-1]}", flush=True)


def soak(args, folder):
    cluster = Cluster(args.build, folder)
    memory = Memory(cluster)
    faults = []
    try:
        time.sleep(2)  # All see all.
        most = capacity(args.build, cluster)
        rate = max(20, int(most * args.share / 2))
        print(f"  both gates answer {most:.0f}/s; {rate}/s to each for {args.minutes} min, seed {args.seed}", flush=True)
        memory.start()
        seconds = int(args.minutes * 60)
        runs = {name: load(args.build, url, "-c", CONNECTIONS, "-r", rate, "-t", f"{seconds}s", "-w", "1s",
                           "--reconnect", "--timeout", "30s", "--account", f"{name}-") for name, url in cluster.urls.items()}
        chance, until, next_fault = random.Random(args.seed), time.monotonic() + seconds - 20, time.monotonic()
        while True:
            next_fault = max(next_fault + args.every, time.monotonic())
            if next_fault >= until:
                break
            time.sleep(max(0.0, next_fault - time.monotonic()))
            disturb(cluster, chance, faults)
        results = {name: result_of(run) for name, run in runs.items()}
        memory.end()
    finally:
        codes = cluster.stop()
    return {"capacity": most, "rate": 2 * rate, "minutes": args.minutes, "seed": args.seed, "faults": faults,
            "clients": {name: {key: result[key] for key in ("messages", "errors", "details", "latency_us")}
                        for name, result in results.items()},
            "memory": memory.bands(), "exit_codes": codes}


def verdict(report):
    """What was broken, one line each."""
    broken = []
    for name, client in report["clients"].items():
        broken += [f"{name}: {client['errors'][kind]} × {kind}: {client['details'].get(kind, '')}"
                   for kind in BROKEN if client["errors"].get(kind)]
        if client["messages"] == 0:
            broken.append(f"{name}: no message was answered")
    broken += [f"{name}: memory grew by {band['growth']:.1%} ({band['first_bytes']:.0f} to {band['last_bytes']:.0f})"
               for name, band in report["memory"].items() if band["growth"] > RSS_BAND]
    broken += [f"{name} did not end well: {code}" for name, code in report["exit_codes"].items()
               if name.startswith(("gate", "game")) and code != 0]
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=30, help="seconds between faults")
    parser.add_argument("--share", type=float, default=0.5, help="of what the cluster can do")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--report", type=pathlib.Path, help="where the JSON goes, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            report = soak(args, folder)
        except harness.BenchError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 2
        report["broken"] = verdict(report)
        if report["broken"]:
            for log in sorted(pathlib.Path(folder).glob("g*.log")):
                print(f"--- the end of {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
    for line in report["broken"]:
        print(f"BROKEN {line}")
    text = json.dumps(report)
    if args.report:
        args.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
