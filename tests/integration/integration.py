# SPDX-License-Identifier: Apache-2.0
"""Five small models on every backend, against definitions in plain Python and against one another.

  integration.py --fovea build/bin/fovea --runner build/tests/session_runner [--models ../../models] [NAME ...]

Prints a line for each failure, and `N passed, N failed, N skipped` last.
"""
import argparse
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from session import RunError, Session, Tensor, load, save

HERE = pathlib.Path(__file__).resolve().parent
BACKENDS = ("reference", "llvm", "library", "opencl")
NAN, INF = math.nan, math.inf


class Suite:
    def __init__(self, args, folder):
        self.fovea, self.runner, self.models, self.folder = args.fovea, args.runner, args.models, folder
        self.passed = self.failed = self.skipped = 0
        self.libraries = {}
        self.backends = [b for b in BACKENDS if b != "opencl" or self.has_opencl()]

    def check(self, good, what):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print("FAIL:", what, flush=True)
        return good

    def has_opencl(self):
        """Is there a device? Whether the models run there is a test, not a question."""
        done = subprocess.run([self.fovea, "run", HERE / "top_k.xml", "-g", "f32", "-b", "opencl"],
                              capture_output=True, text=True)
        absent = done.returncode != 0 and ("no backend" in done.stderr or "device" in done.stderr)
        if absent:
            self.skipped += 1
            print("SKIP: opencl:", done.stderr.strip().splitlines()[0])
        return not absent

    def add_model(self, name, weights=None):
        shutil.copy(HERE / f"{name}.xml", self.folder)
        if weights:
            save(self.folder / f"{name}.safetensors", weights)

    def command(self, *args):
        return subprocess.run([self.fovea, *map(str, args)], capture_output=True, text=True)

    def open(self, name, backend, threads=1):
        path = self.folder / f"{name}.xml"
        if backend == "library":
            if name not in self.libraries:
                library = self.folder / f"lib{name}.so"
                done = self.command("compile", path, "-o", library)
                if done.returncode:
                    raise RunError(f"{name}: fovea compile: {done.stderr}")
                self.libraries[name] = library
            path = self.libraries[name]
        return Session(self.runner, path, backend, threads)

    def close(self, want, got, tolerance, what):
        """Differences relative to the greatest magnitude; NaN where NaN is."""
        ok = want.shape == got.shape and want.dtype == got.dtype
        worst = 0.0
        if ok:
            a, b = want.values(), got.values()
            scale = max((abs(v) for v in a if not math.isnan(v)), default=0.0) or 1.0
            for x, y in zip(a, b):
                worst = max(worst, INF if math.isnan(x) != math.isnan(y) else
                            0.0 if x == y or math.isnan(x) else abs(x - y) / scale)
        types = f"{want.dtype}{want.shape} {got.dtype}{got.shape}"
        return self.check(ok and worst <= tolerance, f"{what}: {types} off by {worst:.3g}")

    def on_backends(self, name, cases, tolerance):
        """Runs (label, entry, inputs) everywhere; returns the results of reference by label."""
        want = {}
        for backend in self.backends:
            with self.open(name, backend) as s:
                for label, entry, inputs in cases:
                    got = s.run(entry, inputs)
                    if backend == "reference":
                        want[label] = got
                        continue
                    for key, x in got.items():
                        self.close(want[label][key], x, tolerance(x.dtype), f"{name} {label} {key} on {backend}")
        return want

    def determinism(self, name, cases, path=None):
        """The same bits whatever the number of threads, and from run to run."""
        with self.open(name, "llvm") if path is None else Session(self.runner, path, "llvm") as s:
            first = {}
            for threads in (1, 2, 3, 8):
                s.context(threads)
                for label, entry, inputs in cases:
                    got = s.run(entry, inputs)
                    want = first.setdefault(label, got)
                    what = f"{name} {label}: bits with {threads} threads"
                    self.check(all(want[k] == got[k] for k in want), what)
                    s.reset()
                    again = s.run(entry, inputs)
                    self.check(all(want[k] == again[k] for k in want), what + ", second run")
                    s.reset()


def uniform(rng, shape, low=-1.0, high=1.0, dtype="f32"):
    return Tensor(dtype, shape, [rng.uniform(low, high) for _ in range(math.prod(shape))])


def bound(dtype):
    return {"f16": 2e-3, "f64": 1e-12}.get(dtype, 1e-5) if dtype.startswith("f") else 0.0


# ===-- Matmul, bias, gelu -------------------------------------------------===#


