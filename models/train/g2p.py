# SPDX-License-Identifier: Apache-2.0
"""Grapheme to phoneme on CMUdict: two sequence-to-sequence models, trained, stored and evaluated.

  bahdanau     Bahdanau, Cho, Bengio 2015: bidirectional GRU encoder, additive attention, GRU decoder
  transformer  Vaswani et al. 2017: encoder-decoder, post-norm, sinusoidal positions

  python3 g2p.py MODEL --work DIR [--out ..] [--epochs N]     train, store, evaluate, write goldens
  python3 g2p.py MODEL --work DIR [--out ..] --golden         the last two, from the stored weights

Both write the held-out words, too: g2p_test.safetensors.

Conventions (those of the graphs in bahdanau.xml and transformer.xml):

  source ids   0 padding, 1..26 = a..z; no start or end mark. `lengths` counts the letters of a row.
  target ids   0 padding, 1 start (sos), 2 end (eos), 3..41 = PHONES in their order.
  greedy       starts with sos, takes the first largest score, at most 20 steps. A row is done once it
               has emitted eos; from then on it emits 0 and goes on computing with 0 as its last token.
               The loop ends when all rows are done, so T = the steps of the slowest row, eos included.
  GRU          torch's layout: weight_ih [3H, in], weight_hh [3H, H], bias_ih and bias_hh [3H], gates
               in the order r, z, n;  n = tanh(W x + b + r * (U h + c)),  h' = (1 - z) * n + z * h.
               `_reverse` is the encoder's backward direction: it starts at a row's own last letter.
               Behind a row's length the memory is 0, as torch's packed sequences have it.
  memory       bahdanau: [forward h_j ; backward h_j]; the decoder starts from
               tanh(bridge * backward h_1), as in the paper.
  weights      stored as f16 (the table `positions` as f32); all arithmetic on them is f32.
"""
import argparse
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import data
import st

PAD, SOS, EOS, STEPS = 0, 1, 2, 20
PHONES = ("AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
          "V W Y Z ZH").split()
LETTERS, SYMBOLS = 27, 3 + len(PHONES)
PHONE_ID = {p: i + 3 for i, p in enumerate(PHONES)}


def rows(lists):
    """A list of lists of ids as one padded tensor."""
    return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in lists], batch_first=True)


def visible(lengths, size):
    """bool [B, size]: which positions are inside a row's length."""
    return torch.arange(size)[None, :] < lengths[:, None]


