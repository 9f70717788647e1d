#!/usr/bin/env python3
"""A cluster at half load with a fault every half minute: whatever happens, a client is answered, told or closed.

    python3 bench/soak.py --build build/release --minutes 30 [--every 30] [--seed N] [--report FILE]

Two gates and two games with etcd and NATS, all on loopback. One load generator for each gate (tcp one message of a player
at a time, ws up to 16) sends on a fixed schedule, checks that replies come in order, once each and with the right octets,
and connects again when it is closed. A probe of each gate logs in anew four times a second: it says when players were
served again. A fault is a kill -9 with a restart some seconds later, or a SIGSTOP of 1 to 10 s, of one process of them.
The report is written as Markdown.

Exit code: 0 the promises held, 1 one was broken, 2 it could not be run.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "faults"))
import wire  # pylint: disable=wrong-import-position

# What a client must never see; all else tells it that something went wrong.
BROKEN = {"order": "replies out of order, doubled or left out", "payload": "replies with other octets",
          "unanswered": "requests without a reply, an error or a close within 30 s", "protocol": "what is no packet"}
# And what it may see while something is killed or stopped.
TOLD = {"code": "replies that are errors", "closed": "connections closed", "reset": "connections reset"}
WARM_S = 300       # A process may grow for so long; then its memory must be flat.
RSS_BAND = 0.05
CONNECTIONS = 100  # Of each load generator.
PROBE_S = 0.25
PROBE_TIMEOUT_S = 2


class Part:
    """One process of the cluster, which can be killed, stopped and started again on the same port."""

    def __init__(self, name, command, log, ready):
        self.name, self.command, self.log, self.ready = name, command, log, ready
        self.process = None
        self.killed = False
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log,
                                            preexec_fn=lambda: harness._in_child(None))
        self.killed = False

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
        self.killed = True
        self.process.kill()
        self.process.wait()

    def ended_by_itself(self):
        return not self.killed and self.process.poll() is not None

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
        self.probed = {}  # By gate: the port where a probe logs in.
        etcd, peer, nats = harness.free_port(), harness.free_port(), harness.free_port()
        self._add("etcd", ["etcd", "--data-dir", f"{folder}/etcd",
                           "--listen-client-urls", f"http://127.0.0.1:{etcd}",
                           "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
                           "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                           "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                           "--initial-cluster", f"default=http://127.0.0.1:{peer}"], folder, etcd)
        self._add("nats", ["nats-server", "-a", "127.0.0.1", "-p", str(nats)], folder, nats)
        common = ["--registry_address", f"127.0.0.1:{etcd}", "--broker_address", f"127.0.0.1:{nats}", "--loops", "1"]
        for name in ("game1", "game2"):
            rpc = harness.free_port()
            self._add(name, [f"{build}/examples/game", *common, "--rpc_address", f"127.0.0.1:{rpc}"], folder, rpc)
        for name, scheme, depth in (("gate1", "tcp", 1), ("gate2", "ws", 16)):
            ports = {kind: harness.free_port() for kind in ("tcp", "ws")}
            listen = ",".join(f"127.0.0.1:{port}" for port in ports.values())
            self._add(name, [f"{build}/examples/gate", *common, "--agent_type", ",".join(ports), "--agent_port", listen,
                             "--agent_depth", str(depth), "--agent_handshakes_per_ip", "0",
                             "--agent_rate_messages", "0", "--agent_rate_bytes", "0"], folder, ports["tcp"])
            self.urls[name] = f"{scheme}://127.0.0.1:{ports[scheme]}"
            self.probed[name] = ports["tcp"]

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
    """Messages a second that each gate answers while both are asked all they can, in a closed loop."""
    runs = {name: load(build, url, "-c", CONNECTIONS, "-t", "4s", "-w", "1s", "--account", f"{name}-")
            for name, url in cluster.urls.items()}
    return {name: round(result_of(run)["rate"]) for name, run in runs.items()}


class Memory(threading.Thread):
    """Resident memory of each process of a service: its samples (age in seconds, octets) under (name, pid)."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.samples = {}
        self._cluster, self._end, self._began = cluster, threading.Event(), {}

    def run(self):
        while not self._end.wait(5):
            now = time.monotonic()
            for name, part in self._cluster.parts.items():
                if not name.startswith(("gate", "game")) or part.killed:
                    continue
                key = (name, part.process.pid)
                age = now - self._began.setdefault(key, now)
                with contextlib.suppress(OSError, IndexError, ValueError):
                    if octets := part.rss():
                        self.samples.setdefault(key, []).append((age, octets))

    def end(self):
        self._end.set()
        self.join()

    def bands(self):
        """Of each process that lived a minute and more beyond WARM_S: its memory then, and the minute farthest from it."""
        found = []
        for (name, pid), samples in self.samples.items():
            minutes = {}
            for age, octets in samples:
                if age >= WARM_S:
                    minutes.setdefault(int((age - WARM_S) // 60), []).append(octets)
            medians = [statistics.median(octets) for _, octets in sorted(minutes.items()) if len(octets) >= 6]
            if len(medians) >= 2:
                farthest = max(medians[1:], key=lambda octets, first=medians[0]: abs(octets - first))
                found.append({"name": name, "pid": pid, "minutes": round(samples[-1][0] / 60, 1), "warm_bytes": medians[0],
                              "last_bytes": medians[-1], "farthest": farthest / medians[0] - 1})
        return found


class Probe(threading.Thread):
    """Logs in at one gate again and again; keeps when that was tried in vain: (from, to, why)."""

    ACCOUNTS = 16  # They live on either game.

    def __init__(self, name, port):
        super().__init__(daemon=True)
        self.failed, self.tried = [], 0
        self._name, self._port, self._end = name, port, threading.Event()

    def run(self):
        while not self._end.wait(PROBE_S):
            began = time.monotonic()
            self.tried += 1
            if why := self._refusal():
                self.failed.append((began, time.monotonic(), why))

    def _refusal(self):
        account = f"probe-{self._name}-{self.tried % self.ACCOUNTS}"
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=PROBE_TIMEOUT_S) as client:
                client.sendall(wire.packet(wire.LOGIN, wire.login_body(account)))
                head = b""
                while len(head) < wire.SERVER_HEAD.size:
                    if not (more := client.recv(wire.SERVER_HEAD.size - len(head))):
                        return "closed"
                    head += more
                code = wire.SERVER_HEAD.unpack(head)[2]
                return f"code {code}" if code else None
        except OSError as error:
            return str(error)

    def end(self):
        self._end.set()
        self.join()


def disturb(cluster, chance, only):
    """One fault; returns when the process is back."""
    kind, name = chance.choice([(kind, name) for name in sorted(cluster.parts) for kind in ("kill", "stop")
                                if only.search(f"{kind} {name}")])
    part = cluster.parts[name]
    pause = chance.uniform(1, 3) if kind == "kill" else chance.uniform(1, 10)
    began = time.monotonic()
    if kind == "kill":
        part.kill()
        time.sleep(pause)
        part.start()
        part.wait_ready()
    else:
        part.process.send_signal(signal.SIGSTOP)
        time.sleep(pause)
        part.process.send_signal(signal.SIGCONT)
    print(f"  {time.strftime('%H:%M:%S')} {kind} {part.name}, {pause:.1f} s", flush=True)
    return {"name": part.name, "kind": kind, "pause_s": pause, "from": began, "to": time.monotonic()}


def recovered(faults, probes):
    """Adds to each fault how long after its end a probe still failed (0: none did), and for how long in all."""
    for fault, following in zip(faults, [*faults[1:], None]):
        until = following["from"] if following else float("inf")
        failed = [span for probe in probes for span in probe.failed if fault["from"] <= span[1] < until]
        fault["recovery_s"] = max([0.0, *(span[1] - fault["to"] for span in failed)])
        fault["unserved_s"] = max(span[1] for span in failed) - min(span[0] for span in failed) if failed else 0.0
        fault["logins"] = dict(collections.Counter(span[2] for span in failed))


def soak(args, folder):
    cluster = Cluster(args.build, folder)
    memory, faults, ended = Memory(cluster), [], set()
    probes = [Probe(name, port) for name, port in cluster.probed.items()]
    try:
        time.sleep(2)  # All see all.
        most = capacity(args.build, cluster)
        rates = {name: max(20, int(rate * args.share)) for name, rate in most.items()}
        print(f"  at most {most}/s, now {rates}/s for {args.minutes:g} min, seed {args.seed}", flush=True)
        for thread in (memory, *probes):
            thread.start()
        seconds = int(args.minutes * 60)
        runs = {name: load(args.build, url, "-c", CONNECTIONS, "-r", rates[name], "-t", f"{seconds}s", "-w", "1s",
                           "--reconnect", "--timeout", "30s", "--account", f"{name}-") for name, url in cluster.urls.items()}
        chance, until, next_fault = random.Random(args.seed), time.monotonic() + seconds - 20, time.monotonic()
        while True:
            next_fault = max(next_fault + args.every, time.monotonic())
            if next_fault >= until:
                break
            time.sleep(max(0.0, next_fault - time.monotonic()))
            ended.update(part.name for part in cluster.parts.values() if part.ended_by_itself())
            if ended:
                for run in runs.values():
                    run.send_signal(signal.SIGINT)
                break
            faults.append(disturb(cluster, chance, args.only))
        results = {name: result_of(run) for name, run in runs.items()}
        ended.update(part.name for part in cluster.parts.values() if part.ended_by_itself())
        for thread in (memory, *probes):
            thread.end()
    finally:
        codes = cluster.stop()
    recovered(faults, probes)
    return {"capacity": most, "rate": rates, "minutes": args.minutes, "every_s": args.every, "seed": args.seed,
            "faults": [{key: fault[key] for key in fault if key not in ("from", "to")} for fault in faults],
            "clients": {name: {key: result[key] for key in ("messages", "errors", "details", "latency_us")}
                        for name, result in results.items()},
            "logins": {"tried": sum(probe.tried for probe in probes), "in_vain": sum(len(probe.failed) for probe in probes)},
            "memory": memory.bands(), "ended_by_itself": sorted(ended), "exit_codes": codes}


def verdict(report):
    """What was broken, one line each."""
    broken = [f"{name} ended by itself" for name in report["ended_by_itself"]]
    for name, client in report["clients"].items():
        broken += [f"{name}: {client['errors'][kind]} × {kind}: {client['details'].get(kind, '')}"
                   for kind in BROKEN if client["errors"].get(kind)]
        if client["messages"] == 0:
            broken.append(f"{name}: no message was answered")
    broken += [f"{process['name']}: memory moved by {process['farthest']:+.1%} after its first {WARM_S // 60} minutes"
               for process in report["memory"] if abs(process["farthest"]) > RSS_BAND]
    broken += [f"{name} did not end well: {code}" for name, code in report["exit_codes"].items()
               if name.startswith(("gate", "game")) and code != 0]
    return broken


def table(head, rows):
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows))


