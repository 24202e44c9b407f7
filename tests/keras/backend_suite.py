"""What holds on every backend of Keras; `test_keras` runs it once for each."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dropblock_core import drop_block, expected_keep, gamma
from dropblock_keras import (
    DropBlock1D,
    DropBlock2D,
    DropBlock3D,
    KeepProbSchedule,
    LinearSchedule,
    summary,
)
from tests.shared.comparing import assert_is_numpys
from tests.shared.hostile import FEW_PROGRAMS, Door, Drawn, calls, flags, literally, right, try_calls, wrong
from tests.shared.position import assert_looks_at_position

BACKEND = keras.backend.backend()
exhaustive = pytest.mark.exhaustive
# Callbacks and checkpoints are Keras's own affair, the same on each backend, and PyTorch compiles nothing.
once = pytest.mark.exhaustive if BACKEND != "torch" else lambda test: test
# XLA takes seconds to compile what TensorFlow gives it, and does so in tests/tf; JAX compiles each operation otherwise.
JITS = {
    "tensorflow": [False, pytest.param(True, marks=exhaustive)],
    "jax": [True, pytest.param(False, marks=exhaustive)],
    "torch": [False],
}[BACKEND]


ONES = np.ones((2, 8, 8, 3), np.float32)


def array(x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(x))


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def reference(x: np.ndarray[Any, Any], *arguments: Any, **options: Any) -> np.ndarray[Any, Any]:
    return np.moveaxis(drop_block(np.moveaxis(x, -1, 1), *arguments, **options), 1, -1)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(DropBlock1D, (3, 40, 4)), (DropBlock2D, (3, 14, 14, 4)), (DropBlock3D, (2, 6, 7, 8, 3))],
)
def test_r13_a_seed_gives_the_masks_of_numpy(layer: Any, shape: tuple[int, ...]) -> None:
    x, layer = normal(*shape), layer(0.75, 3, seed=5)
    for call in range(2):
        # The layer's n-th call is the seed's two words (seed, n).
        expected = reference(x, float(np.float32(0.75)), 3, seed=5 | call << 32)
        y = array(layer(x, training=True))
        np.testing.assert_array_equal(y == 0, expected == 0)
        np.testing.assert_allclose(y, expected, rtol=3e-7)


@pytest.mark.parametrize(
    "options", [{"renorm": "map"}, {"per_channel": False}, {"gamma_scale": 0.25}, {"calibrated": True}]
)
def test_options_reach_the_backend(options: dict[str, Any]) -> None:
    x = normal(3, 14, 14, 4)
    y = array(DropBlock2D(0.75, 5, seed=1, **options)(x, training=True))
    np.testing.assert_allclose(y, reference(x, 0.75, 5, seed=1, **options), rtol=3e-7)


def test_channels_first_is_the_same_mask() -> None:
    x = normal(3, 4, 14, 14)
    y = array(DropBlock2D(0.75, 5, seed=1, data_format="channels_first")(x, training=True))
    np.testing.assert_allclose(y, drop_block(x, 0.75, 5, seed=1), rtol=3e-7)


def test_r01_inference_returns_the_input_and_draws_nothing() -> None:
    x, layer = normal(2, 8, 8, 3), DropBlock2D(seed=1)
    np.testing.assert_array_equal(array(layer(x)), x)
    assert array(layer.seed_generator.state).tolist() == [1, 0]


def test_mixed_precision_keeps_the_compute_dtype() -> None:
    layer = DropBlock2D(0.75, 3, seed=1, dtype="mixed_float16")
    y = layer(keras.ops.ones((2, 8, 8, 3)), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_array_equal(array(y) == 0, reference(np.ones((2, 8, 8, 3)), 0.75, 3, seed=1) == 0)


def test_symbolic_calls_know_the_shape_and_pass_a_mask_through() -> None:
    x = keras.Input((None, None, 3))
    assert DropBlock2D()(x).shape == (None, None, None, 3)
    assert DropBlock2D().compute_output_shape((None, 7, 7, 3)) == (None, 7, 7, 3)
    assert DropBlock2D().supports_masking
    with pytest.raises(ValueError, match="1 spatial axes"):
        DropBlock1D()(x)


def model() -> Any:
    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 1))
    y = DropBlock2D(0.9, 3, seed=1)(keras.layers.Conv2D(4, 3, padding="same")(x))
    return keras.Model(x, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(y)))


def compiled(jit: bool = BACKEND == "jax", eager: bool = False) -> Any:
    network = model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("sgd", loss, jit_compile=jit, run_eagerly=eager)
    return network


def layer_of(network: Any) -> DropBlock2D:
    return next(layer for layer in network.layers if isinstance(layer, DropBlock2D))


DATA = normal(64, 12, 12, 1), np.arange(64) % 10


class Seen(keras.callbacks.Callback):
    """The keep_prob of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.keep_probs: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.keep_probs.append(layer_of(self.model).keep_prob)


