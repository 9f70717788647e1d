"""What the fault tests share: the server under test, raw clients that can send any bit, checks of what comes back.

    server = Server({"agent_auth_time": 2})                # starts the demo on free ports, waits for `ready`
    client = server.connect("ws").login("ann")             # raw client: ws, wss, tcp or tcps
    client.send(frame(PING, b"x", mask=False))             # any frame, right or wrong
    client.expect_close({1002}, within=2)                  # close code, then the end of the connection
    server.stop()                                          # SIGTERM; the exit code must be 0

Everything a server sends is checked on the way (RFC 6455 rules for server frames, heads of packets). Environment:
MG_DEMO the program (its path and first arguments); MG_HEAVY=1 the long variants; MG_SEED the seed of random cases;
MG_TIME_SCALE how much slower than a release build limits may be (found from the program when not set).
Standard library only.
"""

import base64
import hashlib
import hmac
import itertools
import mmap
import os
import pathlib
import random
import re
import resource
import select
import shlex
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import typing
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CERT, KEY = HERE / "certs" / "server.crt", HERE / "certs" / "server.key"
HEAVY = os.environ.get("MG_HEAVY", "") not in ("", "0")
SEED = int(os.environ.get("MG_SEED", "0")) or (time.time_ns() % 10**9 if HEAVY else 20240229)
SECRET = b"microgame-demo"

LOGIN, CREATE_ROLE, SELECT_ROLE, SILENT, ECHO, CHAT, CHAT_PUSH = 10001, 10002, 10003, 10004, 10005, 10006, 20001
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLIENT_HEAD, SERVER_HEAD = struct.Struct(">HII"), struct.Struct(">HIII")
MAX_MESSAGE = 1024 * 1024  # Default of --agent_max_message.
MIB = 1024 * 1024


def heavy(light, long):
    """The size of a case: `light` in every run, `long` with MG_HEAVY=1."""
    return long if HEAVY else light


def rng(name):
    """A random source of one test; the seed is printed, MG_SEED replays it."""
    print(f"seed {SEED} ({name})", file=sys.stderr)
    return random.Random(f"{SEED}/{name}")


# ---- the program under test ------------------------------------------------------------------------------------


def _program():
    command = shlex.split(os.environ.get("MG_DEMO", ""))
    if not command:
        sys.exit("MG_DEMO is not set: the path of the demo server")
    return command


def _sanitizer():
    """"address", "thread" or "": which sanitizer the program was built with."""
    path = _program()[0]
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            if text.find(b"__tsan_init") >= 0:
                return "thread"
            return "address" if text.find(b"__asan_init") >= 0 else ""


SANITIZER = _sanitizer()
SLOW = float(os.environ.get("MG_TIME_SCALE") or {"": 1.5, "address": 4, "thread": 10}[SANITIZER])
REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|Assertion")


def limit(seconds):
    """A time limit for this build: `seconds` on an idle machine with a release build."""
    return seconds * SLOW


def rss_limit(mib):
    """Bytes that a growth of `mib` MiB may look like in this build (red zones and shadow memory of sanitizers)."""
    return int(mib * MIB) if not SANITIZER else int(mib * 3 * MIB) + 32 * MIB


