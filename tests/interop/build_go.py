"""Builds the Go side: build_go.py --python .venv/bin/python --source go --output interop-go

Go comes from .venv (tests/requirements.txt), else from the PATH. Modules are fetched once, by Go itself, into its usual
caches; go.sum says what they must be.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    for option in ("python", "source", "output"):
        parser.add_argument(f"--{option}", required=True, type=pathlib.Path)
    options = parser.parse_args()
    places = f"{options.python.parent.absolute()}{os.pathsep}{os.environ.get('PATH', '')}{os.pathsep}/usr/local/go/bin"
    go = shutil.which("go", path=places)
    if not go:
        sys.exit("no Go: `./dev test` installs it into .venv")
    # No other toolchain is fetched, nothing of the repository is looked at, go.mod stays as it is.
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    build = [go, "build", "-o", options.output.resolve(), "."]
    for _ in range(3):  # What has been fetched stays; the network may fail once in a while.
        status = subprocess.run(build, cwd=options.source, env=environment, check=False).returncode
        if status == 0:
            break
    return status


sys.exit(main())
