#!/usr/bin/env python3
"""Checks of the source tree itself; docs/architecture.md explains the rules.

    check_repository.py                     all checks
    check_repository.py layers sizes        some of them: layers headers sizes texts tests variables quotes
    check_repository.py --self-test         shows that every check fails on a violation

layers     includes point to lines above (LAYERS); a public header includes only std, mg/ and ALLOWED
headers    each public header compiles alone, with only include/ in the search path
sizes      a header has at most MAX_HEADER_LINES lines
texts      the project speaks of itself: no paths of one machine, no tickets, nothing left "to do"
tests      no sleeps and no skipped tests
variables  .envrc.sample names the variable of every flag, and no other
quotes     code in the docs under `<!-- quotes FILE -->` stands in that file, which is compiled; files they name exist

Prints `file:line: what is wrong` and ends with 1. Only the standard library; any Python >= 3.10.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# ---- the rules ------------------------------------------------------------------------------------------------

# Layers, top to bottom: a module may include modules of lines above, and itself.
LAYERS = [
    {"base"},
    {"runtime"},
    {"utils"},
    {"meta", "codec"},
    {"registry", "broker", "rpc", "protocol", "agent", "store", "store/documents", "web"},
    {"app"},  # and the adapters: PORTS' subfolders
    {"testing"},
]
# Ports: src/<port>/<name>/ is an adapter, in the line of app. Adapters include neither app nor each other.
PORTS = {"registry", "broker", "rpc", "agent", "store", "web"}
ADAPTER_LINE = 5
# app wires the adapters together: the one arrow inside a line.
SIDEWAYS = {("app", f"{port}/{adapter}") for port, adapter in (("registry", "local"), ("registry", "etcd"),
                                                              ("broker", "local"), ("broker", "nats"),
                                                              ("rpc", "local"), ("rpc", "link"), ("rpc", "grpc"))}
# Top folders below all layers: may include any module; `examples` only public headers, as a user would.
TOP = {"examples", "tools", "clients", "bench", "tests"}
# Files beside the source that may use the `testing` module.
TEST_FILE = re.compile(r"_(test|fuzz|bench)\.cc$")

# Tools of tests, which they may include from here.
TEST_SUPPORT = "tests/support/"

# What a public header may include besides std and mg/: prefix of the header -> prefix of the include -> why.
ALLOWED = {
    "": {
        "fmt/": "messages of errors are formatted where they are made; header-only",
    },
    "mg/utils/pb/": {
        "google/protobuf/": "it is about these types",
    },
    "mg/protocol/": {
        "google/protobuf/": "handlers take and return protobuf messages",
    },
    "mg/rpc/": {
        "google/protobuf/": "calls take and return protobuf messages",
    },
}
MAX_HEADER_LINES = 200
# Headers that may be longer: path -> (lines, why).
LONGER = {
    "src/utils/formula/parser.h": (340, "one grammar, read by the compiler and by the tree that tests compare it with"),
    "src/utils/formula/reference_tree.h": (260, "the second evaluation that tests and the fuzzer compare with"),
}

STD = set(
    """algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits clocale cmath compare
    complex concepts condition_variable coroutine csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception
    execution expected filesystem forward_list fstream functional future initializer_list iomanip ios iosfwd iostream
    istream iterator latch limits list locale map memory memory_resource mutex new numbers numeric optional ostream queue
    random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span spanstream sstream stack
    stacktrace stdexcept stop_token streambuf string string_view syncstream system_error thread tuple type_traits
    typeindex typeinfo unordered_map unordered_set utility valarray variant vector version""".split()
)

# Words that have no place in the project's texts: (pattern, what to do). Written in pieces, so that this file passes.
FORBIDDEN = [
    (r"(?<![\w.])/(wo" r"rk|ro" r"ot|ho" r"me)/", "a path of one machine: use one relative to the repository or a temporary folder"),
    (r"\.\./sha" r"red/", "a path outside the repository"),
    (r"\b(deb\.debian|pypi|pythonhosted|proxy\.golang|npmjs|crates)\." r"(org|com|io)\b", "a package registry's host: name the package"),
    (r"\b[Ii]ssue" r"s? #?\d", "a ticket number: say what it is about"),
    (r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", "unfinished work: finish it, or describe the limit"),
    (r"(?i)\b(anthro" r"pic|clau" r"de|open" r"ai|chat" r"gpt|copi" r"lot)\b", "the project speaks of itself alone"),
]
FORBIDDEN = [(re.compile(pattern), advice) for pattern, advice in FORBIDDEN]

SLEEP = re.compile(r"\bthis_thread::sleep_|\busleep\(|\bnanosleep\(|\btime\.sleep\(|\basyncio\.sleep\((?!0\))")
SKIP = re.compile(r"GTEST" r"_SKIP|\bDISABLED" r"_|pytest\.skip|\.skipTest\(|unittest\.skip")
# A line may be excused where it is, with a reason: `check: allow (why)`.
EXCUSE = re.compile(r"check: allow \(.+\)")

CODE = {".h", ".cc"}
TEXT = CODE | {".py", ".md", ".txt", ".cmake", ".json", ".sh", ".proto", ".sample", ".yml", ".yaml", ""}
NOT_OURS = {".git", "build", ".venv", ".cache", "node_modules", "__pycache__"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# ---- reading the tree -----------------------------------------------------------------------------------------


class Tree:
    """The repository's files below `root`, without what is built."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = []
        for folder, names, files in os.walk(self.root):
            names[:] = sorted(n for n in names if n not in NOT_OURS)
            for name in sorted(files):
                self.files.append((pathlib.Path(folder) / name).relative_to(self.root).as_posix())

    def code(self, *tops):
        return [f for f in self.files if f.split("/")[0] in tops and pathlib.Path(f).suffix in CODE]

    def public_headers(self):
        return [f for f in self.code("include") if f.endswith(".h")]

    def text(self, file):
        try:
            return (self.root / file).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:  # Gone since the walk: somebody is at work.
            return ""

    def includes(self, file):
        """(line number, is it <...>, path) of each #include."""
        found = []
        for number, line in enumerate(self.text(file).splitlines(), 1):
            if match := INCLUDE.match(line):
                found.append((number, match[1] == "<", match[2]))
        return found