def wait_for(condition, within, what):
    """Polls until `condition()` is true and returns its value; AssertionError `what` after `within` seconds."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:.1f} s: {what() if callable(what) else what}")
        pause(0.01)


def pause(seconds):
    """A pause that is the stimulus itself (a slow writer), or between two looks at /proc."""
    select.select([], [], [], seconds)


class Server:
    """The demo as a process of its own, on free ports of 127.0.0.1.

    flags    {"agent_conn_max": 3} becomes --agent_conn_max=3
    types    listeners, in order: ws wss tcp tcps
    limits   {resource.RLIMIT_NOFILE: 128} in the new process
    stderr, stdout  files instead of pipes that are read into `lines`
    ready    False: do not wait for the URLs (ports must then be given: `ports`)
    """

    DEFAULTS = {"agent_rate_messages": 10_000_000, "agent_rate_bytes": 1 << 34, "agent_handshakes_per_ip": 1_000_000}

    def __init__(self, flags=None, types=("ws", "tcp"), *, log="info", limits=None, stderr=None, stdout=None,
                 ports=None, ready=True):
        self.types = types
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
        command = _program() + ["--agent_type=" + ",".join(self.types),
                                "--agent_port=" + ",".join(f"127.0.0.1:{port}" for port in ports)]
        command += [f"--{name}={value}" for name, value in self.flags.items()]
        env = dict(os.environ, GAME_LOG_LEVEL=self.log_level)
        # A reservation by what a client claims becomes an abort; freed memory does not look like a leak.
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
            env[name] = ":".join(filter(None, [env.get(name), "max_allocation_size_mb=192:quarantine_size_mb=8"
                                               if name[0] == "A" else "max_allocation_size_mb=192"]))

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

    def stop(self, within=None, code=0):
        """SIGTERM; waits for the end; the exit code must be `code` and no sanitizer may have spoken."""
        try:
            if self.running():
                self.signal(signal.SIGTERM)
            got = self.wait(within or limit(15))
            self.check_log()
            assert got == code, f"exit code {got}, not {code}\n{self.tail()}"
        finally:
            self.kill()

    # ---- clients

    def open(self, kind, *, rcvbuf=None, sndbuf=None, timeout=None):
        """A connected socket (TLS done for wss and tcps)."""
        sock = socket.socket()
        try:
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            if sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
            sock.settimeout(timeout or limit(5))
            sock.connect(("127.0.0.1", self.ports[kind]))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure(kind):
                sock = tls_context().wrap_socket(sock, server_hostname="localhost")
            return sock
        except BaseException:
            sock.close()
            raise

    def connect(self, kind, *, rcvbuf=None, sndbuf=None, **handshake):
        """A client on a new connection; ws and wss: upgraded."""
        sock = self.open(kind, rcvbuf=rcvbuf, sndbuf=sndbuf)
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


# ---- protobuf, tokens, packets --------------------------------------------------------------------------------


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def pb_bytes(field, data):
    """One length-delimited field: string, bytes or message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def pb_first(data, field=1):
    """The value of a length-delimited field; b"" when it is absent."""
    at, found = 0, b""

    def number():
        nonlocal at
        value = shift = 0
        while True:
            octet = data[at]
            at += 1
            value |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 2:
            size = number()
            assert at + size <= len(data), "protobuf field beyond the end"
            if key >> 3 == field:
                found = data[at:at + size]
            at += size
        elif key & 7 == 0:
            number()
        else:
            at += {1: 8, 5: 4}[key & 7]
    return found


_accounts = itertools.count(1)


def new_account():
    return f"t{os.getpid()}x{next(_accounts)}"


def signed(text, secret=SECRET):
    return text + "." + hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def token(account, expires_in=3600, secret=SECRET):
    return signed(f"{account}.{int(time.time()) + expires_in}", secret)


def login_body(account):
    return pb_bytes(1, token(account).encode())


def echo_body(data):
    return pb_bytes(1, data)


def packet(cmd, data=b"", serial=1, *, size=None, mix=b""):
    """A packet from a client; `size`: what the head claims instead of the truth."""
    return mix + CLIENT_HEAD.pack(serial, cmd, len(data) if size is None else size) + data


class Packet(typing.NamedTuple):
    serial: int
    cmd: int
    code: int
    data: bytes


# ---- WebSocket --------------------------------------------------------------------------------------------------

MASK = b"\x37\xfa\x21\x3d"


def apply_mask(data, key):
    count = len(data)
    if not count or key == b"\0\0\0\0":
        return data
    whole = (key * (count // 4 + 1))[:count]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(count, "big")


def frame(op, payload=b"", *, fin=True, rsv=0, mask=MASK, size=None, width=None):
    """A frame of a client. mask: key, or False; size: claimed length; width: 7, 16 or 64 bits of length (else minimal)."""
    count = len(payload) if size is None else size
    width = width or (7 if count < 126 else 16 if count < 65536 else 64)
    masked = 0x80 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | op])
    if width == 7:
        head += bytes([masked | count])
    elif width == 16:
        head += struct.pack(">BH", masked | 126, count)
    else:
        head += struct.pack(">BQ", masked | 127, count)
    return head + (mask + apply_mask(payload, mask) if mask else payload)


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


def ws_request(host, *, path="/", method="GET", version="HTTP/1.1", headers=None, extra=(), key=None):
    """The text of a handshake. headers: replaces (value) or leaves out (None) standard ones; extra: lines added."""
    fields = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade",
              "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Version": "13"}
    fields.update(headers or {})
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*lines, *extra, "", ""]).encode("latin-1")


