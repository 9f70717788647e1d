#!/usr/bin/env python3
"""Who may speak: commands before login, tokens that are not ours, second logins, clients that never log in."""

import threading
import time

from harness import (CHAT, CREATE_ROLE, ECHO, LOGIN, PING, SELECT_ROLE, SILENT, BINARY, Closed, ServerCase, echo_body,
                     frame, heavy, limit, login_body, main, new_account, packet, pause, pb_bytes, rng, signed,
                     token)


REPLACED = 20002  # What a client is told whose account logs in elsewhere.


class BeforeLogin(ServerCase):
    """B35: only the login command is served before login; anything else ends the connection without an answer."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "tcp")

    def test_command_before_login_ends_the_connection(self):
        for kind in self.types:
            for cmd in (CREATE_ROLE, SELECT_ROLE, SILENT, ECHO, CHAT, 20001, 0, 9999, 0xFFFFFFFF, 0xFFFF0000):
                with self.subTest(kind, cmd=cmd):
                    client = self.connect(kind)
                    client.send_packets(packet(cmd, echo_body(b"x")))
                    client.expect_cut(limit(2))

    def test_command_sent_along_before_the_login_is_not_served(self):
        for kind in self.types:
            client = self.connect(kind)
            client.send_packets(packet(ECHO, echo_body(b"early"), 1), packet(LOGIN, login_body(new_account()), 2),
                                packet(ECHO, echo_body(b"late"), 3))
            client.expect_cut(limit(2))

    def test_commands_sent_along_behind_the_login_are_served(self):
        for kind in self.types:
            client = self.connect(kind)
            client.send_packets(packet(LOGIN, login_body(new_account()), 1), packet(ECHO, echo_body(b"a"), 2))
            self.assertEqual([client.recv_packet()[:3] for _ in range(2)], [(1, LOGIN, 0), (2, ECHO, 0)])


class Tokens(ServerCase):
    """Tokens that are forged, old or nonsense: an error code or the end, and never a login."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "tcp")

    def refuse(self, kind, body):
        client = self.connect(kind)
        client.send_packets(packet(LOGIN, body, 1))
        try:
            got = client.recv_packet(limit(2))
            self.assertNotEqual(got.code, 0, "logged in")
            self.assertEqual((got.serial, got.cmd, got.data), (1, LOGIN, b""))
        except Closed:
            return
        client.send_packets(packet(ECHO, echo_body(b"am I in?"), 2))
        client.expect_cut(limit(2))

    def test_bad_tokens_are_refused(self):
        good = token("ann")
        account, expiry, mac = good.split(".")
        cases = {
            "none": b"", "empty": pb_bytes(1, b""), "no dots": pb_bytes(1, b"ann"), "dots": pb_bytes(1, b".."),
            "many dots": pb_bytes(1, b"." * 5000),
        }
        for name, text in {
            "no account": token(""), "expired": token("ann", -100), "other secret": token("ann", secret=b"microgame-demp"),
            "empty secret": token("ann", secret=b""), "cut": good[:-1], "longer": good + "0",
            "no signature": f"{account}.{expiry}.", "two parts": f"{account}.{expiry}", "four parts": good + ".x",
            "other account": f"bob.{expiry}.{mac}", "later expiry": f"{account}.{int(expiry) + 1}.{mac}",
            "flipped": f"{account}.{expiry}.{mac[:-1]}{'0' if mac[-1] != '0' else '1'}",
            "zeros": f"{account}.{expiry}.{'0' * 64}", "signature not hex": f"{account}.{expiry}.{'z' * 64}",
            "space": f" {good}", "NUL behind": good + "\0", "1 MB": "a" * 900_000 + "." + expiry + "." + mac,
        }.items():
            cases[name] = pb_bytes(1, text.encode())
        for name, when in {"text": "soon", "negative": "-1", "huge": "9" * 30, "float": "1e99", "hex": "0x7fffffff",
                           "2^63": str(1 << 63), "2^64+1": str((1 << 64) + 1), "empty": "", "plus": "+99999999999",
                           "space": " 99999999999"}.items():
            cases[f"expiry {name}"] = pb_bytes(1, signed(f"ann.{when}").encode())
        for name, body in cases.items():
            for kind in self.types:
                with self.subTest(name, kind=kind):
                    self.refuse(kind, body)

    def test_mutated_tokens_are_refused(self):
        random_source = rng("tokens")
        for _ in range(heavy(100, 5000)):
            good = bytearray(token("ann").encode())
            at = random_source.randrange(len(good))
            broken = bytearray(good)
            broken[at] = random_source.choice([b for b in range(128) if chr(b).lower() != chr(good[at]).lower()])
            with self.subTest(token=bytes(broken)):
                self.refuse("tcp", pb_bytes(1, bytes(broken)))


