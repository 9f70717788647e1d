#!/usr/bin/env python3
"""A cluster on this machine: etcd, nats-server, redis-server, then a db, two game and two gate services of the examples.

    cluster.py up     [--build build/release] [--state build/cluster] [-- FLAGS OF THE SERVICES]
    cluster.py status [--state build/cluster]      # 0: all run, 3: some do not, 4: there is no cluster
    cluster.py down   [--state build/cluster]      # ends what `up` started, by pid, and nothing else

Everything listens on free ports of the loopback interface. The state folder has cluster.json (who runs, where) and the
logs; data of the servers is there, too, and goes with `down`.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

PATIENCE = 60  # Seconds for each process to come up.
GATES = GAMES = 2


class ClusterError(Exception):
    pass


def free_ports(count):
    """Ports that nobody has; all are held until they are known, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def started_at(pid):
    """When the process began, in clock ticks since boot; None when there is none, or only what is left of it."""
    try:
        # The name, in parentheses, may contain anything.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def runs(process):
    """Whether it is still the one that was started: a pid may be somebody else's by now."""
    return started_at(process["pid"]) == process["started"]


def wait_until(done, what, within=PATIENCE):
    end = time.monotonic() + within
    while not (value := done()):
        if time.monotonic() > end:
            raise ClusterError(f"{what}: not within {within} s")
        time.sleep(0.02)
    return value