def accept_for(key):
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()


class Closed(Exception):
    """The connection ended (or a close frame came) while an answer was awaited."""


class NotClosed(AssertionError):
    """The connection is still open although it should have ended."""


class IllegalFrame(AssertionError):
    """The server sent what RFC 6455 forbids."""


class Response(typing.NamedTuple):
    status: int
    headers: dict  # Names in lower case; repeated ones joined by ", ".
    body: bytes


def legal_server_close(code):
    return 1000 <= code <= 1014 and code not in (1004, 1005, 1006) or 3000 <= code <= 4999


class Client:
    """A raw connection; sending after the peer is gone is no error, what was sent in answer shows in the reading."""

    def __init__(self, sock, server=None, kind="", mix=b""):
        self.sock, self.server, self.kind, self.mix = sock, server, kind, mix
        self.inbox = bytearray()
        self.end = None  # "fin" or "rst" once the peer has ended the connection.
        self.pushes = []  # Packets with serial 0 seen by request().
        self.serials = itertools.cycle(range(1, 65536))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()

    # ---- octets

    def send(self, data, timeout=None):
        """All of `data`; False when the peer is gone or does not take it in time."""
        self.sock.settimeout(timeout or limit(20))
        try:
            self.sock.sendall(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def fill(self, deadline):
        """More octets into the inbox; False at the end of the connection. TimeoutError when nothing comes."""
        if self.end:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 18)
        except TimeoutError:
            raise TimeoutError("nothing came in time") from None
        except (ConnectionError, ssl.SSLError) as error:
            if isinstance(error, ssl.SSLWantReadError):
                raise TimeoutError("nothing came in time") from None
            self.end = "rst"
            return False
        if not data:
            self.end = "fin"
            return False
        self.inbox += data
        return True

    def take(self, count):
        data = bytes(self.inbox[:count])
        del self.inbox[:count]
        return data

    def finish_sending(self):
        """Half-close: FIN, reading goes on (a TLS connection says nothing of its own, as a plain FIN)."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)  # SSLSocket's own would forget its TLS state.
        except OSError:
            pass

    def drop(self):
        """Closes the socket: FIN, or RST when unread octets are left."""
        try:
            self.sock.close()
        except OSError:
            pass

    def reset(self):
        """RST."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.drop()

    # ---- packets

    def next_packet(self, deadline):
        raise NotImplementedError

    def send_packets(self, *packets):
        raise NotImplementedError

    def check_packet(self, head):
        got = SERVER_HEAD.unpack(head)
        assert got[3] <= 64 * MIB, f"the server announces {got[3]} octets"
        return got

    def recv_packet(self, timeout=None):
        """The next packet. Closed: the connection ended. TimeoutError: nothing came."""
        return self.next_packet(time.monotonic() + (timeout or limit(5)))

    def request(self, cmd, data=b"", serial=None, timeout=None):
        """Sends a packet and returns the answer to it; pushes that come before go to `pushes`."""
        serial = next(self.serials) if serial is None else serial
        self.send_packets(packet(cmd, data, serial, mix=self.mix))
        deadline = time.monotonic() + (timeout or limit(5))
        while True:
            got = self.next_packet(deadline)
            if (got.serial, got.cmd) == (serial, cmd):
                return got
            assert got.serial == 0, f"answer {got[:3]} to request {(serial, cmd)}"
            self.pushes.append(got)

    def login(self, account=None, timeout=None):
        self.account = account or new_account()
        got = self.request(LOGIN, login_body(self.account), timeout=timeout)
        assert got.code == 0, f"login refused: {got}"
        return self

    def enter(self, account=None):
        """Login, a role created and selected: the client is online."""
        self.login(account)
        self.send_packets(packet(CREATE_ROLE, b"", 1, mix=self.mix), packet(SELECT_ROLE, b"", 2, mix=self.mix),
                          packet(ECHO, echo_body(b"here"), 3, mix=self.mix))
        while (got := self.recv_packet()).serial != 3:
            assert got.code == 0, f"role refused: {got}"
        return self

    def echo(self, data, serial=None, timeout=None):
        got = self.request(ECHO, echo_body(data), serial, timeout)
        assert got.code == 0, f"echo: code {got.code}"
        assert pb_first(got.data) == data, f"echo of {len(data)} octets came back changed"
        return self

    def packets_until_end(self, within):
        """All packets up to the end of the connection; AssertionError when it does not end in time."""
        deadline, got = time.monotonic() + within, []
        while True:
            try:
                got.append(self.next_packet(deadline))
            except Closed:
                return got
            except TimeoutError:
                raise NotClosed(f"not closed within {within:.1f} s; {len(got)} packets came") from None

    def expect_cut(self, within, answers=0):
        """The server ends the connection in time, having answered at most `answers` packets; how is its choice."""
        start = time.monotonic()
        got = self.packets_until_end(within)
        assert len(got) <= answers, f"served: {[p[:3] for p in got]}"
        return time.monotonic() - start

    def has_ended(self, within):
        """Reads for that long; true once the connection has ended."""
        try:
            self.packets_until_end(within)
            return True
        except NotClosed:
            return False

    def expect_open(self):
        """The connection is still served."""
        return self.echo(b"still here")