class Bahdanau(nn.Module):
    EMBED, HIDDEN = 64, 128

    def __init__(self):
        super().__init__()
        e, h = self.EMBED, self.HIDDEN
        self.enc = nn.Module()
        self.enc.embed = nn.Embedding(LETTERS, e)
        self.enc.gru = nn.GRU(e, h, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(h, h)
        self.attn = nn.Module()
        self.attn.query = nn.Linear(h, h, bias=False)       # W_a
        self.attn.memory = nn.Linear(2 * h, h, bias=False)  # U_a
        self.attn.v = nn.Parameter(torch.randn(h) / math.sqrt(h))
        self.dec = nn.Module()
        self.dec.embed = nn.Embedding(SYMBOLS, e)
        self.dec.gru = nn.GRUCell(e + 2 * h, h)
        self.dec.out = nn.Linear(h, SYMBOLS)

    def encode(self, ids, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.enc.embed(ids), lengths, batch_first=True,
                                                   enforce_sorted=False)
        memory, last = self.enc.gru(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True, total_length=ids.shape[1])
        return memory, torch.tanh(self.bridge(last[1]))     # last[1]: the backward state at letter 1

    def step(self, tok, h, memory, keys, seen):
        score = torch.tanh(self.attn.query(h)[:, None] + keys) @ self.attn.v
        p = torch.softmax(score.masked_fill(~seen, -math.inf), -1)
        context = (p[:, None] @ memory)[:, 0]
        h = self.dec.gru(torch.cat([self.dec.embed(tok), context], -1), h)
        return h, p

    def forward(self, ids, lengths, tgt):
        """Scores [B, T, SYMBOLS] with the right tokens so far given."""
        memory, h = self.encode(ids, lengths)
        keys, seen, states = self.attn.memory(memory), visible(lengths, ids.shape[1]), []
        for t in range(tgt.shape[1]):
            h, _ = self.step(tgt[:, t], h, memory, keys, seen)
            states.append(h)
        return self.dec.out(torch.stack(states, 1))

    def greedy(self, ids, lengths):
        """memory [B,S,2H], tokens [B,T], align [B,T,S]"""
        memory, h = self.encode(ids, lengths)
        keys, seen = self.attn.memory(memory), visible(lengths, ids.shape[1])
        tok = torch.full((len(ids),), SOS)
        done, tokens, align = torch.zeros(len(ids), dtype=torch.bool), [], []
        while len(tokens) < STEPS and not done.all():
            h, p = self.step(tok, h, memory, keys, seen)
            tok = self.dec.out(h).argmax(-1).masked_fill(done, PAD)
            done = done | (tok == EOS)
            tokens.append(tok)
            align.append(p)
        return memory, torch.stack(tokens, 1), torch.stack(align, 1)

    def golden(self, words):
        ids, lengths, _ = words
        memory, tokens, align = self.greedy(ids, lengths)
        return {"ids": ids, "lengths": lengths, "memory": memory, "tokens": tokens, "align": align}


class Heads(nn.Module):
    """Multi-head attention; as in the paper, without biases."""

    def __init__(self, d):
        super().__init__()
        for name in "qkvo":
            setattr(self, name, nn.Linear(d, d, bias=False))

    def forward(self, x, y, mask):
        split = lambda t: t.unflatten(-1, (Transformer.HEADS, -1)).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(y)), split(self.v(y))
        score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        p = torch.softmax(score.masked_fill(~mask, -math.inf), -1)
        return self.o((p @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """One layer of the encoder, or of the decoder when it has cross-attention."""

    def __init__(self, d, ffn, cross):
        super().__init__()
        self.self = Heads(d)
        if cross:
            self.cross = Heads(d)
        self.ffn = nn.Module()
        self.ffn.up, self.ffn.down = nn.Linear(d, ffn), nn.Linear(ffn, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        if cross:
            self.norm3 = nn.LayerNorm(d)

    def forward(self, x, mask, memory=None, memory_mask=None):
        x = self.norm1(x + self.self(x, x, mask))
        last = self.norm2
        if memory is not None:
            x = self.norm2(x + self.cross(x, memory, memory_mask))
            last = self.norm3
        return last(x + self.ffn.down(torch.relu(self.ffn.up(x))))


class Transformer(nn.Module):
    D, HEADS, LAYERS, FFN, POSITIONS = 96, 4, 2, 256, 32

    def __init__(self):
        super().__init__()
        d = self.D
        self.src = nn.Module()
        self.src.embed = nn.Embedding(LETTERS, d)
        self.tgt = nn.Module()
        self.tgt.embed = nn.Embedding(SYMBOLS, d)   # also the output matrix, section 3.4 of the paper
        for e in (self.src.embed, self.tgt.embed):
            nn.init.normal_(e.weight, std=d ** -0.5)
        self.enc = nn.ModuleList(Layer(d, self.FFN, cross=False) for _ in range(self.LAYERS))
        self.dec = nn.ModuleList(Layer(d, self.FFN, cross=True) for _ in range(self.LAYERS))
        angle = torch.arange(self.POSITIONS)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
        self.register_buffer("positions", torch.stack([angle.sin(), angle.cos()], -1).flatten(1))

    def embed(self, table, ids):
        return table(ids) * math.sqrt(self.D) + self.positions[:ids.shape[1]]

    def encode(self, src, lengths):
        x, seen = self.embed(self.src.embed, src), visible(lengths, src.shape[1])[:, None, None]
        for layer in self.enc:
            x = layer(x, seen)
        return x

    def decode(self, memory, lengths, tgt):
        """Scores [B, T, SYMBOLS] with the right tokens so far given."""
        n = tgt.shape[1]
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        seen = visible(lengths, memory.shape[1])[:, None, None]
        x = self.embed(self.tgt.embed, tgt)
        for layer in self.dec:
            x = layer(x, causal, memory, seen)
        return x @ self.tgt.embed.weight.T

    def forward(self, src, lengths, tgt):
        return self.decode(self.encode(src, lengths), lengths, tgt)

    def greedy(self, src, lengths):
        """memory [B,S,D], tokens [B,T]; the whole prefix anew in every step, no cache"""
        memory = self.encode(src, lengths)
        tgt = torch.full((len(src), 1), SOS)
        done = torch.zeros(len(src), dtype=torch.bool)
        while tgt.shape[1] <= STEPS and not done.all():
            tok = self.decode(memory, lengths, tgt)[:, -1].argmax(-1).masked_fill(done, PAD)
            done = done | (tok == EOS)
            tgt = torch.cat([tgt, tok[:, None]], 1)
        return memory, tgt[:, 1:]

    def golden(self, words):
        src, lengths, tgt = words
        memory, tokens = self.greedy(src, lengths)
        probs = torch.softmax(self.decode(memory, lengths, tgt), -1)
        return {"src": src, "lengths": lengths, "tgt": tgt, "memory": memory, "probs": probs,
                "tokens": tokens}


# Per model: the class, epochs, peak learning rate, steps of warm-up.
MODELS = {"bahdanau": (Bahdanau, 15, 2e-3, 200), "transformer": (Transformer, 15, 1.5e-3, 1000)}


def batch(entries):
    """ids [B,S], lengths [B], target input [B,T] (starts with sos), target output [B,T] (ends with eos)"""
    ids = [[ord(c) - ord("a") + 1 for c in w] for w, _ in entries]
    out = [[PHONE_ID[p] for p in ps] for _, ps in entries]
    return (rows(ids), torch.tensor([len(r) for r in ids]), rows([[SOS] + r for r in out]),
            rows([r + [EOS] for r in out]))


def batches(entries, size, rng):
    """All entries once, in batches of words of nearly equal length."""
    order = rng.permutation(len(entries))
    for at in range(0, len(order), 32 * size):
        chunk = sorted(order[at:at + 32 * size], key=lambda i: (len(entries[i][0]), len(entries[i][1])))
        parts = [chunk[i:i + size] for i in range(0, len(chunk), size)]
        for i in rng.permutation(len(parts)):
            yield batch([entries[j] for j in parts[i]])


def train(model, entries, epochs, peak, warm_up, size=256):
    """Adam, cross-entropy, linear warm-up and then a cosine down to 0."""
    rng, step = np.random.default_rng(1), 0
    adam = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98))
    total = epochs * sum(1 for _ in range(0, len(entries), size))
    begin = time.time()
    for epoch in range(epochs):
        losses = []
        for ids, lengths, given, wanted in batches(entries, size, rng):
            step += 1
            adam.param_groups[0]["lr"] = peak * min(step / warm_up, (1 + math.cos(math.pi * step / total)) / 2)
            z = model(ids, lengths, given)
            loss = F.cross_entropy(z.flatten(0, 1), wanted.flatten(), ignore_index=PAD)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.time() - begin:.0f} s", flush=True)


