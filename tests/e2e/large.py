# SPDX-License-Identifier: Apache-2.0
"""A model whose weights are too large for the repository, against PyTorch's goldens.

large.py FOVEA SOURCE BUILD bert_base|minilm

All layers on llvm and as a compiled library, two layers on the backends that are slower. The weights
of bert_base are made here and deleted afterwards; those of minilm are fetched as `make demo` does, into
build/models, and stay there. Exit code 77 (skipped): they cannot be had, and why is printed.
"""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOM = 2 << 30  # bytes: weights and library of bert_base are 0.9 GB


def skip(why):
    print("SKIP:", why)
    sys.exit(77)


def bert_base(source, folder):
    if not importlib.util.find_spec("numpy"):  # random_weights.py needs it
        skip("no numpy (Debian: apt-get install python3-numpy)")
    file = folder / "bert_base.safetensors"
    subprocess.run([sys.executable, "-B", source / "models" / "train" / "random_weights.py", "bert_base", file],
                   check=True)
    return file


def minilm(source, _):
    models = source / "build" / "models"
    fetch = [sys.executable, "-B", source / "examples" / "minilm" / "fetch.py", models]
    if subprocess.run(fetch).returncode != 0:
        skip("all-MiniLM-L6-v2 could not be fetched")
    return models / "minilm.safetensors"


WEIGHTS = {"bert_base": bert_base, "minilm": minilm}


def main():
    fovea, source, build, name = sys.argv[1], *map(pathlib.Path, sys.argv[2:4]), sys.argv[4]
    free = shutil.disk_usage(build).free
    if free < ROOM:
        skip(f"{free >> 20} MB are free at {build}, {ROOM >> 20} MB are needed")
    counts = {"passed": 0, "failed": 0, "skipped": 0}

    def case(what, *command):
        print(f"-- {name}: {what}", flush=True)
        status = subprocess.run(command).returncode
        result = {0: "passed", 4: "skipped"}.get(status, "failed")  # 4: no such device
        counts[result] += 1
        if status:
            print(f"{result.upper()}: exit code {status}")

    with tempfile.TemporaryDirectory(dir=build) as folder:
        folder = pathlib.Path(folder)
        os.environ["TMPDIR"] = str(folder)
        weights = f"--weights={WEIGHTS[name](source, folder)}"
        model = source / "models" / f"{name}.xml"
        case("all layers on llvm", fovea, "run", model, weights, "--verify", "--backend=llvm")
        case("all layers as a library", "sh", source / "tests" / "e2e" / "library.sh", fovea, model, weights)
        # The same description, beside the goldens of two layers under the name that it gives them.
        shallow = shutil.copy(model, folder)
        shutil.copy(source / "models" / f"{name}_2.golden.safetensors", folder / f"{name}.golden.safetensors")
        for backend in ("reference", "opencl"):
            case(f"two layers on {backend}", fovea, "run", shallow, weights, "--let=layers=2", "--verify",
                 f"--backend={backend}")
    print(", ".join(f"{n} {result}" for result, n in counts.items()))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
