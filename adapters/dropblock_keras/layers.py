# SPDX-License-Identifier: Apache-2.0
"""DropBlock as Keras layers, in the manner of ``keras.layers.Dropout``."""

from typing import Any

import keras

from dropblock_core import validate
from dropblock_core.positional import LooksAtPosition
from dropblock_keras import native, rematerialisation
from dropblock_keras.observed import Observed, dropped_fraction


class DropBlock(LooksAtPosition, keras.layers.Layer):
    """Drops blocks in training, and returns its input in inference.

    Args:
        keep_prob: probability of keeping a unit, in [0, 1]. A weight that is not trained:
            :class:`dropblock_keras.KeepProbSchedule`, or ``layer.keep_prob = 0.95``, changes it without tracing anew,
            and it is saved with the model.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        per_channel, renorm, gamma_scale, calibrated: as in :func:`dropblock_core.drop_block`. With `calibrated`,
            keep_prob is not a weight, and a compiled program keeps the value it was traced with.
        seed: an int in [0, 2^31) for the layer's ``SeedGenerator``; the same one gives the same masks on each of
            Keras's backends.
        data_format: ``"channels_last"`` or ``"channels_first"``; by default Keras's own setting.

    Call arguments:
        inputs: activations, of a floating dtype; any size but the channels' may be unknown.
        training: whether to drop blocks.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.
    """

    rank: int

    def __init__(
        self,
        keep_prob: float = 0.9,
        block_size: int | tuple[int, ...] = 7,
        *,
        per_channel: bool = True,
        renorm: str = "tensor",
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        validate.no_foreign_keywords({k: v for k, v in kwargs.items() if k in validate.DROP_KEYWORDS}, name)
        keep_prob = validate.probability("keep_prob", keep_prob)
        _, renorm, gamma_scale = validate.options(block_size, self.rank, renorm, gamma_scale, calibrated=calibrated)
        per_channel, calibrated = validate.flag("per_channel", per_channel), validate.flag("calibrated", calibrated)
        seed = None if seed is None else validate.integer("seed", seed, "it seeds a SeedGenerator")
        if seed is not None and not 0 <= seed < 2**31:
            raise ValueError(
                f"{validate.shown('seed', seed)} is outside [0, 2^31), which every backend's SeedGenerator takes: "
                "reduce it"
            )
        super().__init__(**kwargs)
        self._options: dict[str, Any] = {
            "block_size": validate.block_size(block_size, self.rank),
            "per_channel": per_channel,
            "renorm": renorm,
            "gamma_scale": gamma_scale,
            "calibrated": calibrated,
        }
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        data_format = keras.backend.image_data_format() if data_format is None else data_format
        self.data_format = validate.data_format(data_format)
        self.supports_masking = True
        self._observed = Observed()
        self._keep_prob: Any = keep_prob
        if not calibrated:
            self._keep_prob = self.add_weight(
                shape=(),
                initializer=lambda shape, dtype: keras.ops.convert_to_tensor(keep_prob, dtype),
                # JAX has float64 only where it is switched on.
                dtype="float32" if keras.backend.backend() == "jax" else "float64",
                trainable=False,
                autocast=False,
                name="keep_prob",
            )
        self.built = True

    @property
    def calibrated(self) -> bool:
        return bool(self._options["calibrated"])

    @property
    def keep_prob(self) -> float:
        value = self._keep_prob if self.calibrated else self._keep_prob.value
        return float(keras.ops.convert_to_numpy(value))

    @keep_prob.setter
    def keep_prob(self, value: float) -> None:
        value = validate.probability("keep_prob", value)
        if self.calibrated:
            self._keep_prob = value
        else:
            self._keep_prob.assign(value)

    @property
    def dropped_fraction(self) -> float | None:
        """The share of the units that the last call in training dropped; None before it, or where a map was not known.

        Its mask is drawn again, with keep_prob as it is now; where the batch was not known, that of the first sample.
        """
        call, (seed, calls) = self._observed.call(self.keep_prob, self._options), self._words
        return dropped_fraction(call, (seed, calls - 1)) if call is not None and calls else None

    @property
    def expected_dropped_fraction(self) -> float | None:
        """What the exact law expects of :attr:`dropped_fraction`; a call's own share differs from it by chance."""
        call = self._observed.call(self.keep_prob, self._options)
        return None if call is None else call.expected_dropped

    @property
    def _words(self) -> tuple[int, int]:
        """The seed, and the number of calls in training before now."""
        seed, calls = keras.ops.convert_to_numpy(self.seed_generator.state.value).tolist()
        return seed, calls

    def call(self, inputs: Any, training: bool = False) -> Any:
        self._check(inputs)
        if not _flag(training):
            return inputs
        self._observed.note(inputs.shape, self.data_format)
        keep_prob = self._keep_prob if self.calibrated else self._keep_prob.value
        words = rematerialisation.words(self.seed_generator)
        return native.drop_block(inputs, keep_prob, words, self.data_format, self._options)

    def _check(self, inputs: Any) -> None:
        """ValueError or TypeError unless these are activations, in inference too; sizes that are not known pass."""
        shape, channels_last = tuple(inputs.shape), self.data_format == "channels_last"
        if len(shape) != self.rank + 2:
            layout = "[samples, *spatial, channels]" if channels_last else "[samples, channels, *spatial]"
            raise ValueError(f"x has shape {shape}: {type(self).__name__} takes {layout} with {self.rank} spatial axes")
        sizes = [size if isinstance(size, int) else 1 for size in shape]
        validate.activations(sizes, keras.backend.standardize_dtype(inputs.dtype), channels_last=channels_last)

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        # A layer made in a keras.RematScope is not run again: it keeps at most a bit a unit anyway.
        return layer_call

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        self._check(inputs)
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        # Keras does not save this. With it, a model that is loaded goes on with the masks that were to come next.
        store["seed_generator_state"] = keras.ops.convert_to_numpy(self.seed_generator.state.value)

    def load_own_variables(self, store: Any) -> None:
        own = {key: store[key] for key in store.keys() if key != "seed_generator_state"}  # noqa: SIM118  # not a dict
        super().load_own_variables(own)
        self.seed_generator.state.assign(store["seed_generator_state"])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "keep_prob": self.keep_prob,
            **self._options,
            "seed": self.seed,
            "data_format": self.data_format,
        }