class TcpClient(Client):
    def next_packet(self, deadline):
        while True:
            head = len(self.mix) + SERVER_HEAD.size
            if len(self.inbox) >= head:
                assert self.inbox.startswith(self.mix), f"mix octets {bytes(self.inbox[:4])!r}"
                serial, cmd, code, size = self.check_packet(self.inbox[head - SERVER_HEAD.size:head])
                if len(self.inbox) >= head + size:
                    self.take(head)
                    return Packet(serial, cmd, code, self.take(size))
            if not self.fill(deadline):
                # A packet cut short by FIN is an answer lost; by RST it is what RST means.
                assert self.end == "rst" or not self.inbox, f"half a packet, then FIN: {bytes(self.inbox[:40])!r}"
                raise Closed(self.end)

    def send_packets(self, *packets):
        return self.send(b"".join(packets))

    def expect_close(self, _codes=None, within=2.0, answers=0):
        """As expect_cut: tcp has no codes."""
        return self.expect_cut(limit(within), answers)


class WsClient(Client):
    deflate = False  # Compressed messages are allowed.

    def __init__(self, sock, server=None, kind="ws", mix=b""):
        super().__init__(sock, server, kind, mix)
        self.close_code = None  # Of the server's close frame; 1005: it had none.
        self.close_reason = b""
        self.message = None  # Message in fragments under way: [compressed, octets].
        self.auto_pong = True
        self.pings, self.pongs = [], []  # Payloads that came.

    def host(self):
        return "%s:%d" % self.sock.getpeername()[:2]

    # ---- handshake

    def upgrade(self, after=b"", **request):
        """The handshake, with `after` in the same segment; must succeed."""
        key = base64.b64encode(os.urandom(16)).decode()
        text = ws_request(request.pop("host", None) or self.host(), key=key, **request)
        self.send(text + after)
        return self.check_upgrade(self.response(), key, text)

    def check_upgrade(self, got, key, request=b""):
        assert got.status == 101, f"status {got.status} {got.headers} {got.body[:200]!r}"
        assert got.headers.get("upgrade", "").lower() == "websocket", got.headers
        assert got.headers.get("connection", "").lower() == "upgrade", got.headers
        assert got.headers.get("sec-websocket-accept") == accept_for(key), got.headers
        for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
            assert name not in got.headers or name in request.decode("latin-1").lower(), f"{name} was not offered"
        self.deflate = "permessage-deflate" in got.headers.get("sec-websocket-extensions", "")
        return self

    def response(self, within=None, bodiless=False):
        """The server's answer, whole; bodiless: to a HEAD request. Closed: the connection ended before."""
        deadline = time.monotonic() + (within or limit(5))
        while b"\r\n\r\n" not in self.inbox:
            assert len(self.inbox) < 64 * 1024, "an endless answer"
            if not self.fill(deadline):
                raise Closed(self.end)
        head = self.take(self.inbox.index(b"\r\n\r\n") + 4).decode("latin-1")
        status, *lines = head[:-4].split("\r\n")
        match = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: [ -~]*)?", status)
        assert match, f"status line {status!r}"
        headers = {}
        for line in lines:
            field = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*", line)
            assert field, f"header line {line!r}"
            name = field[1].lower()
            headers[name] = headers[name] + ", " + field[2] if name in headers else field[2]
        body = b""
        if match[1] != "101" and not bodiless and "content-length" in headers:
            count = int(headers["content-length"])
            while len(self.inbox) < count:
                if not self.fill(deadline):
                    raise Closed(self.end)
            body = self.take(count)
        return Response(int(match[1]), headers, body)

    # ---- frames

    def next_frame(self, deadline):
        """(opcode, fin, compressed, payload) of the next frame, checked; Closed at the end of the connection."""
        while True:
            got = self._parse()
            if got:
                return got
            if not self.fill(deadline):
                if self.inbox and self.end == "fin":
                    raise IllegalFrame(f"half a frame, then FIN: {bytes(self.inbox[:16]).hex()}")
                raise Closed(self.end)

    def _parse(self):
        if self.close_code is not None and self.inbox:
            raise IllegalFrame(f"octets after the close frame: {bytes(self.inbox[:16]).hex()}")
        if len(self.inbox) < 2:
            return None
        first, second = self.inbox[0], self.inbox[1]
        fin, rsv, op, size, at = first >> 7, first >> 4 & 7, first & 15, second & 0x7F, 2

        def rule(holds, text):
            if not holds:
                raise IllegalFrame(f"{text}: {bytes(self.inbox[:16]).hex()}")

        rule(second < 0x80, "a server's frame is masked")
        rule(op in (CONTINUATION, BINARY, CLOSE, PING, PONG), "opcode (a server of packets sends no text)")
        rule(rsv == 0 or rsv == 4 and self.deflate and op == BINARY, "RSV bits")
        if op >= 8:
            rule(fin and size < 126, "control frame in fragments or over 125 octets")
        elif op == CONTINUATION:
            rule(self.message is not None, "continuation of nothing")
        else:
            rule(self.message is None, "new message inside another")
        if size == 126:
            if len(self.inbox) < 4:
                return None
            (size,), at = struct.unpack_from(">H", self.inbox, 2), 4
            rule(size >= 126, "length not minimal")
        elif size == 127:
            if len(self.inbox) < 10:
                return None
            (size,), at = struct.unpack_from(">Q", self.inbox, 2), 10
            rule(65536 <= size < 1 << 32, "length not minimal or absurd")
        if len(self.inbox) < at + size:
            return None
        self.take(at)
        payload = self.take(size)
        if op == CLOSE:
            rule(size != 1, "close frame of one octet")
            self.close_code = struct.unpack(">H", payload[:2])[0] if size else 1005
            self.close_reason = payload[2:]
            rule(not size or legal_server_close(self.close_code), f"close code {self.close_code}")
            try:
                self.close_reason.decode()
            except UnicodeDecodeError:
                raise IllegalFrame(f"close reason not UTF-8: {self.close_reason!r}") from None
        return op, bool(fin), rsv == 4, payload

    def next_message(self, deadline):
        """The octets of the next data message; pings are answered, pongs kept. Closed: close frame or end."""
        while True:
            op, fin, compressed, payload = self.next_frame(deadline)
            if op == PING:
                self.pings.append(payload)
                if self.auto_pong:
                    self.send(frame(PONG, payload))
            elif op == PONG:
                self.pongs.append(payload)
            elif op == CLOSE:
                raise Closed(f"close frame {self.close_code} {self.close_reason!r}")
            else:
                if self.message is None:
                    self.message = [compressed, bytearray()]
                self.message[1] += payload
                if fin:
                    (compressed, whole), self.message = self.message, None
                    return self.inflate(whole) if compressed else bytes(whole)

    def inflate(self, data):
        import zlib
        if not hasattr(self, "_inflater"):
            self._inflater = zlib.decompressobj(-15)
        return self._inflater.decompress(bytes(data) + b"\0\0\xff\xff")

    def next_packet(self, deadline):
        message = self.next_message(deadline)
        head = len(self.mix) + SERVER_HEAD.size
        assert len(message) >= head and message.startswith(self.mix), f"not a packet: {message[:40]!r}"
        serial, cmd, code, size = self.check_packet(message[head - SERVER_HEAD.size:head])
        assert size == len(message) - head, f"packet of {len(message) - head} octets says {size}"
        return Packet(serial, cmd, code, message[head:])

    def next_pong(self, timeout=None):
        deadline = time.monotonic() + (timeout or limit(5))
        while not self.pongs:
            op, _, _, payload = self.next_frame(deadline)
            assert op in (PING, PONG), f"opcode {op} instead of a pong"
            if op == PONG:
                self.pongs.append(payload)
        return self.pongs.pop(0)

    def send_packets(self, *packets):
        return self.send(b"".join(frame(BINARY, data) for data in packets))

    # ---- the end

    def packets_until_end(self, within):
        deadline, got = time.monotonic() + within, []
        while True:
            try:
                if self.close_code is None:
                    got.append(self.next_packet(deadline))
                else:
                    self.next_frame(deadline)
            except Closed:
                if self.end:
                    return got
            except TimeoutError:
                state = "the TCP connection" if self.close_code is not None else "the connection"
                raise NotClosed(f"{state} was not closed within {within:.1f} s; {len(got)} packets came") from None

    def expect_close(self, codes, within=2.0, answers=0, drop=False):
        """A close frame with one of `codes` (drop: or none at all), then the end of the TCP connection."""
        start = time.monotonic()
        got = self.packets_until_end(limit(within))
        assert len(got) <= answers, f"served: {[p[:3] for p in got]}"
        if self.close_code is None:
            assert drop, f"dropped ({self.end}) without a close frame, wanted {sorted(codes)}"
        else:
            assert self.close_code in codes, f"close code {self.close_code} {self.close_reason!r}, wanted {sorted(codes)}"
        return time.monotonic() - start


