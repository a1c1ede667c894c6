# SPDX-License-Identifier: Apache-2.0
"""matmul.py [--rounds N] [--slice S] [--before BUILD] [--size MxKxN]...: gelu(x w^T + b), f32, one core.

How much of the core's multiply-add peak the compiled kernel reaches, with a symbolic
number of rows, next to numpy (product and bias only: OpenBLAS) and ONNX Runtime (the
same graph). 2 M K N operations count; bias and gelu are work on top.
"""
import math

import numpy
import onnx
from onnx import helper, numpy_helper

import common

SIZES = ["256x256x256", "512x512x512", "1024x1024x1024", "1000x700x900", "128x768x3072",
         "1x768x3072"]
MODEL = """<model name="matmul" xmlns="urn:fovea:model:1">
 <weights file="{weights}"/>
 <dim name="M" min="1" max="4096"/>
 <input name="x" type="f32" shape="M, {k}"/>
 <linear x="x" w="@w" b="@b" out="h"/>
 <gelu x="h" out="y"/>
 <output name="y" shape="M, {n}"/>
</model>
"""
LIMIT = 1e-4  # of the difference to float64; values are below 10


def write_onnx(path, w, b):
    k, n = w.shape
    f32 = onnx.TensorProto.FLOAT
    constants = {"w": w, "b": b, "root2": numpy.float32(math.sqrt(2)), "one": numpy.float32(1),
                 "half": numpy.float32(0.5)}
    nodes = [helper.make_node(op, i.split(), [o]) for op, i, o in [
        ("MatMul", "x w", "p"), ("Add", "p b", "h"), ("Div", "h root2", "d"), ("Erf", "d", "e"),
        ("Add", "e one", "f"), ("Mul", "h f", "g"), ("Mul", "g half", "y")]]
    graph = helper.make_graph(
        nodes, "matmul", [helper.make_tensor_value_info("x", f32, ["M", k])],
        [helper.make_tensor_value_info("y", f32, ["M", n])],
        [numpy_helper.from_array(numpy.asarray(v), name) for name, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)


def prepare(size):
    """The files of a size: model, ONNX, inputs; and the right answer."""
    m, k, n = (int(d) for d in size.split("x"))
    random = numpy.random.default_rng(1)
    x = random.standard_normal((m, k), "float32")
    w = random.standard_normal((k, n), "float32") / numpy.float32(math.sqrt(k))
    b = random.standard_normal(n, "float32")
    base = common.OUT / f"matmul-{size}"
    common.write_safetensors(f"{base}.safetensors", {"w": numpy.ascontiguousarray(w.T), "b": b})
    base.with_suffix(".xml").write_text(MODEL.format(weights=base.name + ".safetensors", k=k, n=n))
    write_onnx(f"{base}.onnx", w, b)
    numpy.savez(f"{base}.npz", x=x, w=w, b=b)
    x.tofile(f"{base}.x")
    h = x.astype("float64") @ w.astype("float64") + b
    erf = numpy.vectorize(math.erf, otypes=["float64"])
    return base, m, h, h * 0.5 * (1 + erf(h / math.sqrt(2)))


def measure(size, args):
    base, m, linear, want = prepare(size)
    builds = common.fovea(args, f"{base}.xml", "--dim", f"M={m}", "--input", f"x={base}.x")
    fovea = builds[0]
    numpy_ = common.peer("numpy", "matmul", f"{base}.npz")
    ort = common.peer("onnxruntime", "ort", f"{base}.onnx", f"{base}.npz")
    top = common.peak()
    subjects = [*builds, numpy_, ort, top]
    error = {s.name: float(numpy.abs(s.save().reshape(want.shape) - right).max())
             for s, right in ((numpy_, linear), *((s, want) for s in (*builds, ort)))}
    for name, e in error.items():
        if not e < LIMIT:
            raise SystemExit(f"matmul.py: {size}: {name} is off by {e:g}")
    common.alternate(subjects, args.rounds, args.slice)
    flop = 2 * linear.size * int(size.split("x")[1])
    share = {s.name: {key: value * flop / top.about["work"] for key, value in
                      common.ratios(top, s).items()} for s in (fovea, numpy_, ort)}
    result = {"size": size, "flop": flop, "error": error, "share_of_peak": share,
              "to_numpy": common.ratios(fovea, numpy_), "to_onnxruntime": common.ratios(fovea, ort),
              "peak_flop_per_s": top.about["work"] / top.median(), "vectors": top.about["vectors"],
              "subjects": {s.name: common.summary(s) for s in subjects}}
    for s in subjects:
        s.close()
    return result, [size, common.ms(fovea.median()), common.ms(fovea.minimum()),
                    common.spread(share["fovea"], percent=True),
                    common.ms(numpy_.median()), common.ms(numpy_.minimum()),
                    common.spread(share["numpy"], percent=True),
                    common.spread(result["to_numpy"]),
                    common.ms(ort.median()), common.ms(ort.minimum()),
                    common.spread(result["to_onnxruntime"]),
                    f"{result['peak_flop_per_s'] / 1e9:.0f}", *common.to_before(builds)]


def main():
    args = common.arguments(__doc__, "size")
    rows = [["M x K x N", "fovea ms", "min", "of the peak", "numpy ms", "min", "of the peak",
             "fovea/numpy", "ort ms", "min", "fovea/ort", "peak GF/s"] + ["fovea/before"] * bool(args.before)]
    results = []
    for size in args.size or SIZES:
        result, row = measure(size, args)
        results.append(result)
        rows.append(row)
    common.print_table(rows)
    common.write_results("matmul", {"rounds": args.rounds, "slice_s": args.slice,
                                    "results": results})


main()