def module_of(path):
    """The module of a file ("src/agent/ws/framing.h") or an include ("mg/agent/agent.h"); None: none of ours."""
    parts = path.split("/")
    if parts[0] == "include":
        parts = parts[1:]
    if parts[0] in ("src", "mg"):
        parts = parts[1:]
    if len(parts) < 2:
        return None
    if parts[0] in TOP:
        return parts[0]
    if parts[0] in PORTS and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def line_of(module):
    for number, modules in enumerate(LAYERS):
        if module in modules:
            return number
    if "/" in module:
        return ADAPTER_LINE
    if module in TOP:
        return len(LAYERS)
    return None


# ---- the checks: each yields "file:line: message" ---------------------------------------------------------------


def check_layers(tree, _):
    ours = set().union(*LAYERS) | TOP
    for file in tree.code("include", "src", *TOP):
        here = module_of(file)
        public = file.startswith("include/")
        if here is None or line_of(here) is None:
            yield f"{file}:1: module '{here}' is in no layer: add it to LAYERS"
            continue
        for number, angled, path in tree.includes(file):
            where = f"{file}:{number}"
            top = path.split("/")[0]
            if public and top != "mg" and not std_or_allowed(file, angled, path):
                yield f"{where}: a public header includes {path}: only std, mg/ and what ALLOWED lists"
                continue
            if top != "mg" and (angled or top not in ours or "/" not in path):
                continue
            there = module_of(path)
            if there is None or line_of(there) is None:
                yield f"{where}: {path} belongs to no module: add it to LAYERS"
                continue
            if here == "examples" and top not in ("mg", "examples"):
                yield f"{where}: an example includes {path}, which is not public"
            if here == there or (here, there) in SIDEWAYS or here in TOP and there not in TOP:
                continue
            if (there == "testing" or path.startswith(TEST_SUPPORT)) and TEST_FILE.search(file):
                continue
            if here in TOP and there in TOP:
                if here not in ("tests", "bench", "tools"):
                    yield f"{where}: {here} includes {path}"
                continue
            if line_of(there) >= line_of(here):
                yield f"{where}: {here} includes {path}: {there} is not in a layer above"


