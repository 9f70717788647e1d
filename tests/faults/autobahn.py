#!/usr/bin/env python3
"""Runs the Autobahn cases (RFC 6455, RFC 7692) with kosoku against ws_echo, the echo server on our framing.

    autobahn.py --server build/asan/tests/servers/ws_echo 1 2 3 4 5 6 7 9 10     whole sections
    autobahn.py --server ... --deflate '12.*.2' '13.*.2'                         cases

Every case must be OK, closing included. Allowed: NON-STRICT in 6.4.* (UTF-8 broken inside an unfinished frame, found
only at its end) and INFORMATIONAL where the suite judges nothing. Needs kosoku (tests/requirements.txt) beside the
Python that runs this.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

# Cases per section of Autobahn 25.10.1.
CASES = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}


def run(options):
    kosoku = pathlib.Path(sys.executable).with_name("kosoku")
    if not kosoku.exists():
        sys.exit(f"no kosoku at {kosoku}: run this with a Python that has tests/requirements.txt")
    command = [options.server] + (["--deflate"] if options.deflate else [])
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        if not url.startswith("ws://") or server.stdout.readline().strip() != "ready":
            sys.exit(f"{' '.join(command)} did not start: {url!r} {server.stderr.read()}")
        with tempfile.TemporaryDirectory() as reports:
            select = [word for name in options.cases for word in ("-i", f"{name}.*" if name.isdigit() else name)]
            suite = subprocess.run([kosoku, "-p", "4", "-o", reports, *select, url.removeprefix("ws://")],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            try:
                index = json.loads((pathlib.Path(reports) / "index.json").read_text())
            except OSError as error:
                sys.exit(f"kosoku wrote no report ({error}):\n{suite.stdout[-4000:]}")
            (cases,) = index.values()
            details = {name: json.loads((pathlib.Path(reports) / case["reportfile"]).read_text())
                       for name, case in cases.items() if not passed(name, case)}
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}:\n{server.stderr.read()[-8000:]}")
        server.terminate()
        _, errors = server.communicate(timeout=60)
        if "Sanitizer" in errors or "runtime error" in errors:
            sys.exit(errors[-8000:])
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    return judge([int(name) for name in options.cases if name.isdigit()], cases, details)


def passed(name, case):
    if case["behavior"] == "NON-STRICT":
        return name.startswith("6.4.") and case["behaviorClose"] == "OK"
    return case["behavior"] in ("OK", "INFORMATIONAL") and case["behaviorClose"] in ("OK", "INFORMATIONAL")


def judge(sections, cases, details):
    counts = collections.Counter(case["behavior"] for case in cases.values())
    print(f"{len(cases)} cases: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    per_section = collections.Counter(int(name.split(".")[0]) for name in cases)
    faults = [f"section {section}: {per_section[section]} cases ran, there are {CASES[section]}"
              for section in sections if per_section[section] != CASES[section]]
    for name, case in details.items():
        faults.append(f"{name}: {case.get('behavior')}, close {case.get('behaviorClose')}: {case.get('description', '')} "
                      f"expected {case.get('expected', '')} received {str(case.get('received', ''))[:500]} "
                      f"{case.get('result', '')} {case.get('resultClose', '')}")
    if counts["INFORMATIONAL"] > 3 or counts["NON-STRICT"] > 4:
        faults.append("more than 3 INFORMATIONAL or 4 NON-STRICT")
    print("\n".join(faults))
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("cases", nargs="+", help="a section, or a case with `*`")
    sys.exit(run(parser.parse_args()))


if __name__ == "__main__":
    main()
