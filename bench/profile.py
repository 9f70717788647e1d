#!/usr/bin/env python3
"""Makes the profile that the release preset is built with: an instrumented demo under the loads of a day.

    python3 bench/profile.py --demo build/profile/examples/demo --mgbench build/release/tools/mgbench/mgbench \
        --merge llvm-profdata-19 --to cmake/message_path.profdata

Functions that no load reached are left out of it, so that they are compiled as without a profile and not as rarely used.
"""

import argparse
import pathlib
import subprocess
import tempfile

import harness
from echo import DEMO_ENV

SECONDS = "2s"
LOADS = (
    ("-c", "100", "-d", "1", "-t", SECONDS),
    ("-c", "100", "-d", "16", "-t", SECONDS),
    ("-c", "100", "-d", "4", "-s", "1000", "-t", SECONDS),
    ("-m", "broadcast", "-c", "1000", "-t", SECONDS, "--period", "50ms"),
    ("-m", "churn", "-c", "100", "--leave", "close", "-n", "5000"),
    ("-m", "churn", "-c", "100", "--leave", "rst", "-n", "2000"),
)


def train(args, folder):
    """One demo for each set of flags; each leaves its counts in `folder` when it ends."""
    with harness.certificate() as (cert, key):
        for number, (schemes, flags) in enumerate((
                (("tcp", "ws"), ("--agent_type", "tcp,ws")),
                (("tcp", "ws"), ("--agent_type", "tcp,ws", "--agent_depth", "4")),
                (("tcps", "wss"), ("--agent_type", "tcp,ws", "--agent_tls_cert", cert, "--agent_tls_key", key)))):
            with harness.Servers() as servers:
                env = {**DEMO_ENV, "LLVM_PROFILE_FILE": f"{folder}/{number}.profraw"}
                demo = servers.start(
                    [args.demo, "--loops", "1", "--agent_port", "127.0.0.1:0,127.0.0.1:0", *flags], env=env)
                # The plain paths are what most messages take; the others only have to be known.
                loads = LOADS if number == 0 else LOADS[:2]
                for scheme in schemes:
                    for load in loads:
                        print(scheme, *load, flush=True)
                        harness.mgbench(args.mgbench, demo, scheme, *load)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--demo", "--mgbench", "--merge", "--to"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train(args, folder)
        counts = sorted(pathlib.Path(folder).glob("*.profraw"))
        subprocess.run([args.merge, "merge", "-sparse", "-o", args.to, *counts], check=True)
    print(f"{args.to}: {pathlib.Path(args.to).stat().st_size} octets")


if __name__ == "__main__":
    main()
