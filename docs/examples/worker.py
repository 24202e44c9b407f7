"""A worker that needs NumPy alone: a small DropBlock, and an answer to each question of docs/worker.md.

$ dropblock-conformance run --worker 'python docs/examples/worker.py' --profile quick
"""

import json
import sys
from itertools import product
from math import prod

import numpy as np

ABOUT = {
    "protocol": 1,
    "name": "stand-alone",
    "claims": {"spatial": [1, 2, 3], "dtypes": ["float16", "float32", "float64"]},
    "grad": True,
    "schedule": True,
}


def mask_of(shape, keep_prob, block_size, seed):
    block = [min(block_size, length) for length in shape[2:]]
    anchors = [length - side + 1 for length, side in zip(shape[2:], block, strict=True)]
    gamma = min(1, (1 - keep_prob) * prod(shape[2:]) / (prod(block) * prod(anchors)))
    seeds = np.random.default_rng(seed).random((*shape[:2], *anchors)) < gamma
    mask = np.ones(shape, bool)
    for corner in product(*map(range, block)):
        mask[(..., *(slice(at, at + length) for at, length in zip(corner, anchors, strict=True)))] &= ~seeds
    return mask


def dropped(x, mask):
    wide = np.float64 if x.dtype == np.float64 else np.float32
    scale = wide(mask.size / max(1, np.count_nonzero(mask)))
    return (np.where(mask, x, 0).astype(wide) * scale).astype(x.dtype)


def answer(do, arrays, keep_prob=1.0, training=True, steps=0, **options):
    if do == "hello":
        return ABOUT, []
    if do == "schedule":
        return {"values": [1 - (1 - keep_prob) * step / max(1, steps) for step in range(steps)] + [keep_prob]}, []
    if do not in ("call", "grad"):
        raise ValueError(f"no question is called {do!r}")
    if not training or keep_prob == 1:
        return {}, arrays
    mask = mask_of(arrays[0].shape, keep_prob, **options)
    return {}, [dropped(array, mask) for array in arrays]  # of "grad": what is done to dy is what is done to x


questions, answers = sys.stdin.buffer, sys.stdout.buffer
for line in questions:
    question = json.loads(line)
    arrays = []
    for about in question.pop("arrays"):
        dtype = np.dtype(about["dtype"]).newbyteorder("<")
        data = questions.read(prod(about["shape"]) * dtype.itemsize)
        arrays.append(np.frombuffer(data, dtype).reshape(about["shape"]))
    try:
        header, arrays = answer(question.pop("do"), arrays, **question)
    except Exception as error:
        header, arrays = {"error": {"type": type(error).__name__, "message": str(error)}}, []
    about = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    answers.write(json.dumps({**header, "arrays": about}).encode() + b"\n")
    answers.writelines(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    answers.flush()