class Cluster:
    def __init__(self, folder):
        self.folder = folder.resolve()
        self.file = self.folder / "cluster.json"
        self.processes = []

    def load(self):
        try:
            self.processes = json.loads(self.file.read_text(encoding="utf-8"))["processes"]
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError(f"{self.file} cannot be read: {error}") from error
        return True

    def save(self):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"processes": self.processes}, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.file)

    def log(self, name):
        return self.folder / f"{name}.log"

    def launch(self, name, command, ready):
        """Starts a process of its own session; `ready(text of its log)` gives its addresses once it serves."""
        with open(self.log(name), "wb") as log:
            child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=subprocess.STDOUT, start_new_session=True, cwd=self.folder,
                                     env=self.environment())
        process = {"name": name, "pid": child.pid, "started": started_at(child.pid), "addresses": []}
        self.processes.append(process)
        self.save()  # Before it is waited for: whatever happens, `down` finds it.

        def serves():
            if child.poll() is not None:
                raise ClusterError(f"{name} ended with {child.returncode}:\n{self.tail(name)}")
            return ready(self.log(name).read_text(encoding="utf-8", errors="replace"))

        process["addresses"] = wait_until(serves, f"{name} does not come up; its log is {self.log(name)}")
        self.save()
        return process["addresses"]

    @staticmethod
    def environment():
        """Flags of the caller's shell are for other programs; only the level of the log is taken."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GAME_")}
        return kept | {"GAME_LOG_LEVEL": os.environ.get("GAME_LOG_LEVEL", "info")}

    def tail(self, name):
        return self.log(name).read_text(encoding="utf-8", errors="replace")[-4000:]

    def up(self, build, flags):
        programs = {name: build / "examples" / name for name in ("gate", "game", "db")}
        for program in programs.values():
            if not program.is_file():
                raise ClusterError(f"{program} is missing: `./dev cluster up` builds it")
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        servers = {name: shutil.which(name, path=path) for name in ("etcd", "nats-server", "redis-server")}
        for name, program in servers.items():
            if not program:
                raise ClusterError(f"{name} is not installed")
        self.folder.mkdir(parents=True, exist_ok=True)
        etcd, peer, nats, redis = free_ports(4)

        def says(words, *addresses):
            return lambda log: list(addresses) if words in log else None

        def healthy(_):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{etcd}/health", timeout=2) as answer:
                    return [f"127.0.0.1:{etcd}"] if b'"true"' in answer.read() else None
            except OSError:
                return None

        self.launch("etcd", [servers["etcd"], "--data-dir", self.folder / "data" / "etcd", "--name", "dev",
                             "--listen-client-urls", f"http://127.0.0.1:{etcd}",
                             "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
                             "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                             "--initial-cluster", f"dev=http://127.0.0.1:{peer}"], healthy)
        self.launch("nats", [servers["nats-server"], "-a", "127.0.0.1", "-p", nats, "-js",
                             "-sd", self.folder / "data" / "nats"], says("Server is ready", f"nats://127.0.0.1:{nats}"))
        (self.folder / "data" / "redis").mkdir(parents=True, exist_ok=True)
        self.launch("redis", [servers["redis-server"], "--bind", "127.0.0.1", "--port", redis, "--save", "",
                              "--dir", self.folder / "data" / "redis"],
                    says("Ready to accept connections", f"redis://127.0.0.1:{redis}"))

        common = ["--registry_address", f"127.0.0.1:{etcd}", "--broker_address", f"127.0.0.1:{nats}",
                  "--rpc_address", "127.0.0.1:0", *flags]

        def service(log):
            if not re.search(r"^ready$", log, re.MULTILINE):
                return None
            node = re.search(r"started, node ([0-9a-f-]{36})", log)
            return [*re.findall(r"^(?:ws|tcp)s?://\S+$", log, re.MULTILINE), f"node {node[1]}" if node else "serves"]

        self.launch("db", [programs["db"], *common, "--redis", f"redis://127.0.0.1:{redis}",
                           "--db_file", self.folder / "data" / "game.db"], service)
        for number in range(1, GAMES + 1):
            self.launch(f"game{number}", [programs["game"], *common], service)
        for number in range(1, GATES + 1):
            self.launch(f"gate{number}", [programs["gate"], *common, "--agent_type", "ws,tcp", "--agent_host", "127.0.0.1",
                                          "--agent_port", "127.0.0.1:0,127.0.0.1:0"], service)

    def down(self):
        """Services first, gates before games; a SIGTERM each, SIGKILL for what does not end."""
        killed = []
        for process in reversed(self.processes):
            if not runs(process):
                continue
            os.kill(process["pid"], signal.SIGTERM)
            try:
                wait_until(lambda: self.gone(process), process["name"], 30)
            except ClusterError:
                if runs(process):
                    os.kill(process["pid"], signal.SIGKILL)
                    killed.append(process["name"])
                    wait_until(lambda: self.gone(process), process["name"], 10)
        self.file.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        return killed

    @staticmethod
    def gone(process):
        try:
            os.waitpid(process["pid"], os.WNOHANG)  # Our own child, when `up` undoes itself.
        except ChildProcessError:
            pass
        return not runs(process)

    def status(self):
        """Prints who runs; returns whether all do."""
        for process in self.processes:
            state = f"pid {process['pid']:<8}" if runs(process) else "NOT RUNNING "
            print(f"{process['name']:<6} {state} {'  '.join(process['addresses'])}")
        return all(runs(process) for process in self.processes)

    def how_to_talk(self):
        gates = [process for process in self.processes if process["name"].startswith("gate")]
        print("\ntalk to it; whoever enters a room hears what others say there, on either gate:")
        for gate, name in zip(gates, ("ann", "bob")):
            urls = [address for address in gate["addresses"] if "://" in address]
            if urls:
                print(f"  ./dev client {urls[0]} --account {name} --role {name} say hello")
        etcd = next((process["addresses"][0] for process in self.processes if process["name"] == "etcd"), None)
        if etcd:
            print(f"who is there:  ETCDCTL_API=3 etcdctl --endpoints {etcd} get --prefix /micro/registry/")
        print(f"logs: {self.folder}/*.log   end it: ./dev cluster down")


def main():
    parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"), help="where the services are")
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("build/cluster"), help="what is kept of it")
    arguments = sys.argv[1:]
    flags = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, flags = arguments[:at], arguments[at + 1:]
    options = parser.parse_args(arguments)
    cluster = Cluster(options.state)
    try:
        there = cluster.load()
        if options.command == "up":
            if there and any(runs(process) for process in cluster.processes):
                cluster.status()
                raise ClusterError("it is up already: `./dev cluster down` ends it")
            cluster.processes = []
            shutil.rmtree(cluster.folder / "data", ignore_errors=True)
            try:
                cluster.up(options.build.resolve(), flags)
            except BaseException:
                cluster.down()
                raise
        elif not there:
            print("there is no cluster; `./dev cluster up` makes one", file=sys.stderr)
            return 0 if options.command == "down" else 4
        if options.command == "down":
            killed = cluster.down()
            print("down" + (f"; had to be killed: {', '.join(killed)}" if killed else ""))
            return 0
        all_run = cluster.status()
        cluster.how_to_talk()
        return 0 if all_run else 3
    except ClusterError as error:
        print(f"./dev cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Unwinds, so that nothing stays behind.
    sys.exit(main())
