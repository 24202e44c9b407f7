"""The program that XLA gets on a machine with a GPU: its text, and, run on the CPU, its masks."""

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dropblock_tf import drop_block, words, xla
from tests.shared.comparing import SEEDED, assert_equal, assert_is_numpys, numpys

from .support import in_graph, in_xla, normal, with_gradient

SHAPE = (2, 14, 14, 8)


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow sees one."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [tf.config.LogicalDevice("GPU:0", "GPU")])


def text_of(call: Any, stage: str) -> str:
    x = tf.ones(SHAPE, tf.float16)
    return in_xla(call).experimental_get_compiler_ir(x, x)(stage=stage)  # type: ignore[no-any-return]


def trip_counts(call: Any) -> list[str]:
    """The rounds of each loop, which any of XLA's compilers finds out the same way; "?" where it cannot."""
    loops = [line for line in text_of(call, "optimized_hlo").splitlines() if " while(" in line]
    found = (re.search(r'"known_trip_count":\{"n":"(\d+)"\}', line) for line in loops)
    return [count[1] if count else "?" for count in found]


@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize("keep_prob", [pytest.param(0.9, marks=pytest.mark.exhaustive), "a tensor"])
def test_the_host_is_asked_for_nothing(keep_prob: Any) -> None:
    def call(x: Any, dy: Any) -> Any:
        p = tf.cast(x[0, 0, 0, 0], tf.float64) if keep_prob == "a tensor" else keep_prob
        return with_gradient(keep_prob=p, block_size=7, seed=4)(x, dy)

    assert trip_counts(call) == ["16"]
    text = text_of(call, "hlo")
    assert not re.search(r" (conditional|custom-call|infeed|outfeed|send|recv|gather|scatter|sort)\(", text)
    # The mask's words are written once in each direction. XLA may find that they are the same.
    assert len(re.findall(r"u16\[2,8,14,1\].* opt-barrier\(", text)) == 2


def test_the_reading_of_loops_tells_those_of_the_cpu() -> None:
    assert "?" in trip_counts(with_gradient(keep_prob=0.9, block_size=7, seed=4))


MASKS = [
    ((2, 3, 2, 70, 3), {"keep_prob": 0.8, "block_size": (2, 1, 5), "renorm": "sample"}),
    ((2, 8, 8, 3), {"keep_prob": 0.0, "block_size": 1}),
    pytest.param(SHAPE, {"keep_prob": 0.9, "block_size": 7}, marks=pytest.mark.exhaustive),
    pytest.param(
        (3, 7, 7, 9), {"keep_prob": 0.5, "block_size": 7, "sample_offset": 5, "renorm": "map"},
        marks=pytest.mark.exhaustive,
    ),
]  # fmt: skip


@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize(("shape", "call"), MASKS, ids=str)
def test_its_masks_are_numpys(shape: tuple[int, ...], call: dict[str, Any]) -> None:
    x = normal(shape)
    y, dx = in_xla(with_gradient(**call, seed=4))(x, tf.ones(shape))
    assert_is_numpys(y, numpys(x, **call, seed=4))
    assert_equal(np.asarray(y), np.where(np.asarray(dx) == 0, 0, np.asarray(x * dx)))


@pytest.mark.usefixtures("a_gpu")
def test_only_xla_has_words_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Any] = []

    def call(x: Any) -> Any:
        chosen.append(type(words.words_here()))
        return drop_block(x, **SEEDED)

    x = normal(SHAPE)
    for way in (in_graph, in_xla):
        way(call)(x)
    call(x)
    assert chosen == [words.TensorFlowWordSpace, words.XlaGpuWordSpace, words.TensorFlowWordSpace]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [])
    in_xla(lambda x: chosen.append(xla.compiles_for_a_gpu()) or x)(x)
    assert chosen[-1] is False
