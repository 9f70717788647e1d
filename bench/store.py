"""the stores (memory, embedded, Redis, MongoDB) beside what they are measured against

Nanoseconds for one operation; the yardstick's in the same run, in turns. The servers are this benchmark's own.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import harness


def wait_for(name, port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            pass
    raise harness.BenchError(f"{name} did not come up")


def run(context):
    if shutil.which("redis-server") is None:
        raise harness.BenchError("redis-server is missing")
    port, mongo_port = harness.free_port(), harness.free_port()
    servers_of_mongo = pathlib.Path(context.program("tests/servers/mongo/cls/MongoTestServer.class")).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL, preexec_fn=lambda: harness._in_child(context.server_cpus))
        child = mongo = None
        try:
            mongo = subprocess.Popen(
                ["java", "-XX:+UseSerialGC", "-Xmx512m", "-cp", f"{servers_of_mongo}/cls:{servers_of_mongo}/lib/*",
                 "MongoTestServer", str(mongo_port)],
                stdout=subprocess.DEVNULL, preexec_fn=lambda: harness._in_child(context.server_cpus))
            wait_for("redis-server", port)
            wait_for("MongoTestServer", mongo_port)
            program = str(pathlib.Path(context.program("bench/store_bench")))
            command = [program, "--redis", f"127.0.0.1:{port}",
                       "--mongo", f"mongodb://127.0.0.1:{mongo_port}/?replicaSet=rs1"]
            command += ["--quick"] if context.quick else []
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for line in child.stdout:
                row = json.loads(line)
                if context.wanted(row["name"]):
                    yield harness.Row(row["name"], row["values"], row["unit"], row["yardstick"] or None,
                                      bar=row["bar"] or None)
            if child.wait() != 0:
                raise harness.BenchError(f"{command[0]} ended with code {child.returncode}")
        finally:
            for process in (child, server, mongo):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()
