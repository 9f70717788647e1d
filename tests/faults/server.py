"""The server under test as a process: start, look at, stop."""

import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

from client import Closed, TcpClient, WsClient
from environment import CERT, KEY, REPORT, demo, limit, with_sanitizer_options
from wire import new_account


class Server:
    """The demo as a process of its own, on free ports of 127.0.0.1.

    flags    {"agent_conn_max": 3} becomes --agent_conn_max=3
    types    listeners, in order: ws wss tcp tcps
    limits   {resource.RLIMIT_NOFILE: 128} in the new process
    stderr, stdout  files instead of pipes that are read into `lines`
    ready    False: do not wait for the URLs (ports must then be given: `ports`)
    program  another program than the demo, with the same flags
    """

    DEFAULTS = {"agent_rate_messages": 0, "agent_rate_bytes": 0, "agent_handshakes_per_ip": 0}  # No limit.

    def __init__(self, flags=None, types=("ws", "tcp"), *, log="info", limits=None, stderr=None, stdout=None,
                 ports=None, ready=True, program=None):
        self.types, self.program = types, program or demo()
        self.flags = {**self.DEFAULTS, **(flags or {})}
        if any(map(secure, types)):
            self.flags.setdefault("agent_tls_cert", CERT)
            self.flags.setdefault("agent_tls_key", KEY)
        self.flags.setdefault("agent_host", "127.0.0.1")
        self.log_level, self.limits, self.wanted_ports, self.wait_ready = log, limits or {}, ports, ready
        self.stderr, self.stdout = stderr, stdout
        self.lines, self.ports, self._changed = [], {}, threading.Condition()
        self._start()

    def _start(self):
        ports = self.wanted_ports or [0] * len(self.types)
        command = self.program + ["--agent_type=" + ",".join(self.types),
                                "--agent_port=" + ",".join(f"127.0.0.1:{port}" for port in ports)]
        command += [f"--{name}={value}" for name, value in self.flags.items()]
        env = dict(os.environ, GAME_LOG_LEVEL=self.log_level)
        # A reservation by what a client claims becomes an abort; freed memory does not look like a leak.
        env = with_sanitizer_options(env, "max_allocation_size_mb=192", ("ASAN_OPTIONS", "TSAN_OPTIONS"))
        env = with_sanitizer_options(env, "quarantine_size_mb=8")

        def prepare():
            for which, value in self.limits.items():
                resource.setrlimit(which, (value, value))

        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=self.stdout or subprocess.PIPE,
                                        stderr=self.stderr or subprocess.PIPE, preexec_fn=prepare)
        self.pid = self.process.pid
        self._pumps = [threading.Thread(target=self._pump, args=(stream,), daemon=True)
                       for stream in (self.process.stdout, self.process.stderr) if stream]
        for thread in self._pumps:
            thread.start()
        if self.wait_ready:
            try:
                self.wait_line(re.compile(r"^ready\s*$"), limit(15))
            except AssertionError:
                self.kill()
                raise AssertionError("the server did not get ready:\n  " + " ".join(command) + "\n" + self.tail()) from None
            urls = [re.match(r"(wss?|tcps?)://([^/\s]+):(\d+)", line) for line in list(self.lines)]
            urls = [match for match in urls if match]
            assert [url[1] for url in urls] == list(self.types), f"URLs printed: {[url[0] for url in urls]}"
            self.ports = {url[1]: int(url[3]) for url in urls}
            self.sockets_at_start = self.sockets()
        else:
            self.ports = dict(zip(self.types, ports))

    def _pump(self, stream):
        for line in iter(stream.readline, b""):
            with self._changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()

    # ---- log

    def wait_line(self, pattern, within, start=0):
        """The first line from number `start` on that matches."""
        end = time.monotonic() + within
        with self._changed:
            while True:
                for line in self.lines[start:]:
                    if match := pattern.search(line):
                        return match
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise AssertionError(f"no line {pattern.pattern!r} within {within:.1f} s")
                if self.process.poll() is not None and time.monotonic() >= end - within + 1:
                    raise AssertionError(f"the server ended with {self.process.returncode}")

    def matches(self, pattern, start=0):
        with self._changed:
            return [match for line in self.lines[start:] if (match := pattern.search(line))]

    def tail(self, count=60):
        with self._changed:
            return "\n".join(self.lines[-count:])

    # ---- the process

    def running(self):
        return self.process.poll() is None

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def sockets(self):
        """Descriptors that are sockets."""
        count = 0
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                count += os.readlink(f"/proc/{self.pid}/fd/{name}").startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def _status(self, name):
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))

    def threads(self):
        return self._status("Threads")

    def rss(self):
        return self._status("VmRSS") * 1024

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_rss(self):
        """The highest RSS since reset_peak()."""
        return self._status("VmHWM") * 1024

    def cpu(self):
        """Seconds of CPU used so far."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, within):
        """The exit code; AssertionError when the process still runs after `within` seconds."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server still runs after {within:.1f} s\n{self.tail(20)}") from None
        for thread in self._pumps:
            thread.join(2)
        return code

    def check_log(self):
        """No report of a sanitizer, no uncaught exception."""
        bad = self.matches(REPORT)
        assert not bad, "the server reported:\n" + self.tail(120)

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def stop(self, within=None, codes=(0,)):
        """SIGTERM; waits for the end; the exit code must be one of `codes` and no sanitizer may have spoken."""
        try:
            if self.running():
                self.signal(signal.SIGTERM)
            got = self.wait(within or limit(15))
            self.check_log()
            assert got in codes, f"exit code {got}, not {codes}\n{self.tail()}"
        finally:
            self.kill()

    # ---- clients

    def open(self, kind, *, rcvbuf=None, sndbuf=None, mss=None, timeout=None):
        """A connected socket (TLS done for wss and tcps)."""
        sock = socket.socket()
        try:
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            if sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
            if mss:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            sock.settimeout(timeout or limit(5))
            sock.connect(("127.0.0.1", self.ports[kind]))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure(kind):
                sock = tls_context().wrap_socket(sock, server_hostname="localhost")
            return sock
        except BaseException:
            sock.close()
            raise

    def connect(self, kind, *, rcvbuf=None, sndbuf=None, mss=None, **handshake):
        """A client on a new connection; ws and wss: upgraded."""
        sock = self.open(kind, rcvbuf=rcvbuf, sndbuf=sndbuf, mss=mss)
        if kind.startswith("ws"):
            return WsClient(sock, self, kind).upgrade(**handshake)
        return TcpClient(sock, self, kind)

    def raw(self, kind, **options):
        """A ws client before its handshake, or a tcp client."""
        return (WsClient if kind.startswith("ws") else TcpClient)(self.open(kind, **options), self, kind)

    def check_alive(self, within=1.0):
        """A fresh client of each listener logs in and gets an answer in time, from the same process."""
        assert self.running(), f"the server died: {self.process.returncode}\n{self.tail(100)}"
        for kind in self.types:
            start = time.monotonic()
            try:
                with self.connect(kind) as client:
                    client.login(new_account())
                    client.echo(os.urandom(32))
            except (OSError, AssertionError, Closed) as error:
                raise AssertionError(f"not alive over {kind}: {error!r}; running: {self.running()}\n{self.tail()}") from error
            took = time.monotonic() - start
            assert took < limit(within), f"{kind}: a fresh client waited {took:.2f} s"
        assert self.running(), f"the server died: {self.process.returncode}\n{self.tail(100)}"


def secure(kind):
    return kind in ("wss", "tcps")


_tls = None


def tls_context():
    global _tls
    if _tls is None:
        _tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _tls.load_verify_locations(CERT)
    return _tls


def free_ports(count):
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