def _flag(training: Any) -> bool:
    """`training`, which in Keras may be None, 0 or 1 as well."""
    if training is None or (type(training) is int and training in (0, 1)):
        return bool(training)
    return validate.flag("training", training)


@keras.saving.register_keras_serializable("dropblock")
class DropBlock1D(DropBlock):
    """:class:`dropblock_keras.layers.DropBlock` for sequences ``[samples, length, channels]``.

    Input shape:
        3D: ``[samples, length, channels]``; ``[samples, channels, length]`` if `data_format` is ``"channels_first"``.

    Output shape:
        That of the input.
    """

    rank = 1


@keras.saving.register_keras_serializable("dropblock")
class DropBlock2D(DropBlock):
    """:class:`dropblock_keras.layers.DropBlock` for images ``[samples, height, width, channels]``.

    Input shape:
        4D: ``[samples, height, width, channels]``; ``[samples, channels, height, width]`` if `data_format` is
        ``"channels_first"``.

    Output shape:
        That of the input.

    >>> import numpy as np
    >>> layer = DropBlock2D(keep_prob=0.9, block_size=7, seed=0)
    >>> x = np.ones((8, 14, 14, 64), "float32")
    >>> round(float(np.mean(layer(x, training=True))), 4), float(np.mean(layer(x)))
    (1.0, 1.0)
    """

    rank = 2


@keras.saving.register_keras_serializable("dropblock")
class DropBlock3D(DropBlock):
    """:class:`dropblock_keras.layers.DropBlock` for volumes ``[samples, depth, height, width, channels]``.

    Input shape:
        5D: ``[samples, depth, height, width, channels]``; ``[samples, channels, depth, height, width]`` if
        `data_format` is ``"channels_first"``.

    Output shape:
        That of the input.
    """

    rank = 3
