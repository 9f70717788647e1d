"""Raw clients over ws, wss, tcp and tcps that can send anything and check all that comes back."""

import base64
import itertools
import os
import re
import socket
import ssl
import struct
import time
import typing
import zlib

from environment import MIB, limit
from wire import (BINARY, CLOSE, CONTINUATION, ECHO, LOGIN, PING, PONG, SERVER_HEAD, Packet, accept_for, echo_body, frame,
                  login_body, new_account, packet, pb_first, role_packets, ws_request)


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
        self.may_be_dropped = False  # A client that does not read may be dropped inside a frame or packet.
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
        self.send_packets(*role_packets("r" + self.account), packet(ECHO, echo_body(b"here"), 4))
        while (got := self.recv_packet()).serial != 4:
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
                assert self.end == "rst" or self.may_be_dropped or not self.inbox, f"half a packet, then FIN: {bytes(self.inbox[:40])!r}"
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
                if self.inbox and self.end == "fin" and not self.may_be_dropped:
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
