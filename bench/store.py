"""the stores (memory, Redis) beside what they are measured against

Nanoseconds for one operation; the yardstick's in the same run, in turns. The redis-server is this benchmark's own.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import harness


def wait_for(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            pass
    raise harness.BenchError("redis-server did not come up")


def run(context):
    if shutil.which("redis-server") is None:
        raise harness.BenchError("redis-server is missing")
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL, preexec_fn=lambda: harness._in_child(context.server_cpus))
        child = None
        try:
            wait_for(port)
            program = str(pathlib.Path(context.program("bench/store_bench")))
            command = [program, "--redis", f"127.0.0.1:{port}"] + (["--quick"] if context.quick else [])
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for line in child.stdout:
                row = json.loads(line)
                if context.wanted(row["name"]):
                    yield harness.Row(row["name"], row["values"], "ns", row["yardstick"] or None, bar=row["bar"] or None)
            if child.wait() != 0:
                raise harness.BenchError(f"{command[0]} ended with code {child.returncode}")
        finally:
            for process in (child, server):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()
