# SPDX-License-Identifier: Apache-2.0
"""minilm.py [--rounds N] [--slice S] [--before BUILD] [--tokens N]...: MiniLM-L6 against ONNX Runtime.

Batch 1, one thread, f32, the published weights in both, and both with symbolic dims.
The answers are compared before any time counts.
"""
import collections
import subprocess
import sys

import numpy
import onnx
import onnxruntime

import bert_onnx
import common

TOKENS = [16, 64, 128, 256]
VOCABULARY = 30522
LIMIT = 1e-5  # of the difference; the embedding has length 1
MODEL = common.ROOT / "models" / "minilm.xml"
WEIGHTS = common.BUILD / "models" / "minilm.safetensors"


def fused_ops(path):
    """What ONNX Runtime makes of the graph: the ops it will run."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(common.OUT / "minilm.optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath, load_external_data=False).graph.node
    return dict(collections.Counter(n.op_type for n in nodes).most_common())


def make_inputs(tokens):
    ids = numpy.random.default_rng(tokens).integers(1000, VOCABULARY, (1, tokens), "int64")
    ids[0, 0], ids[0, -1] = 101, 102
    inputs = {"ids": ids, "mask": numpy.ones_like(ids)}
    base = common.OUT / f"minilm-{tokens}"
    numpy.savez(f"{base}.npz", **inputs)
    for name, value in inputs.items():
        value.tofile(f"{base}.{name}")
    return base


def flop(tokens, layers=6, width=384, inner=1536):
    products = 2 * tokens * layers * (4 * width * width + 2 * width * inner)
    return products + layers * 2 * 2 * tokens * tokens * width


def measure(tokens, onnx_path, args):
    base = make_inputs(tokens)
    builds = common.fovea(args, MODEL, "--weights", WEIGHTS, "--dim", "B=1", "--dim",
                          f"S={tokens}", "--input", f"ids={base}.ids", "--input",
                          f"mask={base}.mask")
    fovea = builds[0]
    ort = common.peer("onnxruntime", "ort", onnx_path, f"{base}.npz")
    top, memory = common.peak(), common.peak("read")
    subjects = [*builds, ort, top, memory]
    want = ort.save()
    error = max(float(numpy.abs(f.save() - want).max()) for f in builds)
    if not error < LIMIT:
        sys.exit(f"minilm.py: {tokens} tokens: the embeddings differ by {error:g}")
    common.alternate(subjects, args.rounds, args.slice)
    share = {s.name: {key: value * flop(tokens) / top.about["work"] for key, value in
                      common.ratios(top, s).items()} for s in (fovea, ort)}
    result = {"tokens": tokens, "flop": flop(tokens), "max_abs_diff": error,
              "peak_flop_per_s": top.about["work"] / top.median(),
              "read_bytes_per_s": memory.about["work"] / memory.median(),
              "share_of_peak": share, "to_onnxruntime": common.ratios(fovea, ort),
              "about": {s.name: s.about for s in subjects},
              "subjects": {s.name: common.summary(s) for s in subjects}}
    for s in subjects:
        s.close()
    return result, [str(tokens), f"{error:.1e}", common.ms(fovea.median()),
                    common.ms(fovea.minimum()), common.spread(share["fovea"], percent=True),
                    common.ms(ort.median()), common.ms(ort.minimum()),
                    common.spread(share["onnxruntime"], percent=True),
                    common.spread(result["to_onnxruntime"]),
                    f"{result['peak_flop_per_s'] / 1e9:.0f}",
                    f"{result['read_bytes_per_s'] / 1e9:.0f}", *common.to_before(builds)]


def main():
    args = common.arguments(__doc__, "tokens", int, rounds=10)
    subprocess.run([sys.executable, common.ROOT / "examples" / "minilm" / "fetch.py",
                    WEIGHTS.parent], check=True)
    onnx_path = common.OUT / "minilm.onnx"
    bert_onnx.write(onnx_path, common.read_safetensors(WEIGHTS))
    ops = fused_ops(onnx_path)
    print("ONNX Runtime runs", ", ".join(f"{n} {op}" for op, n in ops.items()), "\n")
    rows = [["tokens", "difference", "fovea ms", "min", "of the peak", "ort ms", "min",
             "of the peak", "fovea/ort", "peak GF/s", "read GB/s"] +
            ["fovea/before"] * bool(args.before)]
    results = []
    for tokens in args.tokens or TOKENS:
        result, row = measure(tokens, onnx_path, args)
        results.append(result)
        rows.append(row)
    common.print_table(rows)
    common.write_results("minilm", {"rounds": args.rounds, "slice_s": args.slice,
                                    "onnxruntime_ops": ops, "results": results})


main()
