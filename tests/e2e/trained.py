# SPDX-License-Identifier: Apache-2.0
"""The trained models on all their held-out data: are they as good as the documents say?

trained.py FOVEA RUNNER SOURCE

Computes the figures of models/train/README.md with fovea and looks for them there and where they are
repeated. The transformer decodes greedily in two ways, with the whole prefix anew at every step and with
keys and values kept in states: both must say the same, on every backend.
"""
import pathlib
import subprocess
import sys
import tempfile

FOVEA, RUNNER = sys.argv[1:3]
SOURCE = pathlib.Path(sys.argv[3])
MODELS = SOURCE / "models"
sys.path.insert(0, str(SOURCE / "tests" / "integration"))
from session import Session, Tensor, load  # noqa: E402

SOS, EOS, STEPS = 1, 2, 20  # as models/train/g2p.py has it
BATCH = 250                 # the models allow 256
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(good, what):
    counts["passed" if good else "failed"] += 1
    print("ok:" if good else "FAIL:", what, flush=True)


def stated(file, model, figure):
    """Is the figure in the file, in a line that names the model?"""
    text = (SOURCE / file).read_text(encoding="utf-8").splitlines()
    check(any(model in line and figure in line for line in text), f"{file} says of {model}: {figure}")


def digits(name):
    test = load(MODELS / "digits_test.safetensors")
    images, labels = test["images"], test["labels"].values()
    n = len(labels)
    x = Tensor("f32", (n, 1, 8, 8), [v / 16 for v in images.values()])
    with Session(RUNNER, MODELS / f"{name}.xml", "llvm") as s:
        logits = s.run("classify", {"x": x})["logits"].values()
    rows = [logits[i * 10:i * 10 + 10] for i in range(n)]
    right = sum(row.index(max(row)) == label for row, label in zip(rows, labels))
    stated("models/train/README.md", name, f"{100 * right / n:.2f} % ({right} of {n} images)")
    stated(f"models/{name}.xml", "test accuracy", f"{100 * right / n:.1f} %")
    stated("README.md", name, f"{100 * right / n:.1f} %")


def matrix(values, rows):
    width = len(values) // rows
    return [values[i * width:(i + 1) * width] for i in range(rows)]


def held_out():
    """(letters, phonemes) of each word, as lists of ids."""
    file = load(MODELS / "g2p_test.safetensors")
    parts = (matrix(file[k].values(), file[k].shape[0]) for k in ("ids", "phones"))
    return [tuple([v for v in row if v] for row in pair) for pair in zip(*parts)]


def letters(words):
    """The inputs of a batch: ids [B, S], 0 behind a word, and lengths [B]."""
    longest = max(map(len, words))
    ids = [v for w in words for v in w + [0] * (longest - len(w))]
    return (Tensor("i64", (len(words), longest), ids), Tensor("i64", (len(words),), [len(w) for w in words]))


def pronounce(s, words):
    """Phonemes by the loop in the Bahdanau model."""
    ids, lengths = letters(words)
    return matrix(s.run("pronounce", {"ids": ids, "lengths": lengths})["tokens"].values(), len(words))


def decode(s, words, cached):
    """Phonemes by the transformer: greedy, from the whole prefix or from the last token and the states."""
    src, lengths = letters(words)
    rows = len(words)
    memory = s.run("encode", {"src": src, "lengths": lengths})["memory"]
    s.reset()
    prefix, done = [[SOS] for _ in words], [False] * rows
    while len(prefix[0]) <= STEPS and not all(done):
        new = [row[-1:] for row in prefix] if cached else prefix
        tgt = Tensor("i64", (rows, len(new[0])), [t for row in new for t in row])
        probs = s.run("step" if cached else "decode", {"memory": memory, "lengths": lengths, "tgt": tgt})["probs"]
        for b, row in enumerate(matrix(probs.values(), rows)):
            last = row[-probs.shape[2]:]
            prefix[b].append(0 if done[b] else last.index(max(last)))
            done[b] = done[b] or prefix[b][-1] == EOS
    return [row[1:] for row in prefix]


def distance(a, b):
    """Edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        left, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            left, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, left + (x != y))
    return row[-1]


def error_rates(name, test, found):
    said = [row[:row.index(EOS)] if EOS in row else row for row in found]
    errors = sum(distance(a, b) for a, (_, b) in zip(said, test))
    right = sum(a == b for a, (_, b) in zip(said, test))
    stated("models/train/README.md", name,
           f"phoneme error rate {100 * errors / sum(len(b) for _, b in test):.2f} %, "
           f"{100 * right / len(test):.1f} % of {len(test)} words wholly right")


def in_batches(words, say):
    return [row for at in range(0, len(words), BATCH) for row in say(words[at:at + BATCH])]


def bahdanau():
    test = held_out()
    with Session(RUNNER, MODELS / "bahdanau.xml", "llvm") as s:
        error_rates("bahdanau", test, in_batches([w for w, _ in test], lambda part: pronounce(s, part)))


def transformer():
    test = held_out()
    words = [w for w, _ in test]
    with Session(RUNNER, MODELS / "transformer.xml", "llvm") as s:
        found = in_batches(words, lambda part: decode(s, part, cached=True))
        again = in_batches(words, lambda part: decode(s, part, cached=False))
    check(found == again, f"transformer: the same tokens with and without states, {len(words)} words")
    error_rates("transformer", test, found)


def has_device():
    done = subprocess.run([FOVEA, "run", MODELS / "se_digits.xml", "-b", "opencl"], capture_output=True, text=True)
    if done.returncode == 4:
        counts["skipped"] += 1
        print("SKIP: opencl:", done.stderr.strip())
    return done.returncode != 4


def golden_tokens():
    """PyTorch's tokens of four words, by each backend and by a library, with and without states."""
    golden = load(MODELS / "transformer.golden.safetensors")
    rows = golden["tokens"].shape[0]
    words = [row[:n] for row, n in zip(matrix(golden["src"].values(), rows), golden["lengths"].values())]
    want = matrix(golden["tokens"].values(), rows)
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder) / "libtransformer.so"
        subprocess.run([FOVEA, "compile", MODELS / "transformer.xml", "-o", library], check=True,
                       stdout=subprocess.DEVNULL)
        models = {b: MODELS / "transformer.xml" for b in ("reference", "llvm") + ("opencl",) * has_device()}
        models["library"] = library
        for backend, model in models.items():
            with Session(RUNNER, model, backend) as s:
                for cached in (True, False):
                    check(decode(s, words, cached) == want,
                          f"transformer on {backend}: PyTorch's tokens, {'with' if cached else 'without'} states")


def main():
    for name in ("se_digits", "cbam_digits"):
        digits(name)
    bahdanau()
    transformer()
    golden_tokens()
    print(", ".join(f"{n} {result}" for result, n in counts.items()))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
