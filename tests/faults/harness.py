# SPDX-License-Identifier: Apache-2.0
"""Runs the command on something bad and looks at what it left behind."""

import concurrent.futures
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

CRASH = re.compile(r"ERROR: \w*Sanitizer|runtime error:|internal error|Assertion|core dumped")
TIMEOUT = 120  # seconds a run; most need a hundredth of one


class Skip(Exception):
    """The machine cannot show this case."""


class Wrong(Exception):
    """The command did not do what it should."""


def safetensors(tensors, data=b"", pad=True):
    """A file with any header: a dict, or its bytes."""
    head = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    if pad:
        head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data


class Folder:
    """The folder of one case, and the command in it."""

    def __init__(self, command, path):
        self.command, self.path = command, path

    def write(self, name, content):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name):
        with open(os.path.join(self.path, name), "rb") as f:
            return f.read()

    def names(self):
        found = []
        for folder, _, files in os.walk(self.path):
            found += [os.path.relpath(os.path.join(folder, f), self.path) for f in files]
        return sorted(found)

    def run(self, *args, code, says=None, made=(), limit_file=None, stdout=None,
            more_env=None):
        """code: one exit code or several. says: must be in a diagnostic. Failed
        runs must leave no file, others the files of `made`."""
        before = set(self.names())
        env = dict(os.environ, NO_COLOR="1", LC_ALL="C", **(more_env or {}))
        env.pop("FOVEA_PLUGIN_PATH", None)
        options = env.get("ASAN_OPTIONS", "")
        # A refused allocation is the program's to report.
        env["ASAN_OPTIONS"] = options + ":allocator_may_return_null=1"

        def limits():
            if limit_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file, limit_file))

        p = subprocess.run([self.command, *args], cwd=self.path, env=env, timeout=TIMEOUT,
                           stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                           stderr=subprocess.PIPE, preexec_fn=limits, check=False)
        text = p.stderr.decode("utf-8", "replace")
        what = " ".join(args) + "\n" + text
        codes = code if isinstance(code, tuple) else (code,)
        if p.returncode not in codes:
            raise Wrong(f"exit {p.returncode}, wanted {codes}: {what}")
        if CRASH.search(text):
            raise Wrong(what)
        if p.returncode == 0:
            return p
        if "error: " not in text:
            raise Wrong("no diagnostic: " + what)
        if says and not re.search(says, text):
            raise Wrong(f"does not say /{says}/: {what}")
        left = set(self.names()) - before - set(made)
        if left:
            raise Wrong(f"left {sorted(left)}: {what}")
        return p


CASES = []


def case(fn):
    CASES.append(fn)
    return fn


def cases_of(name, table):
    """One case for each row (name, arguments of fn)."""

    def add(fn):
        for label, *args in table:
            def one(folder, args=tuple(args)):
                fn(folder, *args)
            one.__name__ = f"{name}.{label}"
            CASES.append(one)
        return fn

    return add


def run_one(command, fn):
    path = tempfile.mkdtemp(prefix="faults-")
    try:
        fn(Folder(command, path))
        return "passed", ""
    except Skip as e:
        return "skipped", str(e)
    except (Wrong, subprocess.TimeoutExpired) as e:
        return "failed", str(e)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def main(command, pattern=""):
    """faults.py FOVEA [PATTERN]: the cases whose names contain the pattern."""
    command = os.path.abspath(command)
    chosen = [c for c in CASES if pattern in c.__name__]
    count = {"passed": 0, "failed": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for fn, (result, text) in zip(chosen, pool.map(lambda c: run_one(command, c), chosen)):
            count[result] += 1
            if result != "passed":
                print(f"{result}: {fn.__name__}: {text}", flush=True)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    sys.exit(1 if count["failed"] else 0)
