# SPDX-License-Identifier: Apache-2.0
"""Channel and spatial attention in CNNs: two small residual networks on scikit-learn's digits.

  se_digits    Hu, Shen, Sun 2018: a squeeze-and-excite gate in every block
  cbam_digits  Woo, Park, Lee, Kweon 2018: channel attention, then spatial attention, in every block

  python3 se_cbam.py MODEL --work DIR [--out ..]              train, store, evaluate, write goldens
  python3 se_cbam.py MODEL --work DIR [--out ..] --golden     the last two, from the stored weights

Input x [N,1,8,8] f32 = pixel / 16, output logits [N,10]. Weights are f32, named as torch names them;
batch norms stay apart from their convolutions, as in published models (epsilon 1e-5).
The test split goes to digits_test.safetensors: images [359,8,8] u8 (0..16), labels [359] u8.
"""
import argparse
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import data
import st

REDUCE = 4   # channels / width of the gate's bottleneck


class SE(nn.Module):
    """x * sigmoid(fc2(relu(fc1(mean over space of x))))"""

    def __init__(self, c):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(c, c // REDUCE, 1), nn.Conv2d(c // REDUCE, c, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class CBAM(nn.Module):
    """A gate for each channel from a shared MLP of mean and maximum, then one for each pixel."""

    def __init__(self, c):
        super().__init__()
        self.fc1 = nn.Conv2d(c, c // REDUCE, 1, bias=False)
        self.fc2 = nn.Conv2d(c // REDUCE, c, 1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        mlp = lambda s: self.fc2(torch.relu(self.fc1(s)))
        x = x * torch.sigmoid(mlp(x.mean((2, 3), keepdim=True)) + mlp(x.amax((2, 3), keepdim=True)))
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial(pooled))


class Block(nn.Module):
    """relu(shortcut(x) + gate(bn(conv(relu(bn(conv(x)))))))"""

    def __init__(self, name, gate, c_in, c, stride):
        super().__init__()
        self.name = name
        self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        setattr(self, name, gate(c))
        if stride != 1:
            self.shortcut = nn.Module()
            self.shortcut.conv = nn.Conv2d(c_in, c, 1, stride, bias=False)
            self.shortcut.bn = nn.BatchNorm2d(c)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = getattr(self, self.name)(self.bn2(self.conv2(y)))
        if hasattr(self, "shortcut"):
            x = self.shortcut.bn(self.shortcut.conv(x))
        return torch.relu(x + y)


class Net(nn.Module):
    def __init__(self, name, gate):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv, self.stem.bn = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.block1 = Block(name, gate, 16, 16, 1)
        self.block2 = Block(name, gate, 16, 32, 2)
        self.block3 = Block(name, gate, 32, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.stem.bn(self.stem.conv(x)))
        x = self.block3(self.block2(self.block1(x)))
        return self.head(x.mean((2, 3)))


MODELS = {"se_digits": ("se", SE), "cbam_digits": ("cbam", CBAM)}


def pixels(images):
    return torch.tensor(images[:, None].astype(np.float32) / 16)


def train(net, images, labels, epochs=60, size=32, peak=3e-3):
    """Adam with a cosine schedule; images are shifted by up to one pixel."""
    x, y = F.pad(pixels(images), (1, 1, 1, 1)), torch.tensor(labels.astype(np.int64))
    adam = torch.optim.Adam(net.parameters(), weight_decay=1e-4)
    steps = epochs * (len(x) // size)
    step = 0
    for epoch in range(epochs):
        order, losses = torch.randperm(len(x)), []
        for i in range(len(x) // size):
            adam.param_groups[0]["lr"] = peak * (1 + math.cos(math.pi * step / steps)) / 2
            step += 1
            at = order[i * size:(i + 1) * size]
            dy, dx = torch.randint(3, (2,)).tolist()
            loss = F.cross_entropy(net(x[at, :, dy:dy + 8, dx:dx + 8]), y[at])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=MODELS)
    p.add_argument("--work", required=True, help="folder for downloads")
    p.add_argument("--out", default=pathlib.Path(__file__).resolve().parent.parent, type=pathlib.Path)
    p.add_argument("--golden", action="store_true", help="do not train, use the stored weights")
    o = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    images, labels, test_images, test_labels = data.digits(o.work)
    file = o.out / f"{o.model}.safetensors"
    net = Net(*MODELS[o.model])
    if not o.golden:
        train(net, images, labels)
        st.save(file, {k: v.numpy() for k, v in net.state_dict().items()}, {"format": "pt"})
        st.save(o.out / "digits_test.safetensors", {"images": test_images, "labels": test_labels})

    # From here on only what was stored counts.
    net.load_state_dict({k: torch.tensor(v) for k, v in st.load(file).items()})
    net.eval()
    with torch.no_grad():
        right = (net(pixels(test_images)).argmax(-1).numpy() == test_labels).sum()
        print(f"{o.model}: test accuracy {100 * right / len(test_labels):.2f} % ({right} of {len(test_labels)})")
        x = pixels(test_images[:3])
        st.save(o.out / f"{o.model}.golden.safetensors", {"x": x.numpy(), "logits": net(x).numpy()})


if __name__ == "__main__":
    main()
