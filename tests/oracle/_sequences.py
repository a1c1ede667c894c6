# SPDX-License-Identifier: Apache-2.0
"""Cases of attention, rotary embeddings and recurrent networks."""

import numpy as np

from _fovea import element
from _onnx import case
from _values import tensor


def some(rng, low, high):
    return int(rng.integers(low, high + 1))


def attention(rng):
    """Heads apart, [B, H, S, D]; ONNX aligns causal at the first key that is not past, fovea
    at the last: the same, when what stands before the queries is the past."""
    for i in range(42):
        t = ("f4", "f4", "f4", "f2")[i % 4]
        b, kv, group, d, dv = (
            some(rng, 1, 3),
            some(rng, 1, 3),
            some(rng, 1, 4),
            some(rng, 1, 40),
            some(rng, 1, 40),
        )
        causal = bool(rng.integers(2))
        sq, past = some(rng, 1, 40), some(rng, 0, 30) * some(rng, 0, 1)
        sk = sq + past if causal else some(rng, 1, 70)
        past = past if causal else 0
        q, k = tensor(rng, (b, kv * group, sq, d), t), tensor(rng, (b, kv, sk, d), t)
        v = tensor(rng, (b, kv, sk, dv), t)
        inputs, own, onnx = {"q": q, "k": k, "v": v}, {}, {"is_causal": int(causal)}
        operands = ["q", "k", "v", "-", "-", "-", "-"]
        more, results = {}, "y"
        kind = i % 7
        if causal and past:
            more |= {
                "k1": k[:, :, past:],
                "v1": v[:, :, past:],
                "kp": k[:, :, :past],
                "vp": v[:, :, :past],
            }
            operands[1:3], operands[4:6], results = ("k1", "v1"), ("kp", "vp"), "y kall vall"
        if kind in (1, 2, 6):
            seen = (
                rng.random([(b, 1, 1, sk), (sq, sk), (b, kv * group, sq, sk)][some(rng, 0, 2)])
                < 0.7
            )
            seen[..., 0] = True  # a query that sees nothing is 0 here, and has no rule in ONNX
            if kind == 2:  # an additive mask, -inf hides
                seen = np.where(seen, rng.standard_normal(seen.shape), -np.inf).astype(t)
            inputs["m"], operands[3], own = seen, "whole", {"mask": "m"}
            more["whole"] = np.broadcast_to(seen, seen.shape[:-2] + (sq, sk)).copy()
        if kind == 3:
            own["scale"] = onnx["scale"] = float(np.float32(rng.uniform(0.01, 2)))
        if kind in (4, 6):  # 6: scores are capped, then masked
            own["softcap"] = onnx["softcap"] = float(np.float32(rng.uniform(0.5, 5)))
        if kind == 5 and not causal:
            lengths = rng.integers(1, sk + 1, b)
            inputs["n"], operands[6], own = lengths, "n", {"lengths": "n"}
        while operands[-1] == "-":
            operands.pop()
        nodes = [("Attention", " ".join(operands), results, onnx)]
        if t == "f2":  # onnxruntime keeps scores in f16; ONNX in f32 is what fovea is held to
            wide = [
                n if n in ("-", "n") or n == "whole" and kind in (1, 6) else n + "_"
                for n in operands
            ]
            nodes = [("Cast", n, w, {"to": 1}) for n, w in zip(operands, wide) if n != w]
            nodes += [("Attention", " ".join(wide), results.replace("y", "y_"), onnx)]
            nodes += [("Cast", "y_", "y", {"to": 10})]
        body = element("attention", q="q", k="k", v="v", causal=causal, **own)
        yield case("attention", inputs, body, nodes, more, eps=128)


def packed_attention(rng):
    """Heads in the last dim, [B, S, H * D]"""
    for _ in range(8):
        b, kv, group, d, dv = (
            some(rng, 1, 3),
            some(rng, 1, 3),
            some(rng, 1, 4),
            some(rng, 1, 20),
            some(rng, 1, 20),
        )
        sq, causal = some(rng, 1, 50), bool(rng.integers(2))
        sk = sq if causal else some(rng, 1, 70)
        inputs = {
            "q": tensor(rng, (b, sq, kv * group * d), "f4"),
            "k": tensor(rng, (b, sk, kv * d), "f4"),
            "v": tensor(rng, (b, sk, kv * dv), "f4"),
        }
        yield case(
            "attention packed",
            inputs,
            element("attention", q="q", k="k", v="v", heads=kv * group, kv_heads=kv, causal=causal),
            [
                (
                    "Attention",
                    "q k v",
                    "y",
                    {"q_num_heads": kv * group, "kv_num_heads": kv, "is_causal": int(causal)},
                )
            ],
            eps=128,
        )


