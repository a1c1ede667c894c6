# SPDX-License-Identifier: Apache-2.0
"""Ops against PyTorch on fresh random inputs.

What onnxruntime has no f64 or bf16 of, NaN in reductions and attention by its
definition stand here besides some of every kind. The seed is printed; --seed repeats
a run, --only picks cases.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F

import _fovea
from _fovea import Case, element
from _values import axis, broadcast_pair, shape, tensor


def case(name, inputs, body, want, eps=200, **keywords):
    """A case whose expected result is already there, a tensor, or several."""
    want = want if isinstance(want, tuple) else (want,)
    return Case(
        name,
        {k: v.detach().numpy().copy() for k, v in inputs.items()},
        body,
        lambda: [w.detach().numpy() for w in want],
        eps=eps,
        **keywords
    )


def size(rng, low, high):
    return int(rng.integers(low, high + 1))


def rand(rng, *dims):
    return torch.tensor(tensor(rng, dims, "f4")) / 2


UNARY = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "erf": torch.erf,
    "gelu": F.gelu,
    "silu": F.silu,
    "abs": torch.abs,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "neg": torch.neg,
    "softplus": F.softplus,
    "hard_swish": F.hardswish,
    "sin": torch.sin,
    "cos": torch.cos,
    "leaky_relu": F.leaky_relu,
    "reciprocal": torch.reciprocal,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
}


def elementwise(rng):
    for t in ("f4", "f8"):
        for op, f in UNARY.items():
            x = torch.tensor(tensor(rng, shape(rng), t))
            # torch's f64 softplus is the identity above 20, 2e-9 off
            x = x.clip(max=19) if op == "softplus" else x
            yield case(op, {"x": x}, element(op, x="x"), f(x), eps=32, scale=1, symbolic=True)
        for op, f in BINARY.items():
            a, b = (torch.tensor(tensor(rng, s, t)) for s in broadcast_pair(rng))
            yield case(
                op, {"a": a, "b": b}, element(op, a="a", b="b"), f(a, b), eps=2, symbolic=True
            )


def narrow(rng):
    """bf16 is no type of numpy: f32 goes in and out. The bound is one step of bf16, as inside a
    kernel fovea computes on with the f32 that has not been rounded yet."""
    bf16 = 2.0**16  # its eps, in those of f32
    for op in ("tanh", "sigmoid", "exp", "gelu", "silu", "abs", "floor", "relu"):
        x = torch.tensor(tensor(rng, shape(rng, empty=False), "f4"))
        body = (
            element("cast", "h", x="x", to="bf16")
            + element(op, "r", x="h")
            + element("cast", x="r", to="f32")
        )
        yield case(
            op + " bf16",
            {"x": x},
            body,
            UNARY[op](x.bfloat16().float()).bfloat16().float(),
            eps=bf16,
        )
    for op in ("add", "mul", "max"):
        a, b = (torch.tensor(tensor(rng, s, "f4")) for s in broadcast_pair(rng))
        body = (
            element("cast", "p", x="a", to="bf16")
            + element("cast", "q", x="b", to="bf16")
            + element(op, "r", a="p", b="q")
            + element("cast", x="r", to="f32")
        )
        yield case(
            op + " bf16",
            {"a": a, "b": b},
            body,
            BINARY[op](a.bfloat16(), b.bfloat16()).float(),
            eps=bf16,
        )


def reductions(rng):
    for at in (0, 1, -1):
        x = rand(rng, size(rng, 1, 5), size(rng, 1, 20), size(rng, 1, 40))
        own = dict(x="x", axis=at)
        yield case("softmax", {"x": x}, element("softmax", **own), F.softmax(x, at), symbolic=True)
        yield case(
            "log_softmax",
            {"x": x},
            element("log_softmax", **own),
            F.log_softmax(x, at),
            symbolic=True,
        )
        yield case(
            "reduce_mean", {"x": x}, element("reduce_mean", x="x", axes=at), x.mean(at, True)
        )
        yield case(
            "arg_max",
            {"x": x},
            element("arg_max", **own, keepdims=False),
            x.argmax(at),
            symbolic=True,
            least=1,
        )
        yield case(
            "concat",
            {"p": x, "q": x * 2},
            element("concat", x="p, q", axis=at),
            torch.cat([x, x * 2], at),
        )
        x = torch.tensor(tensor(rng, x.shape, "f4", special=True))
        for op, f in (("reduce_max", torch.amax), ("reduce_min", torch.amin)):
            yield case(
                op + " NaN",
                {"x": x},
                element(op, x="x", axes=at, keepdims=False),
                f(x, at),
                eps=0,
                symbolic=True,
            )
        x[:, ::3] = np.nan  # the first NaN is the largest
        yield case("arg_max NaN", {"x": x}, element("arg_max", **own, keepdims=False), x.argmax(at))
        for kind, values in (("", (x * 4).nan_to_num().round()), (" NaN", x)):
            for keep in (False, True):
                yield case(
                    "max_with_index" + kind,  # many are equal
                    {"x": values},
                    element("max_with_index", out="y, at", **own, keepdims=keep),
                    tuple(values.max(at, keepdim=keep)),
                    outputs=("y", "at"),
                    eps=0,
                    symbolic=True,
                    least=1,
                )
    for t in ("f4", "f8"):
        x = torch.tensor(tensor(rng, shape(rng, 1, 4, empty=False), t))
        at = axis(rng, x.ndim)
        yield case(
            "reduce_prod",
            {"x": x},
            element("reduce_prod", x="x", axes=at, keepdims=False),
            x.prod(at),
        )
        yield case(
            "lp_normalize",
            {"x": x},
            element("lp_normalize", x="x", axis=at),
            F.normalize(x, dim=at),
        )


def neural(rng):
    a, m, k, n = size(rng, 1, 5), size(rng, 1, 60), size(rng, 1, 90), size(rng, 1, 70)
    p, q, w, bias = rand(rng, a, m, k), rand(rng, a, k, n), rand(rng, n, k), rand(rng, n)
    yield case("matmul", {"a": p, "b": q}, element("matmul", a="a", b="b"), p @ q, symbolic=True)
    yield case(
        "linear",
        {"x": p, "w": w, "b": bias},
        element("linear", x="x", w="w", b="b"),
        F.linear(p, w, bias),
    )
    s, t = rand(rng, k), rand(rng, k)
    yield case(
        "layer_norm",
        {"x": p, "s": s, "t": t},
        element("layer_norm", x="x", scale="s", bias="t", epsilon=1e-5),
        F.layer_norm(p, (k,), s, t),
        eps=2000,
    )
    for stride, pad, dilation, group in ((1, 1, 1, 1), (2, 0, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2)):
        ci, co = 2 * size(rng, 1, 10), 2 * size(rng, 1, 20)
        im, ker, cb = (
            rand(rng, a, ci, size(rng, 7, 20), size(rng, 7, 20)),
            rand(rng, co, ci // group, 3, 3),
            rand(rng, co),
        )
        yield case(
            "conv",
            {"x": im, "w": ker, "b": cb},
            element(
                "conv",
                x="x",
                w="w",
                b="b",
                strides=(stride,) * 2,
                pads=(pad,) * 4,
                dilations=(dilation,) * 2,
                group=group,
            ),
            F.conv2d(im, ker, cb, stride, pad, dilation, group),
        )
    im = rand(rng, a, 3, size(rng, 5, 20), size(rng, 5, 20))
    for wide in (im, im.double()):
        yield case(
            "max_pool",
            {"x": wide},
            element("max_pool", x="x", kernel_shape=(3, 3), strides=(2, 2), pads=(1,) * 4),
            F.max_pool2d(wide, 3, 2, 1),
            eps=0,
        )
        yield case(
            "average_pool",
            {"x": wide},
            element("average_pool", x="x", kernel_shape=(2, 2), strides=(2, 2)),
            F.avg_pool2d(wide, 2),
        )
        yield case(
            "global_average_pool",
            {"x": wide},
            element("global_average_pool", x="x"),
            wide.mean((2, 3), True),
        )
    mean, var, g, o = rand(rng, 3), rand(rng, 3).abs() + 0.1, rand(rng, 3), rand(rng, 3)
    yield case(
        "batch_norm",
        {"x": im, "s": g, "t": o, "m": mean, "v": var},
        element("batch_norm", x="x", scale="s", bias="t", mean="m", var="v", epsilon=1e-5),
        F.batch_norm(im, mean, var, g, o),
    )
    cell = torch.nn.GRUCell(k, n)
    h, xs = rand(rng, a, n), rand(rng, a, k)
    yield case(
        "gru_cell",
        {
            "x": xs,
            "h": h,
            "w": cell.weight_ih,
            "r": cell.weight_hh,
            "wb": cell.bias_ih,
            "rb": cell.bias_hh,
        },
        element("gru_cell", x="x", h="h", w="w", r="r", wb="wb", rb="rb", gates="rzn"),
        cell(xs, h),
    )


def layers(rng):
    """Whole LSTM and GRU, both ways, the batch first"""
    for name, results in (("LSTM", "y, h, c"), ("GRU", "y, h")) * 2:
        s, b, d, h = (size(rng, 1, high) for high in (9, 4, 17, 17))
        layer = getattr(torch.nn, name)(d, h, batch_first=True, bidirectional=True)
        x = rand(rng, b, s, d)
        part = {
            k: torch.stack([p for n, p in layer.named_parameters() if n.startswith(k)])
            for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        yield case(
            name.lower(),
            {
                "x": x,
                "w": part["weight_ih"],
                "r": part["weight_hh"],
                "b": torch.cat([part["bias_ih"], part["bias_hh"]], 1),
            },
            element(
                name.lower(),
                results,
                x="x",
                w="w",
                r="r",
                b="b",
                layout=1,
                direction="bidirectional",
                gates="ifgo" if name == "LSTM" else "rzn",
                linear_before_reset=None if name == "LSTM" else True,
            ),
            layer(x)[0].reshape(b, s, 2, h),
        )


def running(rng):
    # One value, a million times: a plain sum in f32 is 1 % off at its end.
    x = torch.full((1000000,), float(np.float32(rng.uniform(0.1, 0.2))))
    want = x.double().cumsum(0).float()
    yield case("cumsum long", {"x": x}, element("cumsum", x="x", axis=0), want, eps=2)
    for t in (torch.float32, torch.float64, torch.int64):
        x = torch.tensor(tensor(rng, shape(rng, 1, 4, empty=False), "f4", -2, 2)).to(t)
        at = axis(rng, x.ndim)
        yield case("cumprod", {"x": x}, element("cumprod", x="x", axis=at), x.cumprod(at))
        scale = float(x.abs().sum())
        yield case(
            "cumsum", {"x": x}, element("cumsum", x="x", axis=at), x.cumsum(at), scale=scale
        )


def attention(rng):
    for causal, kv_heads, masked, window in (
        (False, 4, True, 0),
        (True, 4, False, 0),
        (False, 2, False, 0),
        (True, 1, True, 0),
        (True, 2, False, 5),
    ) * 2:
        b, d, v, sq, sk = (size(rng, 1, high) for high in (3, 33, 33, 40, 50))
        q, k, val = (
            rand(rng, b, 4, sq, d),
            rand(rng, b, kv_heads, sk, d),
            rand(rng, b, kv_heads, sk, v),
        )
        seen = torch.ones(b, 1, sq, sk, dtype=torch.bool)
        inputs = {"q": q, "k": k, "v": val}
        last = torch.arange(sq)[:, None] + (sk - sq)  # the last query sees the last key
        if causal:
            seen = seen & (torch.arange(sk) <= last)
        if window:
            seen = seen & (torch.arange(sk) > last - window)
        if masked:
            inputs["m"] = torch.tensor(rng.random((b, 1, 1, sk)) < 0.7)
            seen = seen & inputs["m"]
        r = 4 // kv_heads
        scores = q @ k.repeat_interleave(r, 1).transpose(2, 3) / d**0.5
        p = torch.softmax(scores.masked_fill(~seen, -np.inf), -1).nan_to_num(0)
        yield case(
            "attention",
            inputs,
            element(
                "attention",
                q="q",
                k="k",
                v="v",
                causal=causal,
                mask="m" if masked else None,
                window=window or None,
            ),
            p @ val.repeat_interleave(r, 1),
        )


def cases(rng):
    torch.manual_seed(int(rng.integers(1 << 30)))
    for part in (elementwise, narrow, reductions, neural, layers, running, attention):
        yield from part(rng)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(_fovea.main(cases, __doc__))
