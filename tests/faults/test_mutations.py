#!/usr/bin/env python3
"""A25: handshakes, frames and packets changed at random (seeded): the server lives and sends nothing illegal."""

import time

from harness import (BINARY, CHAT, CLOSE, CONTINUATION, CREATE_ROLE, ECHO, LOGIN, PING, PONG, SILENT, TEXT, Closed, ServerCase,
                     close_payload, echo_body, frame, heavy, limit, login_body, main, new_account, packet, rng, wait_for,
                     ws_request)

EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x0D, 0x0A, 0x20, 0x3A, 0x7E, 0xFE)


def mutate(random_source, octets):
    """`octets` with one to five faults: flipped, set, cut out, doubled, inserted, the end cut off."""
    out = bytearray(octets)
    for _ in range(random_source.randrange(1, 6)):
        if not out:
            break
        at = random_source.randrange(len(out))
        size = min(random_source.choice([1, 1, 1, 2, 4, 8, 30]), len(out) - at)
        match random_source.randrange(8):
            case 0 | 1:
                out[at] ^= 1 << random_source.randrange(8)
            case 2 | 3:
                out[at] = random_source.choice(EDGES)
            case 4:
                del out[at:at + size]
            case 5:
                out[at:at] = out[at:at + size] * random_source.choice([1, 2, 50])
            case 6:
                out[at:at] = random_source.randbytes(size)
            case 7:
                if random_source.random() < 0.3:
                    del out[at:]
    return bytes(out)


class Mutations(ServerCase):
    flags = {"agent_read_timeout": "5s", "agent_handshake_timeout": "5s", "agent_auth_time": 5, "agent_deflate": "true"}
    types = ("ws", "tcp", "wss", "tcps")
    connections = heavy(1400, 7000)

    def packets(self, random_source):
        cmds = [ECHO, ECHO, ECHO, CREATE_ROLE, 10003, SILENT, CHAT, LOGIN, 0, 20001, 0xFFFF0000]
        got = []
        for serial in range(random_source.randrange(1, 8)):
            data = random_source.randbytes(random_source.choice([1, 5, 20, 130, 300, 70_000]))
            got.append(packet(random_source.choice(cmds), echo_body(data), serial))
        return got

    def frames(self, random_source):
        out = b""
        for message in self.packets(random_source):
            match random_source.randrange(6):
                case 0:
                    cut = random_source.randrange(len(message))
                    out += frame(BINARY, message[:cut], fin=False) + frame(PING, b"between")
                    out += frame(CONTINUATION, message[cut:])
                case 1:
                    out += frame(random_source.choice([PING, PONG]), random_source.randbytes(random_source.randrange(126)))
                case 2:
                    out += frame(random_source.choice([BINARY, BINARY, TEXT]), message, rsv=random_source.choice([0, 0, 4]))
                case _:
                    out += frame(BINARY, message)
        if random_source.random() < 0.3:
            out += frame(CLOSE, close_payload(random_source.choice([1000, 1001, 3000, 999]), b"done"))
        return out

    def one(self, random_source, kind):
        """One connection: what is sent is right up to a random point; then FIN, and the server must end it."""
        with self.server.raw(kind) as client:
            login = packet(LOGIN, login_body(new_account()), 9)
            if kind.startswith("ws"):
                stage = random_source.choice(["handshake", "frames", "frames", "frames"])
                extra = ["Sec-WebSocket-Extensions: permessage-deflate"] if random_source.random() < 0.3 else []
                request = ws_request(client.host(), extra=extra)
                if stage == "handshake":
                    sent = mutate(random_source, request)
                    client.send(sent)
                else:
                    sent = (frame(BINARY, login) if random_source.random() < 0.8 else b"") + mutate(
                        random_source, self.frames(random_source))
                    client.send(request + sent)
                client.deflate = bool(extra)
            else:
                sent = (login if random_source.random() < 0.8 else b"") + mutate(
                    random_source, b"".join(self.packets(random_source)))
                client.send(sent)
            if random_source.random() < 0.2:
                client.reset()
                return
            client.finish_sending()
            try:
                if kind.startswith("ws"):
                    got = client.response(limit(7))
                    if got.status != 101:
                        while client.fill(time.monotonic() + limit(7)):
                            pass
                        return
                    client.deflate = "sec-websocket-extensions" in got.headers
                client.packets_until_end(limit(7))
            except (Closed, ConnectionError):
                pass
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"{kind}: {error!r}; sent {sent[:3000].hex()}") from error

    def test_mutated_connections(self):
        random_source = rng("mutations")
        before = self.server.sockets()
        for index in range(self.connections):
            kind = ("ws", "ws", "tcp", "ws", "tcp", "ws", "ws", "tcp", "wss", "tcps")[index % 10]
            self.one(random_source, kind)
            if not self.server.running():
                self.fail(f"dead after connection {index}\n{self.server.tail(120)}")
            if index % 100 == 99:
                self.server.check_alive()
        wait_for(lambda: self.server.sockets() <= before, limit(10), lambda: f"{self.server.sockets()} sockets, {before} before")


if __name__ == "__main__":
    main()