def as_markdown(report):
    """docs/reliability.md: what was done, and the figures."""
    clients = list(report["clients"].values())
    messages = sum(client["messages"] for client in clients)
    count = {kind: sum(client["errors"].get(kind, 0) for client in clients)
             for client in clients for kind in client["errors"]}
    refused = sum(count.values()) - count.get("total", 0) - sum(count.get(kind, 0) for kind in (*BROKEN, *TOLD))
    groups = {}
    for fault in report["faults"]:
        name = fault["name"].rstrip("12")
        groups.setdefault((fault["kind"], name), []).append(fault)

    def seconds(values):
        return f"{statistics.median(values):.1f} / {max(values):.1f}"

    faults = [(f"{'kill -9, restart' if kind == 'kill' else 'SIGSTOP, SIGCONT'} of {name}", len(group),
               seconds([fault["pause_s"] for fault in group]), seconds([fault["unserved_s"] for fault in group]),
               seconds([fault["recovery_s"] for fault in group])) for (kind, name), group in sorted(groups.items())]
    seen = ([(f"**{text}**", count.get(kind, 0)) for kind, text in BROKEN.items()]
            + [(text, count.get(kind, 0)) for kind, text in TOLD.items()]
            + [("connects, upgrades and logins that failed", refused)])
    memory = [(process["name"], process["minutes"], f"{process['warm_bytes'] / 1e6:.1f}", f"{process['last_bytes'] / 1e6:.1f}",
               f"{process['farthest']:+.1%}") for process in report["memory"]]
    found = "\n".join(f"* {line}" for line in report["broken"]) or "Everything promised was kept."
    memory_text = (table(("process", "lived, min", f"RSS after {WARM_S // 60} min, MB", "at its end, MB", "farthest minute"), memory)
                   if memory else f"No process lived {WARM_S // 60 + 2} minutes.")
    return f"""# Under faults

`./dev soak` writes this page. It runs gate ×2, game ×2, etcd and NATS as processes of one machine, a fault every
{report['every_s']:g} s (kill -9 and a restart 1 to 3 s later, or SIGSTOP for 1 to 10 s, of any of the six), and two load generators
of {CONNECTIONS} players each at half of what the cluster can do: tcp to one gate, a message of a player at a time, ws to the other, up to
16 at a time (`agent_depth`). Each player checks that replies come in the order of its requests, once each, with its own
octets; a request has to end with a reply, an error or a close within 30 s. A probe of each gate logs in anew
{1 / PROBE_S:g} times a second, waiting at most {PROBE_TIMEOUT_S} s; with it "not served" and "after the fault" are measured. Memory of a process must
stay within ±{RSS_BAND:.0%} once it is {WARM_S // 60} minutes old.

## The last run

{time.strftime('%Y-%m-%d')}, {harness.machine()}; {report['minutes']:g} minutes, seed {report['seed']}, {len(report['faults'])} faults.

{found}

{messages:,} messages were answered. {sum(report['rate'].values()):,} a second were sent, of {sum(report['capacity'].values()):,} that the cluster can answer.

{table(("what the players saw (**bold**: must be 0)", "times"), seen)}

Of {report['logins']['tried']} logins of the probes {report['logins']['in_vain']} were in vain. Seconds, median / most:

{table(("fault", "times", "it lasted", "some not served", "of that after the fault"), faults)}

{memory_text}

Again: `./dev soak --minutes {report['minutes']:g} --seed {report['seed']}`.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=30, help="seconds between faults")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, default=re.compile(""),
                        help="faults that match, such as 'stop gate' or 'kill (etcd|nats)'")
    parser.add_argument("--share", type=float, default=0.5, help="of what the cluster can do")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--report", type=pathlib.Path, help="the file that is written; default docs/reliability.md, "
                        "build/reliability.md for a run of less than 30 minutes")
    args = parser.parse_args()
    if args.report is None:
        root = pathlib.Path(__file__).resolve().parent.parent
        args.report = root / ("docs" if args.minutes >= 30 else "build") / "reliability.md"
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
    args.report.write_text(as_markdown(report), encoding="utf-8")
    print(f"  written: {args.report}")
    print(json.dumps(report))
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
