# SPDX-License-Identifier: Apache-2.0
"""BERT-base with two layers: weights made here, results against PyTorch's golden.

bert_base.py FOVEA SOURCE_DIR. Exit 77 (skipped) without numpy.
"""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("numpy is not there")
    sys.exit(77)


def main():
    fovea, source = sys.argv[1:3]
    models = os.path.join(source, "models")
    sys.path.insert(0, os.path.join(models, "train"))
    import st

    golden_file = os.path.join(models, "bert_base_2.golden.safetensors")
    golden = st.load(golden_file)
    golden = golden[0] if isinstance(golden, tuple) else golden
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        weights = os.path.join(directory, "bert.safetensors")
        subprocess.run([sys.executable, os.path.join(models, "train", "random_weights.py"), "bert_base",
                        weights, "--layers", "2"], check=True)
        common = [os.path.join(models, "bert_base.xml"), "--let", "layers=2", "--weights", weights]
        inputs = [a for k in ("ids", "types", "mask") for a in ("-i", f"{k}=@{golden_file}#{k}")]
        for backend in ("reference", "llvm", "opencl"):
            out = os.path.join(directory, "out.safetensors")
            done = subprocess.run([fovea, "run", *common, *inputs, "--backend", backend, "--save", out],
                                  stdout=subprocess.DEVNULL)
            if done.returncode == 4:
                print(backend, "has no device here")
                continue
            ok = done.returncode == 0
            got = st.load(out) if ok else {}
            got = got[0] if isinstance(got, tuple) else got
            for name in ("hidden", "pooled"):
                error = float(np.abs(got[name] - golden[name]).max()) if ok else float("nan")
                good = error <= 1e-5 * max(1.0, float(np.abs(golden[name]).max()))
                print(backend, name, "max abs error", error, "" if good else "FAIL")
                passed += good
                failed += not good
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
