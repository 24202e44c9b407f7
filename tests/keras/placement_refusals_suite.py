"""What `add_dropblock` refuses on every backend of Keras; `test_keras` runs it once for each."""

from typing import Any

import keras
import pytest
from keras import layers

from dropblock_keras import Where, add_dropblock
from tests.keras.placement_suite import built, network


class Trainer(keras.Model):
    """A functional model that trains in its own way."""


class Other(keras.Model):
    def __init__(self, width: int) -> None:
        x = keras.Input((9, 9, 8))
        super().__init__(x, layers.BatchNormalization()(layers.Conv2D(width, 3)(x)))


def test_a_class_of_ones_own_stays_or_is_refused() -> None:
    small = network()
    assert type(add_dropblock(Trainer(small.inputs, small.outputs), where="b*")) is Trainer
    with pytest.raises(TypeError, match=r"model is a Other, and Keras copies it as a Functional: have its class take"):
        add_dropblock(Other(4), where="*", skip=False)


def in_a_model() -> Any:
    inner = network()
    return built(lambda x: layers.Dense(2)(inner(x)), (9, 9, 3))


class Subclassed(keras.Model):
    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: add_dropblock(None), TypeError, "model=None is not a keras.Model"),
        (lambda: add_dropblock(network(), groups=3), TypeError, "groups=3 is not a sequence of ints"),
        (lambda: add_dropblock(network(), groups=(True,)), TypeError, "groups=True is not an integer"),
        (lambda: add_dropblock(network(), groups=()), ValueError, "groups=.* some of the groups 1 to 4"),
        (lambda: add_dropblock(network(), groups=(5,)), ValueError, "groups 1 to 4"),
        (lambda: add_dropblock(network(), skip="False"), TypeError, "skip='False' is not a bool"),
        (lambda: add_dropblock(network()), ValueError, r"no layers of a conv4_block1.*keras\.applications.*it has"),
        (lambda: add_dropblock(network(), where="a9*"), ValueError, "where names 'a9\\*', and .*; it has a1_1_conv, "),
        (lambda: add_dropblock(network(), where=3), TypeError, "where=3 is none"),
        (lambda: add_dropblock(network(), where=[]), TypeError, r"where=\[\]: where is a name"),
        (lambda: add_dropblock(network(), where=("a1*", "a*")), ValueError, "where means a1_1_bn twice"),
        (lambda: add_dropblock(network(), where="*_act"), ValueError, "nothing for DropBlock to follow: no norm"),
        (lambda: add_dropblock(network(), where="b1_?_bn"), ValueError, "no skip connection that an Add takes"),
        (lambda: add_dropblock(network(), where=Where("dense*", last=1)), ValueError, "none of these layers is an Add"),
        (lambda: add_dropblock(network(), where="b*", keep_prob=1.5), ValueError, "keep_prob=1.5 is outside"),
        (lambda: add_dropblock(network(), where="b*", block_size=0), ValueError, "block_size=0 is below 1"),
        (lambda: add_dropblock(network(), where="b*", rate=0.1), TypeError, "keep_prob=0.9 for rate=0.1"),
        (lambda: add_dropblock(network(), where="b*", seed=2**31 - 2), ValueError, "seed=2147483648 is outside"),
        (lambda: add_dropblock(network(), where="b*", seed="1"), TypeError, "seed='1' is not an integer"),
        (lambda: add_dropblock(network(), calibrated=True), ValueError, "calibrated=True with groups=.3, 4."),
        (lambda: add_dropblock(in_a_model(), where="*"), ValueError, "the model 'small', whose layers are not its own"),
        (lambda: add_dropblock(Subclassed()), ValueError, "Subclassed, not a functional model, .*put DropBlock2D"),
        (lambda: add_dropblock(keras.Sequential([layers.Conv2D(2, 3)])), ValueError, "give it a keras.Input first"),
        (lambda: add_dropblock(add_dropblock(network(), where="b*"), where="a*"), ValueError, "a DropBlock2D already"),
        (lambda: Where(()), ValueError, r"names=\(\): name layers"),
        (lambda: Where(5), ValueError, "names=5: name layers"),
        (lambda: Where("*", last=0), ValueError, "last=0: last is a fraction"),
        (lambda: Where("*", last=1.5), ValueError, "last=1.5: last is a fraction"),
        (lambda: Where("*", after="relu"), ValueError, "after='relu' is unknown: choose one of norm, conv"),
        (lambda: Where("*", share=-1), ValueError, "gamma_scale=-1"),
    ],
)  # fmt: skip
def test_bad_plans_are_refused(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()
