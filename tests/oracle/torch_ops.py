# SPDX-License-Identifier: Apache-2.0
"""Ops against PyTorch on fresh random inputs, on the reference and llvm backends.

Each case is a model of one op, written as a user would write it, run by the
command in a process of its own. The seed is printed; TORCH_OPS_SEED repeats one.
"""
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOVEA = os.environ.get("FOVEA", os.path.join(ROOT, "build", "bin", "fovea"))
TYPES = {torch.float32: "f32", torch.int64: "i64", torch.bool: "bool"}
torch.set_num_threads(1)


def size(lo, hi):
    return random.randint(lo, hi)


def rand(*shape):
    return torch.randn(*shape)


def cases():
    """(name, inputs by name, element, expected result)"""
    a, b, c = size(1, 5), size(1, 20), size(1, 40)
    x = rand(a, b, c)
    for op, f in {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "exp": torch.exp,
                  "erf": torch.erf, "gelu": F.gelu, "silu": F.silu, "abs": torch.abs,
                  "floor": torch.floor, "round": torch.round, "neg": torch.neg,
                  "softplus": F.softplus, "hard_swish": F.hardswish, "sin": torch.sin}.items():
        yield op, {"x": x}, f'<{op} x="x" out="y"/>', f(x)
    y = rand(b, 1)
    for op, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
                  "max": torch.maximum, "min": torch.minimum}.items():
        yield op, {"a": x, "b": y}, f'<{op} a="a" b="b" out="y"/>', f(x, y)
    for axis in (0, 1, -1):
        yield "softmax", {"x": x}, f'<softmax x="x" axis="{axis}" out="y"/>', F.softmax(x, axis)
        yield "log_softmax", {"x": x}, f'<log_softmax x="x" axis="{axis}" out="y"/>', F.log_softmax(x, axis)
        yield "reduce_mean", {"x": x}, f'<reduce_mean x="x" axes="{axis}" out="y"/>', x.mean(axis, True)
        yield "reduce_max", {"x": x}, f'<reduce_max x="x" axes="{axis}" keepdims="false" out="y"/>', x.amax(axis)
        yield "arg_max", {"x": x}, f'<arg_max x="x" axis="{axis}" keepdims="false" out="y"/>', x.argmax(axis)
        yield "concat", {"p": x, "q": x * 2}, f'<concat x="p, q" axis="{axis}" out="y"/>', torch.cat([x, x * 2], axis)
    yield "transpose", {"x": x}, '<transpose x="x" perm="2, 0, 1" out="y"/>', x.permute(2, 0, 1)
    yield "reshape", {"x": x}, f'<reshape x="x" shape="{b}, -1" out="y"/>', x.reshape(b, -1)
    m, k, n = size(1, 60), size(1, 90), size(1, 70)
    p, q, w, bias = rand(a, m, k), rand(a, k, n), rand(n, k), rand(n)
    yield "matmul", {"a": p, "b": q}, '<matmul a="a" b="b" out="y"/>', p @ q
    yield "linear", {"x": p, "w": w, "b": bias}, '<linear x="x" w="w" b="b" out="y"/>', F.linear(p, w, bias)
    s, t = rand(k), rand(k)
    yield "layer_norm", {"x": p, "s": s, "t": t}, '<layer_norm x="x" scale="s" bias="t" epsilon="1e-5" out="y"/>', F.layer_norm(p, (k,), s, t)
    for stride, pad, dilation, group in ((1, 1, 1, 1), (2, 0, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2)):
        ci, co, h, v = 2 * size(1, 10), 2 * size(1, 20), size(7, 20), size(7, 20)
        im, ker, cb = rand(a, ci, h, v), rand(co, ci // group, 3, 3), rand(co)
        yield "conv", {"x": im, "w": ker, "b": cb}, (
            f'<conv x="x" w="w" b="b" strides="{stride}, {stride}" pads="{pad}, {pad}, {pad}, {pad}" '
            f'dilations="{dilation}, {dilation}" group="{group}" out="y"/>'
        ), F.conv2d(im, ker, cb, stride, pad, dilation, group)
    im = rand(a, 3, 12, 10)
    yield "max_pool", {"x": im}, '<max_pool x="x" kernel_shape="3, 3" strides="2, 2" pads="1, 1, 1, 1" out="y"/>', F.max_pool2d(im, 3, 2, 1)
    yield "average_pool", {"x": im}, '<average_pool x="x" kernel_shape="2, 2" strides="2, 2" out="y"/>', F.avg_pool2d(im, 2)
    yield "global_average_pool", {"x": im}, '<global_average_pool x="x" out="y"/>', im.mean((2, 3), True)
    mean, var, g, o = rand(3), rand(3).abs() + 0.1, rand(3), rand(3)
    yield "batch_norm", {"x": im, "s": g, "t": o, "m": mean, "v": var}, '<batch_norm x="x" scale="s" bias="t" mean="m" var="v" epsilon="1e-5" out="y"/>', F.batch_norm(im, mean, var, g, o)
    cell = torch.nn.GRUCell(k, n)
    h, xs = rand(a, n), rand(a, k)
    yield "gru_cell", {"x": xs, "h": h, "w": cell.weight_ih, "r": cell.weight_hh, "wb": cell.bias_ih, "rb": cell.bias_hh}, '<gru_cell x="x" h="h" w="w" r="r" wb="wb" rb="rb" gates="rzn" out="y"/>', cell(xs, h)
    yield from attention_cases()


def attention_cases():
    for causal, kv_heads, masked in ((False, 4, True), (True, 4, False), (False, 2, False), (True, 1, True)):
        b, d, v, sq, sk = size(1, 3), size(1, 33), size(1, 33), size(1, 40), size(1, 50)
        q, k, val = rand(b, 4, sq, d), rand(b, kv_heads, sk, d), rand(b, kv_heads, sk, v)
        seen = torch.ones(b, 1, sq, sk, dtype=torch.bool)
        inputs = {"q": q, "k": k, "v": val}
        extra = ""
        if causal:  # the last query sees the last key
            seen = seen & (torch.arange(sk) <= torch.arange(sq)[:, None] + (sk - sq))
            extra += ' causal="true"'
        if masked:
            mask = torch.rand(b, 1, 1, sk) < 0.7
            inputs["mask"] = mask
            seen = seen & mask
            extra += ' mask="mask"'
        r = 4 // kv_heads
        scores = q @ k.repeat_interleave(r, 1).transpose(2, 3) / d**0.5
        p = torch.softmax(scores.masked_fill(~seen, -np.inf), -1).nan_to_num(0)
        yield "attention", inputs, f'<attention q="q" k="k" v="v"{extra} out="y"/>', p @ val.repeat_interleave(r, 1)


def run(directory, backend, inputs, element):
    lines = ['<model name="m" xmlns="urn:fovea:model:1">']
    args = []
    for name, t in inputs.items():
        shape = ", ".join(map(str, t.shape))
        lines.append(f' <input name="{name}" type="{TYPES[t.dtype]}" shape="{shape}"/>')
        path = os.path.join(directory, name + ".npy")
        np.save(path, np.ascontiguousarray(t.detach().numpy()))
        args += ["-i", f"{name}=@{path}"]
    lines += [" " + element, ' <output name="y" value="y"/>', "</model>"]
    model = os.path.join(directory, "m.xml")
    with open(model, "w") as f:
        f.write("\n".join(lines))
    out = os.path.join(directory, "y.npy")
    subprocess.run([FOVEA, "run", model, *args, "--backend", backend, "--save", out],
                   check=True, stdout=subprocess.DEVNULL)
    return np.load(out)


def main():
    seed = int(os.environ.get("TORCH_OPS_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    random.seed(seed)
    torch.manual_seed(seed)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, inputs, element, want in cases():
            want = want.detach().numpy()
            for backend in ("reference", "llvm"):
                try:
                    got = run(directory, backend, inputs, element)
                    scale = max(1.0, float(np.abs(want).max(initial=0)))
                    ok = got.shape == want.shape and np.abs(got - want).max(initial=0) <= 2e-5 * scale
                    why = "" if ok else f"shape {got.shape} for {want.shape}, or values differ"
                except subprocess.CalledProcessError as e:
                    ok, why = False, f"exit {e.returncode}"
                passed += ok
                failed += not ok
                if not ok:
                    print(f"FAIL {name} on {backend}: {why}; TORCH_OPS_SEED={seed}\n  {element}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