def matmul_gelu(t):
    rng = random.Random(1)
    sizes = {"even": (64, 96), "odd": (70, 33)}
    weights = {}
    for p, (k, n) in sizes.items():
        weights[p + ".weight"], weights[p + ".bias"] = uniform(rng, (n, k), -0.2, 0.2), uniform(rng, (n,))
    t.add_model("matmul_gelu", weights)
    cases = [(f"{p} {m}x{k}x{n}", p, {"x": uniform(rng, (m, k))})
             for p, (k, n) in sizes.items() for m in (0, 1, 2, 7, 13, 14, 15, 29, 100)]
    got = t.on_backends("matmul_gelu", cases, bound)
    for label, p, inputs in cases[:4] + cases[-9:-6]:
        k, n = sizes[p]
        x, w, b = inputs["x"].values(), weights[p + ".weight"].values(), weights[p + ".bias"].values()
        h = [math.fsum(x[i + c] * w[o * k + c] for c in range(k)) + b[o]
             for i in range(0, len(x), k) for o in range(n)]
        y = Tensor("f32", (len(x) // k, n), [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in h])
        t.close(y, got[label]["y"], 1e-5, f"matmul_gelu {label} on reference against its definition")
    t.determinism("matmul_gelu", cases)
    command_line(t, rng)


def command_line(t, rng):
    """The same through `fovea compare`, and `fovea run --save` against the runner."""
    model = t.folder / "matmul_gelu.xml"
    live = ",".join(b for b in t.backends if b != "library")
    done = t.command("compare", model, t.libraries["matmul_gelu"], "-b", live, "--dim=M=1,14,100", "-t", "1,2")
    t.check(done.returncode == 0, f"fovea compare: {done.stdout}{done.stderr}")
    x = uniform(rng, (15, 70))
    save(t.folder / "x.safetensors", {"x": x})
    out = t.folder / "y.safetensors"
    done = t.command("run", model, "-g", "odd", "-i", f"x=@{t.folder / 'x.safetensors'}", f"--save={out}", "-t", 1)
    with t.open("matmul_gelu", "llvm") as s:
        same = done.returncode == 0 and load(out)["y"] == s.run("odd", {"x": x})["y"]
    t.check(same, f"fovea run --save: {done.stderr}")


# ===-- Convolution and gate -----------------------------------------------===#


def conv_se(t):
    rng = random.Random(2)
    weights = {}
    for p, channels in ("one", 16), ("two", 32):
        for part, c, k in ("shortcut", channels, 1), ("first", channels, 3), ("second", 32, 3):
            weights[f"{p}.{part}.conv"] = uniform(rng, (32, c, k, k), -0.1, 0.1)
            for row, low in ("scale", 0.5), ("bias", -1), ("mean", -1), ("var", 0.5):
                weights[f"{p}.{part}.{row}"] = uniform(rng, (32,), low, 1)
        for part, o, c in ("squeeze", 8, 32), ("excite", 32, 8):
            weights[f"{p}.gate.{part}.weight"] = uniform(rng, (o, c, 1, 1))
            weights[f"{p}.gate.{part}.bias"] = uniform(rng, (o,))
    t.add_model("conv_se", weights)
    cases = [(f"{n}x16x{h}x{w}", "features", {"x": uniform(rng, (n, 16, h, w))})
             for n, h, w in ((1, 9, 7), (3, 9, 7), (2, 8, 8), (1, 1, 1), (1, 2, 33), (1, 16, 15))]
    t.on_backends("conv_se", cases, bound)
    t.determinism("conv_se", cases)


# ===-- Attention ----------------------------------------------------------===#


def attention_inputs(rng, dtype, b, q, k, lengths):
    return {"q": uniform(rng, (b, 4, q, 16), dtype=dtype), "k": uniform(rng, (b, 2, k, 16), dtype=dtype),
            "v": uniform(rng, (b, 2, k, 16), dtype=dtype), "lengths": Tensor("i64", (b,), lengths)}


def visible(i, j, q, k, length, window):
    end = i + 1 + k - q
    return j < length and j < end and (not window or j >= end - window)


def define_attention(x, window, cap):
    """The rules, spelled out; results for one head after another."""
    (b, heads, q, d), k = x["q"].shape, x["k"].shape[2]
    qs, ks, vs, lengths = (x[n].values() for n in ("q", "k", "v", "lengths"))
    y = []
    for n in range(b):
        for h in range(heads):
            at_q, at_k = (n * heads + h) * q * d, (n * 2 + h // 2) * k * d
            for i in range(q):
                score = {}
                for j in range(k):
                    if visible(i, j, q, k, lengths[n], window):
                        s = sum(qs[at_q + i * d + c] * ks[at_k + j * d + c] for c in range(d)) / math.sqrt(d)
                        score[j] = math.tanh(s / cap) * cap if cap else s
                top = max(score.values(), default=0)
                e = {j: math.exp(s - top) for j, s in score.items()}
                total = sum(e.values()) or 1
                y += [sum(p * vs[at_k + j * d + c] for j, p in e.items()) / total for c in range(d)]
    return Tensor(x["q"].dtype, x["q"].shape, y)


def plant(x, window, value):
    """k and v with `value` in every row that no query sees, and with zeros there."""
    b, q, k, d = x["q"].shape[0], x["q"].shape[2], x["k"].shape[2], x["k"].shape[3]
    lengths = x["lengths"].values()
    hidden = [(n, j) for n in range(b) for j in range(k)
              if not any(visible(i, j, q, k, lengths[n], window) for i in range(q))]
    both = []
    for v in value, 0.0:
        changed = dict(x)
        for name in "k", "v":
            rows = x[name].values()
            for n, j in hidden:
                for g in range(2):
                    at = ((n * 2 + g) * k + j) * d
                    rows[at:at + d] = [v] * d
            changed[name] = Tensor(x[name].dtype, x[name].shape, rows)
        both.append(changed)
    return both, bool(hidden)


def future_nan(x, j):
    """NaN in key and value j: queries before it must not notice."""
    changed = dict(x)
    for name in "k", "v":
        rows, (b, g, k, d) = x[name].values(), x[name].shape
        for n in range(b * g):
            rows[(n * k + j) * d:(n * k + j + 1) * d] = [NAN] * d
        changed[name] = Tensor(x[name].dtype, x[name].shape, rows)
    return changed


def packed(x):
    """The same operands with heads in the last dim, and a mask for the lengths."""
    out = {}
    for name in "q", "k", "v":
        v, (b, h, s, d) = x[name].values(), x[name].shape
        moved = [v[((n * h + g) * s + i) * d + c]
                 for n in range(b) for i in range(s) for g in range(h) for c in range(d)]
        out[name] = Tensor(x[name].dtype, (b, s, h * d), moved)
    b, k = x["k"].shape[0], x["k"].shape[2]
    out["mask"] = Tensor("bool", (b, 1, 1, k), [j < n for n in x["lengths"].values() for j in range(k)])
    return out


FORMS = {"causal": (0, 0), "softcap": (0, 2.0), "window": (8, 0)}  # window, cap
SHAPES = [(2, 9, 9, [9, 4]), (2, 3, 40, [40, 21]), (1, 1, 70, [65]), (2, 7, 4, [4, 2]), (3, 17, 33, [0, 33, 1]),
          (1, 70, 70, [70])]


def gqa(t):
    rng = random.Random(3)
    t.add_model("gqa")
    cases, forms = [], {}
    for dtype in "f32", "f16":
        for shape in SHAPES:
            x = attention_inputs(rng, dtype, *shape)
            for form in FORMS:
                label = f"{form} {dtype} q{shape[1]} k{shape[2]} lengths {shape[3]}"
                forms[label] = form
                cases.append((label, f"{form}_{dtype}", x))
            cases.append((f"packed {dtype} q{shape[1]} k{shape[2]} lengths {shape[3]}", f"packed_{dtype}", packed(x)))
    got = t.on_backends("gqa", cases, bound)
    for label, entry, x in cases:
        if label in forms:
            want = define_attention(x, *FORMS[forms[label]])
            what = f"gqa {label} on reference against its definition"
            t.close(want, got[label]["y"], bound(x["q"].dtype), what)
        else:
            same = packed_result(got[label.replace("packed", "causal")]["y"])
            t.check(same == got[label]["y"].values(), f"gqa {label}: heads in the last dim")
    for backend in t.backends:
        with t.open("gqa", backend) as s:
            for label, entry, x in cases:
                if label in forms:
                    masked_places(t, s, f"gqa {label} on {backend}", entry, x, FORMS[forms[label]][0])
    t.determinism("gqa", cases)
    workspace(t, rng)


def packed_result(y):
    return packed({"q": y, "k": y, "v": y, "lengths": Tensor("i64", (y.shape[0],), [0] * y.shape[0])})["q"].values()


def masked_places(t, s, what, entry, x, window):
    (b, heads, q, d), k = x["q"].shape, x["k"].shape[2]
    size = struct_size(x["q"].dtype) * d
    lengths = x["lengths"].values()
    for value in NAN, INF, -INF:
        (dirty, clean), any_hidden = plant(x, window, value)
        if any_hidden:
            t.check(s.run(entry, dirty)["y"] == s.run(entry, clean)["y"], f"{what}: {value} where nobody looks")
    plain = s.run(entry, x)["y"]
    dirty = s.run(entry, future_nan(x, k - 1))["y"]
    ok_empty = ok_future = True
    for r in range(b * heads * q):
        i, n = r % q, r // (heads * q)
        row = slice(r * size, (r + 1) * size)
        if not any(visible(i, j, q, k, lengths[n], window) for j in range(k)):
            ok_empty = ok_empty and plain.data[row] == bytes(size)
        if not visible(i, k - 1, q, k, lengths[n], window):
            ok_future = ok_future and plain.data[row] == dirty.data[row]
    t.check(ok_empty, f"{what}: rows that see nothing are +0")
    t.check(ok_future, f"{what}: NaN in a key changes rows that do not see it")


def struct_size(dtype):
    return {"f16": 2, "f32": 4}[dtype]


def workspace(t, rng):
    """No buffer is as large as the scores."""
    for backend in t.backends:
        if backend == "reference":
            continue
        for form in ("causal", "packed"):
            sizes = []
            for n in 512, 2048:
                x = attention_inputs(rng, "f32", 1, n, n, [n])
                with t.open("gqa", backend) as s:
                    s.run(form + "_f32", x if form == "causal" else packed(x))
                    sizes.append(s.workspace())
            t.check(sizes[1] <= 4 * sizes[0] + 65536 and sizes[1] < 2048 * 2048 * 4,
                    f"gqa {form} on {backend}: workspace of {sizes[0]} bytes for 512 rows, {sizes[1]} for 2048")


# ===-- Twelve layers with a cache -----------------------------------------===#


def decoder12(t):
    rng = random.Random(4)
    weights = {"tokens": uniform(rng, (50, 64)), "positions": uniform(rng, (40, 64), -0.3, 0.3),
               "norm": uniform(rng, (64,), 0.5, 1)}
    rows = {"q": (64, 64), "k": (32, 64), "v": (32, 64), "o": (64, 64),
            "gate": (160, 64), "up": (160, 64), "down": (64, 160)}
    for i in range(12):
        for name, shape in rows.items():
            weights[f"{i}.{name}"] = uniform(rng, shape, -0.25, 0.25)
        for norm in "norm1", "norm2":
            weights[f"{i}.{norm}"] = uniform(rng, (64,), 0.5, 1)
    t.add_model("decoder12", weights)
    ids = {"ids": Tensor("i64", (2, 12), [rng.randrange(50) for _ in range(24)])}
    cases = [("12 tokens", "prefill", ids)]
    whole = t.on_backends("decoder12", cases, lambda _: 1e-4)["12 tokens"]["y"]
    for backend in t.backends:
        with t.open("decoder12", backend) as s:
            for chunks in [7] + [1] * 5, [3, 4, 5], [1] * 12, [11, 1]:
                s.reset()
                t.close(whole, in_chunks(s, ids["ids"], chunks), 1e-4, f"decoder12 in {chunks} on {backend}")
            refuses_overflow(t, s, ids["ids"], backend)
    size, held = t.libraries["decoder12"].stat().st_size, sum(len(w.data) for w in weights.values())
    t.check(size < 1.4 * held, f"decoder12: a library of {size} bytes for {held} bytes of weights")
    t.determinism("decoder12", cases)


def in_chunks(s, ids, chunks):
    """The outputs of consecutive runs, as one tensor [B, T, V]."""
    (b, length), v = ids.shape, ids.values()
    parts, at = [[] for _ in range(b)], 0
    for n in chunks:
        part = Tensor("i64", (b, n), [v[r * length + i] for r in range(b) for i in range(at, at + n)])
        y = s.run("decode" if n == 1 else "prefill", {"ids": part})["y"]
        values = y.values()
        for r in range(b):
            parts[r] += values[r * n * 50:(r + 1) * n * 50]
        at += n
    return Tensor("f32", (b, at, 50), [x for row in parts for x in row])


def refuses_overflow(t, s, ids, backend):
    """More rows than the capacity fail the run and leave the states as they were."""
    s.reset()
    want = in_chunks(s, ids, [12])
    s.run("prefill", {"ids": ids})
    try:
        s.run("prefill", {"ids": ids})
        t.check(False, f"decoder12 on {backend}: 36 rows in a state of 32")
    except RunError:
        t.check(True, "")
    last = Tensor("i64", (2, 8), [1] * 16)
    t.check(s.run("prefill", {"ids": last})["y"].shape == (2, 8, 50), f"decoder12 on {backend}: full to the brim")
    s.reset()
    t.check(want == in_chunks(s, ids, [12]), f"decoder12 on {backend}: bits after a reset")


# ===-- top_k --------------------------------------------------------------===#


def define_top_k(row, k, largest):
    """NaN is largest; equal values by index."""
    def key(j):
        v = row[j]
        nan = v != v
        return (nan != largest, 0 if nan else -v if largest else v, j)
    return sorted(range(len(row)), key=key)[:k]


def top_k_input(rng, dtype, shape):
    n = math.prod(shape)
    if dtype.startswith("f"):
        pool = [NAN, INF, -INF, 0.0, 1.0, 1.0, 2.5, -2.5, -7.0, 9.0, 100.0, 1.5]
        return Tensor(dtype, shape, [rng.choice(pool + [float(rng.randrange(-50, 50))] * 5) for _ in range(n)])
    low, high = (0, 255) if dtype == "u8" else (-9, 9)
    edge = {"i64": [2**63 - 1, -2**63], "i32": [2**31 - 1, -2**31], "u8": [0, 255]}[dtype]
    return Tensor(dtype, shape, [rng.choice(edge) if rng.random() < 0.1 else rng.randint(low, high) for _ in range(n)])


def same_values(a, b):
    return len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b))


def top_k(t):
    rng = random.Random(5)
    t.add_model("top_k")
    cases = [(f"{dtype} {r}x{c}", dtype, {"x": top_k_input(rng, dtype, (r, c))})
             for dtype in ("f32", "f16", "f64", "i64", "i32", "u8") for r, c in ((3, 5), (7, 17), (33, 64), (4, 1000))]
    for backend in t.backends:
        with t.open("top_k", backend) as s:
            for label, entry, inputs in cases:
                check_top_k(t, f"top_k {label} on {backend}", inputs["x"], s.run(entry, inputs))
            check_sorted(t, f"top_k of all on {backend}", s, top_k_input(rng, "f32", (2, 30000)))
    t.determinism("top_k", cases)


def check_sorted(t, what, s, x):
    begin = time.monotonic()
    got = s.run("sorted", {"x": x})
    # Some seconds where each instruction is interpreted; k walks over the line take minutes.
    t.check(time.monotonic() - begin < 60, f"{what}: time")
    rows = [x.values()[:30000], x.values()[30000:]]
    for name, largest in (("most_at", True), ("least_at", False)):
        want = [j for row in rows for j in define_top_k(row, 30000, largest)]
        t.check(got[name].values() == want, f"{what}: {name}")


def check_top_k(t, what, x, got):
    (r, c), x = x.shape, x.values()
    rows, columns = [x[i * c:(i + 1) * c] for i in range(r)], [x[j::c] for j in range(c)]
    most = [define_top_k(row, 5, True) for row in rows]
    t.check(got["most_at"].values() == [j for row in most for j in row], what + ": indices")
    values = [rows[i][j] for i in range(r) for j in most[i]]
    t.check(same_values(got["most"].values(), values), what + ": values")
    least = [define_top_k(column, 3, False) for column in columns]
    t.check(got["least_at"].values() == [least[j][i] for i in range(3) for j in range(c)],
            what + ": indices of the least")
    values = [columns[j][least[j][i]] for i in range(3) for j in range(c)]
    t.check(same_values(got["least"].values(), values), what + ": the least")


# ===-- A whole model ------------------------------------------------------===#


def transformer(t):
    rng = random.Random(6)
    lengths = Tensor("i64", (3,), [11, 4, 7])
    src = Tensor("i64", (3, 11), [rng.randrange(3, 27) for _ in range(33)])
    tgt = Tensor("i64", (3, 9), [rng.randrange(3, 40) for _ in range(27)])
    x = {"memory": uniform(rng, (3, 11, 96)), "lengths": lengths, "tgt": tgt}
    cases = [("encode", "encode", {"src": src, "lengths": lengths}), ("decode", "decode", x), ("step", "step", x)]
    t.determinism("transformer", cases, t.models / "transformer.xml")


TESTS = {f.__name__: f for f in (matmul_gelu, conv_se, gqa, decoder12, top_k, transformer)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fovea", required=True, type=os.path.abspath)
    parser.add_argument("--runner", required=True, type=os.path.abspath)
    parser.add_argument("--models", type=pathlib.Path, default=HERE.parent.parent / "models")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        t = Suite(args, pathlib.Path(folder))
        for name in args.name or TESTS:
            try:
                TESTS[name](t)
            except Exception:  # one broken model must not hide the others
                t.check(False, f"{name}:\n{traceback.format_exc()}")
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
