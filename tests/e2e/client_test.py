"""mgclient, the command-line player, against the demo: client_test.py DEMO MGCLIENT. Needs openssl for the TLS cases."""

import contextlib
import itertools
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

DEMO, CLIENT = sys.argv[1:3]
PATIENCE = 60  # Seconds; far more than anything takes.
NAMES = itertools.count(1)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GAME_", "MGCLIENT_"))}


def start(*command, **options):
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=ENVIRONMENT, **options)


@contextlib.contextmanager
def patience(process):
    """Kills a process that is waited for in vain, so that reading from it ends."""
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end(process):
    process.kill()
    process.communicate()


def play(*arguments, stdin=None):
    return subprocess.run([CLIENT, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env=ENVIRONMENT, **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))


class Demo:
    """The demo on free ports; `ws` and `tcp` are its addresses."""

    def __init__(self, *flags):
        self.process = start(DEMO, "--agent_port", "127.0.0.1:0,127.0.0.1:0", *flags)
        lines = []
        with patience(self.process):
            for line in self.process.stdout:
                lines.append(line.strip())
                if lines[-1] == "ready":
                    break
        if lines[-1:] != ["ready"]:
            raise RuntimeError(f"the demo did not start: {lines} {self.process.communicate()}")
        self.ws = next(line for line in lines if line.startswith("ws"))
        self.tcp = next(line for line in lines if line.startswith("tcp"))

    def stop(self):
        self.process.terminate()
        with patience(self.process):
            _, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"the demo ended with {self.process.returncode}:\n{errors[-8000:]}")


