#!/usr/bin/env python3
"""Runs one benchmark beside its yardstick: a table, then one line of JSON.

    python3 bench/run.py echo --build build/release [--quick] [--only REGEX]

A benchmark NAME is the file bench/NAME.py with a docstring, whose first line `--list` shows, and

    def run(context): ...    # yields harness.Row, one after the other

Exit code: 0 measured (whether or not every bar was kept: the JSON says), 1 could not be measured, 2 bad arguments.
"""

import argparse
import ast
import importlib
import json
import pathlib
import re
import signal
import sys

import harness

HERE = pathlib.Path(__file__).resolve().parent
NOT_BENCHES = {"run", "harness", "profile", "smoke_test", "soak"}


def benches():
    """Name -> first line of the docstring, without importing."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        if path.stem in NOT_BENCHES:
            continue
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = text.splitlines()[0] if text else ""
    return found


class Context:
    """What a benchmark is given: where the programs are, how long to take, which cores to use."""

    def __init__(self, args):
        self.build = pathlib.Path(args.build)
        self.quick = args.quick
        self.subject = args.subject  # "demo", or "limit" to measure the yardstick against itself.
        self.server_cpus, self.load_cpus = (None, None) if args.unpinned else harness.pinning()
        self._only = re.compile(args.only) if args.only else None

    def wanted(self, name):
        return self._only is None or self._only.search(name) is not None

    def program(self, target):
        """Path of a built program; targets are named as their folder in the build tree says."""
        places = {"limit": "bench/limit", "mgbench": "tools/mgbench/mgbench"}
        path = self.build / places.get(target, target)
        if not path.is_file():
            raise harness.BenchError(f"{path} is missing: build it with `ninja -C {self.build} {path.name}`")
        return path


def main():
    known = benches()
    parser = argparse.ArgumentParser(description="benchmarks: " + "; ".join(f"{n}: {t}" for n, t in known.items()))
    parser.add_argument("name", nargs="?", help="which benchmark")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--build", default="build/release", help="build tree (default build/release)")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer and shorter runs")
    parser.add_argument("--only", metavar="REGEX", help="only rows whose name matches")
    parser.add_argument("--subject", default="demo", choices=["demo", "limit"],
                        help="limit: measure the yardstick against itself, which shows the noise")
    parser.add_argument("--unpinned", action="store_true", help="do not give load and servers cores of their own")
    args = parser.parse_args()
    if args.list:
        for name, text in known.items():
            print(f"{name:<10} {text}")
        return 0
    if args.name not in known:
        parser.error(f"no benchmark {args.name!r}; there are: {', '.join(known)}")

    # A terminated run leaves no server behind: the exception unwinds through Servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    where = harness.machine()
    context = Context(args)
    cores = ("load and servers share all cores" if context.load_cpus is None else
             f"load on core {sorted(context.load_cpus)}, servers on {sorted(context.server_cpus)}")
    print(f"{args.name}: {where}; {cores}", flush=True)
    if warning := harness.busy():
        print(f"WARNING: {warning}", flush=True)
    print(harness.HEADER, flush=True)
    rows = []
    try:
        for row in importlib.import_module(args.name).run(context):
            rows.append(row)
            print(row.as_text(), flush=True)
    except harness.BenchError as error:
        print(f"bench {args.name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps({"bench": args.name, "machine": where, "rows": [row.as_json() for row in rows]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
