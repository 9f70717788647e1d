"""Installs the build, builds examples/01_hello against nothing but that, starts it, and is greeted."""

import argparse
import pathlib
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading

from websockets.sync.client import connect


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")


def talk(program):
    server = subprocess.Popen([program, "--agent_port", "127.0.0.1:0", "--loops", "1"], stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(60, server.kill)  # So that waiting for its words ends.
    watchdog.start()
    try:
        ready, _, _ = select.select([server.stdout], [], [], 60)
        assert ready, "the server printed no address within 60 s"
        url = server.stdout.readline().strip()
        assert url.startswith("ws://127.0.0.1:"), f"the first line is {url!r}, not an address"
        with connect(url, open_timeout=20, close_timeout=20) as player:
            body = b"\x0a\x03Ann"  # name = "Ann"
            player.send(struct.pack(">HII", 7, 1, len(body)) + body)
            reply = player.recv(timeout=20)
        text = b"Hello, Ann!"
        payload = b"\x0a" + bytes([len(text)]) + text
        assert reply == struct.pack(">HIII", 7, 1, 0, len(payload)) + payload, f"reply: {reply!r}"
        server.send_signal(signal.SIGTERM)
        status = server.wait(timeout=30)
        assert status == 0, f"exit code {status}"
    finally:
        watchdog.cancel()
        server.kill()
        server.wait()


def main():
    parser = argparse.ArgumentParser()
    for option in ("cmake", "build", "source", "compiler", "launcher", "sanitize"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        installed, built = pathlib.Path(folder) / "installed", pathlib.Path(folder) / "built"
        run(options.cmake, "--install", options.build, "--prefix", installed)
        flags = f"-fsanitize={options.sanitize}" if options.sanitize else ""
        run(options.cmake, "-G", "Ninja", "-S", options.source, "-B", built, f"-DCMAKE_PREFIX_PATH={installed}",
            f"-DCMAKE_CXX_COMPILER={options.compiler}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={options.launcher}",
            f"-DCMAKE_CXX_FLAGS={flags}")
        run(options.cmake, "--build", built)
        talk(built / "hello")


if __name__ == "__main__":
    main()
