"""`add_dropblock` on every backend of Keras; `test_keras` runs it once for each."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications.nasnet import NASNet  # what NASNetMobile and NASNetLarge call, at any size

from dropblock_keras import DropBlock2D, KeepProbSchedule, LinearSchedule, Where, add_dropblock, plan_dropblock

BACKEND = keras.backend.backend()
# Where layers go is no affair of the backend's, and PyTorch compiles nothing of a ResNet-50.
once = pytest.mark.exhaustive if BACKEND != "torch" else lambda test: test


def array(x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(x))


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def residual(x: Any, name: str, channels: int, activation: str = "relu") -> Any:
    """A block of two convolutions; its skip connection is a projection where the channels change."""
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_1_conv")(x)
    y = layers.Activation(activation, name=f"{name}_1_act")(layers.BatchNormalization(name=f"{name}_1_bn")(y))
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    y = layers.BatchNormalization(name=f"{name}_2_bn")(y)
    if x.shape[-1] != channels:
        x = layers.BatchNormalization(name=f"{name}_0_bn")(layers.Conv2D(channels, 1, name=f"{name}_0_conv")(x))
    return layers.Activation(activation, name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def network(activation: str = "relu") -> Any:
    """Two stages, of three residual blocks and one."""
    keras.utils.set_random_seed(0)
    x = y = keras.Input((9, 9, 3))
    for name, channels in (("a1", 8), ("a2", 8), ("a3", 8), ("b1", 12)):
        y = residual(y, name, channels, activation)
    return keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling2D()(y)), name="small")


def built(call: Any, shape: tuple[int | None, ...] = (9, 9, 8)) -> Any:
    x = keras.Input(shape)
    return keras.Model(x, call(x))


def placed(model: Any) -> list[Any]:
    return [layer for layer in model.layers if "DropBlock" in type(layer).__name__]


def rows(plan: Any) -> list[tuple[str, str, float]]:
    return [(place.name, place.what, place.options["gamma_scale"]) for place in plan.places]


DATA = normal(32, 9, 9, 3), np.arange(32) % 4
BOTH = (Where("a*", last=2, share=0.25), Where("b*"))
PLAN = """
place    where                     block  keep_prob  gamma_scale
a2_1_bn  after BatchNormalization      3        0.8         0.25
a2_2_bn  after BatchNormalization      3        0.8         0.25
a2_add   skip: the identity            3        0.8         0.25
a3_1_bn  after BatchNormalization      3        0.8         0.25
a3_2_bn  after BatchNormalization      3        0.8         0.25
a3_add   skip: the identity            3        0.8         0.25
b1_1_bn  after BatchNormalization      3        0.8            1
b1_2_bn  after BatchNormalization      3        0.8            1
b1_0_bn  skip: the projection          3        0.8            1
"""


def test_a_plan_is_a_table_and_what_is_applied() -> None:
    model = network()
    names, weights = [layer.name for layer in model.layers], model.get_weights()
    plan = plan_dropblock(model, where=BOTH, block_size=3, keep_prob=0.8, seed=5)
    assert sorted(str(plan).splitlines()) == sorted(PLAN.strip().splitlines())
    dropped = plan.apply()
    assert {layer.name for layer in placed(dropped)} == {f"{place.name}_dropblock" for place in plan.places}
    assert [layer.name for layer in dropped.layers if layer not in placed(dropped)] == names
    assert [layer.name for layer in model.layers] == names
    for ours, theirs in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)

    x = DATA[0]
    np.testing.assert_array_equal(array(dropped(x)), array(model(x)))
    upto = keras.Model(dropped.inputs[0], [layer.output for layer in placed(dropped)])
    for layer, y in zip(placed(dropped), upto(x, training=True), strict=True):
        zeros = np.mean(array(y) == 0)
        # What a skip connection takes has ReLU's zeros as well.
        assert zeros == layer.dropped_fraction > 0 or ("_add" in layer.name and zeros > layer.dropped_fraction > 0)
        assert (layer.keep_prob, layer.get_config()["block_size"]) == (pytest.approx(0.8), 3)
    assert sorted(layer.seed for layer in placed(dropped)) == list(range(5, 14))


def test_a_run_that_is_saved_and_loaded_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    schedule, seen, path = LinearSchedule(0.8, 6), [], tmp_path / "run.keras"

    def fit(model: Any, epochs: int) -> None:
        def note(batch: int, logs: Any) -> None:
            seen.append(placed(model)[0].keep_prob)

        def save(epoch: int, logs: Any) -> None:
            if epoch == 1:
                model.save(path)

        also = keras.callbacks.LambdaCallback(on_train_batch_begin=note, on_epoch_end=save)
        callbacks = [KeepProbSchedule(schedule), also]
        model.fit(*DATA, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)

    whole = add_dropblock(network(), where="b*", block_size=3, keep_prob=0.8, seed=0)
    loss, eager = keras.losses.SparseCategoricalCrossentropy(from_logits=True), BACKEND == "tensorflow"
    whole.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=BACKEND == "jax", run_eagerly=eager)
    fit(whole, 3)
    resumed = keras.models.load_model(path)
    resumed.run_eagerly = eager
    assert int(array(resumed.optimizer.iterations)) == 4
    assert placed(resumed)[0].keep_prob == pytest.approx(schedule(4))
    fit(resumed, 1)
    # The optimizer's iterations are the steps: the loaded run begins at 4.
    np.testing.assert_allclose(seen, [schedule(step) for step in (*range(6), 4, 5)], rtol=1e-6)
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@once
@pytest.mark.parametrize("version", ["ResNet50", pytest.param("ResNet50V2", marks=pytest.mark.exhaustive)])
def test_a_resnet_has_the_authors_four_places_a_block(version: str) -> None:
    resnet = getattr(keras.applications, version)(weights=None, input_shape=(64, 64, 3), classes=4)
    plan = plan_dropblock(resnet)
    v2 = version.endswith("V2")
    ends, add = ("1_bn", "2_bn", "3_conv" if v2 else "3_bn"), "out" if v2 else "add"
    expected = {
        (f"conv{g + 1}_block{b}_{end}", 4.0 ** (g - 4))
        for g, blocks in ((3, 6), (4, 3))
        for b in range(1, blocks + 1)
        for end in (*ends, add if b > 1 else "0_conv" if v2 else "0_bn")
    }
    assert {(name, scale) for name, _, scale in rows(plan)} == expected
    assert len(plan.places) == len(expected) == 4 * (6 + 3)
    branches = plan_dropblock(resnet, (4,), skip=False)
    assert {p.name for p in branches.places} == {f"conv5_block{b}_{end}" for b in (1, 2, 3) for end in ends}

    dropped, x = plan.apply(), normal(1, 64, 64, 3)
    np.testing.assert_array_equal(array(dropped(x)), array(resnet(x)))
    y = array(dropped(x, training=True))
    assert np.isfinite(y).all()
    assert (y != array(dropped(x))).any()


def nasnet(filters: int, blocks: int) -> Any:
    return NASNet(
        (32, 32, 3),
        penultimate_filters=filters,
        num_blocks=blocks,
        stem_block_filters=4,
        skip_reduction=False,
        filter_multiplier=2,
        classes=4,
        weights=None,
    )


# Keras refuses NASNetMobile on PyTorch.
SIZES = ["small", *([pytest.param("mobile", marks=pytest.mark.exhaustive)] if BACKEND != "torch" else [])]


@pytest.mark.exhaustive if BACKEND != "tensorflow" else lambda test: test
@pytest.mark.parametrize("size", SIZES)
def test_the_last_half_of_a_nasnet_as_section_4_1_2_has_it(size: str) -> None:
    model = nasnet(96, 1) if size == "small" else keras.applications.NASNetMobile((32, 32, 3), weights=None, classes=4)
    plan = plan_dropblock(model, where=Where("*", last=0.5), block_size=11)
    cells = (
        ["reduce_1", "2", "reduce_2", "3"] if size == "small" else ["6", "7", "8", "reduce_8", "9", "10", "11", "12"]
    )
    # Every norm of these cells, and no other.
    norms = [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    ours = [name for name in norms if re.search(rf"(?<!stem)(?<!reduce)_({'|'.join(cells)})$", name)]
    assert {place.name for place in plan.places if place.what == "after BatchNormalization"} == set(ours)
    # An identity in a block of a cell is a skip connection: two in a normal cell, one in a reduction cell.
    skips = [place.name for place in plan.places if place.what == "skip: the identity"]
    normal_cells = [cell for cell in cells if "reduce" not in cell]
    assert {name for name in skips if name.startswith("normal")} == {
        f"normal_add_{number}_{cell}" for cell in normal_cells for number in (3, 5)
    }
    assert len(plan.places) == len(ours) + 2 * len(normal_cells) + (len(cells) - len(normal_cells))
    dropped, x = plan.apply(), normal(1, 32, 32, 3)
    np.testing.assert_array_equal(array(dropped(x)), array(model(x)))
    assert (array(dropped(x, training=True)) != array(dropped(x))).any()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("network", "where", "ends"),
    [
        ("EfficientNetB0", (Where("block5*", share=1 / 4), Where("block6*")), {"silu", "BatchNormalization"}),
        ("MobileNetV2", Where("*", last=4), {"ReLU", "BatchNormalization"}),
        ("DenseNet121", Where("conv5*", skip=False), {"BatchNormalization"}),
        ("ConvNeXtTiny", Where("convnext_tiny_stage_3*", skip=False), {"LayerNormalization"}),
    ],
)
def test_other_networks_of_keras(network: str, where: Any, ends: set[str]) -> None:
    model = getattr(keras.applications, network)(weights=None, input_shape=(64, 64, 3), classes=4)
    plan = plan_dropblock(model, where=where, block_size=3)
    assert {place.what for place in plan.places} - {"skip: the identity"} == {f"after {end}" for end in ends}
    dropped, x = plan.apply(), normal(1, 64, 64, 3)
    np.testing.assert_array_equal(array(dropped(x)), array(model(x)))
    assert (array(dropped(x, training=True)) != array(dropped(x))).any()


def test_what_does_not_commute_comes_before_dropblock() -> None:
    assert {row[:2] for row in rows(plan_dropblock(network("silu"), where="b*"))} == {
        ("b1_1_act", "after silu"),
        ("b1_2_bn", "after BatchNormalization"),
        ("b1_0_bn", "skip: the projection"),
    }
    for layer, behind in (
        (layers.ReLU(name="it"), "norm"),
        (layers.LeakyReLU(name="it"), "norm"),
        (layers.ReLU(max_value=6, name="it"), "it"),
        (layers.ELU(name="it"), "it"),
    ):
        norm = layers.BatchNormalization(name="norm")
        model = built(lambda x, norm=norm, layer=layer: layer(norm(layers.Conv2D(4, 3)(x))))
        assert [name for name, *_ in rows(plan_dropblock(model, where="*", skip=False))] == [behind]


def test_convolutions_before_their_norms() -> None:
    assert {row[:2] for row in rows(plan_dropblock(network(), where=Where("b1*", after="conv")))} == {
        ("b1_1_conv", "after Conv2D"),
        ("b1_2_conv", "after Conv2D"),
        ("b1_0_conv", "skip: the projection"),
    }


def test_sums_written_as_plus_shared_layers_and_pooled_skips() -> None:
    conv, norm = layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(name="norm")

    def call(x: Any) -> Any:
        y = norm(conv(x)) + x
        y = norm(conv(y)) + y
        z = layers.Conv2D(8, 3, strides=3)(y)
        return layers.Add(name="pooled")([layers.BatchNormalization(name="last")(z), layers.AveragePooling2D(3)(y)])

    model = built(call)
    plan = plan_dropblock(model, where="*", keep_prob=0.5, block_size=3)
    assert [place.what for place in plan.places].count("skip: the identity") == 2
    assert [row[:2] for row in rows(plan)][-2:] == [
        ("last", "after BatchNormalization"),
        ("pooled", "skip: AveragePooling2D"),
    ]
    dropped, x = plan.apply(), normal(2, 9, 9, 8)
    assert {"norm_dropblock", "norm_dropblock_1"} < {layer.name for layer in placed(dropped)}
    assert len(placed(dropped)) == 6
    np.testing.assert_array_equal(array(dropped(x)), array(model(x)))
    dropped(x, training=True)
    assert [layer._words[1] for layer in placed(dropped)] == [1] * 6


@pytest.mark.parametrize(("rank", "kind"), [(1, "DropBlock1D"), (2, "DropBlock2D"), (3, "DropBlock3D")])
def test_a_model_of_any_rank_and_a_sequential_one(rank: int, kind: str) -> None:
    convolution = getattr(layers, f"Conv{rank}D")
    flat = [layers.Flatten(), layers.Dense(3), layers.BatchNormalization()]  # a norm without a map gets none
    model = keras.Sequential([keras.Input((5,) * rank + (2,)), convolution(4, 2), layers.BatchNormalization(), *flat])
    dropped, x = add_dropblock(model, where="*", skip=False, keep_prob=0.5, block_size=2), normal(3, *(5,) * rank, 2)
    assert [type(layer).__name__ for layer in placed(dropped)] == [kind]
    np.testing.assert_array_equal(array(dropped(x)), array(model(x)))
    assert (array(dropped(x, training=True)) != array(dropped(x))).any()


def test_layers_have_the_dtype_of_their_place() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy("float32")
    dropped = add_dropblock(model, where=BOTH)
    assert {layer.compute_dtype for layer in placed(dropped)} == {"bfloat16"}
    np.testing.assert_array_equal(array(dropped(DATA[0])), array(model(DATA[0])))
    again = add_dropblock(network(), where="b*", seed=3, gamma_scale=2.0, per_channel=False)
    assert {(c["gamma_scale"], c["per_channel"]) for c in map(DropBlock2D.get_config, placed(again))} == {(2.0, False)}