def over_both(test):
    """A case for ws and for tcp, each with a name of its own."""

    def both(self):
        for url in (self.demo.ws, self.demo.tcp):
            with self.subTest(url=url):
                test(self, url, f"player with a long name {next(NAMES)}")

    return both


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)

    def fine(self, done):
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def fails(self, done, *parts):
        self.assertEqual(done.returncode, 1, done)
        for part in parts:
            self.assertIn(part.lower(), done.stderr.lower())
        self.assertEqual(done.stderr.count("\n"), 1)

    def await_line(self, process, beginning):
        with patience(process):
            for line in process.stdout:
                if line.startswith(beginning):
                    return line.strip()
        raise AssertionError(f"no line {beginning!r}: {process.communicate()}")

    @over_both
    def test_every_command_is_answered(self, url, name):
        lines = self.fine(play(url, "--account", name, "create", name, "select", "echo", "hi \x1b \u4f60", "echo", "",
                               "alive", "room", "cellar", "send", 10005, "0a026869", "quit"))
        role = rf'{{ Id: \d+ Name: "{name}" Level: 1 }}'
        self.assertRegex("\n".join(lines), "\n".join((
            r"\Alogin: AccountId: \d+", f"create: Created {role}", f"select: Selected {role}",
            'echo: Data: "hi \\\\x1b \u4f60"', "echo: ok", "alive: ok", 'room: Room: "cellar" Members: 1',
            r'send: Data: "hi"\Z')))

    @over_both
    def test_replies_of_every_size_are_whole_and_no_longer(self, url, name):
        texts = ["x" * size for size in range(1, 130)]
        lines = self.fine(play(url, "--account", name, *(word for text in texts for word in ("echo", text))))
        self.assertEqual(lines[1:], [f'echo: Data: "{text}"' for text in texts])

    @over_both
    def test_a_player_hears_what_another_says_in_the_same_room(self, url, name):
        listener = start(CLIENT, url, "--account", name, "--role", name, "room", name, "wait", "2")
        self.addCleanup(end, listener)
        self.await_line(listener, "room: ")
        speaker = name + "!"
        lines = self.fine(play("--url", self.demo.ws, "--account", speaker, "--role", speaker, "say", "not here",
                               "room", name, "say", "hello", "say", "--bye", "wait", 3))
        self.assertIn("say: Members: 2", lines)
        with patience(listener):
            heard, errors = listener.stdout.read(), listener.stderr.read()
        self.assertEqual((listener.wait(PATIENCE), errors), (0, ""))
        self.assertEqual(heard.splitlines(), [f'push 20001: Room: "{name}" From: "{speaker}" Text: "{text}"'
                                              for text in ("hello", "--bye")])

    @over_both
    def test_a_role_is_created_once(self, url, name):
        first = self.fine(play(url, "--account", name, "--role", name, "quit"))
        second = self.fine(play(url, "--account", name, "--role", name, "quit"))
        self.assertEqual([line.split(":")[0] for line in first], ["login", "create", "select"])
        self.assertEqual([line.split(":")[0] for line in second], ["login", "select"])
        self.assertEqual(first[-1], second[-1])

    @over_both
    def test_lines_from_a_pipe_are_run_to_the_end(self, url, name):
        lines = self.fine(play(url, "--account", name, stdin=f"create {name}\n\nselect\nbogus\nselect 9999\n"
                               "  say good  evening \nwait\nalive\necho last"))
        for line in ("say: Members: 1", "alive: ok", 'echo: Data: "last"',
                     f'push 20001: Room: "lobby" From: "{name}" Text: "good  evening"'):
            self.assertIn(line, lines)
        self.assertTrue(any(line.startswith('"bogus" is no command') for line in lines), lines)
        self.assertTrue(any(line.startswith("select: refused with code 404") for line in lines), lines)

    @over_both
    def test_a_refused_command_ends_a_run(self, url, name):
        done = play(url, "--account", name, "say", "I am nobody", "echo", "never sent")
        self.fails(done, "say was refused: 403")
        self.assertNotIn("never sent", done.stdout)

    @over_both
    def test_a_wrong_secret_is_told(self, url, _):
        self.fails(play(url, "--token_secret", "wrong", "echo", "hi"), url, "401", "GAME_TOKEN_SECRET")
        self.fails(play(url, "--token", "not a token", "echo", "hi"), url, "401", "expired")

    @over_both
    def test_a_printed_token_logs_in(self, url, name):
        (token,) = self.fine(play("token", name))
        self.assertTrue(token.startswith(name + "."))
        self.fine(play(url, "--token", token, "--token_secret", "wrong", "echo", "hi"))

    @over_both
    def test_who_does_not_log_in_is_closed_and_told_why(self, url, _):
        self.fails(play(url, "--no_login", "echo", "hi"), url, "closed the connection", "log in")

    @over_both
    def test_a_close_by_the_gate_is_shown_with_its_code_and_reason(self, url, name):
        first = start(CLIENT, url, "--account", name, stdin=subprocess.PIPE)
        self.addCleanup(end, first)
        self.await_line(first, "login: ")
        self.fine(play(self.demo.tcp, "--account", name, "login"))
        with patience(first):
            first.wait()
        self.assertEqual(first.returncode, 1)
        errors = first.stderr.read()
        self.assertIn("closed the connection", errors)
        if url == self.demo.ws:
            self.assertIn('code 1000 (normal), reason "replaced by a newer login"', errors)

    def test_an_absent_server_is_named(self):
        with socket.socket() as bound:  # Bound and not listening: nobody else takes the port, and it refuses.
            bound.bind(("127.0.0.1", 0))
            for scheme in ("ws", "wss", "tcp", "tcps"):
                url = f"{scheme}://127.0.0.1:{bound.getsockname()[1]}"
                self.fails(play(url, "echo", "hi"), f"cannot connect to {url}: connection refused", "./dev run")

    def test_a_server_that_says_nothing_is_given_up(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            for scheme in ("ws", "wss", "tcp", "tcps"):
                url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
                self.fails(play(url, "--timeout", "100ms", "echo", "hi"), url, "100 ms")

    def test_the_wrong_scheme_is_told(self):
        self.fails(play(self.demo.ws.replace("ws:", "tcp:"), "echo", "hi"), "tcp:// port?")
        self.fails(play(self.demo.tcp.replace("tcp:", "ws:"), "echo", "hi"), "ws:// port?")
        self.fails(play(self.demo.ws.replace("ws:", "wss:"), "echo", "hi"), "does this port speak TLS?")

    def test_bad_arguments_end_with_2(self):
        for arguments in (["--nonsense"], ["http://127.0.0.1:9000"], ["dance"], ["create"], ["--timeout", "soon"]):
            done = play(*arguments)
            self.assertEqual(done.returncode, 2, done)
            self.assertTrue(done.stderr.startswith("mgclient: "), done)
        self.assertEqual(play("--help").returncode, 0)


class ClientTlsTest(unittest.TestCase):
    def test_a_certificate_is_checked_unless_told_otherwise(self):
        with tempfile.TemporaryDirectory() as folder:
            cert, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=demo", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                            "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=PATIENCE)
            demo = Demo("--agent_tls_cert", cert, "--agent_tls_key", key)
            self.addCleanup(demo.stop)
            for url in (demo.ws, demo.tcp):
                self.assertRegex(url, "^(wss|tcps)://")
                done = play(url, "echo", "hi")
                self.assertEqual(done.returncode, 1, done)
                self.assertRegex(done.stderr, f"the certificate of {re.escape(url)} is not trusted: self.signed.*--insecure")
                for trust in (["--insecure"], ["--ca", cert]):
                    done = play(url, *trust, "echo", "h" * 100000)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn('echo: Data: "hhh', done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
