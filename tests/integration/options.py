#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""options.py FOVEA: over the range of each option of a backend that takes a number, and its ends.

What an option takes must give the results of the reference; anything else is refused in its own words.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

# A product, an attention, a convolution, row reductions, a scan and a scatter.
MODEL = """<model name="m" xmlns="urn:fovea:model:1">
<input name="x" type="f32" shape="1, 19, 24"/><input name="w" type="f32" shape="24, 40"/>
<input name="c" type="f32" shape="18, 3, 3, 3"/><input name="i" type="i64" shape="19, 24"/>
<matmul a="x" b="w" out="p"/><relu x="p" out="r"/>
<attention q="x" k="x" v="x" heads="2" out="a"/>
<reshape x="x" shape="1, 3, 8, 19" out="image"/><conv x="image" w="c" pads="1, 1, 1, 1" out="k"/>
<softmax x="a" out="s"/><cumsum x="s" axis="1" out="t"/><reduce_sum x="k" axes="1, 3" out="u"/>
<reshape x="x" shape="19, 24" out="flat"/>
<scatter_elements x="flat" indices="i" updates="flat" axis="1" reduction="max" out="v"/>
<output name="r"/><output name="t"/><output name="u"/><output name="v"/></model>
"""
INPUTS = ["--input=x=random:seed=1", "--input=w=random:seed=2", "--input=c=random:seed=3",
          "--input=i=random:seed=4,lo=0,hi=23"]
NONE = ["-1", "0x1", "1.0", "x", "+1", " 1", "99999999999999999999"]


def run(fovea, model, backend):
    return subprocess.run([fovea, "run", model, f"--backend={backend}"] + INPUTS, capture_output=True, text=True,
                          timeout=300)


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", re.sub(r"^\w+: .*$", "", text, flags=re.M))]


def alike(got, want):
    return len(got) == len(want) > 0 and all(abs(a - b) <= 1e-4 * max(1, abs(b)) for a, b in zip(got, want))


def values_of(doc):
    """What an option says that it takes, and what it must refuse, of small and of awkward numbers."""
    power = re.search(r"a power of two up to (\d+)", doc)
    span = re.search(r"(\d+) to (\d+)(?:\^(\d+))?", doc)
    flags = re.search(r"^1: .*\b0: ", doc)
    if power:
        low, high = 1, int(power[1])
    elif span:
        low, high = int(span[1]), int(span[2]) ** int(span[3] or 1)
    elif flags:
        low, high = 0, 1
    else:
        return None
    near = set(range(low - 2, low + 20)) | {high + d for d in (-3, -2, -1, 0, 1)}
    near |= {1 << k for k in range(30)} | {3 << k for k in range(28)}
    good = [n for n in sorted(near) if low <= n <= high and (not power or n & (n - 1) == 0)]
    return good, [str(n) for n in sorted(near) if n >= 0 and n not in good] + NONE


def sweep(fovea, model):
    listed = subprocess.run([fovea, "list", "options"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^interpreter:(\w+)=N +(.*)$", listed, re.M)
    want = numbers(run(fovea, model, "reference").stdout)
    wrong, n_runs, taken = [], 0, {}
    settings = []
    for key, doc in options:
        found = values_of(doc)
        if not found:
            wrong.append(f"{key}: '{doc}' does not say what it takes")
            continue
        taken[key] = found[0]
        settings += [(f"{key}={v}", True) for v in found[0]] + [(f"{key}={v}", False) for v in found[1]]
    pick = random.Random(1)
    settings += [(":".join(f"{k}={pick.choice(v)}" for k, v in taken.items()), True) for _ in range(40)]
    for setting, good in settings:
        p = run(fovea, model, "interpreter:" + setting)
        n_runs += 1
        if good and not (p.returncode == 0 and alike(numbers(p.stdout), want)):
            wrong.append(f"{setting}: exit {p.returncode}, or other numbers\n{p.stderr[:400]}")
        elif not good and not (p.returncode == 2 and f"interpreter: {setting.split('=')[0]}='" in p.stderr):
            wrong.append(f"{setting}: exit {p.returncode}, must be refused\n{p.stderr[:400]}")
    return wrong, n_runs, len(options)


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "m.xml")
        with open(model, "w", encoding="utf-8") as f:
            f.write(MODEL)
        wrong, n_runs, n_options = sweep(sys.argv[1], model)
    print("\n".join(wrong[:40]))
    print(f"{n_options} options, {n_runs} runs, {len(wrong)} wrong")
    return 1 if wrong or n_options == 0 else 0


sys.exit(main())
