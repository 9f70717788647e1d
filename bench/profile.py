#!/usr/bin/env python3
"""Makes the profile that the release preset is built with: instrumented servers under the loads of a day.

    python3 bench/profile.py --examples build/profile/examples --mgbench build/release/tools/mgbench/mgbench \
        --merge llvm-profdata-19 --to cmake/message_path.profdata

Functions that no load reached are left out of it, so that they are compiled as without a profile and not as rarely used.
"""

import argparse
import pathlib
import subprocess
import tempfile

import cluster
import harness
from echo import DEMO_ENV

SECONDS = "2s"
PORTS = "127.0.0.1:0,127.0.0.1:0"
LOADS = (
    ("-c", "100", "-d", "1", "-t", SECONDS),
    ("-c", "100", "-d", "16", "-t", SECONDS),
    ("-c", "100", "-d", "4", "-s", "1000", "-t", SECONDS),
    ("-m", "broadcast", "-c", "1000", "-t", SECONDS, "--period", "50ms"),
    ("-m", "churn", "-c", "100", "--leave", "close", "-n", "5000"),
    ("-m", "churn", "-c", "100", "--leave", "rst", "-n", "2000"),
)


def load(args, server, schemes, loads):
    for scheme in schemes:
        for each in loads:
            print(scheme, *each, flush=True)
            harness.mgbench(args.mgbench, server, scheme, *each)


def counting(folder, name):
    """The environment of a server that leaves its counts in `folder` when it ends."""
    return {**DEMO_ENV, "LLVM_PROFILE_FILE": f"{folder}/{name}.profraw"}


def train_alone(args, folder):
    """One demo for each set of flags."""
    with harness.certificate() as (cert, key):
        for number, (schemes, flags) in enumerate((
                (("tcp", "ws"), ("--agent_type", "tcp,ws")),
                (("tcp", "ws"), ("--agent_type", "tcp,ws", "--agent_depth", "4")),
                (("tcps", "wss"), ("--agent_type", "tcp,ws", "--agent_tls_cert", cert, "--agent_tls_key", key)))):
            with harness.Servers() as servers:
                demo = servers.start([f"{args.examples}/demo", "--loops", "1", "--agent_port", PORTS, *flags],
                                     env=counting(folder, number))
                # The plain paths are what most messages take; the others only have to be known.
                load(args, demo, schemes, LOADS if number == 0 else LOADS[:2])


def train_cluster(args, folder):
    """Gate and game as two processes, over the link."""
    etcd = cluster.etcd()
    try:
        with harness.Servers() as servers:
            common = ("--loops", "1", "--registry_address", etcd.address, "--rpc_address", "127.0.0.1:0")
            servers.start([f"{args.examples}/game", *common], env=counting(folder, "game"))
            gate = servers.start([f"{args.examples}/gate", *common, "--agent_type", "tcp,ws", "--agent_port", PORTS,
                                  "--agent_depth", "16"], env=counting(folder, "gate"))
            cluster.wait_until_it_answers(args.mgbench, gate)
            load(args, gate, ("tcp", "ws"), LOADS[:3])
    finally:
        etcd.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--examples", "--mgbench", "--merge", "--to"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train_alone(args, folder)
        train_cluster(args, folder)
        counts = sorted(pathlib.Path(folder).glob("*.profraw"))
        subprocess.run([args.merge, "merge", "-sparse", "-o", args.to, *counts], check=True)
    print(f"{args.to}: {pathlib.Path(args.to).stat().st_size} octets")


if __name__ == "__main__":
    main()
