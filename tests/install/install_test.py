"""Installs the build, and uses nothing but that: builds examples/01_hello, starts it and is greeted; builds the project in
outside/, whose services are generated, runs it, and breaks its schema."""

import argparse
import os
import pathlib
import select
import shutil
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


def fails(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0, f"{' '.join(map(str, command))} should fail\n{done.stdout}"
    return done.stdout


def use_outside(source, configure, build):
    """The schema is not compared before there is a baseline; with one, a change that breaks it fails the build."""
    project, built = configure(source)
    schema = project / "proto" / "counter" / "types.proto"
    assert "counter.binpb: cannot be read; write it with" in fails(*build(built))
    run(*build(built, "counter_proto_baseline"))
    run(*build(built))
    program = subprocess.run([built / "outside", "--loops", "2"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert program.returncode == 0, f"exit code {program.returncode}"
    assert program.stdout == "sum 40\ndouble 80\n", program.stdout

    good = schema.read_text()
    schema.write_text(good.replace("uint32 value = 1;", "uint32 value = 1;\n  string text = 2;"))
    run(*build(built, "counter_proto_schema"))
    schema.write_text(good.replace("uint32 value", "string value"))
    told = fails(*build(built, "counter_proto_schema"))
    want = "counter/types.proto:5:10: breaking change: field counter.Amount.value (1): its type was uint32, is string"
    assert want in told, told


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
    for option in ("cmake", "build", "hello", "outside", "compiler", "launcher", "sanitize"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        installed = folder / "installed"
        run(options.cmake, "--install", options.build, "--prefix", installed)
        flags = f"-fsanitize={options.sanitize}" if options.sanitize else ""
        # So that the compiler's cache knows them again in another folder.
        os.environ.update(CCACHE_BASEDIR=str(folder), CCACHE_NOHASHDIR="1")

        def configure(source):
            """A copy of a project, so that a test may change it, and the folder it is built in."""
            project = pathlib.Path(shutil.copytree(source, folder / "source" / pathlib.Path(source).name))
            built = folder / "built" / project.name
            run(options.cmake, "-G", "Ninja", "-S", project, "-B", built, f"-DCMAKE_PREFIX_PATH={installed}",
                f"-DCMAKE_CXX_COMPILER={options.compiler}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={options.launcher}",
                f"-DCMAKE_CXX_FLAGS={flags}")
            return project, built

        def build(built, target="all"):
            return options.cmake, "--build", built, "--target", target

        _, hello = configure(options.hello)
        run(*build(hello))
        talk(hello / "hello")
        use_outside(options.outside, configure, build)


if __name__ == "__main__":
    main()
