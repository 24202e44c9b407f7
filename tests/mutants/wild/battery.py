"""Calls that show every fault: what a DropBlock answers to them, in an order that is always the same.

A mutant and its honest ancestor get the same calls. That some answer differs shows that the mutant is one; it does not
show that a user could tell, for masks from other numbers differ too.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.wild.calls import OwnGenerator
from tests.mutants.wild.scopes import ByMap, BySample, Expected, Unscaled

Answer = tuple[str, Any]
SPECIALS = (0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 3e4, -6e4, 1e-7, -3e-8, 3e38, -3e38, 1e-39, 1e5, 7.0, 1e20)
WIDE = (
    *SPECIALS,
    1e308,
    -1.7e308,
    1e-310,
    5e-39,
    1e-300,
    1e32,
    500.0,
    -3.0,
    2.5,
    0.005,
    -0.004,
    1e-25,
    3.0,
    1.1,
    -1e-33,
)
# Each at some keep_prob and block, the likeliest to show something first.
SHAPES: tuple[tuple[tuple[int, ...], float, int], ...] = (
    ((3, 2, 6, 6), 0.7, 3),
    ((4, 9, 7, 7), 0.8, 3),
    ((68, 3, 6, 6), 0.6, 2),
    ((2, 320, 5, 5), 0.8, 2),
    ((2, 3, 9, 4), 0.7, 6),
    ((2, 3, 4, 9), 0.7, 6),
    ((24, 2, 4, 4), 0.5, 1),
    ((1, 1, 14, 14), 0.9, 7),
    ((5, 1, 12, 12), 0.3, 11),
    ((33, 3, 8, 8), 0.2, 4),
    ((2, 2, 36, 36), 0.15, 9),
    ((3, 2, 70, 3), 0.5, 3),
    ((2, 2, 70, 75), 0.98, 6),
    ((2, 2, 70, 75), 0.1, 3),
    ((2, 1, 130, 6), 0.65, 4),
    ((20, 4, 1, 9), 0.6, 2),
    ((20, 4, 9, 1), 0.6, 2),
    ((20, 4, 7, 8), 0.7, 2),
    ((20, 4, 9, 8), 0.7, 3),
    ((20, 4, 3, 9), 0.7, 3),
    ((20, 4, 9, 3), 0.7, 3),
    ((1, 6, 10, 10), 0.6, 3),
    ((24, 4, 60, 60), 0.95, 3),
    ((4, 3, 9), 0.7, 3),
    ((4, 3, 90), 0.7, 6),
    ((2, 2, 4, 5, 6), 0.7, 3),
    ((3, 2, 5, 5, 5), 0.6, 2),
    ((2, 2, 7, 7), 0.4, 9),
    ((40, 20, 7, 7), 0.995, 7),
    ((40, 20, 7, 7), 0.05, 7),
    ((230, 2, 3, 3), 0.5, 1),
    ((6, 4, 100, 120), 0.9, 3),
    ((6, 4, 100, 120), 0.02, 1),
    ((70, 4, 40, 40), 0.113, 5),
)
STEPS = (4, 1, 2, 0, 17, 7, 64, 97, 128, 103, 256, 300, 600, 1100)


def ancestor(mutant: Honest) -> Honest:
    """The right one that claims the same."""
    claims = mutant.claims
    if not claims.seedable:
        return Fresh()
    if not claims.per_channel:
        return Shared()
    return {"tensor": Honest, "sample": BySample, "map": ByMap, "expected": Expected, "none": Unscaled}[claims.renorm]()


class Fresh(OwnGenerator):
    def number(self, call: int) -> int:
        return call


class Shared(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        return np.broadcast_to(super().dropped(x[:, :1], *args), x.shape)


def bits(*arrays: Array) -> Any:
    return [(array.dtype.name, array.shape, array.tobytes()) for array in arrays]


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> Array:
    """Mixed signs, some zeros, all of them of an ordinary size."""
    found = np.random.default_rng(len(shape)).normal(size=shape)
    return np.where(found < -0.5, 0, found).astype(np.float32).astype(dtype)


def specials(dtype: str, shape: tuple[int, ...] = (20, 6, 7, 7)) -> Array:
    chosen = np.random.default_rng(7).choice(WIDE, size=shape)
    with np.errstate(over="ignore"):
        return chosen.astype(dtype)


def layouts(dtype: str) -> Iterator[tuple[str, Array]]:
    x = numbers((6, 4, 8, 8), dtype)
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    yield "rows in reverse", x[..., ::-1]
    yield "samples in reverse", x[::-1]
    yield "fortran", np.asfortranarray(x)
    yield "channels last", np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, 3, 1, 2)
    yield "every second", np.repeat(x, 2, axis=-1)[..., ::2]
    yield "padded", np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 3)))[..., :8]
    yield "one sample broadcast", np.broadcast_to(x[:1], x.shape)
    yield "one unit broadcast", np.broadcast_to(x[:1, :1, 3:4, :1], x.shape)
    raw = np.empty(x.nbytes + 1, np.uint8)
    odd = raw[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x.astype(np.float64) * 1.1
    yield "at an odd address", odd


def answers(own: Honest) -> Iterator[Answer]:
    """What it answers, and what is left of its inputs and of the output before."""
    ranks, dtypes = own.claims.spatial, own.claims.dtypes
    for number, (shape, keep_prob, block) in enumerate(SHAPES):
        if len(shape) - 2 not in ranks:
            continue
        for dtype in dtypes if np.prod(shape) < 20000 or number == len(SHAPES) - 1 else dtypes[-2:]:
            x = numbers(shape, dtype)
            before = y = own.call(x, keep_prob=keep_prob, block_size=block, training=True, seed=number)
            at_first = before.tobytes()
            yield f"train {shape} {dtype}", bits(y, x)
            y = own.call(x, keep_prob=keep_prob, block_size=block, training=True, seed=number + 1)
            yield f"train {shape} {dtype} with another seed", bits(y, x)
            yield f"the output before, at {shape} {dtype}", before.tobytes() == at_first
            for of in ("infer", "one"):
                arguments: dict[str, Any] = {"block_size": block, "training": of == "one", "seed": number}
                y = own.call(x, keep_prob=1.0 if of == "one" else keep_prob, **arguments)
                yield f"{of} {shape} {dtype}", bits(y, x)
            dy = numbers(shape[::-1], dtype).transpose()
            yield f"grad {shape} {dtype}", bits(*own.grad(x, dy, keep_prob=keep_prob, block_size=block, seed=number), x)
    yield from numeric(own, dtypes)
    yield from seeded(own)
    yield from scheduled(own)


def numeric(own: Honest, dtypes: tuple[str, ...]) -> Iterator[Answer]:
    for dtype in dtypes:
        given = [(f"specials {dtype}", specials(dtype)), (f"ones {dtype}", np.ones((3, 3, 5, 5), dtype))]
        given += [
            (f"negative {dtype}", -abs(numbers((3, 3, 5, 5), dtype))),
            (f"none {dtype}", np.ones((0, 3, 5, 5), dtype)),
        ]
        padded = numbers((6, 4, 5, 5), dtype)
        padded[4:] = padded[:, 3:] = 0
        given += [
            (f"padded {dtype}", padded),
            (f"large {dtype}", numbers((40, 40, 7, 7), dtype) * np.asarray(700, dtype)),
        ]
        for what, x in (*given, *layouts(dtype)):
            for keep_prob in (0.6, 0.0, 1.0):
                arguments: dict[str, Any] = {"keep_prob": keep_prob, "block_size": 3, "seed": 11}
                for training in (True, False):
                    y = own.call(x, training=training, **arguments)
                    yield f"{what} {dtype} {keep_prob} {training}", bits(y, x)
                dy = x[::-1] if "broadcast" not in what else x
                yield f"{what} {dtype} {keep_prob} gradient", bits(*own.grad(x, dy, **arguments), dy)
                last = own.grad(np.nan_to_num(x), x, **arguments)
                yield f"{what} {dtype} {keep_prob} upstream", bits(*last)


def seeded(own: Honest) -> Iterator[Answer]:
    """Tiny calls: many, with seeds of every bit, and seeds that come again."""
    row = np.ones((3, 2, *(4,) * max(own.claims.spatial)), np.float32)
    x, wide = np.ones((3, 2, 4, 4), np.float32), np.ones((3, 70, 4, 4), np.float16)
    again = [5, 5, 5, 300, 300, *range(240, 260)]
    for seed in (*(1 << bit for bit in range(31)), 0, 2**31 - 1, 2**30 + 8, 12345679, 1234567891, 77777, *again):
        arguments: dict[str, Any] = {"keep_prob": 0.4, "block_size": 2, "seed": seed}
        yield f"seed {seed}", bits(own.call(x, training=True, **arguments))
        yield f"seed {seed} for another block", bits(own.call(x, training=True, **{**arguments, "block_size": 9}))
        yield f"seed {seed} for another keep_prob", bits(own.call(x, training=True, **{**arguments, "keep_prob": 0.8}))
        yield (
            f"seed {seed} of many channels",
            bits(own.call(wide.astype(own.claims.dtypes[0]), training=True, **arguments)),
        )
        yield f"seed {seed} of another rank", bits(own.call(row, training=True, **arguments))
        yield f"seed {seed} of a gradient", bits(*own.grad(x, x, **arguments))
    for call in range(2500):
        yield f"call {call}", bits(own.call(x, training=True, keep_prob=0.7, block_size=2, seed=call % 900))
        if call % 20 == 0:
            yield f"inference {call}", bits(own.call(x, training=False, keep_prob=0.7, block_size=2, seed=0))


def scheduled(own: Honest) -> Iterator[Answer]:
    x = np.ones((2, 2, 4, 4), np.float16).astype(own.claims.dtypes[0])
    arguments: dict[str, Any] = {"keep_prob": 0.5, "block_size": 2, "seed": 1}
    for steps in STEPS:
        for keep_prob in (0.9, 0.3, 0.0, 1.0):
            yield f"{steps} steps to {keep_prob}", list(own.schedule(keep_prob, steps))
    for what in ("train", "infer", "grad", "another"):
        values = []
        for value in own.schedule(0.5, 30):
            values.append(value)
            if what == "grad":
                own.grad(x, x, **arguments)
            elif what == "another":
                list(own.schedule(0.2, 3))
            else:
                own.call(x, training=what == "train", **arguments)
        yield f"a schedule with {what} within", values
