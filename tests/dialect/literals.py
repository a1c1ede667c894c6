#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""literals.py FOVEA: integers at the ends of each type, wherever a model or the command has a number.

Each is written as an integer and as a float; it must arrive as it is, or be refused as one that the type
cannot hold.
"""
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

TYPES = {"i8": (-2**7, 2**7 - 1), "u8": (0, 2**8 - 1), "i16": (-2**15, 2**15 - 1), "i32": (-2**31, 2**31 - 1),
         "i64": (-2**63, 2**63 - 1)}
# What a double does not tell from the end of i64, and around the first integer that it lacks.
FAR = {"i64": [-2**63 - 1024, -2**63 - 1025, -2**53 - 1, 2**53 + 1, 2**62 + 1, 2**63 - 512, 2**63 + 1024]}
REFUSED = re.compile(r"out of the range of|cannot be represented in")
X, ONE = '<input name="x" type="{t}" shape="1"/>', "--input=x=1"
YES = '<const name="yes" type="bool">true</const>'
# Name of the place, what the model is, its options; y must be {v}.
PLACES = [
    ("const", '<const name="y" type="{t}" shape="1">{v}</const>', []),
    ("operand", X + '<mul a="x" b="{v}" out="y"/>', [ONE]),
    ("where", X + YES + '<where cond="yes" a="{v}" b="x" out="y"/>', [ONE]),
    ("carry", '<repeat count="1" out="y"><carry name="y_" init="{v}" type="{t}" shape="1"/>'
     '<mul a="y_" b="1" out="z"/><next y_="z"/></repeat>', []),
    ("pad", X + '<pad x="x" pads="1, 0" value="{v}" out="z"/><slice x="z" axis="0" end="1" out="y"/>', [ONE]),
    ("fill", '<fill shape="1" dtype="{t}" value="{v}" out="y"/>', []),
    ("one_hot", '<const name="i" type="i64" shape="1">0</const><one_hot ids="i" depth="1" on="{v}" dtype="{t}" out="y"/>',
     []),
    ("let", '<let name="v" value="{v}"/><fill shape="1" dtype="{t}" value="v" out="y"/>', []),
    ("input", X + '<mul a="x" b="1" out="y"/>', ["--input=x={v}"]),
]
# A bound beyond the type is its end.
CLIPS = [
    ("max", X + '<clip x="x" max="{v}" out="y"/>', 1),
    ("min", X + '<clip x="x" min="{v}" out="y"/>', 0),
]


def run(fovea, folder, name, body, options, fill):
    path = os.path.join(folder, name + ".xml")
    text = f'<model name="m" xmlns="urn:fovea:model:1">{body.format(**fill)}<output name="y"/></model>'
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    p = subprocess.run([fovea, "run", path, "--backend=reference"] + [o.format(**fill) for o in options],
                       capture_output=True, text=True, timeout=120)
    return text, p


def numbers(t):
    low, high = TYPES[t]
    return [low - 1, low, low + 1, high - 1, high, high + 1] + FAR.get(t, [])


def cases():
    for t, (low, high) in TYPES.items():
        for v in numbers(t):
            for spelled in (f"{v}", f"{v}.0", f"{v}0e-1"):
                for name, body, options in PLACES:
                    if name != "let" or spelled == f"{v}" and -2**63 <= v < 2**63:
                        yield t, name, body, options, spelled, v if low <= v <= high else None
                for name, body, end in CLIPS:
                    at = TYPES[t][end]
                    yield t, name, body, [f"--input=x={at}"], spelled, max(low, min(high, v))


def check(fovea, folder, k, case):
    t, name, body, options, spelled, want = case
    text, p = run(fovea, folder, f"m{k}", body, options, {"t": t, "v": spelled})
    if want is None:
        good = p.returncode in (2, 3) and REFUSED.search(p.stderr)
    else:
        good = p.returncode == 0 and p.stdout.split()[-1] == str(want)
    return None if good else f"{name} of {t}: {spelled}, wanted {want}\n{text}\nexit {p.returncode}: {p.stdout}{p.stderr}"


def main():
    fovea = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(check, fovea, folder, k, case) for k, case in enumerate(cases())]
        wrong = [j.result() for j in jobs if j.result()]
    for w in wrong[:20]:
        print(w)
    print(f"{len(jobs)} cases, {len(wrong)} wrong")
    return 1 if wrong or not jobs else 0


sys.exit(main())
