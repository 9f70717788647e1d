"""What every benchmark needs: servers started and ended, runs of mgbench, medians, the table and the JSON line.

    with Servers() as servers:
        demo = servers.start([demo_path, "--loops", "1"])
        result = mgbench(tools.mgbench, demo, "ws", "-c", "100", "-t", "1s")   # its JSON as a dict
"""

import contextlib
import ctypes
import json
import os
import platform
import queue
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading


_libc = ctypes.CDLL(None, use_errno=True)


def _in_child(cpus):
    """What a child does before it becomes the program: dies with us, may open many descriptors, keeps to `cpus`."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if cpus:
        os.sched_setaffinity(0, cpus)


class BenchError(Exception):
    """The benchmark could not be made; the text says why and what to do."""


class Server:
    """A child process that prints what it listens on, one URL a line, and then `ready`.

    `pids` are the processes whose CPU and memory count; a program that forks prints them as `pids A,B`.
    """

    def __init__(self, command, env=None, cpus=None, timeout_s=30):
        self.name = os.path.basename(str(command[0]))
        self.urls = []
        self.tail = []  # The last lines of output, for the message when it dies.

        try:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", env={**os.environ, **(env or {})}, preexec_fn=lambda: _in_child(cpus))
        except OSError as error:
            raise BenchError(f"cannot start {command[0]}: {error.strerror}; build it with `./dev build release`") from error
        self.pids = [self.process.pid]
        lines = queue.SimpleQueue()
        # A thread reads to the end, so that a talkative server never blocks on a full pipe.
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=timeout_s)
            except queue.Empty:
                self.stop()
                raise BenchError(f"{self.name} did not print `ready` within {timeout_s} s") from None
            if line is None:
                self.process.wait()
                raise BenchError(f"{self.name} ended with code {self.process.returncode} before it was ready:\n  "
                                 + "\n  ".join(self.tail))
            if line == "ready":
                return
            if line.startswith("pids "):
                self.pids = [int(pid) for pid in line[5:].split(",")]
            elif line.split("://")[0] in ("tcp", "tcps", "ws", "wss"):
                self.urls.append(line)

    def _read(self, lines):
        for line in self.process.stdout:
            line = line.strip()
            self.tail = self.tail[-9:] + [line]
            lines.put(line)
        lines.put(None)

    def url(self, scheme):
        for url in self.urls:
            if url.startswith(scheme + "://"):
                return url
        raise BenchError(f"{self.name} does not listen on {scheme}; it printed {', '.join(self.urls) or 'nothing'}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Servers:
    """Servers of one benchmark; all are ended, whatever happens."""

    def __init__(self):
        self._all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self._all:
            server.stop()

    def start(self, command, **how):
        server = Server(command, **how)
        self._all.append(server)
        return server

    def stop(self, server):
        self._all.remove(server)
        server.stop()


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mgbench(program, server, scheme, *flags, cpus=None, timeout_s=300):
    """One run of the load generator against `server`; returns its JSON. Errors it counted are in the result."""
    command = [str(program), server.url(scheme), "--json", "--quiet", "--pid", ",".join(map(str, server.pids)),
               *map(str, flags)]

    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: _in_child(cpus))
    try:
        out, err = child.communicate(timeout=timeout_s)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    if not out.strip():
        raise BenchError(f"{' '.join(command)}\nended with code {child.returncode}: {err.strip()}")
    return json.loads(out)


@contextlib.contextmanager
def certificate():
    """Paths of a self-signed certificate (P-256, for localhost) and its key; gone afterwards."""
    if shutil.which("openssl") is None:
        raise BenchError("the openssl program makes the certificate for TLS: apt-get install openssl")
    with tempfile.TemporaryDirectory(prefix="mgbench-") as folder:
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        yield cert, key


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the range as a part of the median: the ± of the table."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


class Row:
    """One line of the result: a value beside the yardstick's.

    bar: what the ratio must keep, or without a yardstick, or if `absolute`, the value; `at_least` says which side.
    """

    def __init__(self, name, values, unit, yardstick=None, bar=None, at_least=False, absolute=False):
        self.name, self.unit, self.bar, self.at_least = name, unit, bar, at_least
        self.value, self.spread = median(values), spread(values)
        self.yardstick = median(yardstick) if yardstick else None
        self.yardstick_spread = spread(yardstick) if yardstick else None
        self.ratio = self.value / self.yardstick if self.yardstick else None
        judged = self.value if absolute or yardstick is None else self.ratio
        self.ok = None
        if bar is not None:
            self.ok = judged is not None and (judged >= bar if at_least else judged <= bar)

    def as_json(self):
        def short(number):
            return None if number is None else float(f"{number:.5g}")

        return {"name": self.name, "value": short(self.value), "unit": self.unit, "yardstick": short(self.yardstick),
                "ratio": short(self.ratio), "bar": self.bar, "ok": self.ok}

    def as_text(self):
        def number(value, part):
            if value is None:
                return ""
            text = f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:.4g}"
            return f"{text} ±{part * 100:.0f}%"

        bar = "" if self.bar is None else f"{'≥' if self.at_least else '≤'} {self.bar:g}"
        verdict = "" if self.ok is None else "ok" if self.ok else "MISSED"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (f"{self.name:<30} {number(self.value, self.spread):>14} {self.unit:<10} "
                f"{number(self.yardstick, self.yardstick_spread or 0):>14} {ratio:>6}  {bar:<8} {verdict}").rstrip()


HEADER = f"{'':<30} {'median':>14} {'unit':<10} {'yardstick':>14} {'ratio':>6}  {'bar':<8}"


def _read(path, default="?"):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return default


def machine():
    model = next((line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo", "").splitlines()
                  if line.startswith("model name")), platform.machine())
    memory_kib = next((int(line.split()[1]) for line in _read("/proc/meminfo", "").splitlines()
                       if line.startswith("MemTotal")), 0)
    return (f"{len(os.sched_getaffinity(0))} cores {model}, {memory_kib / 2**20:.0f} GiB, Linux {platform.release()}, "
            f"tcp {_read('/proc/sys/net/ipv4/tcp_congestion_control')}")


def busy():
    """A warning when other work runs here, or nothing."""
    load = os.getloadavg()[0]
    return f"load average {load:.1f}: other work is running, the figures are noise" if load > 1.0 else ""


def pinning():
    """(cores of the servers, core of the load): the load gets one core of its own. None on a single core."""
    cores = sorted(os.sched_getaffinity(0))
    return ({*cores[1:]}, {cores[0]}) if len(cores) > 1 else (None, None)
