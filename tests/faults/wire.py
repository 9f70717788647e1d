"""Octets: protobuf, login tokens, packets (big endian, no mix unless given), WebSocket frames and handshakes, right or wrong."""

import base64
import hashlib
import hmac
import itertools
import os
import struct
import time
import typing

SECRET = b"microgame-demo"

# Commands of the demo (examples/proto/msg.proto).
LOGIN, CREATE_ROLE, SELECT_ROLE, SILENT, ECHO, CHAT, ENTER_ROOM, CHAT_PUSH = *range(10001, 10008), 20001
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLIENT_HEAD, SERVER_HEAD = struct.Struct(">HII"), struct.Struct(">HIII")
MAX_MESSAGE = 1024 * 1024  # Default of --agent_max_message.


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


def role_packets(name, first=2):
    """Creates a role and selects it."""
    return packet(CREATE_ROLE, pb_bytes(1, name.encode()), first), packet(SELECT_ROLE, b"", first + 1)


def chat_body(text):
    """To everybody online."""
    return pb_bytes(2, text.encode())


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