def additive_attention(rng):
    for masked in (False, True) * 2:
        b, s, d, e, w = (
            some(rng, 1, 4),
            some(rng, 1, 30),
            some(rng, 1, 30),
            some(rng, 1, 30),
            some(rng, 1, 30),
        )
        inputs = {
            "q": tensor(rng, (b, d), "f4"),
            "k": tensor(rng, (b, s, w), "f4"),
            "v": tensor(rng, (b, s, e), "f4"),
            "wq": tensor(rng, (w, d), "f4"),
            "a": tensor(rng, (w,), "f4"),
        }
        nodes = [
            ("Transpose", "wq", "wt"),
            ("MatMul", "q wt", "p"),
            ("Unsqueeze", "p one", "p1"),
            ("Add", "p1 k", "sum"),
            ("Tanh", "sum", "t"),
            ("MatMul", "t a", "e"),
        ]
        if masked:
            inputs["n"] = rng.integers(1, s + 1, b)
            nodes += [
                ("Unsqueeze", "n one", "n1"),
                ("Less", "j n1", "seen"),
                ("Where", "seen e low", "e1"),
            ]
        nodes += [
            ("Softmax", "e1" if masked else "e", "w", {"axis": -1}),
            ("Unsqueeze", "w one", "w1"),
            ("MatMul", "w1 v", "c1"),
            ("Squeeze", "c1 one", "c"),
        ]
        yield case(
            "additive_attention",
            inputs,
            element(
                "additive_attention",
                "c, w",
                query="q",
                keys="k",
                values="v",
                wq="wq",
                v="a",
                lengths="n" if masked else None,
            ),
            nodes,
            {"one": np.array([1]), "j": np.arange(s)[None], "low": np.array(-np.inf, "f4")},
            outputs=("c", "w"),
            eps=128,
        )


def rotary(rng):
    for t in ("f4", "f2") * 2:
        for interleaved in (False, True):
            b, h, s, half = some(rng, 1, 3), some(rng, 1, 4), some(rng, 1, 20), some(rng, 1, 17)
            angle = rng.uniform(-3, 3, (b, s, half))
            inputs = {
                "x": tensor(rng, (b, h, s, 2 * half), t),
                "c": np.cos(angle).astype(t),
                "s": np.sin(angle).astype(t),
            }
            yield case(
                "rotary_embedding",
                inputs,
                element("unsqueeze", "c1", x="c", axes=1)
                + element("unsqueeze", "s1", x="s", axes=1)
                + element("rotary_embedding", x="x", cos="c1", sin="s1", interleaved=interleaved),
                [("RotaryEmbedding", "x c s", "y", {"interleaved": int(interleaved)})],
                eps=16,
            )


def steps(body, reverse, lengths, states):
    """A <scan> over axis 0 of xs with the states h (and c); gives ys and the last states."""
    more = "".join(f'<carry name="{s}" init="{s}0"/>' for s in states)
    nexts = " ".join(f'{s}="{s}1"' for s in states)
    outs = ", ".join(s + "n" + "=" + s for s in states)
    return (
        f'<transpose x="xs" perm="1, 0, 2" out="xt"/>'
        f'<scan{" reverse=%strue%s" % (chr(34), chr(34)) if reverse else ""}'
        f'{" lengths=%sn%s" % (chr(34), chr(34)) if lengths else ""} out="{outs}, ys">'
        f'<each name="x" of="xt" axis="1"/>{more}{body}<next {nexts}/><collect ys="h1" axis="1"/></scan>'
        '<transpose x="ys" perm="1, 0, 2" out="y"/>'
    )


