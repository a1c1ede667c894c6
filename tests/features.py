#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""features.py FOVEA FILE...: libraries ask for the instruction sets that their kernels are made of.

The files are models, or pages whose xml blocks are. What each library asks for is told to GNU as, which
refuses instructions of other sets: so nothing is missing. It refuses the code as well when any one is
taken away that no other one implies: so nothing is asked for in vain. Each CPU gets its share of the
models, and the first file goes to all. Of pages every third block is taken, of --all each.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "docs"))
from examples import blocks_of, model_of, write_weights  # noqa: E402

CPUS = ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "sapphirerapids"]
# Where the assembler has names of its own.
NAMES = {"avxvnni": "avx_vnni", "avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16",
         "avx512vpopcntdq": "avx512_vpopcntdq", "avx512vbmi2": "avx512_vbmi2",
         "avx512bitalg": "avx512_bitalg", "avx512fp16": "avx512_fp16"}


def assembles(path, features):
    march = "+".join(["generic64"] + [NAMES.get(f, f) for f in features])
    done = subprocess.run(["as", f"-march={march}", path, "-o", os.devnull], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr


def compile_to(fovea, model, out, cpu, *more):
    return subprocess.run([fovea, "compile", model, "-o", out, "--name=m", "-b",
                           f"llvm:triple=x86_64-linux-gnu:cpu={cpu}", *more], capture_output=True, text=True)


def check(fovea, model, cpu, folder):
    """What is wrong with the library of a model, and what it asks for."""
    library, text = os.path.join(folder, f"{cpu}.so"), os.path.join(folder, f"{cpu}.s")
    done = compile_to(fovea, model, library, cpu)
    if done.returncode:
        return done.stderr, []
    told = json.loads(subprocess.run([fovea, "inspect", library, "--json"], capture_output=True).stdout)
    needs = [f for f in told["manifest"]["cpu_features"].split(",") if f]
    done = compile_to(fovea, model, text, cpu, "--emit=asm")
    if done.returncode:
        return done.stderr, needs
    error = assembles(text, needs)
    if error:
        return f"asks for {needs} only: {error[:400]}", needs
    for f in needs:
        others = [g for g in needs if g != f]
        if assembles(text, others) is None and not implied(f, others):
            return f"asks for {f} in vain, beside {others}", needs
    return None, needs


def implied(f, others):
    probe = {"avx": "vaddps %xmm0,%xmm0,%xmm0", "avx2": "vpaddd %ymm0,%ymm0,%ymm0", "fma":
             "vfmadd213ps %xmm0,%xmm0,%xmm0", "f16c": "vcvtph2ps %xmm0,%xmm0",
             "avx512f": "vaddps %zmm0,%zmm0,%zmm0", "avx512bw": "vpaddb %zmm0,%zmm0,%zmm0",
             "sse3": "haddps %xmm0,%xmm0", "ssse3": "pabsb %xmm0,%xmm0", "sse4.1": "ptest %xmm0,%xmm0",
             "avx512vl": "vaddps %xmm16,%xmm0,%xmm0"}.get(f)
    if not probe:
        return False
    march = "+".join(["generic64"] + [NAMES.get(g, g) for g in others])
    return subprocess.run(["as", f"-march={march}", "-o", os.devnull], input=probe + "\n", text=True,
                          capture_output=True).returncode == 0


def models_of(path, folder, every):
    if path.endswith(".xml"):
        yield path, path
        return
    for i, block in enumerate(blocks_of(path)):
        if block.error or (not every and i % 3):
            continue
        at = tempfile.mkdtemp(dir=folder)
        for name in set(re.findall(r'file="([^"]*)"', block.text + block.given)) | {"w.safetensors"}:
            write_weights(os.path.join(at, name), block.weights)
        with open(os.path.join(at, "m.xml"), "w", encoding="utf-8") as f:
            f.write(model_of(block, True)[0])
        yield os.path.join(at, "m.xml"), block.where


def main():
    every = "--all" in sys.argv
    fovea, *files = [a for a in sys.argv[1:] if a != "--all"]
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for i, path in enumerate(files):
            for k, (model, where) in enumerate(models_of(path, folder, every)):
                for cpu in CPUS if i == 0 else [CPUS[1 + k % (len(CPUS) - 1)]]:
                    jobs.append((model, where, cpu, tempfile.mkdtemp(dir=folder)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda j: check(fovea, j[0], j[2], j[3]), jobs))
    bad, seen = False, set()
    for (_, where, cpu, _), (why, needs) in zip(jobs, results):
        seen.update(needs)
        if cpu == CPUS[0] and needs and not why:
            why = f"the least CPU has all, but it asks for {needs}"
        if why:
            print(f"{where}: for {cpu}: {why}")
            bad = True
    print(len(jobs), "libraries, which ask for", *sorted(seen))
    return bad or not {"sse4.1", "avx2", "fma", "avx512f"} <= seen


if __name__ == "__main__":
    sys.exit(main())
