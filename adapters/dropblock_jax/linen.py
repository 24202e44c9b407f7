# SPDX-License-Identifier: Apache-2.0
"""DropBlock as a layer of Flax Linen."""

from typing import Any

from flax import linen as nn
from jax import Array

from dropblock_core import validate
from dropblock_core.positional import LooksAtPosition
from dropblock_jax import options
from dropblock_jax.functional import drop_block


class DropBlock(LooksAtPosition, nn.Module):
    """Drops blocks in training, and nothing where it is deterministic, as ``nn.Dropout`` does.

    Args:
        keep_prob, block_size, per_channel, renorm, gamma_scale, calibrated, stream, data_format, axis_name: as in
            :func:`dropblock_jax.drop_block`.
        deterministic: True returns the input itself; here or at the call.
        rng_collection: the collection that keys come from: ``model.apply(..., rngs={"dropout": key})``.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.ones((8, 14, 14, 64))
    >>> y = DropBlock(0.9, 7, deterministic=False).apply({}, x, rngs={"dropout": jax.random.key(0)})
    >>> round(float((y == 0).mean()), 2)
    0.1
    """

    keep_prob: Any = 0.9
    block_size: int | tuple[int, ...] = 7
    deterministic: bool | None = None
    rng_collection: str = "dropout"
    per_channel: bool = True
    renorm: str = "tensor"
    gamma_scale: float = 1.0
    calibrated: bool = False
    stream: Any = 0
    data_format: str = "channels_last"
    axis_name: Any = None

    def __post_init__(self) -> None:
        options.checked_keep_prob(self.keep_prob)
        options.checked_options(self.block_size, self._options)
        super().__post_init__()

    @property
    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in options.DEFAULTS}

    @nn.compact
    def __call__(
        self, x: Array, deterministic: bool | None = None, keep_prob: Any = None, rng: Array | None = None
    ) -> Array:
        """`x` with blocks dropped; an argument given here overrides the layer's."""
        deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
        deterministic = validate.flag("deterministic", deterministic)
        if rng is None and not deterministic:
            rng = self.make_rng(self.rng_collection)
        return drop_block(
            x,
            keep_prob=self.keep_prob if keep_prob is None else keep_prob,
            block_size=self.block_size,
            key=rng,
            training=not deterministic,
            **self._options,
        )
