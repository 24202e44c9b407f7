"""The layers on TensorFlow: a file of its own, as a file's tests share a worker."""

import pytest

from tests.keras.on_backend import check_suite


def test_the_layers_on_tensorflow(pytestconfig: pytest.Config) -> None:
    check_suite("tensorflow", pytestconfig.getoption("markexpr"))
