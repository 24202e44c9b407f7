"""What was checked before is not checked again, and nothing that is refused gets through."""

from typing import Any

import numpy as np
import pytest

from dropblock_core import drop_block
from dropblock_core.remembered import flat, remembered, unflat

X = np.ones((2, 3, 8, 8), np.float32)


def test_a_check_is_made_once_for_arguments_of_the_same_types() -> None:
    asked = []
    check = remembered()(lambda *arguments: asked.append(arguments))
    for arguments in ((1,), (1,), (1.0,), (True,), ([1],), ([1],)):
        check(*arguments)
    assert list(map(repr, asked)) == ["(1,)", "(1.0,)", "(True,)", "([1],)", "([1],)"]


class Changing:
    """An integer that changes, and has a hash all the same, as a tensor has."""

    value = 3

    def __index__(self) -> int:
        return self.value


def test_what_can_change_is_looked_at_again() -> None:
    side = Changing()
    drop_block(X, 0.5, side, seed=1)
    side.value = 5
    np.testing.assert_array_equal(drop_block(X, 0.5, side, seed=1), drop_block(X, 0.5, 5, seed=1))


def test_a_refusal_is_made_again_and_has_no_other_error_behind_it() -> None:
    @remembered()
    def refuse(value: Any) -> None:
        raise TypeError(f"{value} is refused")

    for _ in range(2):
        with pytest.raises(TypeError, match="3 is refused") as caught:
            refuse(3)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("block_size", [7, (7,), (3, 5), [3, 5], 7.0, None])
def test_block_size_comes_back_as_it_was(block_size: Any) -> None:
    assert repr(unflat(*flat(block_size))) == repr(block_size)


@pytest.mark.parametrize(
    "wrong", [{"block_size": (3.0, 3)}, {"block_size": True}, {"stream": 0.0}, {"sample_offset": 0.0}, {"seed": True}]
)
def test_r14_what_equals_something_right_is_refused_all_the_same(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"keep_prob": 0.6, "block_size": (3, 3), "seed": 1, "stream": 0, "sample_offset": 0}
    drop_block(X, **good)
    drop_block(X, **good | {"block_size": 1})
    with pytest.raises(TypeError, match=next(iter(wrong))):
        drop_block(X, **good | wrong)