def std_or_allowed(file, angled, path):
    if path in STD and angled:
        return True
    name = file.removeprefix("include/")
    return any(
        name.startswith(header) and path.startswith(include)
        for header, includes in ALLOWED.items()
        for include in includes
    )


def check_headers(tree, options):
    """Compiles each public header by itself. A header whose text, and that of all it includes, is unchanged is not compiled again."""
    base = ["-std=c++23", "-x", "c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-"]
    base += ["-DBOOST_ASIO_NO_DEPRECATED", "-DFMT_HEADER_ONLY"]
    command = [options.compiler, *base, "-I", str(tree.root / "include")]
    version = subprocess.run([options.compiler, "--version"], capture_output=True, text=True, check=True).stdout
    salt = version + " ".join(base)
    good = set()
    if options.cache and os.path.exists(options.cache):
        good = set(json.loads(pathlib.Path(options.cache).read_text()))

    def key(header):
        seen, todo = set(), [header]
        while todo:
            file = todo.pop()
            if file in seen or not (tree.root / file).exists():
                continue
            seen.add(file)
            todo += ["include/" + path for _, _, path in tree.includes(file) if path.startswith("mg/")]
        digest = hashlib.sha256(salt.encode())
        for file in sorted(seen):
            digest.update(f"\0{file}\0{tree.text(file)}".encode())
        return digest.hexdigest()

    def compile(header):
        source = f'#include "{header.removeprefix("include/")}"\n'
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        return header, done.returncode, done.stderr

    keys = {header: key(header) for header in tree.public_headers()}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, status, text in pool.map(compile, [h for h in keys if keys[h] not in good]):
            if status == 0:
                good.add(keys[header])
            else:
                first = next((line for line in text.splitlines() if "error" in line), text)
                yield f"{header}:1: does not compile alone: {first}"
    if options.cache:
        pathlib.Path(options.cache).write_text(json.dumps(sorted(good & set(keys.values()))))


def check_sizes(tree, _):
    for file in tree.code("include", "src"):
        if not file.endswith(".h") or file.endswith("_contract.h"):  # Suites of tests that implementations include.
            continue
        lines = sum(1 for line in tree.text(file).splitlines() if line.strip())
        limit = LONGER.get(file, (MAX_HEADER_LINES, ""))[0]
        if lines > limit:
            yield f"{file}:1: {lines} lines that are not blank, more than {limit}: split it, or give the reason in LONGER"


def check_texts(tree, _):
    for file in tree.files:
        if pathlib.Path(file).suffix not in TEXT or file.startswith("tests/golden/") or "/corpus/" in file:
            continue
        for number, line in enumerate(tree.text(file).splitlines(), 1):
            for pattern, advice in FORBIDDEN:
                if (match := pattern.search(line)) and not EXCUSE.search(line):
                    yield f"{file}:{number}: '{match[0]}': {advice}"


def check_tests(tree, _):
    for file in tree.files:
        name = pathlib.Path(file)
        if name.suffix not in (".cc", ".h", ".py") or not (file.startswith("tests/") or TEST_FILE.search(file)):
            continue
        if file.startswith("tests/scripts/check_"):
            continue
        for number, line in enumerate(tree.text(file).splitlines(), 1):
            if EXCUSE.search(line):
                continue
            if match := SLEEP.search(line):
                yield f"{file}:{number}: '{match[0]}': wait for the event with a deadline, or use the manual clock"
            if match := SKIP.search(line):
                yield f"{file}:{number}: '{match[0]}': a test that cannot run is a failed test"


FLAG = re.compile(r'\bflags\w*(?:\(\))?(?:\.|->)add\(\s*"([a-z0-9_]+)"(?:[^;]*?\.env = \{"(\w+)")?')
# Variables that are read without a flag of their own.
PLAIN_VARIABLES = {"GAME_LOG_LEVEL", "GAME_LOG_FILE", "GAME_LOG_FORMAT", "GAME_ERROR_STACK"}


