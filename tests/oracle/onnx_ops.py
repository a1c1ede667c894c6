# SPDX-License-Identifier: Apache-2.0
"""Ops against onnxruntime on fresh random inputs.

Every op of the table has cases here, against the ONNX operators of its meaning, but for
those of WITHOUT. The seed is printed; --seed repeats a run, --only picks cases.
"""

import sys

import _chains
import _control
import _elementwise
import _fovea
import _indexed
import _movement
import _neural
import _sequences

# Elements of the dialect make these, and needs of other ops <require>; <scan> makes loops here, torch_models.py has the rest.
WITHOUT = {"constant", "state_read", "state_write", "loop", "require"}


def cases(rng):
    for part in (_elementwise, _movement, _indexed, _neural, _sequences, _control, _chains):
        yield from part.cases(rng)


if __name__ == "__main__":
    sys.exit(_fovea.main(cases, __doc__, WITHOUT))