@pytest.mark.parametrize("jit", JITS)
def test_r12_a_schedule_follows_the_steps_and_traces_once(jit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, call = [], DropBlock2D.call
    monkeypatch.setattr(
        DropBlock2D, "call", lambda self, x, training=False: traced.append(1) or call(self, x, training)
    )
    network, schedule, seen = compiled(jit), LinearSchedule(0.8, 16), Seen()
    before = len(traced)
    network.fit(*DATA, batch_size=16, epochs=5, verbose=0, callbacks=[KeepProbSchedule(schedule), seen])
    np.testing.assert_allclose(seen.keep_probs, [schedule(step) for step in range(20)], rtol=1e-6)
    if BACKEND == "tensorflow" or jit:  # the others trace nothing
        assert len(traced) - before <= 2  # building may look once more


@once
def test_a_schedule_counts_the_steps_of_the_optimizer_where_gradients_accumulate() -> None:
    network, schedule, seen = model(), LinearSchedule(0.8, 2), Seen()
    sgd, loss = keras.optimizers.SGD(gradient_accumulation_steps=2), keras.losses.SparseCategoricalCrossentropy(True)
    network.compile(sgd, loss, jit_compile=BACKEND == "jax")
    network.fit(*DATA, batch_size=16, verbose=0, callbacks=[KeepProbSchedule(schedule), seen])
    np.testing.assert_allclose(seen.keep_probs, [1, 1, 0.9, 0.9], rtol=1e-6)


@once
def test_a_schedule_that_serves_a_second_model_leaves_the_first_alone() -> None:
    one, other, callback = compiled(), compiled(), KeepProbSchedule(LinearSchedule(0.8, 4))
    one.fit(*DATA, batch_size=16, verbose=0, callbacks=[callback])
    layer_of(one).keep_prob = 0.5
    other.fit(*DATA, batch_size=32, verbose=0, callbacks=[callback])
    assert layer_of(one).keep_prob == pytest.approx(0.5)
    assert layer_of(other).keep_prob == pytest.approx(0.9)


def test_a_schedule_refuses_calibrated_layers_whose_keep_prob_is_traced() -> None:
    network = keras.Sequential([keras.Input((6, 6, 1)), DropBlock2D(calibrated=True, name="fixed")])
    network.compile("sgd", "mse")
    x = normal(4, 6, 6, 1)
    with pytest.raises(ValueError, match=r"the layers \['fixed'\] are calibrated"):
        network.fit(x, x, verbose=0, callbacks=[KeepProbSchedule(LinearSchedule(0.9, 1))])


@pytest.mark.parametrize("eager", [pytest.param(True, marks=exhaustive if BACKEND == "jax" else [])])
def test_fit_runs_eagerly(eager: bool) -> None:
    compiled(jit=False, eager=eager).fit(*DATA, batch_size=32, verbose=0)


def test_saving_keeps_the_masks_to_come(tmp_path: Path) -> None:
    network = compiled()
    network.fit(*DATA, batch_size=16, verbose=0, callbacks=[KeepProbSchedule(LinearSchedule(0.8, 2))])
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = normal(4, 12, 12, 1)
    assert layer_of(loaded).keep_prob == layer_of(network).keep_prob
    np.testing.assert_array_equal(array(loaded(x, training=True)), array(network(x, training=True)))
    assert layer_of(loaded).get_config() == layer_of(network).get_config()


@once
def test_a_run_restored_from_a_backup_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    def fit(network: Any, *callbacks: Any) -> Any:
        schedule = KeepProbSchedule(LinearSchedule(0.8, 12))
        network.fit(*DATA, batch_size=16, epochs=4, shuffle=False, verbose=0, callbacks=[schedule, *callbacks])
        return network

    whole = fit(compiled())
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), backup, Stop())
    resumed = fit(compiled(), keras.callbacks.BackupAndRestore(tmp_path))
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"rate": 0.1}, TypeError, "keep_prob=0.9 for rate=0.1"),
        ({"keep_prob": 1.5}, ValueError, "keep_prob=1.5 is outside"),
        ({"block_size": 0}, ValueError, "block_size=0 is below 1"),
        ({"renorm": "mean"}, ValueError, "choose one of"),
        ({"gamma_scale": -1}, ValueError, "gamma_scale=-1"),
        ({"calibrated": True, "gamma_scale": 2.0}, ValueError, "one or the other"),
        ({"data_format": "NHWC"}, ValueError, "channels_last"),
        ({"seed": -1}, ValueError, "seed=-1 is outside"),
        ({"seed": 2**31}, ValueError, "seed=2147483648 is outside"),
        ({"seed": True}, TypeError, "seed=True is not an integer"),
        ({"per_channel": "False"}, TypeError, "per_channel='False' is not a bool"),
        ({"calibrated": 1}, TypeError, "calibrated=1 is not a bool"),
        ({"seed": 1.0}, TypeError, "seed=1.0 is not an integer"),
    ],
)
def test_r14_bad_arguments_are_refused_at_once(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        DropBlock2D(**arguments)


def hostile(x: Any, training: Any, **options: Any) -> Any:
    layer = DropBlock2D(dtype="float32", data_format="channels_first", **options)
    try:
        return array(layer(x, training=training))
    except (TypeError, ValueError) as error:  # Keras prints messages in bold
        raise type(error)(re.sub(r"\x1b\[\d+m", "", str(error))) from None


def is_not_for_keras(drawn: Drawn) -> bool:
    """Whether it is no value of `training` for Keras either, and no array, of which Keras makes a tensor first."""
    is_flag = drawn.value is None or (type(drawn.value) is int and drawn.value in (0, 1))
    return not is_flag and not hasattr(drawn.value, "dtype")


@once
def test_r14_hostile_calls() -> None:
    x = np.ones((2, 3, 4, 5), np.float32)
    door = Door(
        f"dropblock_keras.DropBlock2D on {BACKEND}", hostile, [np.asarray, keras.ops.convert_to_tensor],
        no_array=[x[0, 0], x[:, :, :0]], lacks=("stream", "sample_offset"),
        programs=FEW_PROGRAMS.filter(lambda of: len(of.shape) == 4).map(lambda of: of._replace(dtype=np.float32)),
        more={
            "training": (right([True, False], [bool, int, np.bool_]), flags(())[1].filter(is_not_for_keras)),
            "seed": (right([0, 7, 2**31 - 1], [int, np.int64]), wrong("1", 1.0, True, -1, 2**31, 10**5000, [1])),
        },
    )  # fmt: skip
    drawn = calls(door).filter(lambda drawn: "blok_size" not in drawn)  # Keras itself refuses what nobody takes
    try_calls(door.name, hostile, drawn, lambda y, plain: assert_is_numpys(y, literally(plain)))


@pytest.mark.parametrize("training", [None, 0, 1, True, np.False_])
def test_training_is_what_keras_takes_for_it(training: Any) -> None:
    y = array(DropBlock2D(0.5, 3, seed=0)(ONES, training=training))
    assert (y == 1).all() != bool(training)


def test_r14_training_is_no_text() -> None:
    with pytest.raises(TypeError, match="training='False' is not a bool"):
        DropBlock2D(0.5, 3).call(ONES, training="False")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: KeepProbSchedule(LinearSchedule(0.9, 1), 5), "layers=5 is not a list of layers"),
        (lambda: KeepProbSchedule(LinearSchedule(0.9, 1), "abc"), "holds 'a', which is no layer"),
    ],
)
def test_r14_other_front_doors_refuse_what_is_of_another_type(call: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        call()


def test_a_schedule_needs_a_function_and_a_layer() -> None:
    with pytest.raises(TypeError, match="function of the step"):
        KeepProbSchedule(0.9)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no DropBlock layer"):
        network.fit(normal(4, 4), normal(4, 1), verbose=0, callbacks=[KeepProbSchedule(LinearSchedule(0.9, 1))])


@pytest.mark.parametrize("layer", [DropBlock1D, DropBlock2D, DropBlock3D])
def test_a_low_keep_prob_by_position_is_named_with_both_readings(layer: Any) -> None:
    assert_looks_at_position(layer)


def small_model(*layers: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((9, 8, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("options", [{}, {"renorm": "none"}, {"per_channel": False}, {"calibrated": True}])
def test_the_share_is_that_of_the_last_call(options: dict[str, Any], data_format: str) -> None:
    layer = DropBlock2D(0.75, 3, seed=5, data_format=data_format, **options)
    assert (layer.dropped_fraction, layer.expected_dropped_fraction) == (None, None)
    for _ in range(2):
        y = array(layer(np.ones((3, 9, 8, 6), "f4"), training=True))
    assert layer.dropped_fraction == np.mean(y == 0)
    feat = (8, 6) if data_format == "channels_first" else (9, 8)
    g = gamma(0.75, 3, feat, calibrated="calibrated" in options)
    assert layer.expected_dropped_fraction == pytest.approx(1 - expected_keep(g, 3, feat), abs=1e-15)
    layer(np.ones((1, 5, 5, 5), "f4"))
    assert layer.dropped_fraction == np.mean(y == 0), "inference is no call in training"


def test_the_table_counts_the_calls_of_a_compiled_model() -> None:
    used, idle = DropBlock2D(0.75, 3, name="used"), DropBlock2D(0.75, 12, name="idle")
    model, x = small_model(used, idle), np.ones((6, 9, 8, 3), "f4")
    idle.call = lambda inputs, training=False: inputs
    model.fit(x, np.zeros((6, 2)), batch_size=2, epochs=2, verbose=0)
    first, second = summary(model).layers
    assert (first.place, first.feat_size, first.calls, first.warnings) == ("used", (9, 8), 6, ())
    assert 0 < first.dropped < 1
    assert [warning[:12] for warning in second.warnings] == ["never called"]
    with pytest.raises(TypeError, match="model=None is a NoneType: pass a model"):
        summary(None)


@once
def test_a_schedule_that_drives_nothing_warns_once_and_two_of_them_are_seen() -> None:
    layer, x = DropBlock2D(0.75, 3), np.ones((1, 9, 8, 3), "f4")
    seen: list[int] = []
    look = keras.callbacks.LambdaCallback(on_train_end=lambda _: seen.append(summary(layer).layers[0].schedulers))
    schedules = [KeepProbSchedule(LinearSchedule(0.9, 10)) for _ in range(2)]
    model = small_model(layer)
    model.fit(x, np.zeros((1, 2)), verbose=0, callbacks=[look, *schedules])
    assert seen == [2]
    assert summary(layer).layers[0].schedulers == 0
    layer.call = lambda inputs, training=False: inputs
    model = small_model(layer)
    with pytest.warns(UserWarning, match="none of its 1 DropBlock layers was called in training"):
        model.fit(x.repeat(210, 0), np.zeros((210, 2)), batch_size=1, verbose=0, callbacks=schedules[:1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [
        ((2, 3, 4, 5, 6), "float32", r"DropBlock2D takes \[samples, \*spatial, channels\] with 2 spatial axes"),
        ((2, 0, 4, 5), "float32", "with an empty spatial axis"),
        ((2, 3, 4, 5), "int32", "x has dtype int32"),
    ],
)
def test_r14_activations_are_checked_in_inference_too(
    shape: tuple[int, ...], dtype: str, says: str, training: bool
) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        DropBlock2D()(np.ones(shape, dtype), training=training)
