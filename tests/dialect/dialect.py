# SPDX-License-Identifier: Apache-2.0
"""Random models of the dialect on every backend, against an evaluator of its own.

dialect.py --fovea F --runner R [--seed=N] [--count=N] [--backends=a,b] [--keep=DIR]

A seed that fails is printed as the line that runs it again. What a run refuses
(a state is full) stands on standard error; it is refused by the evaluator, too.
generate.py writes the models, evaluate.py says what they mean, values.py is its
arithmetic; the session that several runs share is that of tests/integration.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE)]

from evaluate import Model  # noqa: E402
from generate import Generator  # noqa: E402
from session import RunError, Session, Tensor, save  # noqa: E402
from values import Refused  # noqa: E402


def wanted(made, text):
    """What each run must give: outputs, or None where it must be refused."""
    model, runs = Model(text, made.weights, made.dims), []
    for graph, inputs in made.runs:
        try:
            runs.append(model.run(graph, inputs))
        except Refused:
            runs.append(None)
    return runs


def difference(want, got):
    if want is None:
        return None if got is None else "the run was not refused"
    if got is None:
        return "the run was refused"
    for name, x in want.items():
        y = got.get(name)
        if y is None or y.shape != x.shape or y.dtype != x.dtype:
            return f"{name} is {y and (y.dtype, y.shape)}, want {(x.dtype, x.shape)}"
        if y.values() != x.v:
            return f"{name} = {y.values()[:8]}, want {x.v[:8]}"
    return None


def compile_library(args, folder):
    out = folder / "libm.so"
    done = subprocess.run([args.fovea, "compile", folder / "m.xml", "-o", out], capture_output=True, text=True)
    if done.returncode:
        raise RunError(done.stderr)
    return out


def run_on(args, folder, backend, made, want):
    path = compile_library(args, folder) if backend == "library" else folder / "m.xml"
    with Session(args.runner, path, backend, 2) as session:
        for i, (graph, inputs) in enumerate(made.runs):
            io = {k: Tensor(x.dtype, x.shape, x.v) for k, x in inputs.items()}
            try:
                got = session.run(graph, io, **made.dims)
            except RunError as e:
                if "status" not in str(e):
                    raise
                got = None
            bad = difference(want[i], got)
            if bad:
                return f"run {i} of {graph}: {bad}"
    return None


def one(args, seed, backends, folder):
    made = Generator(seed)
    text = made.model()
    (folder / "m.xml").write_text(text)
    save(folder / "m.safetensors", {k: Tensor(x.dtype, x.shape, x.v) for k, x in made.weights.items()})
    want = wanted(made, text)
    failed = []
    for backend in backends:
        try:
            bad = run_on(args, folder, backend, made, want)
        except RunError as e:
            bad = str(e)
        if bad:
            failed.append(f"{backend}: {bad}")
    return failed


def has_opencl(args):
    """Is there a device? Whether the models run there is the test."""
    probe = [args.fovea, "run", HERE.parent / "integration" / "top_k.xml", "-g", "f32", "-b", "opencl"]
    done = subprocess.run(probe, capture_output=True, text=True)
    absent = done.returncode != 0 and ("no backend" in done.stderr or "device" in done.stderr)
    if absent:
        print("SKIP: opencl:", done.stderr.strip().splitlines()[0])
    return not absent


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--fovea", required=True)
    p.add_argument("--runner", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=1)
    p.add_argument("--backends", default="reference,llvm")
    p.add_argument("--now-and-then", default="", help="backends that every tenth seed runs on, too")
    p.add_argument("--keep", help="where the model and its weights are left")
    args = p.parse_args()
    bad, seldom = 0, [b for b in args.now_and_then.split(",") if b]
    if "opencl" in seldom and not has_opencl(args):
        seldom.remove("opencl")
    for seed in range(args.seed, args.seed + args.count):
        backends = [b for b in args.backends.split(",") if b]
        if seed % 10 == 0:
            backends += seldom
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(args.keep or scratch)
            os.makedirs(folder, exist_ok=True)
            failed = one(args, seed, backends, folder)
        if failed:
            bad += 1
            again = f"{sys.argv[0]} --fovea {args.fovea} --runner {args.runner} --seed={seed} --backends={args.backends}"
            print(f"FAIL: {again}", *failed, sep="\n  ", flush=True)
    print(f"{args.count - bad} passed, {bad} failed")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
