"""Our backends as subjects: each hands NumPy's arrays over and back, and its schedule and derivative."""

import importlib

import numpy as np
import pytest

from dropblock_conformance import Subject
from dropblock_conformance.subjects import load
from dropblock_core import LinearSchedule, drop_block

SEEDED = {"jax": "jax", "jax-jit": "jax", "tf": "tensorflow", "tf-function": "tensorflow", "tf-xla": "tensorflow"}
KEYED = {"flax": "flax", "equinox": "equinox"}


def subject_of(name: str) -> Subject:
    pytest.importorskip((SEEDED | KEYED)[name])
    return load(name).subject


COMPILED = pytest.param("tf-xla", marks=pytest.mark.exhaustive)  # for as long as all the others take


def test_what_takes_long_to_compile_is_a_subject_that_says_so() -> None:
    subject = subject_of("tf-xla")
    assert (subject.name, subject.compiles) == ("tf-xla", True)


@pytest.mark.parametrize("name", [COMPILED if name == "tf-xla" else name for name in (*SEEDED, *KEYED)])
def test_a_backend_is_a_subject(name: str) -> None:
    subject = subject_of(name)
    assert subject.name == name
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 4, 9, 8), np.float32)
    call = {"keep_prob": 0.8, "block_size": 3}
    y = subject.call(x, training=True, seed=5, **call)
    if name in SEEDED:
        np.testing.assert_allclose(y, drop_block(x, seed=5, **call), rtol=3e-7)
    assert 0 < np.mean(y == 0) < 1
    np.testing.assert_array_equal(subject.call(x, training=False, seed=5, **call), x)
    assert subject.grad
    again, dx = subject.grad(x, dy, seed=5, **call)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(dx == 0, y == 0)
    assert subject.schedule
    expected = [LinearSchedule(0.9, 4)(step) for step in range(5)]
    np.testing.assert_allclose(list(subject.schedule(0.9, 4)), expected, rtol=1e-7)


# Keras's own conversions to NumPy.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_keras_is_a_subject_on_the_backend_it_runs_on() -> None:
    keras = pytest.importorskip("keras")
    module = importlib.import_module("dropblock_conformance.subjects.ours.keras_layer")
    backend = keras.backend.backend()
    subject = getattr(module, backend)()
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8), np.float32)
    y = subject.call(x, keep_prob=0.75, block_size=3, training=True, seed=5)
    np.testing.assert_allclose(y, drop_block(x, 0.75, 3, seed=5), rtol=3e-7)
    assert list(subject.schedule(0.75, 2)) == [1.0, 0.875, 0.75]
    other = "torch" if backend != "torch" else "jax"
    with pytest.raises(RuntimeError, match=f"KERAS_BACKEND={other}"):
        getattr(module, other)()
