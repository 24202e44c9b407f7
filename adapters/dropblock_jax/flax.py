# SPDX-License-Identifier: Apache-2.0
"""DropBlock as a layer of Flax NNX."""

from typing import Any

from flax import nnx
from flax.nnx.module import first_from
from jax import Array

from dropblock_core import validate
from dropblock_core.positional import LooksAtPosition
from dropblock_jax.functional import drop_block
from dropblock_jax.options import checked_keep_prob, checked_options
from dropblock_jax.threshold import Threshold


class DropBlock(LooksAtPosition, nnx.Module):
    """Drops blocks in training, and nothing where it is deterministic, as ``nnx.Dropout`` does.

    Args:
        keep_prob, block_size, per_channel, renorm, gamma_scale, calibrated, stream, data_format, axis_name: as in
            :func:`dropblock_jax.drop_block`. A number is part of the compiled program; a schedule compiles once where
            `keep_prob` is an array or a :class:`dropblock_jax.Threshold`, at the call, here, or assigned later
            (``layer.keep_prob = nnx.data(threshold)``).
        deterministic: True returns the input itself; ``model.eval()`` and ``model.train()`` set it.
        rng_collection: the stream of `rngs` that keys come from.
        rngs: where keys come from; forked, so that the layer has a stream of its own.

    >>> from flax import nnx
    >>> import jax.numpy as jnp
    >>> layer = DropBlock(0.9, 7, rngs=nnx.Rngs(0))
    >>> x = jnp.ones((8, 14, 14, 64))
    >>> bool((layer(x) == layer(x)).all()), layer(x, deterministic=True) is x
    (False, True)
    """

    def __init__(
        self,
        keep_prob: Any = 0.9,
        block_size: int | tuple[int, ...] = 7,
        *,
        deterministic: bool | None = False,
        rng_collection: str = "dropout",
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        **options: Any,
    ) -> None:
        if rngs is not None and not isinstance(rngs, nnx.Rngs | nnx.RngStream):
            raise TypeError(f"rngs={rngs!r} is a {type(rngs).__name__}: pass nnx.Rngs(...), or one of its streams")
        self.keep_prob = nnx.data(keep_prob) if isinstance(keep_prob, Threshold) else checked_keep_prob(keep_prob)
        self.deterministic = deterministic
        self.rng_collection = rng_collection
        # Hashable, as a graph's definition must be.
        self.block_size, checked = checked_options(block_size, options)
        self.options = nnx.static(tuple(checked.items()))
        stream = rngs[rng_collection] if isinstance(rngs, nnx.Rngs) else rngs
        self.rngs = nnx.data(None) if stream is None else stream.fork()

    def __call__(
        self,
        x: Array,
        *,
        keep_prob: Any = None,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | Array | None = None,
        seed: Any = None,
    ) -> Array:
        """`x` with blocks dropped; an argument given here overrides the layer's."""
        deterministic = first_from(
            deterministic, self.deterministic, error_msg="deterministic is neither given here nor to DropBlock(...)"
        )
        deterministic = validate.flag("deterministic", deterministic)
        keep_prob = self.keep_prob if keep_prob is None else keep_prob
        key = None if deterministic or seed is not None else self._key(rngs)
        return drop_block(
            x,
            keep_prob=keep_prob,
            block_size=self.block_size,
            key=key,
            seed=seed,
            training=not deterministic,
            **dict(self.options),
        )

    def set_view(self, deterministic: bool | None = None) -> None:
        """For ``nnx.view``.

        Args:
            deterministic: if True, nothing is dropped.
        """
        if deterministic is not None:
            self.deterministic = deterministic

    def _key(self, rngs: Any) -> Any:
        rngs = first_from(rngs, self.rngs, error_msg="DropBlock is not deterministic and has no rngs: give it rngs=")
        if isinstance(rngs, nnx.Rngs):
            return rngs[self.rng_collection]()
        return rngs() if isinstance(rngs, nnx.RngStream) else rngs
