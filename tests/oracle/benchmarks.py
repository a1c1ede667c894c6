# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run to their end, with answers that agree with their peers'.

One round of short slices at a small size: nothing is said here about speed. minilm.py needs the
weights that `make demo` fetches.
"""

import importlib.util
import os
import subprocess
import sys

from _fovea import ROOT

SIZES = {"matmul.py": ["--size=33x70x47"], "recurrent.py": ["--size=lstm:5x2x7x9", "--size=gru:5x2x7x9"],
         "minilm.py": ["--tokens=9"]}


def reason_to_skip(script):
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        return f"no {missing[0]}"
    weights = ROOT / "build" / "models" / "minilm.safetensors"
    return f"no {weights.name}" if script == "minilm.py" and not weights.exists() else None


def run(*words):
    env = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def main():
    passed = failed = skipped = 0
    status, text = run("sh", ROOT / "bench" / "build.sh")
    for script, sizes in SIZES.items():
        why = reason_to_skip(script)
        if why:
            print(f"SKIP: {script}: {why}")
            skipped += 1
            continue
        if status == 0:
            made, text = run(sys.executable, "-B", ROOT / "bench" / script, "--rounds=1", "--slice=0.02", *sizes)
        if status or made:
            print(f"FAIL: {script}\n{text}")
            failed += 1
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


sys.exit(main())
