#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""alignment.py FOVEA OUT.png [WORD...]: what models/bahdanau.xml looks at.

Runs the model on each word and draws its alignment matrix: a column for each letter, a row for
each phoneme that it says, darker where there is more attention. Needs Python alone.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

# As in models/train/g2p.py.
PHONES = ("AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
          "V W Y Z ZH").split()
EOS = 2
CELL, SCALE, MARGIN, GAP = 30, 2, 40, 30

# Five columns a letter, bit 0 at the top.
FONT = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    "7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a 7f0808087f "
    "00417f4100 2040413f01 7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 "
    "3e4151215e 7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f 3f4038403f 6314081463 "
    "0708700807 6151494543").split()))


def run(fovea, word):
    """The phonemes, and for each the weights over the letters."""
    model = pathlib.Path(__file__).parent.parent / "models" / "bahdanau.xml"
    ids = ",".join(str(ord(c) - ord("a") + 1) for c in word)
    with tempfile.TemporaryDirectory() as work:
        out = pathlib.Path(work) / "out.safetensors"
        subprocess.run([fovea, "run", str(model), f"--dim=B=1,S={len(word)}", "-i", f"ids={ids}",
                        "-i", f"lengths={len(word)}", f"--save={out}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        data = out.read_bytes()
    size, = struct.unpack_from("<Q", data)
    head = json.loads(data[8:8 + size])

    def tensor(name, kind):
        begin, end = head[name]["data_offsets"]
        return [v for v, in struct.iter_unpack(kind, data[8 + size + begin:8 + size + end])]

    tokens, align = tensor("tokens", "<q"), tensor("align", "<f")
    steps = tokens.index(EOS) if EOS in tokens else len(tokens)
    return ([PHONES[t - 3] for t in tokens[:steps]],
            [align[i * len(word):(i + 1) * len(word)] for i in range(steps)])


class Picture:
    def __init__(self, width, height):
        self.row = [bytearray(b"\xff" * width * 3) for _ in range(height)]

    def fill(self, x, y, width, height, color):
        for r in self.row[y:y + height]:
            r[3 * x:3 * (x + width)] = bytes(color) * width

    def text(self, x, y, text):
        """Its top left corner is at x, y."""
        for i, c in enumerate(text):
            for k, column in enumerate(bytes.fromhex(FONT[c])):
                for bit in range(7):
                    if column >> bit & 1:
                        self.fill(x + (6 * i + k) * SCALE, y + bit * SCALE, SCALE, SCALE, (40, 40, 40))

    def save(self, path):
        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data
                    + struct.pack(">I", zlib.crc32(kind + data)))
        head = struct.pack(">IIBBBBB", len(self.row[0]) // 3, len(self.row), 8, 2, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + bytes(r) for r in self.row), 9)
        pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
                                       + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def draw(picture, x, word, phones, align):
    for i, letter in enumerate(word.upper()):
        picture.text(x + MARGIN + i * CELL + (CELL - 5 * SCALE) // 2, 14, letter)
    for r, (phone, weights) in enumerate(zip(phones, align)):
        y = MARGIN + r * CELL
        picture.text(x + 6, y + (CELL - 7 * SCALE) // 2, phone)
        for i, w in enumerate(weights):
            shade = 1 - max(0, min(1, w))
            color = [int(20 + 235 * shade), int(60 + 190 * shade), int(120 + 135 * shade)]
            picture.fill(x + MARGIN + i * CELL + 1, y + 1, CELL - 2, CELL - 2, color)


def main():
    fovea, out, *words = sys.argv[1:]
    runs = [(w, *run(fovea, w)) for w in words or ["attention", "alignment"]]
    for word, phones, _ in runs:
        print(word, "->", " ".join(phones))
    width = sum(MARGIN + len(w) * CELL + GAP for w, _, _ in runs)
    picture = Picture(width - GAP + 8, MARGIN + max(len(p) for _, p, _ in runs) * CELL + 8)
    x = 0
    for word, phones, align in runs:
        draw(picture, x, word, phones, align)
        x += MARGIN + len(word) * CELL + GAP
    picture.save(out)


main()
