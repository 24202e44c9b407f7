# SPDX-License-Identifier: Apache-2.0
"""DropBlock as a layer of Equinox."""

from typing import Any

import equinox as eqx
from jax import Array

from dropblock_core import validate
from dropblock_core.positional import LooksAtPosition
from dropblock_jax.functional import drop_block
from dropblock_jax.options import checked_array, checked_keep_prob, checked_options


class DropBlock(LooksAtPosition, eqx.Module):
    """Drops blocks of one sample ``[channels, *spatial]``, and nothing in inference, as ``eqx.nn.Dropout`` does.

    Args:
        keep_prob, block_size, per_channel, renorm, gamma_scale, calibrated, stream, axis_name: as in
            :func:`dropblock_jax.drop_block`. A number is part of the compiled program; a schedule compiles once where
            `keep_prob` is an array or a :class:`dropblock_jax.Threshold` (``eqx.tree_at`` replaces it).
        inference: True returns the input itself; ``eqx.nn.inference_mode`` sets it.

    Under ``jax.vmap`` each sample counts line 8 for itself; name the mapped axis here, and they count together, as the
    paper does.

    >>> import jax, jax.numpy as jnp
    >>> layer = DropBlock(0.9, 7, axis_name="batch")
    >>> x, keys = jnp.ones((8, 64, 14, 14)), jax.random.split(jax.random.key(0), 8)
    >>> y = jax.vmap(lambda x, key: layer(x, key=key), axis_name="batch")(x, keys)
    >>> round(float(y.mean()), 4), len(set(y.ravel().tolist()))
    (1.0, 2)
    """

    # Not static, so that eqx.tree_at can replace them.
    keep_prob: Any
    inference: bool
    block_size: int | tuple[int, ...] = eqx.field(static=True)
    options: dict[str, Any] = eqx.field(static=True)

    def __init__(
        self,
        keep_prob: Any = 0.9,
        block_size: int | tuple[int, ...] = 7,
        inference: bool = False,
        **options: Any,
    ) -> None:
        self.keep_prob = checked_keep_prob(keep_prob)
        self.inference = inference
        self.block_size, self.options = checked_options(block_size, options, without=("data_format",))

    def __call__(self, x: Array, *, key: Array | None = None, inference: bool | None = None, seed: Any = None) -> Array:
        """`x`, ``[channels, *spatial]``, with blocks dropped; an `inference` given here goes before the layer's."""
        inference = validate.flag("inference", self.inference if inference is None else inference)
        y = drop_block(
            checked_array(x)[None],
            keep_prob=self.keep_prob,
            block_size=self.block_size,
            key=key,
            seed=seed,
            training=not inference,
            data_format="channels_first",
            **self.options,
        )
        return x if inference else y[0]