# ---- many clients -----------------------------------------------------------------------------------------------


def raise_descriptor_limit(wanted):
    """As many descriptors as the system lets us have; returns how many connections that is good for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - 100


def open_many(server, count, kind, *, online=False, options=lambda index: {}):
    """`count` logged-in clients; each sends all it has to say at once, then all answers are read."""
    clients, barrier = [], 9
    try:
        for index in range(count):
            client = server.raw(kind, **options(index))
            clients.append(client)
            client.account = new_account()
            packets = [packet(LOGIN, login_body(client.account), 1)]
            if online:
                packets += [packet(CREATE_ROLE, b"", 2), packet(SELECT_ROLE, b"", 3)]
            packets.append(packet(ECHO, echo_body(b"b"), barrier))
            if kind.startswith("ws"):
                client.key = base64.b64encode(os.urandom(16)).decode()
                client.send(ws_request(client.host(), key=client.key) + b"".join(frame(BINARY, p) for p in packets))
            else:
                client.send(b"".join(packets))
        for client in clients:
            if kind.startswith("ws"):
                client.check_upgrade(client.response(limit(20)), client.key)
            while (got := client.recv_packet(limit(20))).serial != barrier:
                assert got.code == 0, f"refused: {got}"
        return clients
    except BaseException:
        for client in clients:
            client.drop()
        raise


# ---- test cases -------------------------------------------------------------------------------------------------


class ServerCase(unittest.TestCase):
    """Tests that share one server; after each a fresh client must be served by it."""

    flags = {}
    types = ("ws", "tcp")
    log = "info"
    server = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.flags, cls.types, log=cls.log)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        if not self.server.running():
            type(self).server = Server(self.flags, self.types, log=self.log)
        self.opened = []

    def tearDown(self):
        for client in self.opened:
            client.drop()
        self.server.check_alive()

    def connect(self, kind, **options):
        client = self.server.connect(kind, **options)
        self.opened.append(client)
        return client

    def player(self, kind, **options):
        """A client that is logged in."""
        return self.connect(kind, **options).login()

    def raw(self, kind, **options):
        client = self.server.raw(kind, **options)
        self.opened.append(client)
        return client

    def assertGrowth(self, before, mib, what="RSS"):
        grown, allowed = self.server.peak_rss() - before, rss_limit(mib)
        self.assertLessEqual(grown, allowed, f"{what} grew by {grown / MIB:.1f} MiB, allowed {allowed / MIB:.0f}")


class OwnServersCase(unittest.TestCase):
    """Tests that start a server each."""

    types = ("ws", "tcp")

    def start(self, flags=None, **options):
        server = Server(flags, options.pop("types", self.types), **options)
        self.addCleanup(server.kill)
        return server


def main():
    import __main__
    name = pathlib.Path(__main__.__file__).stem
    print(f"{name}: {' '.join(_program())} sanitizer={SANITIZER or 'none'} scale={SLOW} heavy={HEAVY} seed={SEED}",
          file=sys.stderr, flush=True)
    unittest.main(verbosity=2)
