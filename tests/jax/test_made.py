"""What a layer of Flax or Equinox refuses when it is made (rule R14), not at its first call."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import dropblock_jax.equinox
import dropblock_jax.flax
import dropblock_jax.linen
from dropblock_jax import Threshold
from tests.shared.refusals import ONE_TO_KEEP, RENORM, Refusal, each, text

LAYERS = [dropblock_jax.flax.DropBlock, dropblock_jax.linen.DropBlock, dropblock_jax.equinox.DropBlock]
any_layer = pytest.mark.parametrize("layer", LAYERS, ids=["nnx", "linen", "equinox"])

BAD: list[Refusal] = [
    ({"keep_prob": 1.5}, ValueError, ["keep_prob=1.5 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": None}, TypeError, ["keep_prob=None is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": [0.9]}, TypeError, ["keep_prob=[0.9] is not a real number", ONE_TO_KEEP]),
    ({"block_size": 0}, ValueError, ["block_size=0 is below 1", "block_size=1 is dropout"]),
    ({"block_size": 7.0}, TypeError, ["block_size=7.0 is not an integer"]),
    ({"block_size": (3, -1)}, ValueError, ["block_size=(3, -1) is below 1"]),
    ({"block_size": ()}, ValueError, ["block_size=() has 0 sides"]),
    ({"block_size": (3, 3, 3, 3)}, ValueError, ["block_size=(3, 3, 3, 3) has 4 sides for 3 spatial axes"]),
    ({"renorm": "batch"}, ValueError, ["renorm='batch' is unknown", RENORM]),
    ({"gamma_scale": -1}, ValueError, ["gamma_scale=-1 is not finite and at least 0"]),
    ({"gamma_scale": 0.5, "calibrated": True}, ValueError, ["gamma_scale=0.5 with calibrated=True"]),
    ({"per_channel": "False"}, TypeError, ["per_channel='False' is not a bool"]),
    ({"calibrated": 1}, TypeError, ["calibrated=1 is not a bool"]),
]


@any_layer
@each(BAD)
def test_r14_a_layer_refuses_bad_arguments_when_it_is_made(
    arguments: dict[str, Any], error: type[Exception], parts: list[str], layer: Any
) -> None:
    with pytest.raises(error, match=text(parts)):
        layer(**arguments)


@pytest.mark.parametrize("layer", LAYERS[:2], ids=["nnx", "linen"])
def test_r14_a_bad_data_format_too(layer: Any) -> None:
    with pytest.raises(ValueError, match="data_format='NHWC' is unknown: choose 'channels_last'"):
        layer(data_format="NHWC")


@any_layer
@pytest.mark.parametrize("block_size", [3, (3,), (3, 5), (3, 5, 7)])
def test_a_layer_is_made_for_any_number_of_axes_and_of_a_keep_prob_that_comes_later(
    layer: Any, block_size: Any
) -> None:
    def made(keep_prob: Any) -> Any:
        layer(keep_prob, block_size)
        return keep_prob

    made(Threshold.of(0.9, 3, 8))
    assert made(jnp.float32(0.9)) == jax.jit(made)(jnp.float32(0.9))
