#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""feature_words.py FOVEA TABLE [--all]: no word of features= ends the process; --all: of all, not half.

TABLE is the table of CPUs that was made from LLVM. Each instruction set of it is added to a CPU and taken
from it, alone and in random company; what changes vectors is tried in more of it. `compile` must give an
object, or say in one sentence of its own why not. LLVM checks no such list: it ends the process that asks
for code of an AVX-512 without its narrower vectors, of two formats that exclude each other, and the like.
"""
import os
import random
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

CPUS = ["x86-64", "x86-64-v3", "x86-64-v4", "native"]
MODEL = """<model name="f" xmlns="urn:fovea:model:1">
 <input name="a" type="f32" shape="5, 33"/>
 <input name="b" type="f32" shape="33, 16"/>
 <input name="h" type="f16" shape="9"/>
 <input name="n" type="i64" shape="21"/>
 <input name="c" type="i8" shape="50"/>
 <input name="d" type="f64" shape="7"/>
 <matmul a="a" b="b" out="m"/>
 <reduce_max x="m" axes="1" out="y"/>
 <cast x="h" to="bf16" out="bb"/>
 <neg x="n" out="minus"/>
 <max a="n" b="minus" out="w"/>
 <cast x="c" to="f32" out="z"/>
 <sqrt x="d" out="e"/>
 <gather x="a" indices="w" axis="1" out="ga"/>
 <output name="y"/> <output name="bb"/> <output name="w"/> <output name="z"/> <output name="e"/> <output name="ga"/>
</model>
"""


def words_of(table):
    with open(table, encoding="utf-8") as f:
        rows = re.findall(r'CPU\("x86_64", "([^"]*)", "([^"]*)"\)', f.read())
    least = dict(rows)["x86-64"].split(",")
    return sorted({w for _, has in rows for w in has.split(",")} - set(least)), least


def lists_of(words, rng, every):
    """Lists of features: each word alone, what decides about AVX-512 in all company, and random ones."""
    vectors = [w for w in words if re.match(r"avx|evex|fma|f16c|sse|xop|amx", w)]
    wide = [w for w in words if w.startswith("avx512")]
    for w in words if every else rng.sample(words, len(words) // 2):
        yield [f"+{w}"]
        yield [f"-{w}"]
    for w in wide if every else rng.sample(wide, 2) + ["avx512f"]:
        for vl in ([], ["-avx512vl"], ["+avx512vl"]):
            for evex in ([], ["-evex512"], ["+evex512"]):
                yield [f"+{w}"] + vl + evex
    for i in range(400 if every else 30):
        among = vectors if i % 4 else words
        yield [rng.choice("+-") + w for w in rng.sample(among, rng.randint(2, 6))]


def compile_one(fovea, model, out, cpu, features):
    target = "" if cpu == "native" else "triple=x86_64-linux-gnu:"
    done = subprocess.run([fovea, "compile", model, "-o", out, "--name=m", "-b",
                           f"llvm:{target}cpu={cpu}:features={','.join(features)}"],
                          capture_output=True, text=True, timeout=120)
    where = f"cpu={cpu}:features={','.join(features)}"
    if done.returncode == 0:
        with open(out, "rb") as f:
            if f.read(4) != b"\x7fELF":
                return f"{where}: no object", "made"
        os.remove(out)
        return None, "made"
    if done.returncode < 0 or "LLVM ERROR" in done.stderr or "internal error" in done.stderr:
        return f"{where}: exit {done.returncode}: {done.stderr[:300]}", "refused"
    if "error: llvm: " not in done.stderr:
        return f"{where}: no reason: {done.stderr[:300]}", "refused"
    return None, "refused"


def main():
    every = "--all" in sys.argv
    fovea, table = [a for a in sys.argv[1:] if a != "--all"]
    words, least = words_of(table)
    rng = random.Random(7)
    jobs = [(CPUS[0], [f"-{w}"]) for w in least]
    for i, features in enumerate(lists_of(words, rng, every)):
        jobs += [(cpu, features) for cpu in (CPUS if every else [CPUS[i % len(CPUS)]])]
    count = {"made": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "f.xml")
        with open(model, "w", encoding="utf-8") as f:
            f.write(MODEL)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda j: compile_one(fovea, model, os.path.join(folder, f"{j[0]}.o"),
                                                          *j[1]), enumerate(jobs)))
    faults = [why for why, _ in results if why]
    for _, result in results:
        count[result] += 1
    print(*faults, sep="\n")
    print("{made} made, {refused} refused".format(**count))
    return bool(faults) or not all(count.values())


if __name__ == "__main__":
    sys.exit(main())