def check_variables(tree, _):
    """Flags of services: those of src/ and examples/; tools are not configured by the environment of a service."""
    sample = ".envrc.sample"
    listed = {}
    if sample in tree.files:
        for number, line in enumerate(tree.text(sample).splitlines(), 1):
            if match := re.match(r"#?export (\w+)=", line):
                listed[match[1]] = number
    known = set(PLAIN_VARIABLES)
    for file in tree.code("src", "examples"):
        if TEST_FILE.search(file):
            continue
        for match in FLAG.finditer(tree.text(file)):
            name = match[2] or "GAME_" + match[1].upper()
            known.add(name)
            if name not in listed:
                yield f"{file}:1: flag {match[1]}: {sample} does not name {name}"
    for name in listed.keys() - known:
        yield f"{sample}:{listed[name]}: no service has a flag for {name}"


QUOTE = re.compile(r"<!-- quotes (\S+) -->\n+```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)

NAMED = re.compile(r"`((?:src|include|proto|examples|tests|bench|tools|docs|cmake)/[\w./-]*\.\w+)`")


def check_quotes(tree, _):
    for file in tree.files:
        if not file.endswith(".md"):
            continue
        text = tree.text(file)
        for number, line in enumerate(text.splitlines(), 1):
            for name in NAMED.findall(line):
                if not (tree.root / name).exists():
                    yield f"{file}:{number}: there is no {name}"
        for match in QUOTE.finditer(text):
            if match[2] not in tree.text(match[1]):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{file}:{line}: the code is not, or no longer, in {match[1]}"


CHECKS = {
    "layers": check_layers,
    "headers": check_headers,
    "sizes": check_sizes,
    "texts": check_texts,
    "tests": check_tests,
    "variables": check_variables,
    "quotes": check_quotes,
}

# ---- self-test: (check, file, text, is it wrong) ----------------------------------------------------------------

CASES = [
    ("layers", "include/mg/codec/a.h", '#include "mg/base/error.h"\n', False),
    ("layers", "include/mg/base/a.h", '#include "mg/codec/frame.h"\n', True),
    ("layers", "src/meta/a.cc", '#include "mg/codec/frame.h"\n', True),
    ("layers", "src/protocol/a.cc", '#include "mg/agent/agent.h"\n', True),
    ("layers", "src/agent/a.cc", '#include "agent/ws/framing.h"\n', True),
    ("layers", "src/agent/ws/a.cc", '#include "mg/agent/agent.h"\n#include "agent/ws/framing.h"\n', False),
    ("layers", "src/agent/ws/a.cc", '#include "agent/tcp/listener.h"\n', True),
    ("layers", "src/rpc/local/a.cc", '#include "mg/app/app.h"\n', True),
    ("layers", "src/app/a.cc", '#include "rpc/local/local.h"\n', False),
    ("layers", "src/app/a.cc", '#include "mg/agent/ws/ws.h"\n', True),
    ("layers", "src/app/a_test.cc", '#include "mg/testing/cluster.h"\n', False),
    ("layers", "src/app/a.cc", '#include "mg/testing/cluster.h"\n', True),
    ("layers", "src/base/a.cc", '#include "tests/tool.h"\n', True),
    ("layers", "src/base/a.cc", '#include "tests/support/server.h"\n', True),
    ("layers", "src/base/a_test.cc", '#include "tests/support/server.h"\n', False),
    ("layers", "src/nowhere/a.cc", "\n", True),
    ("layers", "tests/e2e/a_test.cc", '#include "mg/app/app.h"\n#include "tools/client/player.h"\n', False),
    ("layers", "examples/gate/main.cc", '#include "mg/app/app.h"\n#include "examples/gate/gate.h"\n', False),
    ("layers", "examples/gate/main.cc", '#include "agent/ws/framing.h"\n', True),
    ("layers", "include/mg/runtime/a.h", "#include <chrono>\n#include <fmt/core.h>\n", False),
    ("layers", "include/mg/runtime/a.h", "#include <boost/asio.hpp>\n", True),
    ("layers", "include/mg/runtime/a.h", "#include <openssl/ssl.h>\n", True),
    ("layers", "include/mg/runtime/a.h", '#include "runtime/poller.h"\n', True),
    ("layers", "include/mg/protocol/a.h", "#include <google/protobuf/message.h>\n", False),
    ("layers", "include/mg/codec/a.h", "#include <google/protobuf/message.h>\n", True),
    ("headers", "include/mg/base/a.h", "#pragma once\n#include <string>\ninline std::string a;\n", False),
    ("headers", "include/mg/base/a.h", "#pragma once\ninline std::string a;\n", True),
    ("sizes", "include/mg/base/a.h", "int a;\n\n" * MAX_HEADER_LINES, False),
    ("sizes", "src/base/a.h", "int a;\n" * (MAX_HEADER_LINES + 1), True),
    ("sizes", "src/base/a.cc", "int a;\n" * (MAX_HEADER_LINES + 1), False),
    ("texts", "README.md", "see docs/architecture.md and https://www.rfc-editor.org/rfc/rfc6455\n", False),
    ("texts", "README.md", "see /wo" "rk/main/README.md\n", True),
    ("texts", "docs/a.md", "after iss" "ue 3\n", True),
    ("texts", "dev", "curl https://py" "pi.org/simple\n", True),
    ("texts", "src/base/a.cc", "// TO" "DO: later\n", True),
    ("texts", "src/base/a.cc", "// HO" "ME is /ho" "me/x: check: allow (an example of a bad path)\n", False),
    ("tests", "src/base/a_test.cc", "EXPECT_EQ(1, 1);\n", False),
    ("tests", "src/base/a_test.cc", "std::this_thread::sleep_for(1s);\n", True),
    ("tests", "tests/faults/a.py", "time.sleep(1)\n", True),
    ("tests", "tests/faults/a.py", "await asyncio.sleep(0)\n", False),
    ("tests", "src/base/a_test.cc", "GTEST" "_SKIP();\n", True),
    ("tests", "src/base/a_test.cc", "TEST(A, DISABLED" "_b) {}\n", True),
    ("variables", "src/app/a.cc", 'flags.add(\n "loops", &loops, "Loops");\n', True),
    ("variables", "src/app/a.cc", 'flags.add("log", &a, "Log", {.env = {"GAME_LOG_LEVEL"}});\n', True),
    ("variables", "src/app/a_test.cc", 'flags.add("loops", &loops, "Loops");\n', False),
    ("variables", ".envrc.sample", "#export GAME_LOG_LEVEL=info\n", False),
    ("variables", ".envrc.sample", "#export GAME_NOTHING=\n", True),
    ("quotes", "README.md", "Text.\n<!-- quotes README.md -->\n```md\nText.\n```\n", False),
    ("quotes", "docs/a.md", "See `docs/a.md` and `src/nowhere`.\n", False),
    ("quotes", "docs/a.md", "See `src/nowhere/a.cc`.\n", True),
    ("quotes", "README.md", "Text.\n<!-- quotes other.cc -->\n```cpp\nint a;\n```\n", True),
]


def self_test(options):
    options.cache = None
    failures = 0
    for check, file, text, wrong in CASES:
        with tempfile.TemporaryDirectory() as root:
            path = pathlib.Path(root) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            found = list(CHECKS[check](Tree(root), options))
        if bool(found) != wrong:
            failures += 1
            print(f"self-test: {check} {'missed' if wrong else 'refused'} {file}: {text.strip()!r} {found}")
    print(f"self-test: {len(CASES)} cases, {failures} failed")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], help="default: all")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--compiler", default="clang++-19")
    parser.add_argument("--cache", help="file that remembers which headers compiled")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test(options) else 0
    tree = Tree(options.root)
    wrong = [line for check in options.checks or CHECKS for line in CHECKS[check](tree, options)]
    print("\n".join(wrong) if wrong else f"{len(tree.files)} files, {len(tree.public_headers())} public headers: all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