def distance(a, b):
    """Edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        left, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            left, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, left + (x != y))
    return row[-1]


def phones(ids):
    """The phonemes before the first eos."""
    ids = list(ids)
    return [PHONES[i - 3] if i >= 3 else "?" for i in (ids[:ids.index(EOS)] if EOS in ids else ids)]


def evaluate(model, entries):
    """Phoneme error rate and word accuracy of greedy decoding."""
    errors = count = right = 0
    for at in range(0, len(entries), 100):
        ids, lengths, _, _ = batch(entries[at:at + 100])
        for (_, wanted), row in zip(entries[at:], model.greedy(ids, lengths)[1].tolist()):
            found = phones(row)
            errors += distance(found, wanted)
            count += len(wanted)
            right += found == wanted
    return errors / count, right / len(entries)


def test_words(entries):
    """The held-out words as the graphs have them, in bytes: ids [N,S], phones [N,T] without sos and eos."""
    ids, _, given, _ = batch(entries)
    return {"ids": ids.numpy().astype(np.uint8), "phones": given[:, 1:].numpy().astype(np.uint8)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=MODELS)
    p.add_argument("--work", required=True, help="folder for downloads")
    p.add_argument("--out", default=pathlib.Path(__file__).resolve().parent.parent, type=pathlib.Path)
    p.add_argument("--epochs", type=int)
    p.add_argument("--golden", action="store_true", help="do not train, use the stored weights")
    o = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    kind, epochs, peak, warm_up = MODELS[o.model]
    training, held_out = data.g2p(o.work)
    file = o.out / f"{o.model}.safetensors"
    model = kind()
    if not o.golden:
        train(model, training, o.epochs or epochs, peak, warm_up)
        st.save(file, {k: v.numpy().astype(np.float32 if k == "positions" else np.float16)
                       for k, v in model.state_dict().items()}, {"format": "pt"})

    # From here on only what was stored counts.
    model.load_state_dict({k: torch.tensor(v.astype(np.float32)) for k, v in st.load(file).items()})
    model.eval()
    with torch.no_grad():
        error_rate, accuracy = evaluate(model, held_out)
        print(f"{o.model}: {len(held_out)} held-out words: phoneme error rate {100 * error_rate:.2f} %, "
              f"words right {100 * accuracy:.1f} %")
        # Four words of four lengths, the longest not first: padding and the order of rows are tested.
        words = [next(e for e in held_out if len(e[0]) == n) for n in (5, 12, 3, 8)]
        ids, lengths, given, _ = batch(words)
        golden = {k: v.numpy() for k, v in model.golden((ids, lengths, given)).items()}
        st.save(o.out / f"{o.model}.golden.safetensors", golden, {"words": " ".join(w for w, _ in words)})
        st.save(o.out / "g2p_test.safetensors", test_words(held_out))
        for (word, wanted), row in zip(words, golden["tokens"]):
            print(f"  {word}: {' '.join(phones(row))}   (dictionary: {' '.join(wanted)})")


if __name__ == "__main__":
    main()
