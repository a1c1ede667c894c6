# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: processes that take turns, statistics, files.

Machines are shared and their clocks move, so numbers are compared only within one
run: every subject is a process that lives on, and in each round each gets a slice of
time in turn. What counts is the ratio within a round. Times are processor time of the
process (all its threads), which others' load disturbs least; CLOCK=wall takes the time
that passed.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
OUT = BUILD / "bench"
CLOCK = os.environ.get("CLOCK", "cpu")


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def environment():
    """One thread; and OpenBLAS chooses its kernels by the CPU, whatever was set to hinder it."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return {**mine, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Subject:
    """A process that obeys bench/slices.h; .about is its first line."""

    def __init__(self, name, command):
        self.name = name
        self.slices = []
        self.process = subprocess.Popen([str(word) for word in command], text=True, cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment())
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: {self.name} has ended: {' '.join(self.process.args)}")
        return json.loads(line)

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self._answer()

    def save(self, dtype="float32"):
        """The first output, as a flat array."""
        import numpy
        path = OUT / f"output-{self.process.pid}.bin"
        self.tell(f"save {path}")
        data = numpy.fromfile(path, dtype=dtype)
        path.unlink()
        return data

    def medians(self):
        return [s[CLOCK]["median"] for s in self.slices]

    def median(self):
        return statistics.median(self.medians())

    def minimum(self):
        return min(s[CLOCK]["min"] for s in self.slices)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def arguments(doc, choice, kind=str, rounds=8):
    """The command line of all benchmarks; CHOICE is the option that picks what is measured."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--slice", type=float, default=0.2)
    parser.add_argument("--before", metavar="BUILD", type=pathlib.Path,
                        help="the folder of another build of fovea, to compare with")
    parser.add_argument(f"--{choice}", type=kind, action="append")
    return parser.parse_args()


def fovea(args, model, *options):
    """This build's driver, and that of --before."""
    builds = {"fovea": OUT} | ({"before": args.before.resolve() / "bench"} if args.before else {})
    return [Subject(name, [out / "driver", model, *options]) for name, out in builds.items()]


def to_before(subjects):
    """The column of --before: the first of SUBJECTS to the second, if there is one."""
    return [spread(ratios(*subjects))] if len(subjects) == 2 else []


def peer(name, *words):
    return Subject(name, [sys.executable, ROOT / "bench" / "peer.py", *words])


def peak(what="fma"):
    return Subject(f"peak {what}", [OUT / "peak", what])


def alternate(subjects, rounds, seconds):
    """Each round begins with another subject, so that nobody always follows the same."""
    for s in subjects:
        s.slices = []
        s.tell(f"run {seconds / 4}")
    for r in range(rounds):
        first = r % len(subjects)
        for s in subjects[first:] + subjects[:first]:
            s.slices.append(s.tell(f"run {seconds}"))


def ratios(a, b):
    """Of the medians of a to those of b: median over the rounds, least, greatest."""
    all_of_them = [x / y for x, y in zip(a.medians(), b.medians())]
    return {"median": statistics.median(all_of_them), "min": min(all_of_them),
            "max": max(all_of_them)}


def summary(s):
    return {"median_s": s.median(), "min_s": s.minimum(),
            "iterations": sum(x["iterations"] for x in s.slices), "slices": s.slices}


def ms(seconds):
    return f"{1e3 * seconds:.3f}" if seconds < 0.1 else f"{1e3 * seconds:.1f}"


def spread(r, percent=False):
    if percent:
        return f"{100 * r['median']:.0f} % [{100 * r['min']:.0f}..{100 * r['max']:.0f}]"
    return f"{r['median']:.2f} [{r['min']:.2f}..{r['max']:.2f}]"


def print_table(rows):
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(row, width))]
        print("  ".join(cells), flush=True)


def write_results(name, results):
    path = OUT / f"results-{name}.json"
    everything = {"cpu": cpu_name(), "clock": CLOCK, **results}
    path.write_text(json.dumps(everything, indent=1) + "\n")
    print(f"\n{path}")


# ===-- Safetensors ---------------------------------------------------------===

def write_safetensors(path, tensors):
    """f32 tensors only."""
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(t.tobytes())


def read_safetensors(path):
    """The f32 tensors of a file."""
    import numpy
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, t in json.loads(data[8:begin]).items():
        if name != "__metadata__" and t["dtype"] == "F32":
            tensors[name] = numpy.frombuffer(data, "<f4", math.prod(t["shape"]),
                                             begin + t["data_offsets"][0]).reshape(t["shape"])
    return tensors
