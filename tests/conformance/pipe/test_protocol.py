"""Messages come through bit for bit, and what is none is refused."""

import io
import json
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_conformance.pipe import protocol
from dropblock_conformance.pipe.protocol import ProtocolError, receive
from dropblock_conformance.subject import DTYPES, Array

from .support import sent

DTYPE = {**{name: np.dtype(name) for name in DTYPES if name != "bfloat16"}, "bfloat16": np.dtype(ml_dtypes.bfloat16)}


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Any bits of any of the dtypes, with axes of length 0 and without axes."""
    dtype = DTYPE[draw(st.sampled_from(DTYPES))]
    shape = draw(st.lists(st.integers(0, 3), max_size=5))
    size = prod(shape) * dtype.itemsize
    array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)
    return array.T if draw(st.booleans()) else array  # not contiguous, then


headers = st.dictionaries(
    st.text().filter(lambda key: key != "arrays"),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
)


@given(messages=st.lists(st.tuples(headers, st.lists(arrays(), max_size=3)), max_size=3))
def test_messages_come_through_bit_for_bit_one_after_another(
    messages: list[tuple[dict[str, Any], list[Array]]],
) -> None:
    pipe = io.BytesIO(b"".join(sent(header, *given_out) for header, given_out in messages))
    for header, given_out in messages:
        message = receive(pipe)
        assert message is not None
        assert message[0] == header
        for array, back in zip(given_out, message[1], strict=True):
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert back.tobytes() == array.tobytes()
            assert back.flags.writeable
    assert receive(pipe) is None


def test_a_message_is_as_the_protocol_has_it() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    line, _, data = sent({"do": "call"}, array).partition(b"\n")
    assert json.loads(line) == {"do": "call", "arrays": [{"dtype": "float32", "shape": [3, 2]}]}
    assert data == np.array([0, 3, 1, 4, 2, 5], "<f4").tobytes()
    assert sent({"do": "call"}, array.astype(">f4")) == line + b"\n" + data


def test_a_message_without_a_list_of_arrays_has_none() -> None:
    assert receive(io.BytesIO(b"{}\n")) == ({}, [])


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"hi\n",
        b"\xff\n",
        b"[]\n",
        b"3\n",
        b'"a"\n',
        b"null\n",
        b'{"arrays": [{}]}\n',
        b'{"arrays": 3}\n',
        b'{"arrays": [{"dtype": "float33", "shape": []}]}\n',
        b'{"arrays": [{"dtype": "float32"}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": 3}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": [-1]}]}\n',  # not all that follows
        b'{"arrays": [{"dtype": "float32", "shape": [0.5]}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": "12"}]}\n',
        b'{"arrays": [{"dtype": "object", "shape": [1]}]}\n' + bytes(8),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        receive(io.BytesIO(data + b"rest"))


@pytest.mark.parametrize("cut", range(1, 25))
def test_bytes_that_are_missing_are_missed(cut: int) -> None:
    message = sent({}, np.ones(1), np.ones((2, 1)))
    with pytest.raises(ProtocolError, match=r"bytes were announced for an array of float64 \(\d,.*\), \d+ came"):
        receive(io.BytesIO(message[:-cut]))


def test_a_line_without_end_is_read_no_further_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LONGEST_LINE", 100)
    header = {"": "x" * 77}
    assert len(sent(header)) == 100
    assert receive(io.BytesIO(sent(header))) == (header, [])
    pipe = io.BytesIO(b"x" * 10_000)
    with pytest.raises(ProtocolError, match="a line of more than 100 bytes, which begins with b'xxx"):
        receive(pipe)
    assert pipe.tell() == 101


def test_arrays_beyond_their_bound_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_BYTES", 64)
    message = sent({}, np.ones(4), np.ones(4))
    assert receive(io.BytesIO(message)) is not None
    message = sent({}, np.ones(4), np.ones(5))
    pipe = io.BytesIO(message)
    with pytest.raises(ProtocolError, match="arrays of 72 bytes were announced, more than any question has"):
        receive(pipe)
    assert pipe.tell() == message.index(b"\n") + 1
