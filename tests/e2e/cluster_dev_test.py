"""`./dev cluster`, with players on both gates: cluster_dev_test.py CLUSTER.PY BUILD MGCLIENT"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

CLUSTER, BUILD, CLIENT = sys.argv[1:4]
PATIENCE = 120  # Seconds; far more than anything takes.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GAME_", "MGCLIENT_"))}


def cluster(command, state, *more):
    return subprocess.run([sys.executable, CLUSTER, command, "--build", BUILD, "--state", state, *more], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=4 * PATIENCE, check=False,
                          env=ENVIRONMENT)


def lives(pid):
    """Whether the process is there, and not only what is left of it until somebody asks for its exit code."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Player:
    """mgclient, moved by lines."""

    def __init__(self, url, account, *words):
        self.process = subprocess.Popen([CLIENT, url, "--account", account, *words], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        self.timer = threading.Timer(PATIENCE, self.process.kill)  # Then reading from it ends.
        self.timer.start()
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        self.process.kill()
        self.process.communicate()

    def hear(self, beginning):
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith(beginning):
                return line.strip()
        raise AssertionError(f"no line {beginning!r}: {self.lines} {self.process.stderr.read()}")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        """What it wrote to its end, and its errors."""
        self.lines += [line.strip() for line in self.process.stdout]
        return self.process.wait(PATIENCE), self.lines, self.process.stderr.read()


class ClusterTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name) / "cluster"
        self.addCleanup(lambda: cluster("down", self.state))
        self.assertEqual(cluster("status", self.state).returncode, 4)
        done = cluster("up", self.state)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.processes = json.loads((self.state / "cluster.json").read_text(encoding="utf-8"))["processes"]
        self.pids = {process["name"]: process["pid"] for process in self.processes}
        self.gates = {(process["name"], url.split(":")[0]): url for process in self.processes
                      for url in process["addresses"] if url.startswith(("ws", "tcp"))}

    def test_players_meet_over_two_gates_until_it_is_down(self):
        self.assertEqual(sorted(self.pids), ["db", "etcd", "game1", "game2", "gate1", "gate2", "nats", "redis"])
        done = cluster("status", self.state)
        self.assertEqual(done.returncode, 0, done.stdout)
        for url in self.gates.values():
            self.assertIn(url, done.stdout)
        twice = cluster("up", self.state)
        self.assertEqual(twice.returncode, 1)
        self.assertIn("up already", twice.stdout)

        # Whatever game nodes they are at home on.
        for number in range(6):
            ann, bob = f"ann{number}", f"bob{number}"
            with Player(self.gates["gate1", "ws"], ann, "--role", ann) as one, \
                    Player(self.gates["gate2", "tcp"], bob, "--role", bob) as other:
                one.say(f"room hall{number}")
                other.say(f"room hall{number}")
                one.hear("room: ")
                other.hear("room: ")
                other.say(f"say hello {ann}")
                for player in (one, other):
                    self.assertIn(f'From: "{bob}" Text: "hello {ann}"', player.hear("push 20001"))
                one.say("say hello back")
                for player in (one, other):
                    self.assertIn(f'From: "{ann}" Text: "hello back"', player.hear("push 20001"))

        ended = cluster("down", self.state)
        self.assertEqual((ended.returncode, ended.stdout.strip()), (0, "down"))
        for name, pid in self.pids.items():
            self.assertFalse(lives(pid), name)
        self.assertEqual(cluster("status", self.state).returncode, 4)
        for log in [*self.state.glob("g*.log"), self.state / "db.log"]:
            self.assertNotRegex(log.read_text(encoding="utf-8"), re.compile("Sanitizer|runtime error"), log.name)

    def expect_replaced(self, player):
        status, lines, errors = player.end()
        self.assertEqual(status, 1)
        self.assertTrue(any(line.startswith("push 20002") and "newer login" in line for line in lines), (lines, errors))
        self.assertIn("closed the connection", errors)

    def wait_until_logins_work(self, url):
        """A login on its way to a game that dies may have run: it is not tried again, and its client is closed."""
        end = time.monotonic() + PATIENCE
        in_a_row = 0
        while in_a_row < 8 and time.monotonic() < end:  # Whatever game nodes they are at home on.
            with Player(url, f"passes{in_a_row}") as player:
                try:
                    player.hear("login: ")
                    in_a_row += 1
                except AssertionError:
                    in_a_row = 0
        self.assertEqual(in_a_row, 8)

    def test_the_newest_login_of_an_account_is_the_only_one(self):
        one, other = self.gates["gate1", "ws"], self.gates["gate2", "tcp"]

        def replace(account, *urls):
            before = None
            for url in urls:
                player = Player(url, account)
                self.addCleanup(player.__exit__)
                player.hear("login: ")
                if before:
                    self.expect_replaced(before)
                before = player
            before.say("echo stillhere")
            before.hear('echo: Data: "stillhere"')
            return before

        # Known to the directory; on the same gate, too.
        for number in range(4):
            replace(f"account{number}", one, other, one, one, other)
        # An account's home may go, and with it what it knew.
        stays = {number: replace(f"stays{number}", one) for number in range(6)}
        os.kill(self.pids["game1"], signal.SIGKILL)
        self.wait_until_logins_work(other)
        for number, player in stays.items():
            replace(f"stays{number}", other)
            self.expect_replaced(player)
        done = cluster("status", self.state)
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertRegex(done.stdout, r"game1 +NOT RUNNING")


sys.argv[1:] = sys.argv[4:]
unittest.main(verbosity=2)