def recurrent(rng):
    """Cells in a scan against the whole layer: GRU, LSTM and RNN, forward and reverse, with and
    without lengths."""
    for i in range(16):
        s, b, d, h = some(rng, 1, 12), some(rng, 1, 4), some(rng, 1, 20), some(rng, 1, 20)
        reverse, lengths = bool(i & 1), bool(i & 2)
        before = bool(i & 4)
        inputs = {"xs": tensor(rng, (s, b, d), "f4"), "h0": tensor(rng, (b, h), "f4")}
        if lengths:
            inputs["n"] = rng.integers(1, s + 1, b)
        direction = "reverse" if reverse else "forward"
        for name, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
            own = {
                **inputs,
                "w": tensor(rng, (gates * h, d), "f4", -1, 1),
                "r": tensor(rng, (gates * h, h), "f4", -1, 1),
                "wb": tensor(rng, (gates * h,), "f4"),
                "rb": tensor(rng, (gates * h,), "f4"),
            }
            attributes = {"hidden_size": h, "direction": direction}
            more = {"zero": np.array([0]), "one": np.array([1])}
            nodes = [("Unsqueeze", f"{a} zero", f"{a}_") for a in ("w", "r", "h0")]
            nodes += [("Concat", "wb rb", "bias", {"axis": 0}), ("Unsqueeze", "bias zero", "b_")]
            if lengths:
                nodes += [("Cast", "n", "n_", {"to": 6})]
            operands, results, states = (
                f"xs w_ r_ b_ {'n_' if lengths else '-'} h0_",
                "y_ hn_",
                ["h"],
            )
            if name == "GRU":
                cell = element(
                    "gru_cell",
                    "h1",
                    x="x",
                    h="h",
                    w="w",
                    r="r",
                    wb="wb",
                    rb="rb",
                    gates="zrn",
                    linear_before_reset=before,
                )
                attributes["linear_before_reset"] = int(before)
            elif name == "LSTM":
                own["c0"] = tensor(rng, (b, h), "f4")
                cell = element(
                    "lstm_cell",
                    "h1, c1",
                    x="x",
                    h="h",
                    c="c",
                    w="w",
                    r="r",
                    wb="wb",
                    rb="rb",
                    gates="iofg",
                )
                nodes += [("Unsqueeze", "c0 zero", "c0_")]
                operands, results, states = operands + " c0_", results + " cn_", ["h", "c"]
            else:
                cell = (
                    element("linear", "p", x="x", w="w", b="wb")
                    + element("linear", "q", x="h", w="r", b="rb")
                    + element("add", "s", a="p", b="q")
                    + element("tanh", "h1", x="s")
                )
            nodes += [(name, operands, results, attributes), ("Squeeze", "y_ one", "y")]
            nodes += [("Squeeze", f"{v}n_ zero", f"{v}n") for v in states]
            yield case(
                f"{name} {direction}{' lengths' if lengths else ''}",
                own,
                steps(cell, reverse, lengths, states),
                nodes,
                more,
                outputs=("y", *(v + "n" for v in states)),
                eps=256,
                scale=1,
            )


def layers(rng):
    """Whole LSTM and GRU. onnxruntime has layout 0 alone, so that it gets x transposed."""
    for i in range(24):
        s, b, d, h = some(rng, 1, 9), some(rng, 1, 4), some(rng, 1, 20), some(rng, 1, 20)
        direction = ("forward", "reverse", "bidirectional")[i % 3]
        ways = 1 + (direction == "bidirectional")
        lengths, first, layout, bias, before = (bool(rng.integers(2)) for _ in range(5))
        name, gates = (("GRU", 3), ("LSTM", 4))[i // 3 % 2]
        states = ("h", "c")[: gates - 2]
        inputs = {
            "x": tensor(rng, (b, s, d) if layout else (s, b, d), "f4"),
            "w": tensor(rng, (ways, gates * h, d), "f4", -1, 1),
            "r": tensor(rng, (ways, gates * h, h), "f4", -1, 1),
        }
        if bias:
            inputs["b"] = tensor(rng, (ways, 2 * gates * h), "f4")
        if lengths:
            inputs["n"] = rng.integers(1, s + 1, b).astype("i4")
        for v in states if first else ():
            inputs[v + "0"] = tensor(rng, (b, ways, h) if layout else (ways, b, h), "f4")
        own = {k: k for k in ("x", "w", "r", "b") if k in inputs}
        own |= {v + "0": v + "0" for v in states if first} | ({"lengths": "n"} if lengths else {})
        attributes = {"hidden_size": h, "direction": direction}
        if name == "GRU":
            own["linear_before_reset"], attributes["linear_before_reset"] = before, int(before)
        turned, nodes = "_" if layout else "", []
        if layout:
            back = {"perm": (1, 0, 2)}
            nodes += [("Transpose", v, v + "_", back) for v in ("x", "h0", "c0") if v in inputs]
        operands = [
            "x" + turned,
            "w",
            "r",
            "b" if bias else "-",
            "n" if lengths else "-",
            *(v + "0" + turned if first else "-" for v in states),
        ]
        results = ["y" + turned, *(v + "n" + turned for v in states)]
        nodes += [(name, " ".join(operands), " ".join(results), attributes)]
        if layout:
            nodes += [("Transpose", "y_", "y", {"perm": (2, 0, 1, 3)})]
            nodes += [("Transpose", v + "n_", v + "n", back) for v in states]
        outputs = ("y", *(v + "n" for v in states))
        yield case(
            f"whole {name} {direction}",
            inputs,
            element(name.lower(), ", ".join(outputs), direction=direction, layout=int(layout), **own),
            nodes,
            outputs=outputs,
            eps=256,
            scale=1,
        )


def cases(rng):
    for part in (attention, packed_attention, additive_attention, rotary, recurrent, layers):
        yield from part(rng)