class SecondLogin(ServerCase):
    """B35, B38: one account has one owner, one client one account."""

    flags = {"agent_auth_time": 60}
    types = ("ws", "tcp")

    def test_second_login_closes_the_older_client(self):
        for first in self.types:
            for second in self.types:
                with self.subTest(first=first, second=second):
                    account = new_account()
                    older, newer = self.connect(first).login(account), self.connect(second).login(account)
                    told = older.packets_until_end(limit(2))
                    self.assertEqual([got[:3] for got in told], [(0, REPLACED, 0)])
                    newer.expect_open()

    def test_same_login_twice_on_one_client_is_harmless(self):
        for kind in self.types:
            client = self.player(kind)
            got = client.request(LOGIN, login_body(client.account))
            self.assertIn(got.code, (0, 4, 403))
            client.expect_open()

    def test_login_as_another_while_logged_in_is_refused(self):
        for kind in self.types:
            other = self.player("tcp")
            client = self.player(kind)
            for account in (new_account(), other.account):
                self.assertNotEqual(client.request(LOGIN, login_body(account)).code, 0)
            client.expect_open()
            other.expect_open()  # Its account was not taken.

    def test_simultaneous_logins_leave_one_owner(self):
        rounds = heavy(50, 1000)
        for round_ in range(rounds):
            account = f"twin{round_}x{new_account()}"
            clients = [self.server.connect(kind) for kind in self.types * 2]
            barrier = threading.Barrier(len(clients))
            body = login_body(account)

            def log_in(client):
                barrier.wait()
                client.send_packets(packet(LOGIN, body, 1))

            threads = [threading.Thread(target=log_in, args=(client,)) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # All but one are closed; the one left is served.
            end, open_ = time.monotonic() + limit(5), list(clients)
            while len(open_) > 1 and time.monotonic() < end:
                for client in list(open_):
                    try:
                        got = client.recv_packet(0.005)
                        self.assertIn(got[:3], ((1, LOGIN, 0), (0, REPLACED, 0)))
                    except TimeoutError:
                        pass
                    except Closed:
                        open_.remove(client)
            self.assertEqual(len(open_), 1, f"round {round_}: {len(open_)} owners of one account")
            open_[0].send_packets(packet(ECHO, echo_body(b"mine"), 2))
            while (got := open_[0].recv_packet())[:3] != (2, ECHO, 0):
                self.assertEqual(got[:3], (1, LOGIN, 0))
            for client in clients:
                client.drop()


class AuthTimer(ServerCase):
    """B36: whoever does not log in is cut at the auth time, whatever else it does."""

    seconds = heavy(2, 5)
    flags = {"agent_auth_time": seconds, "agent_heartbeat_interval": 1}
    types = ("ws", "tcp", "wss", "tcps")

    def test_client_that_does_not_log_in_is_cut(self):
        clients = {}
        for kind in self.types:
            clients[kind, "silent"] = self.connect(kind)
            clients[kind, "half a packet"] = self.connect(kind)
            clients[kind, "bad logins"] = self.connect(kind)
            if kind.startswith("ws"):
                clients[kind, "pings"] = self.connect(kind)
                clients[kind, "empty pongs and fragments"] = self.connect(kind)
        start, ended, step = time.monotonic(), {}, 0
        whole = packet(LOGIN, login_body(new_account()))
        while len(ended) < len(clients) and time.monotonic() - start < self.seconds + limit(2):
            for (kind, what), client in clients.items():
                if (kind, what) in ended:
                    continue
                octets = frame(BINARY, whole) if kind.startswith("ws") else whole
                if what == "half a packet":
                    client.send(octets[step:step + 1])
                elif what == "pings":
                    client.send(frame(PING, b"I am here"))
                elif what == "empty pongs and fragments":
                    client.send(frame(10) + frame(0 if step else BINARY, b"", fin=False))
                elif what == "bad logins" and step == 1:
                    client.send_packets(packet(LOGIN, pb_bytes(1, b"no token")))
                if client.has_ended(0.01):
                    ended[kind, what] = time.monotonic() - start
            step += 1
            pause(0.2)
        self.assertEqual(sorted(set(clients) - set(ended)), [], "not cut")
        # A bad login may end the connection at once.
        early = {key: when for key, when in ended.items() if when < self.seconds - 1 and key[1] != "bad logins"}
        self.assertEqual(early, {}, "cut too early")

    def test_client_that_logged_in_stays(self):
        clients = [self.player(kind) for kind in self.types]
        end = time.monotonic() + self.seconds + 1.5
        while time.monotonic() < end:
            for client in clients:
                client.expect_open()
            pause(0.2)


if __name__ == "__main__":
    main()
