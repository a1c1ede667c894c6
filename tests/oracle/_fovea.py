# SPDX-License-Identifier: Apache-2.0
"""What the oracle scripts share: cases, the command that runs them, comparison, summary.

A case is a model as a user writes it, inputs for it, and a function that gives the
outputs that another implementation has for the same. Each case runs on each backend,
by the command, in a process of its own.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import typing

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = os.environ.get("FOVEA", str(ROOT / "build" / "bin" / "fovea"))
TYPES = {
    "float32": "f32",
    "float64": "f64",
    "float16": "f16",
    "int8": "i8",
    "uint8": "u8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "bool": "bool",
}

sys.path.insert(0, str(ROOT / "models" / "train"))
import st  # noqa: E402  safetensors by numpy alone


class Unavailable(Exception):
    """The other implementation is not there: the case is skipped."""


@dataclasses.dataclass
class Case:
    name: str
    inputs: dict  # arrays by name
    body: str  # the elements between the inputs and the outputs
    want: typing.Callable  # () -> the expected arrays, in the order of `outputs`
    outputs: tuple = ("y",)
    eps: float = 16  # bound in units of eps(dtype) * max(|want|, scale)
    scale: float = None  # None: the largest |want| of the tensor or 1, as its sums' terms may be
    symbolic: bool = False  # the extents may be symbols: the body has no shapes
    least: int = 0  # of these symbols
    model: tuple = None  # (file, graph) of a model that exists, in place of body
    options: tuple = ()  # more arguments of the command
    backends: tuple = ()  # none: all that are asked for


def element(op, out="y", **attributes):
    """<op out="y" axis="1" pads="0, 1"/>; attributes that are None are left out."""

    def text(value):
        if isinstance(value, (bool, np.bool_)):
            return str(bool(value)).lower()
        if isinstance(value, (list, tuple)):
            return ", ".join(text(v) for v in value)
        return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)

    words = [f'{k.rstrip("_")}="{text(v)}"' for k, v in attributes.items() if v is not None]
    return f"<{op} {' '.join(words)} out=\"{out}\"/>"


def model_text(case, symbols):
    """The model of a case. With symbols, each extent above 1 is a dim; equal ones are the same."""
    shapes = {
        k: [f"N{n}" if symbols and n > 1 else str(n) for n in v.shape]
        for k, v in case.inputs.items()
    }
    dims = sorted({d for shape in shapes.values() for d in shape if d.startswith("N")})
    return "\n".join(
        ['<model name="m" xmlns="urn:fovea:model:1">']
        + [f' <dim name="{d}" min="{case.least}" max="4096"/>' for d in dims]
        + [
            f' <input name="{k}" type="{TYPES[v.dtype.name]}" shape="{", ".join(shapes[k])}"/>'
            for k, v in case.inputs.items()
        ]
        + [" " + case.body]
        + [f' <output name="{k}" value="{k}"/>' for k in case.outputs]
        + ["</model>", ""]
    )


def difference(got, want, eps, scale):
    """What is wrong with `got`, or None."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} where {want.dtype}{list(want.shape)} is expected"
    if want.dtype.kind != "f":
        wrong = got != want
    else:
        g, w = got.astype(np.float64), want.astype(np.float64)
        finite = np.isfinite(w)
        if want.dtype == np.float16:  # sums are of f32: the last rounding, and a neighbour's
            eps = min(eps, 4)
        if scale is None:
            scale = np.abs(w[finite]).max(initial=1)
        with np.errstate(invalid="ignore"):  # infinities and NaN are looked at apart
            bound = eps * np.finfo(want.dtype).eps * np.maximum(np.abs(w), scale)
            near = np.abs(g - w) <= bound + np.finfo(want.dtype).tiny
        wrong = ~np.where(finite, near, (g == w) | (np.isnan(g) & np.isnan(w)))
    if not wrong.any():
        return None
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    where = ", ".join(str(int(i)) for i in at)
    return (
        f"{wrong.sum()} of {wrong.size} differ; [{where}] is {got[at]} where {want[at]} is expected"
    )


def run(case, backend, symbols):
    """What the command gives for a case."""
    with tempfile.TemporaryDirectory() as folder:
        model, graph = case.model or (os.path.join(folder, "m.xml"), None)
        if not case.model:
            pathlib.Path(model).write_text(model_text(case, symbols))
        file = os.path.join(folder, "in.safetensors")
        st.save(file, case.inputs)
        result = os.path.join(folder, "out.safetensors")
        command = [
            FOVEA,
            "run",
            str(model),
            "--backend",
            backend,
            "--threads",
            "1",
            "--values",
            "0",
            "--save",
            result,
            *case.options,
        ]
        command += ["--graph", graph] if graph else []
        for name in case.inputs:
            command += ["-i", f"{name}=@{file}"]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
        return st.load(result)


def faults(case, backends, symbols):
    """(backend, None or what is wrong) for each backend."""
    backends = [b for b in backends if not case.backends or b in case.backends]
    try:
        want = [np.asarray(w) for w in case.want()]
    except Unavailable:
        raise
    except Exception as e:  # the other implementation refused: the case is wrong
        return [(b, f"no expected result: {e}") for b in backends]
    found = []
    for backend in backends:
        try:
            got = run(case, backend, symbols)
            wrong = [
                f"{name}: {d}"
                for name, w in zip(case.outputs, want)
                if (d := difference(got[name], w, case.eps, case.scale))
            ]
        except (RuntimeError, OSError) as e:
            wrong = [str(e)]
        found.append((backend, "; ".join(wrong) or None))
    return found


def listed_ops():
    done = subprocess.run([FOVEA, "list", "ops"], check=True, capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def untested(cases, without):
    """The ops of the table that no case has, but for those named in `without`."""
    used = {op for case in cases for op in re.findall(r"<(\w+)", case.body)}
    return [op for op in listed_ops() if op not in used and op not in without]


def main(generate, doc, without=None):
    """Runs the cases of `generate(rng)`; returns the exit status.

    without: the ops that need no case; each other op of the table must have one.
    """
    p = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--seed", type=int, help="of the inputs; random unless given")
    p.add_argument(
        "--backend", action="append", help="may be repeated; reference and llvm if left out"
    )
    p.add_argument("--only", default="", help="cases whose names match this regular expression")
    p.add_argument("--show", action="store_true", help="print the models that fail")
    o = p.parse_args()
    seed = random.randrange(1 << 30) if o.seed is None else o.seed
    backends = o.backend or ["reference", "llvm"]
    rng = np.random.default_rng(seed)
    print("seed", seed)
    cases = list(generate(rng))
    symbols = [case.symbolic and bool(rng.integers(2)) for case in cases]
    passed = failed = skipped = 0
    reasons = set()
    for op in [] if without is None else untested(cases, without):
        failed += 1
        print(f"FAIL {op}: no case has this op")
    chosen = [(c, s) for c, s in zip(cases, symbols) if re.search(o.only, c.name)]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        futures = [pool.submit(faults, c, backends, s) for c, s in chosen]
        for (case, symbolic), future in zip(chosen, futures):
            try:
                found = future.result()
            except Unavailable as e:
                skipped += len(case.backends or backends)
                reasons.add(str(e))
                continue
            for backend, wrong in found:
                passed += wrong is None
                failed += wrong is not None
                if wrong:
                    print(f"FAIL {case.name} on {backend}: {wrong}\n  --seed {seed}; {case.body}")
                    if o.show and not case.model:
                        print(model_text(case, symbolic))
    for reason in sorted(reasons):
        print("skipped:", reason)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0
