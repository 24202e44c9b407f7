# SPDX-License-Identifier: Apache-2.0
"""Rematerialisation: the backward pass runs a function again, and its layers must draw the masks that they drew.

A layer's ``SeedGenerator`` moves on at each draw, so in the second run it would give another mask. Inside :func:`remat`
it stands still: draws are counted from where it stood, from 0 in each run, and it is moved on by their number once.
"""

from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np

from dropblock_core import callers
from dropblock_keras import native

# What runs a function again: TensorFlow's and PyTorch's call it a second time, and from JAX's no state comes out.
RECOMPUTING = (
    "tensorflow.python.ops.custom_gradient.recompute_grad.",
    "torch.utils.checkpoint.",
    "jax._src.ad_checkpoint.",
)
OURS = f"{__name__}._Draws.of"
# The states of the generators are among its arguments, so they are the same in each run.
STATELESS = "keras.src.layers.layer.Layer.stateless_call"

_current: ContextVar["_Draws"] = ContextVar("dropblock_keras_draws")


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """``keras.remat`` for what contains DropBlock: the backward pass meets the masks of the forward pass.

    Args:
        f: a function or a layer. Its activations are not kept for the backward pass, which calls it again.

    Returns:
        A function of the same arguments, any of which may be keywords, or structures of tensors. The recomputation has
        the ``training`` of the layer in whose call it was called. Other layers that draw, such as
        ``keras.layers.Dropout``, fare as in ``keras.remat``: on TensorFlow and PyTorch they draw anew.

    Raises:
        ValueError: a DropBlock inside draws in a ``tf.function``, ``jax.jit``, branch or loop that is a part of `f`, or
            there is a ``keras.remat`` around this or within.

    >>> import keras
    >>> from dropblock_keras import DropBlock2D, remat
    >>> block = remat(keras.Sequential([keras.layers.Conv2D(8, 3), DropBlock2D(0.9, 3)]))
    >>> tuple(block(keras.ops.ones((2, 8, 8, 3)), training=True).shape)
    (2, 6, 6, 8)
    """
    context = _Context(name="rematerialised")

    def rematerialised(*args: Any, **kwargs: Any) -> Any:
        # keras.remat itself takes tensors alone everywhere: on TensorFlow no keywords, on JAX no flags.
        leaves = keras.tree.flatten((args, kwargs))
        places = [place for place, leaf in enumerate(leaves) if keras.ops.is_tensor(leaf)]
        training = context(run=lambda training: training)
        draws = _Draws()

        def run(*operands: Any) -> Any:
            for place, operand in zip(places, operands, strict=True):
                leaves[place] = operand
            args, kwargs = keras.tree.pack_sequence_as(structure, leaves)
            return draws.of(lambda: f(*args, **kwargs), training, context)

        structure = args, kwargs
        y = keras.remat(run)(*(leaves[place] for place in places))
        draws.finish()
        return y

    return rematerialised


def words(generator: keras.random.SeedGenerator) -> Any:
    """The next seed of `generator`, low word and high word; ValueError where the backward pass would meet another."""
    by = callers.innermost(OURS, STATELESS, *RECOMPUTING)
    if by.startswith(RECOMPUTING):
        raise _refusal(by)
    return _current.get().take(generator, 1, native.level()) if by.startswith(OURS) else generator.next()


class _Context(keras.layers.Layer):
    """Runs a function in a layer's call: the layers within learn `training` from it, and it from those around."""

    def call(self, run: Callable[[Any], Any], training: Any = None) -> Any:
        return run(training)

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        return layer_call


class _Draws:
    """The draws of one call of a rematerialised function: the same ones in each run of it."""

    def __init__(self) -> None:
        self.by = callers.innermost(OURS, STATELESS, *RECOMPUTING)
        self.around = _current.get() if self.by.startswith(OURS) else None
        self.outside = self.inside = native.level()
        self.starts: dict[Any, Any] = {}
        self.counts: Counter[Any] = Counter()
        self.runs = 0

    def of(self, run: Callable[[], Any], training: Any, context: _Context) -> Any:
        """`run` once, with its draws counted from 0."""
        self.counts.clear()
        self.runs += 1
        self.inside = native.level()
        outer = _current.set(self)
        try:
            # In the backward pass there is no layer's call around it.
            return run() if self.runs == 1 else context(run=lambda _: run(), training=training)
        finally:
            _current.reset(outer)

    def take(self, generator: Any, times: int, level: Any) -> Any:
        """The seed at which `generator` stands in this run, which goes on by `times` of its draws, made at `level`."""
        if self.by.startswith(RECOMPUTING):
            raise _refusal(self.by)
        if level != self.inside:
            raise ValueError(
                "DropBlock draws in a program, branch or loop inside dropblock_keras.remat(f), where draws cannot be "
                "counted: compile what is rematerialised as a whole, as in tf.function(remat(f)), not a part of f"
            )
        if generator not in self.starts:
            self.starts[generator] = self.around.take(generator, 0, self.outside) if self.around else _stand(generator)
        start, count = self.starts[generator], self.counts[generator]
        self.counts[generator] += times
        return _moved(start, count)

    def finish(self) -> None:
        """Move the generators on, by the number of draws in the run that has ended."""
        for generator, count in self.counts.items():
            if self.around:
                self.around.take(generator, count, self.outside)
            else:
                generator.state.assign(_moved(generator.state.value, count))


def _stand(generator: Any) -> Any:
    """The state of `generator`, which will not change with it: JAX's arrays never do."""
    state = generator.state.value
    return state if keras.backend.backend() == "jax" else state * 1


def _moved(words: Any, calls: int) -> Any:
    return words + keras.ops.convert_to_tensor(np.array([0, calls]), dtype=keras.backend.standardize_dtype(words.dtype))


def _refusal(by: str) -> ValueError:
    return ValueError(
        f"DropBlock draws inside {by.partition('.<locals>')[0]}, which keras.remat and keras.RematScope use: its "
        "SeedGenerator would move on in the recomputation, or its state be lost, and the gradients be of another mask; "
        "use dropblock_keras.remat(f) in place of keras.remat(f), and of a RematScope around what holds DropBlock"
    )
